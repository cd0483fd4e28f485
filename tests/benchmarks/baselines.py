"""What the figures are compared with, each a process of its own: `python -m tests.benchmarks.baselines bare|plain`.

bare    an aiokafka loop that forwards every record, acks=all, and commits its offsets: the ceiling of the client
plain   the FastStream handler most people would write: per message one GET, one SET, one publish
"""

import asyncio
import sys
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from faststream import FastStream
from faststream.kafka import KafkaBroker
from redis.asyncio import Redis

from contracts.topics import COMMANDS
from services.runtime.settings import Settings


async def bare(settings: Settings, target: str) -> None:
    """Forward every command to `target`, a batch at a time, until killed."""
    consumer = AIOKafkaConsumer(
        settings.namespace + COMMANDS.name,
        bootstrap_servers=settings.kafka_bootstrap,
        group_id=f"{settings.namespace}bare",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, acks="all", linger_ms=5, max_batch_size=262_144
    )
    async with consumer, producer:
        while True:
            batches = (await consumer.getmany(timeout_ms=200, max_records=2_000)).values()
            futures = [
                await producer.send(target, record.value, key=record.key, headers=list(record.headers))
                for records in batches
                for record in records
            ]
            if futures:
                await asyncio.gather(*futures)
                await consumer.commit()


async def plain(settings: Settings, target: str) -> None:
    """Handle every command with one GET, one SET and one publish, until killed."""
    broker = KafkaBroker(settings.kafka_bootstrap, acks="all", logger=None)
    redis: Redis = Redis.from_url(settings.redis_url)
    publisher = broker.publisher(target)

    @broker.subscriber(
        settings.namespace + COMMANDS.name, group_id=f"{settings.namespace}plain", auto_offset_reset="earliest"
    )
    async def handle(message: dict[str, Any]) -> None:
        key = f"plain:{message['account_id']}"
        seen = int(await redis.get(key) or 0)
        await redis.set(key, seen + 1)
        await publisher.publish(message, key=message["account_id"].encode())

    await FastStream(broker).run()


if __name__ == "__main__":
    asyncio.run({"bare": bare, "plain": plain}[sys.argv[1]](Settings.load(), sys.argv[2]))
