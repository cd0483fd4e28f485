"""Illegible records, on real Kafka: the partition goes on, its neighbours lose nothing, the record is set aside."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import aiokafka.codec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException

from contracts import topics
from services.runtime.clock import SystemClock
from services.runtime.codec import Unreadable, decode
from services.runtime.consumer import GuardedConsumer, IllegibleRecord, _Wait
from services.runtime.dead_letters import DeadLetter, DeadLetters
from services.runtime.kafka import Publisher
from services.runtime.settings import Settings
from services.runtime.subscription import Subscription, make_broker
from tests.runtime import logs

PARTITIONS = 3
Seen = list[tuple[int, int, bytes | None]]


class Recorder:
    """A process whose handling only remembers what came."""

    def __init__(self, settings: Settings) -> None:
        self.service = "entitlements"
        self.settings = settings
        self.broker = make_broker(settings)
        self.shards = None
        self.handling = self
        self.records: list[Any] = []
        self.defects: list[BaseException] = []

    async def handle_records(self, records: tuple[Any, ...], whole: Any) -> None:  # noqa: ARG002 - as the real one
        """Remember the batch."""
        self.records += records

    def defect(self, error: BaseException) -> None:
        """Remember the defect."""
        self.defects.append(error)

    @property
    def seen(self) -> Seen:
        """What came: (partition, offset, value), each once, in the order of partitions and offsets."""
        return sorted({(each.partition, each.offset, each.value) for each in self.records})


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[Recorder]:
    """Run a subscription to the commands for the block."""
    process = Recorder(settings)
    Subscription(process, (topics.COMMANDS,))  # type: ignore[arg-type]
    await process.broker.start()
    try:
        yield process
    finally:
        await process.broker.stop()


async def write(bootstrap: str, topic: str, values: range) -> None:
    """Write these numbers to every partition."""
    async with logs.producer(bootstrap) as client:
        for value in values:
            for partition in range(PARTITIONS):
                await client.send(topic, b"%d" % value, partition=partition)
        await client.flush()


@pytest.fixture
async def commands(kafka_bootstrap: str, namespace: str) -> str:
    """Give the name of a topic of commands."""
    name = namespace + topics.COMMANDS.name
    await logs.create(kafka_bootstrap, name, partitions=PARTITIONS)
    return name


@pytest.fixture
def settings(kafka_bootstrap: str, namespace: str) -> Settings:
    """Give the settings of a process."""
    return Settings(kafka_bootstrap=kafka_bootstrap, namespace=namespace, partitions=PARTITIONS)


@pytest.mark.parametrize("before", [0, 40], ids=["at the beginning", "behind others"])
async def test_a_partition_goes_on_behind_an_illegible_record(
    settings: Settings, kafka_bootstrap: str, commands: str, before: int
) -> None:
    """All readable records of all partitions come, and a stand-in for the illegible one, exactly at its offset."""
    await write(kafka_bootstrap, commands, range(before))
    await logs.write_illegible(kafka_bootstrap, commands, 1)
    await write(kafka_bootstrap, commands, range(before, before + 5))
    expected: Seen = [(p, n, b"%d" % n) for p in (0, 2) for n in range(before + 5)]
    expected += [(1, n, b"%d" % n) for n in range(before)] + [(1, before, None)]
    expected += [(1, n + 1, b"%d" % n) for n in range(before, before + 5)]

    async with reading(settings) as process:
        await logs.until(lambda: len(process.seen) >= len(expected), "all records came")

        assert process.seen == sorted(expected)
        assert {type(each) for each in process.records if each.value is None} == {IllegibleRecord}
        assert process.defects == []


async def test_an_illegible_record_is_passed_where_records_are_read_one_by_one(
    settings: Settings, kafka_bootstrap: str, commands: str
) -> None:
    """With batches of one record there is nothing to halve: the record is found at once, and the partition goes on."""
    await logs.write_illegible(kafka_bootstrap, commands, 1)
    await write(kafka_bootstrap, commands, range(2))

    async with reading(settings.model_copy(update={"batch_records_max": 1})) as process:
        await logs.until(lambda: len(process.seen) >= 3 * 2 + 1, "all records came")

        assert [each for each in process.seen if each[0] == 1] == [(1, 0, None), (1, 1, b"0"), (1, 2, b"1")]


async def test_several_illegible_records_are_all_set_aside(
    settings: Settings, kafka_bootstrap: str, commands: str
) -> None:
    """Illegible records beside each other and in several partitions each get their stand-in."""
    await write(kafka_bootstrap, commands, range(3))
    for partition in (0, 0, 2):
        await logs.write_illegible(kafka_bootstrap, commands, partition)
    await write(kafka_bootstrap, commands, range(3, 6))

    async with reading(settings) as process:
        await logs.until(lambda: len(process.seen) >= 3 * 6 + 3, "all records came")

        assert [each[:2] for each in process.seen if each[2] is None] == [(0, 3), (0, 4), (2, 3)]
        assert {(p, value) for p, _, value in process.seen if value} == {
            (p, b"%d" % n) for p in range(3) for n in range(6)
        }


async def test_an_illegible_record_becomes_a_dead_letter(
    settings: Settings, kafka_bootstrap: str, commands: str
) -> None:
    """The stand-in is written to the dead-letter topic with reason and origin, which is all that can be known of it."""
    dead = settings.namespace + topics.COMMANDS.dead_letters_of("entitlements")
    await logs.create(kafka_bootstrap, dead, partitions=PARTITIONS)
    record = IllegibleRecord.at(TopicPartition(commands, 1), 17)
    why = decode(record, topics.COMMANDS, 1_024)
    assert isinstance(why, Unreadable)

    publisher = Publisher(settings)
    try:
        letters = DeadLetters(publisher, SystemClock(), settings.namespace, "entitlements")
        await letters.put(DeadLetter(record, topics.COMMANDS, why))
    finally:
        await publisher.stop()

    (letter,) = await logs.read(kafka_bootstrap, dead, 1)
    headers = dict(letter.headers)
    assert letter.value == b""
    assert (headers["dlq_reason"], headers["dlq_topic"]) == (b"header_name_not_utf8", commands.encode())
    assert (headers["dlq_partition"], headers["dlq_offset"]) == (b"1", b"17")


class Log:
    """Stands for aiokafka's consumer: two partitions, one of which fails after the other was already drained."""

    def __init__(self, error: Exception) -> None:
        self.error: Exception | None = error
        self.sought: dict[TopicPartition, int | str] = {}

    def into(self, patch: pytest.MonkeyPatch) -> GuardedConsumer:
        """Return a guarded consumer over this log."""
        places = (TopicPartition("t", 0), TopicPartition("t", 1))

        async def getmany(_: object, *partitions: TopicPartition, **__: object) -> dict[TopicPartition, list[str]]:
            if self.error is not None:
                raise self.error
            return {place: ["record"] for place in partitions or places}

        async def committed(_: object, place: TopicPartition) -> int | None:
            return 5 if place.partition == 0 else None

        async def seek_to_beginning(_: object, place: TopicPartition) -> None:
            self.sought[place] = "beginning"

        doubles: dict[str, Callable[..., Any]] = {
            "getmany": getmany,
            "committed": committed,
            "seek_to_beginning": seek_to_beginning,
            "assignment": lambda _: set(places),
            "seek": lambda _, place, offset: self.sought.__setitem__(place, offset),
        }
        for name, double in doubles.items():
            patch.setattr(AIOKafkaConsumer, name, double)
        consumer = object.__new__(GuardedConsumer)
        consumer._limits, consumer._calm_passes_left, consumer._turn = {}, 0, None
        consumer._named = None, None
        consumer._wait, consumer._fetcher = _Wait(20), SimpleNamespace()
        consumer._closed = True  # it never was open
        return consumer


