"""The process's own Kafka connections beside FastStream's consumer: one producer, and looks at topics and log ends.

The producer is aiokafka's (`acks=all`, idempotent where the broker can), given whole batches per partition: order
within a partition is the order given, and every call returns only when the broker has acknowledged. After any error
the producer is thrown away and made anew, because an idempotent producer that lost its place stays broken.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code

from services.runtime.codec import Header, Outgoing
from services.runtime.connecting import kafka_client, refuse_if_kafka_refuses
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

log = logging.getLogger("addonflow.kafka")
_BATCH_BYTES_MAX = 524_288
_REQUEST_BYTES_MAX = 4_194_304


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a broker acknowledged on one topic: how many records, and the first offsets of the first and the last batch.

    The last record's own offset is not said: the embedded broker counts a batch as one where it tells a log's end.
    """

    records: int
    first_offset: int
    last_batch_offset: int


class Publisher:
    """Writes records and returns when they are acknowledged. Any error means: not known to be written, write again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()

    async def _connected(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **kafka_client(self._settings),
                    acks="all",
                    enable_idempotence=self._settings.kafka_idempotence,
                    max_batch_size=_BATCH_BYTES_MAX,
                    max_request_size=_REQUEST_BYTES_MAX,
                    request_timeout_ms=self._settings.kafka_request_timeout_ms,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self, producer: AIOKafkaProducer) -> None:
        async with self._lock:
            if self._producer is producer:
                self._producer = None
        try:
            async with asyncio.timeout(1):
                await producer.stop()
        except Exception:
            log.debug("a failed producer did not stop cleanly", exc_info=True)
            await _abandon(producer)

    async def publish(self, partition: int, records: Sequence[Outgoing]) -> dict[str, Acknowledged]:
        """Write records to `partition` of their topics; return what was acknowledged per registry topic name.

        Order per topic is the order given. Cost: one request per topic and 512 KiB.
        """
        producer = await self._connected()
        try:
            async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1_000):
                return await self._publish(producer, partition, records)
        except Exception:
            await self._discard(producer)
            raise

    async def _publish(
        self, producer: AIOKafkaProducer, partition: int, records: Sequence[Outgoing]
    ) -> dict[str, Acknowledged]:
        builders: dict[str, Any] = {}
        sent: list[tuple[str, int, asyncio.Future[Any]]] = []

        async def send(name: str) -> None:
            builder = builders.pop(name)
            builder.close()
            physical = self._settings.namespace + name
            sent.append(
                (name, builder.record_count(), await producer.send_batch(builder, physical, partition=partition))
            )

        for record in records:
            name = record.topic.name
            builder = builders.get(name) or builders.setdefault(name, producer.create_batch())
            if builder.append(timestamp=None, key=record.key, value=record.value, headers=record.headers) is None:
                await send(name)
                builder = builders[name] = producer.create_batch()
                builder.append(timestamp=None, key=record.key, value=record.value, headers=record.headers)
        for name in list(builders):
            await send(name)
        acknowledged: dict[str, Acknowledged] = {}
        for (name, count, _), ack in zip(sent, await asyncio.gather(*(future for *_, future in sent)), strict=True):
            before = acknowledged.get(name, Acknowledged(0, ack.offset, ack.offset))
            acknowledged[name] = Acknowledged(before.records + count, before.first_offset, ack.offset)
        return acknowledged

    async def send(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[Header]
    ) -> None:
        """Write one record to a topic by its full name."""
        producer = await self._connected()
        try:
            async with asyncio.timeout(self._settings.kafka_request_timeout_ms / 1_000):
                await producer.send_and_wait(topic, value, key=key, partition=partition, headers=headers)
        except Exception:
            await self._discard(producer)
            raise

    async def stop(self) -> None:
        """Close the connection; what is under way is given up (it is still in the outbox)."""
        if self._producer is not None:
            await self._discard(self._producer)


async def _abandon(producer: AIOKafkaProducer) -> None:
    """End a producer whose `stop()` waits for a broker: its sender would try for ever, beside its successor."""
    try:
        await producer._sender.close()  # noqa: SLF001 - there is no public way to give up
        await producer.client.close()
    except Exception:
        log.debug("a failed producer could not be abandoned cleanly", exc_info=True)


class LogEnds:
    """Asks brokers where the logs of partitions end, over one connection of its own and in one request."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._lock = asyncio.Lock()

    async def of(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the offset the next record of each partition will get."""
        consumer = await self._connected()
        try:
            return await consumer.end_offsets(list(partitions))  # type: ignore[no-any-return]
        except Exception:
            await self.stop()
            raise

    async def _connected(self) -> AIOKafkaConsumer:
        async with self._lock:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(
                    **kafka_client(self._settings),
                    request_timeout_ms=self._settings.kafka_request_timeout_ms,
                )
                try:
                    await consumer.start()
                except BaseException:
                    await consumer.stop()
                    raise
                self._consumer = consumer
            return self._consumer

    async def stop(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await consumer.stop()


async def check_topics(settings: Settings, names: Iterable[str]) -> None:
    """Refuse to go on (ConfigurationError) when a topic is missing or has another number of partitions.

    Also when a broker will not let this process in. KafkaError when the broker cannot say now. All topics are listed,
    because a broker may create a topic that is named.
    """
    await refuse_if_kafka_refuses(settings)
    admin = AIOKafkaAdminClient(**kafka_client(settings), request_timeout_ms=settings.kafka_request_timeout_ms)
    try:
        await admin.start()
        listed = {topic["topic"]: topic for topic in await admin.describe_topics()}
    finally:
        await admin.close()
    for name in (settings.namespace + name for name in names):
        topic = listed.get(name)
        if topic is None:
            raise ConfigurationError(f"topic {name} is missing{or_hidden(settings)}: run `addonflow topics create`")
        if topic["error_code"]:
            raise for_code(topic["error_code"])(name)
        if len(topic["partitions"]) != settings.partitions:
            raise ConfigurationError(
                f"topic {name} has {len(topic['partitions'])} partitions, "
                f"ADDONFLOW_PARTITIONS={settings.partitions}: set it to the topic's number, "
                "which is fixed for a deployment's life"
            )


def or_hidden(settings: Settings) -> str:
    """Say why a topic may seem to be missing: brokers do not show what a user may neither read nor write."""
    if not settings.kafka_username:
        return ""
    return f", or user {settings.kafka_username} may not use it (then `addonflow access create`)"
