"""Measures from outside: how fast logs grow while a process works a backlog off, and how long answers take.

Throughput is read off the ends of Kafka's logs (cheap), between the first and the last record of the run, so that a
process's start does not count. Latency is from the instant a command was due (open loop) to its record being read.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts.payload import Payload
from contracts.topics import COMMANDS, TOPICS, dead_letter_topics
from services.runtime.kafka import LogEnds
from services.runtime.settings import Settings
from tests.benchmarks.seed import paced, record_of

_POLL_SECONDS = 0.05
_GIVE_UP_SECONDS = 300
_NOTED = {"message.timestamp.type": "LogAppendTime"}


@dataclass(frozen=True, slots=True)
class Throughput:
    """Records that appeared after the first look that saw any, and how long that took."""

    records: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Records a second."""
        return self.records / self.seconds

    @property
    def cpu_microseconds_each(self) -> float:
        """CPU time of the measured processes per record."""
        return self.cpu_seconds * 1e6 / self.records


async def create_topics(settings: Settings, *more: str) -> None:
    """Create every topic of the namespace, and `more` by their full names; the broker notes when it appends."""
    names = [settings.namespace + name for name in (*(topic.name for topic in TOPICS), *dead_letter_topics())]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.create_topics(
        [NewTopic(name, settings.partitions, 1, topic_configs=_NOTED) for name in (*names, *more)]
    )
    await admin.close()


def environment(settings: Settings, port: int) -> dict[str, str]:
    """Return the environment of a service process with these settings."""
    ours = {
        "ADDONFLOW_NAMESPACE": settings.namespace,
        "ADDONFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ADDONFLOW_REDIS_URL": settings.redis_url,
        "ADDONFLOW_PARTITIONS": str(settings.partitions),
        "ADDONFLOW_HTTP_PORT": str(port),
        "ADDONFLOW_LOG_LEVEL": "warning",
    }
    return os.environ | ours


@asynccontextmanager
async def running(settings: Settings, *commands: Sequence[str]) -> AsyncIterator[list[int]]:
    """Run processes for the time of the block; yields their process ids."""
    processes = [
        subprocess.Popen([sys.executable, *command], env=environment(settings, 0))  # noqa: ASYNC220 - started once
        for command in commands
    ]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            await asyncio.to_thread(process.wait, 30)


def service(name: str) -> tuple[str, ...]:
    """Return the command line that runs a service."""
    return ("-c", f"import sys; from services.{name}.app import main; sys.exit(main())")


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the CPU time that processes have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> int:
    """Return how much memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


async def drain(settings: Settings, topic: str, expected: int, pids: Sequence[int]) -> Throughput:
    """Wait until `topic` (full name) has grown by `expected`; raises TimeoutError when that takes too long."""
    ends = LogEnds(settings)
    partitions = [TopicPartition(topic, number) for number in range(settings.partitions)]
    loop = asyncio.get_running_loop()
    before = sum((await ends.of(partitions)).values())
    start = (0, loop.time(), cpu_seconds(pids))
    try:
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            while True:
                look = (sum((await ends.of(partitions)).values()) - before, loop.time(), cpu_seconds(pids))
                if look[0] >= expected:
                    return Throughput(int(look[0] - start[0]), look[1] - start[1], look[2] - start[2])
                if not start[0]:
                    start = look
                await asyncio.sleep(_POLL_SECONDS)
    finally:
        await ends.stop()


async def latencies(
    settings: Settings, commands: Sequence[Payload], per_second: int, topics: Sequence[str], run: str
) -> dict[str, list[float]]:
    """Send commands at a steady rate and return per topic the seconds until each command's record was read."""
    due: dict[str, float] = {}
    found: dict[str, list[float]] = {topic: [] for topic in topics}
    loop = asyncio.get_running_loop()
    names = [settings.namespace + topic for topic in topics]
    consumer = AIOKafkaConsumer(
        *names, bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="latest", fetch_max_wait_ms=100
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, acks="all")

    async def observe() -> None:
        while any(len(each) < len(commands) for each in found.values()):
            for records in (await consumer.getmany(timeout_ms=100)).values():
                now = loop.time()
                for record in records:
                    headers = dict(record.headers)
                    sent = due.get(headers.get("ce_correlationid", b"").decode())
                    if sent is not None:
                        found[record.topic.removeprefix(settings.namespace)].append(now - sent)

    async with consumer, producer:
        await consumer.seek_to_end()
        for partition in consumer.assignment():
            await consumer.position(partition)
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            observer = asyncio.create_task(observe())
            async for number, at in paced(1 / per_second, len(commands)):
                key, value, headers = record_of(commands[number], f"{run}-{number}")
                due[f"{run}-{number}"] = at
                await producer.send(settings.namespace + COMMANDS.name, value, key=key, headers=headers)
            await observer
    return found


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def dump(path: str, result: dict[str, Any]) -> None:
    """Write the figures as JSON."""
    Path(path).write_text(json.dumps(result, indent=2) + "\n", "utf-8")
