"""How services read: what FastStream's settings must be, and that an offset moves only behind what is durable."""

import asyncio
import importlib
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.conn import collect_hosts
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError
from faststream import AckPolicy
from faststream.kafka.subscriber.usecase import BatchSubscriber

from contracts import topics
from contracts.topics import READERS
from services.runtime import subscription
from services.runtime.consumer import GuardedConsumer
from services.runtime.errors import Stopping
from services.runtime.settings import Settings
from services.runtime.subscription import Subscription, group_of, make_broker
from tests.runtime import logs
from tests.runtime.test_consumer import reading
from tests.runtime.toys import kafka_record


class Consumer:
    """Stands for the Kafka consumer: counts how often offsets were saved."""

    def __init__(self) -> None:
        self.saved: list[dict[TopicPartition, int]] = []
        self.asked: list[TopicPartition] = []
        self.error: Exception | None = None
        self.assigned = {TopicPartition(record.topic, record.partition) for record in RECORDS}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where logs begin: partition 0's at 0, the others' later."""
        self.asked += partitions
        return {partition: partition.partition * 10 for partition in partitions}

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that are this consumer's."""
        return self.assigned

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Save offsets, or fail."""
        if self.error is not None:
            raise self.error
        self.saved.append(offsets)


class Process:
    """A process whose handling does what the test says."""

    def __init__(self, service: str = "entitlements", settings: Settings | None = None) -> None:
        self.service = service
        self.settings = settings or Settings(namespace="prod.")
        self.broker = make_broker(self.settings)
        self.shards = None
        self.handling = self
        self.error: BaseException | None = None
        self.handled: list[Any] = []
        self.defects: list[BaseException] = []

    async def handle_records(self, records: Any, whole: Any) -> None:
        """Handle a batch, or fail."""
        if self.error is not None:
            raise self.error
        self.handled.append(records)
        self.whole = whole

    def defect(self, error: BaseException) -> None:
        """Remember the defect."""
        self.defects.append(error)


def registered(service: str, settings: Settings | None = None) -> Any:
    """Return the FastStream subscriber of a service, as its `handlers.py` makes it."""
    register = importlib.import_module(f"services.{service}.handlers").register
    return register(Process(service, settings)).subscriber


@pytest.mark.parametrize("service", READERS)
def test_every_service_acknowledges_by_itself_and_answers_nobody(service: str) -> None:
    """FastStream's defaults would acknowledge first, answer to reply_to, start at the end, and spread shards."""
    subscriber = registered(service)

    assert isinstance(subscriber, BatchSubscriber)
    assert subscriber.ack_policy is AckPolicy.MANUAL
    assert subscriber._no_reply is True
    settings = subscriber._connection_args
    assert settings["enable_auto_commit"] is False
    assert settings["auto_offset_reset"] == "earliest"
    assert settings["partition_assignment_strategy"] == (RangePartitionAssignor,)
    assert settings["session_timeout_ms"] == Settings().kafka_session_timeout_ms
    assert subscriber.max_records == Settings().batch_records_max


@pytest.mark.parametrize("service", READERS)
def test_every_service_reads_the_topics_that_the_registry_says(service: str) -> None:
    """Topics and group carry the namespace; a service has one group, and reads what the registry says it reads."""
    subscriber = registered(service)

    assert subscriber.topic_names == [f"prod.{topic.name}" for topic in READERS[service]]
    assert subscriber.group_id == f"prod.addonflow.{service}" == group_of(Settings(namespace="prod."), service)


async def test_every_subscriber_reads_through_the_guard() -> None:
    """The broker builds the consumer that illegible records do not stop, with the settings it was given."""
    broker = make_broker(Settings(kafka_bootstrap="kafka.internal:9092"))
    builder = await broker.connect()

    assert builder.func is GuardedConsumer  # type: ignore[attr-defined]
    assert "kafka.internal:9092" in str(builder.keywords["bootstrap_servers"])  # type: ignore[attr-defined]
    await broker.stop()


async def test_a_consumer_is_given_every_broker_of_the_setting() -> None:
    """ADDONFLOW_KAFKA_BOOTSTRAP may name several brokers; the consumer starts when any of them answers."""
    broker = make_broker(Settings(kafka_bootstrap="127.0.0.1:1,kafka.internal:9092"))
    builder = await broker.connect()

    hosts = collect_hosts(builder.keywords["bootstrap_servers"])  # type: ignore[attr-defined]
    assert sorted(each[:2] for each in hosts) == [("127.0.0.1", 1), ("kafka.internal", 9092)]
    await broker.stop()


