"""Kafka topics of a test: made, written in ways that a well-behaved client cannot, read to their end, lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

_SECONDS = 30
_POLL_SECONDS = 0.05


async def until(condition: Callable[[], Awaitable[bool] | bool], what: str, seconds: float = _SECONDS) -> None:
    """Wait for a condition; AssertionError after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = condition()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {seconds} s") from None


@asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give a connected admin client."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create(bootstrap: str, *names: str, partitions: int = 1, **configs: str) -> None:
    """Create topics and wait until the broker knows them all."""
    async with admin(bootstrap) as client:
        await client.create_topics([NewTopic(name, partitions, 1, topic_configs=configs) for name in names])

        async def known() -> bool:
            described = await client.describe_topics(list(names))
            return all(
                len(topic["partitions"]) == partitions and all(each["leader"] >= 0 for each in topic["partitions"])
                for topic in described
            )

        await until(known, "topics are there")


async def lose(bootstrap: str, name: str, partitions: int = 1) -> None:
    """Delete a topic with everything in it and create it again, empty."""
    async with admin(bootstrap) as client:
        await client.delete_topics([name])

        async def gone() -> bool:
            return name not in await client.list_topics()

        await until(gone, "the topic is gone")
    await create(bootstrap, name, partitions=partitions)


async def read(bootstrap: str, topic: str, partition: int = 0) -> "list[ConsumerRecord[Any, Any]]":
    """Read a partition from its beginning to its end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(topic, partition)
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        found: list[ConsumerRecord[Any, Any]] = []
        async with asyncio.timeout(_SECONDS):
            while await consumer.position(place) < end:
                found += (await consumer.getmany(place, timeout_ms=200)).get(place, [])
        return found
    finally:
        await consumer.stop()


@asynccontextmanager
async def producer(bootstrap: str, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
    """Give a producer for the block."""
    client = AIOKafkaProducer(bootstrap_servers=bootstrap, **settings)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


class NotUtf8(str):
    """A header name whose bytes are not UTF-8."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        """Return bytes that are no text."""
        return b"\xff\xfe"


async def write_illegible(bootstrap: str, topic: str, partition: int = 0) -> None:
    """Write a record with a header name that is not UTF-8, as a foreign client may: no Python client reads it."""
    headers: Sequence[tuple[str, bytes]] = [(NotUtf8("xx"), b"1")]
    async with producer(bootstrap) as client:
        batch = client.create_batch()
        # The C builder refuses such a name; the Python one asks the name for its bytes.
        batch._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, 16_384)
        batch.append(timestamp=None, key=b"k", value=b"v", headers=headers)
        batch.close()
        await (await client.send_batch(batch, topic, partition=partition))