async def test_after_any_failed_read_nothing_drained_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failed call took from neighbours is read again: every partition goes back to what is committed."""
    log = Log(CorruptRecordException("Invalid CRC"))
    consumer = log.into(monkeypatch)

    with pytest.raises(CorruptRecordException):
        await consumer.getmany(timeout_ms=1)

    assert log.sought == {TopicPartition("t", 0): 5, TopicPartition("t", 1): "beginning"}


async def test_a_damaged_record_is_never_stepped_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checksum error is trouble to wait out, however often it comes; when it is over, reading goes on."""
    log = Log(CorruptRecordException("Invalid CRC"))
    consumer = log.into(monkeypatch)
    for _ in range(3):
        with pytest.raises(CorruptRecordException):
            await consumer.getmany(timeout_ms=1)

    log.error = None
    found = await consumer.getmany(timeout_ms=1)

    assert found == {TopicPartition("t", 0): ["record"], TopicPartition("t", 1): ["record"]}


NEEDS_CRAMJAM = pytest.mark.xfail(
    not aiokafka.codec.has_snappy(),
    reason="the client reads these only with the package cramjam installed",
    strict=True,
)


@pytest.mark.parametrize(
    "codec", ["gzip", *(pytest.param(name, marks=NEEDS_CRAMJAM) for name in ("snappy", "lz4", "zstd"))]
)
async def test_compressed_records_are_read(settings: Settings, kafka_bootstrap: str, commands: str, codec: str) -> None:
    """A sender may compress with any of Kafka's codecs: its records come like any other."""
    async with logs.producer(kafka_bootstrap, compression_type=codec) as client:
        await client.send_and_wait(commands, b"x" * 10_000, partition=2)

    async with reading(settings) as process:
        await logs.until(lambda: bool(process.seen), "the record came")

        assert process.seen == [(2, 0, b"x" * 10_000)]


async def test_an_idle_fetch_waits_longer_at_the_broker() -> None:
    """While records come a fetch waits briefly; after a second without any it may wait longer, until there are some."""
    wait = _Wait(20)
    assert wait.after(1) == 20
    assert wait.after(0) == 20
    wait._last -= 1.1
    assert wait.after(0) == 250
    assert wait.after(1) == 20
    assert _Wait(400).after(1) == 400, "a longer wait that was set stays"
