"""Measures latency while a process is half as busy as it can be: entitlements, and beside it the bare loop.

Commands are due at a steady rate, half of what each worked off of a backlog in the same run (open loop: a late answer
does not slow the sender). A command's latency is from the instant it was due to the broker's own note of when it
appended the answer. Both logs are read afterwards, so that no reader shares the machine with what is measured.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from contracts.payload import Payload
from contracts.topics import COMMANDS
from services.runtime.clock import machine_milliseconds
from services.runtime.keys import shard_of
from services.runtime.settings import Settings
from tests.benchmarks.seed import paced, record_of

SECONDS = 8
WARM_UP_SECONDS = 2
_TICK_SECONDS = 0.005


class Due(NamedTuple):
    """When the commands `<run>-0`, `<run>-1` ... were due: `each` of them at once, then as many again."""

    run: str
    start_ms: int
    each: int
    per_second: float

    def of(self, command_id: str) -> float:
        """Return when a command was due, in milliseconds since the epoch."""
        tick = int(command_id.removeprefix(f"{self.run}-")) // self.each
        return self.start_ms + tick * self.each / self.per_second * 1_000


async def send_steadily(settings: Settings, commands: Iterable[Payload], per_second: float, run: str) -> Due:
    """Write commands to Kafka at a steady rate, those of a few milliseconds at once; return when each was due."""
    each = max(1, round(per_second * _TICK_SECONDS))
    records = [
        (shard_of(command.account_id, settings.partitions), record_of(command, f"{run}-{number}"))
        for number, command in enumerate(commands)
    ]
    ticks = [sorted(records[n : n + each], key=itemgetter(0)) for n in range(0, len(records), each)]
    topic, pending = settings.namespace + COMMANDS.name, []
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all") as producer:
        await producer.partitions_for(topic)
        due = Due(run, machine_milliseconds(), each, per_second)
        async for number, _ in paced(each / per_second, len(ticks)):
            for partition, some in groupby(ticks[number], key=itemgetter(0)):
                batch = producer.create_batch()
                for _, (key, value, headers) in some:
                    batch.append(timestamp=None, key=key, value=value, headers=headers)
                batch.close()
                pending.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*pending)
    return due


async def read_latencies(settings: Settings, topic: str, due: Due, count: int) -> Sequence[float]:
    """Return the milliseconds of the answers on `topic` (full name, log append time), without those of the warm-up.

    Raises TimeoutError when answers are missing.
    """
    found: list[float] = []
    seen = 0
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(120):
        consumer.assign([TopicPartition(topic, number) for number in range(settings.partitions)])
        while seen < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    headers: dict[str, bytes] = dict(record.headers)
                    command_id = headers.get("ce_correlationid", headers["ce_id"]).decode()
                    if not command_id.startswith(f"{due.run}-"):
                        continue
                    seen += 1
                    at = due.of(command_id)
                    if at >= due.start_ms + WARM_UP_SECONDS * 1_000:
                        found.append(record.timestamp - at)
    return found
