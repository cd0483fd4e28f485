"""How a service reads its topics: one FastStream batch subscriber that acknowledges only what is durable.

FastStream's defaults acknowledge before handling and answer to `reply_to`; every setting here that differs from them
is needed for a promise, and `tests/runtime/test_subscription.py` checks it on every service's subscriber.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaAckableMessage

from contracts.topics import Topic, group_name
from services.runtime.connecting import kafka_client
from services.runtime.consumer import GuardedConsumer
from services.runtime.handling import Handling
from services.runtime.pipeline import Offsets, Pipeline
from services.runtime.settings import Settings
from services.runtime.shards import Shards


class Reader(Protocol):
    """What a subscription needs of its process."""

    service: str
    settings: Settings
    broker: KafkaBroker
    shards: Shards
    handling: "Handling[Any]"

    def defect(self, error: BaseException) -> None:
        """End the process: going on would acknowledge what was not handled."""


Subscribe = Callable[[Reader], "Subscription"]
Turn = Callable[[Any], Awaitable[None]]
"""What a consumer awaits before each read."""


def group_of(settings: Settings, service: str) -> str:
    """Name a service's consumer group."""
    return group_name(settings.namespace, service)


class _Broker(KafkaBroker):
    """FastStream's broker, whose subscribers read through a `GuardedConsumer` that takes this `turn`.

    `client` is what each is given to reach the brokers.
    """

    turn: Turn | None = None
    client: Mapping[str, Any] = MappingProxyType({})

    async def _connect(self) -> Callable[..., AIOKafkaConsumer]:
        await super()._connect()
        config = self.config.broker_config
        settings = config.builder.keywords | self.client  # type: ignore[attr-defined]
        config.builder = partial(GuardedConsumer, turn=self.turn, **settings)
        return config.builder


def make_broker(settings: Settings, turn: Turn | None = None) -> KafkaBroker:
    """Return a FastStream broker that is not connected yet; its consumers await `turn` before each read."""
    broker = _Broker(
        settings.kafka_bootstrap.split(","),  # FastStream takes a text for one address
        allow_auto_create_topics=False,
        consumer_only=True,
        apply_types=False,
        logger=None,
        graceful_timeout=5.0,
        request_timeout_ms=settings.kafka_request_timeout_ms,
    )
    broker.turn = turn
    broker.client = kafka_client(settings)
    return broker


class Subscription:
    """A service's subscription: FastStream's subscriber, and the pipeline of its batches."""

    def __init__(self, process: Reader, topics: Sequence[Topic]) -> None:
        settings = process.settings
        self._process = process
        self.pipeline = Pipeline(self._save, process.defect)
        self._asked: set[TopicPartition] = set()
        self._begin_at_0: frozenset[TopicPartition] = frozenset()
        self.subscriber: Any = process.broker.subscriber(
            *(settings.namespace + topic.name for topic in topics),
            batch=True,
            group_id=group_of(settings, process.service),
            group_instance_id=settings.instance_id,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            partition_assignment_strategy=(RangePartitionAssignor,),
            max_records=settings.batch_records_max,
            batch_timeout_ms=settings.batch_wait_ms,
            fetch_max_wait_ms=settings.fetch_wait_ms,
            session_timeout_ms=settings.kafka_session_timeout_ms,
            listener=process.shards,
            parser=_parse,
            decoder=_decode,
        )
        self.subscriber(self.receive)

    async def receive(self, batch: Any) -> None:
        """Start handling a batch; its offsets are saved when it and all before it are durable."""
        records = batch.raw_message
        offsets = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in records}
        whole = await self._whole(offsets)
        await self.pipeline.put(self._process.handling.handle_records(records, whole), offsets)

    async def _whole(self, partitions: Iterable[TopicPartition]) -> frozenset[TopicPartition]:
        """Return the partitions whose logs begin at 0; asked once for each, and taken for trimmed when in doubt."""
        new = [partition for partition in partitions if partition not in self._asked]
        if new:
            with suppress(KafkaError):
                begins = await self.consumer.beginning_offsets(new)
                self._asked.update(new)
                self._begin_at_0 |= {partition for partition, begin in begins.items() if begin == 0}
        return self._begin_at_0

    @property
    def consumer(self) -> Any:
        """The Kafka consumer, None before the start."""
        return self.subscriber.consumer

    async def _save(self, offsets: Offsets) -> None:
        """Save the offsets of partitions that are still this process's; the others are their new owner's business."""
        if self.consumer is not None:
            assigned = self.consumer.assignment()
            ours = {partition: offset for partition, offset in offsets.items() if partition in assigned}
            if ours:
                await self.consumer.commit(ours)


class _Batch(KafkaAckableMessage):
    """A batch as it came from Kafka; reading it is the codec's business, which never raises."""


async def _parse(records: tuple[Any, ...]) -> _Batch:
    return _Batch(body=b"", raw_message=records, headers={}, message_id="", consumer=None)


async def _decode(batch: _Batch) -> _Batch:
    return batch
