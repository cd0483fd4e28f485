"""How the command reaches Kafka: connections that wait for a broker to come up, a bounded time, and say so in one line.

Topics are always looked up by listing all of them: a broker may create a topic as soon as somebody asks for its name,
with a number of partitions nobody chose.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from services.runtime.connecting import kafka_client, refuse_if_kafka_refuses
from services.runtime.errors import AddonflowError, ConfigurationError
from services.runtime.kafka import or_hidden
from services.runtime.settings import Settings

RETRY_SECONDS: Final = 0.2
_REQUEST_BYTES_MAX = 16_777_216


class Unreachable(AddonflowError):  # noqa: N818 - named for what Kafka or Redis is
    """A server did not answer within the time allowed; the message is one line for people."""


class _Client(Protocol):
    async def start(self) -> None: ...


C = TypeVar("C", bound=_Client)


async def _started(make: Any, close: str, settings: Settings, wait_seconds: float) -> Any:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    while True:
        client = make()
        try:
            async with asyncio.timeout(max(deadline - loop.time(), 1)):
                await client.start()
        except (KafkaError, OSError, TimeoutError) as error:
            await getattr(client, close)()
            await refuse_if_kafka_refuses(settings)
            if loop.time() >= deadline:
                raise Unreachable(f"Kafka at {settings.kafka_bootstrap} does not answer: {_words(error)}") from error
            await asyncio.sleep(RETRY_SECONDS)
        except ValueError as error:
            raise ConfigurationError(f"ADDONFLOW_KAFKA_BOOTSTRAP={settings.kafka_bootstrap!r}: {error}") from error
        else:
            return client


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


@asynccontextmanager
async def admin(settings: Settings, wait_seconds: float) -> AsyncIterator[AIOKafkaAdminClient]:
    """Connect an admin client; Unreachable when no broker answers within `wait_seconds`."""

    def make() -> AIOKafkaAdminClient:
        return AIOKafkaAdminClient(**kafka_client(settings))

    client = await _started(make, "close", settings, wait_seconds)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def producer(settings: Settings, wait_seconds: float) -> AsyncIterator[AIOKafkaProducer]:
    """Connect a producer that waits for every replica.

    It is not idempotent, so that it works on every broker: what it sends twice by a retry has the same id or revision.
    """

    def make() -> AIOKafkaProducer:
        return AIOKafkaProducer(**kafka_client(settings), acks="all", max_request_size=_REQUEST_BYTES_MAX)

    client = await _started(make, "stop", settings, wait_seconds)
    try:
        yield client
    finally:
        await client.stop()


@asynccontextmanager
async def consumer(settings: Settings, wait_seconds: float) -> AsyncIterator[AIOKafkaConsumer]:
    """Connect a consumer that reads what it is assigned and never commits."""

    def make() -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            **kafka_client(settings),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )

    client = await _started(make, "stop", settings, wait_seconds)
    try:
        yield client
    finally:
        await client.stop()


async def partition_counts(client: AIOKafkaAdminClient) -> dict[str, int]:
    """Return every topic of the cluster with its number of partitions."""
    return {topic["topic"]: len(topic["partitions"]) for topic in await client.describe_topics()}


async def partitions_of(
    client: AIOKafkaAdminClient, names: Iterable[str], settings: Settings | None = None
) -> list[TopicPartition]:
    """Return all partitions of these topics; ConfigurationError names the first that does not exist.

    `settings`: of whom to say that it may be hidden from them.
    """
    counts = await partition_counts(client)
    wanted = list(names)
    for name in wanted:
        if name not in counts:
            why = or_hidden(settings) if settings is not None else ""
            raise ConfigurationError(f"topic {name} is missing{why}: run `addonflow topics create`")
    return [TopicPartition(name, partition) for name in wanted for partition in range(counts[name])]


async def committed(
    client: AIOKafkaAdminClient, group: str, partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, int]:
    """Return up to where a group has read each partition; 0 where it never committed."""
    found = await client.list_consumer_group_offsets(group, partitions=list(partitions))
    return {partition: max(mark.offset, 0) for partition, mark in found.items()}