RECORDS = [
    kafka_record(None, key=None),
    kafka_record(b"\xff\x00", [("ce_id", b"\xff"), ("content-type", b"application/json")]),
    kafka_record(b"{", [("content-type", b"application/cloudevents+json")]),
    kafka_record(b"[1", [("reply_to", b"somewhere"), ("correlation_id", b"\xfe"), ("content-type", b"\xff")]),
]


BEHIND = {TopicPartition(record.topic, record.partition): record.offset + 1 for record in RECORDS}


async def test_the_parser_reads_nothing() -> None:
    """Whatever a record holds, parsing it cannot fail: the batch is handed on as it came."""
    batch = await subscription._parse(tuple(RECORDS))

    assert await subscription._decode(batch) is batch
    assert batch.raw_message == tuple(RECORDS)
    assert not batch.reply_to


class Wiring:
    """A subscription with its handler at hand, and a consumer that counts."""

    def __init__(self) -> None:
        self.process = Process()
        self.consumer = Consumer()
        self._subscription = Subscription(self.process, (topics.COMMANDS,))  # type: ignore[arg-type]
        self._subscription.subscriber.consumer = self.consumer
        self._handler = self._subscription.subscriber.calls[0].handler._original_call

    async def receive(self) -> None:
        """Let a batch come, and wait until its offsets are saved or it is given up."""
        await self._handler(await subscription._parse(tuple(RECORDS)))
        await self._subscription.pipeline.settled()


async def test_offsets_are_saved_behind_a_handled_batch() -> None:
    """Each handled batch is followed by saving offsets; one that cannot be saved is no trouble."""
    wiring = Wiring()
    await wiring.receive()
    assert wiring.consumer.saved == [BEHIND]

    wiring.consumer.error = CommitFailedError("rebalanced")
    await wiring.receive()
    wiring.consumer.error = None
    await wiring.receive()

    assert wiring.consumer.saved == [BEHIND, BEHIND]
    assert len(wiring.process.handled) == 3
    assert wiring.process.defects == []


async def test_logs_that_have_their_beginning_are_told_apart() -> None:
    """Where a log begins is asked once a partition; only one that begins at 0 is said to be whole."""
    wiring = Wiring()
    await wiring.receive()
    await wiring.receive()

    partitions = {TopicPartition(record.topic, record.partition) for record in RECORDS}
    assert sorted(wiring.consumer.asked) == sorted(partitions)
    assert wiring.process.whole == {each for each in partitions if each.partition == 0}


async def test_offsets_of_a_partition_that_was_revoked_are_not_saved() -> None:
    """A partition that the group gave to another process is that process's business, even behind a batch from here."""
    wiring = Wiring()
    wiring.consumer.assigned = set()

    await wiring.receive()

    assert len(wiring.process.handled) == 1
    assert wiring.consumer.saved == []


@pytest.mark.parametrize(
    ("error", "defects"),
    [(Stopping(), 0), (asyncio.CancelledError(), 0), (KeyError("x"), 1), (MemoryError(), 1)],
    ids=repr,
)
async def test_a_batch_given_up_is_never_acknowledged_by_a_later_one(error: BaseException, defects: int) -> None:
    """After a stop or a defect nothing is handled and no offset saved: positions already lie behind the batch.

    A stop is no defect; anything that no rule covers is, and ends the process.
    """
    wiring = Wiring()
    wiring.process.error = error
    await wiring.receive()
    wiring.process.error = None

    await wiring.receive()

    assert wiring.consumer.saved == []
    assert wiring.process.handled == []
    assert len(wiring.process.defects) == defects


async def test_nothing_is_published_to_who_asks_for_a_reply(kafka_bootstrap: str, namespace: str) -> None:
    """On real Kafka, a record with a reply_to header is handled, and the topic it names stays empty."""
    name, wished = namespace + topics.COMMANDS.name, namespace + "reply"
    await logs.create(kafka_bootstrap, name, wished)
    async with logs.producer(kafka_bootstrap) as client:
        await client.send_and_wait(name, b"{}", headers=[("reply_to", wished.encode()), ("correlation_id", b"1")])

    async with reading(Settings(kafka_bootstrap=kafka_bootstrap, namespace=namespace, partitions=1)) as process:
        await logs.until(lambda: bool(process.seen), "handled")

    assert process.defects == []
    assert await logs.read(kafka_bootstrap, wished) == []
