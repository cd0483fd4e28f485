"""`addonflow gaps` and `replay` on the embedded servers: what is missing is published again, or said to be lost.

The writer, entitlements, and the reader, billing, are what they would have left: outbox, topic, sequences, offsets.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from contracts.events import DigestChanged, Person
from contracts.topics import EVENTS, READERS, TOPICS, Kind
from deploy.addonflow import connections
from deploy.addonflow.main import app
from deploy.addonflow.rebuild_group import read_from
from deploy.addonflow.topics import create
from services.runtime import functions
from services.runtime.clock import to_rfc3339
from services.runtime.codec import pack, to_json, unpack
from services.runtime.keys import shard_of
from services.runtime.sequences import Applied, Sequences
from services.runtime.settings import Settings
from services.runtime.store import Commit, Store
from tests.runtime import logs
from tests.runtime.toys import NOW

pytestmark = pytest.mark.embedded
SHARD = shard_of("acme", 3)
Headers = Sequence[tuple[str, bytes]]


def said(sequence: int, account_id: str = "acme") -> bytes:
    """Return an event of an account as an outbox holds it."""
    by = Person(user_id="olivia", role="owner", name="Olivia")
    event = DigestChanged(account_id=account_id, cadence="weekly", changed_by=by, changed_at=NOW)
    identity = (event.ce_type, f"{account_id}-{sequence}", to_rfc3339(NOW), account_id, sequence)
    return pack(*identity, "cause", "correlation", "", to_json(event))


class Stage:
    """A deployment in which the services have left what a test says."""

    def __init__(self, settings: Settings, redis: "Redis") -> None:
        self.settings = settings
        self.redis = redis
        self._stores = {
            name: Store(redis, settings.namespace, name, settings.partitions, 1_000)
            for name in ("entitlements", "billing")
        }
        self._entries: list[str] = []

    async def writer(self, *retained: int, published: int, emitted: int) -> None:
        """Let entitlements retain these records, of which so many are published, and have said so many in all."""
        store = self._stores["entitlements"]
        sequences = Sequences({EVENTS.name: emitted}).dump()
        for number, sequence in enumerate(retained):
            records = [said(sequence), said(sequence, "other")]
            done = await store.commit(SHARD, [Commit("acme", number, sequences, records=records)])
            assert done == [True]
        entries = [entry for entry, _ in await store.outbox(SHARD, "0-0", 1_000)]
        if published:
            assert await store.advance_relay(SHARD, "0-0", entries[2 * published - 1], {})

    async def reader(self, highest: int, *missing: list[int], read: int | None = None) -> None:
        """Let billing have applied up to a sequence but for these ranges, and have read so many of the topic."""
        applied = Applied(highest, list(missing))
        sequences = Sequences(applied={EVENTS.name: applied}).dump()
        gaps = (EVENTS.name, applied.missing_text()) if missing else ()
        await self._stores["billing"].commit(SHARD, [Commit("acme", 0, sequences, gaps=gaps)])
        if read is not None:
            place = TopicPartition(self.settings.namespace + EVENTS.name, SHARD)
            await read_from(self.settings, "billing", {place: read})

    async def publish(self, *sequences: int) -> None:
        """Put records in the topic."""
        async with connections.producer(self.settings, 5) as producer:
            for sequence in sequences:
                record = unpack(said(sequence))
                await producer.send_and_wait(
                    self.settings.namespace + EVENTS.name,
                    record.value,
                    key=record.key,
                    partition=SHARD,
                    headers=list(record.headers),
                )

    async def topic(self) -> list[tuple[bytes, bytes, Headers]]:
        """Return what is in the topic."""
        found = await logs.read(self.settings.kafka_bootstrap, self.settings.namespace + EVENTS.name, SHARD)
        return [(each.key, each.value, tuple(each.headers)) for each in found]

    async def run(self, *words: str) -> Result:
        """Run `addonflow`."""
        environment = {
            "ADDONFLOW_KAFKA_BOOTSTRAP": self.settings.kafka_bootstrap,
            "ADDONFLOW_REDIS_URL": self.settings.redis_url,
            "ADDONFLOW_NAMESPACE": self.settings.namespace,
            "ADDONFLOW_PARTITIONS": "3",
        }
        return await asyncio.to_thread(CliRunner().invoke, app, [*words], env=environment)


def records(*sequences: int, account_id: str = "acme") -> list[tuple[Any, ...]]:
    """Return records as they are in the topic."""
    found = (unpack(said(sequence, account_id)) for sequence in sequences)
    return [(each.key, each.value, tuple(each.headers)) for each in found]


@pytest.fixture
async def stage(settings: Settings, redis_url: str) -> Any:
    """Give a deployment with topics, in which nothing was said."""
    await create(settings, replication_factor=1, wait_seconds=5)
    async with Redis.from_url(redis_url) as redis:
        await functions.ensure_loaded(redis)
        yield Stage(settings.model_copy(update={"redis_url": redis_url}), redis)


async def test_without_gaps_nothing_is_said_to_be_missing(stage: Stage) -> None:
    """A reader that has applied all its writer said is missing nothing, and nothing is published."""
    await stage.writer(1, 2, published=2, emitted=2)
    await stage.publish(1, 2)
    await stage.reader(2, read=2)
    assert (await stage.run("gaps", "list", "--ends", "--service", "billing")).stdout == "nothing is missing\n"
    assert (await stage.run("gaps", "repair", "--ends")).exit_code == 0
    assert len(await stage.topic()) == 2


async def test_a_gap_is_filled_from_outbox_and_topic_with_exactly_what_is_missing(stage: Stage) -> None:
    """What is retained comes from the outbox, what is older from the topic, to the byte; what is nowhere is said."""
    await stage.writer(5, 6, published=2, emitted=6)
    await stage.publish(1, 3, 4, 5, 6)
    await stage.reader(6, [2, 3], [5, 5])
    listed = await stage.run("gaps", "list")
    assert listed.stdout == f"billing is missing 2-3,5 of {EVENTS.name} of acme\n1 gap\n"
    assert listed.exit_code == 1

    dry = await stage.run("gaps", "repair", "--dry-run")
    assert "2 records would be published again: 1 from outboxes, 1 from topics" in dry.stdout
    assert len(await stage.topic()) == 5
    done = await stage.run("gaps", "repair", "--wait", "0")
    assert f"{EVENTS.name} of acme: 2 (1 record) are neither retained nor in the topic: they are lost" in done.stdout
    assert done.exit_code == 1
    assert await stage.topic() == [*records(1, 3, 4, 5, 6), *records(5, 3)]


async def test_what_was_passed_over_at_the_end_is_found_by_looking_for_it(stage: Stage) -> None:
    """Nothing behind it tells the reader: only the writer's count does, once the reader has nothing left to read."""
    await stage.writer(1, 2, 3, published=3, emitted=3)
    await stage.publish(1, 2, 3)
    await stage.reader(1, read=2)
    waiting = await stage.run("gaps", "list", "--account", "acme")
    assert waiting.stdout == (
        f"cannot tell yet: billing has still to read of {EVENTS.name} partition {SHARD}\n"
        f"cannot tell yet: notifications has still to read of {EVENTS.name} partition {SHARD}\n"
        "nothing is known to be missing\n"
    )
    place = TopicPartition(stage.settings.namespace + EVENTS.name, SHARD)
    await read_from(stage.settings, "billing", {place: 3})
    assert (await stage.run("gaps", "list")).exit_code == 0
    found = await stage.run("gaps", "list", "--ends", "--service", "billing")
    assert found.stdout == f"billing is missing 2-3 of {EVENTS.name} of acme, at the end\n1 gap\n"
    await stage.run("gaps", "repair", "--account", "acme", "--service", "billing", "--wait", "0")
    assert await stage.topic() == records(1, 2, 3, 2, 3)


async def test_what_the_relay_is_about_to_publish_is_left_to_it(stage: Stage) -> None:
    """A record behind the relay's cursor is not published past it, and is not lost."""
    await stage.writer(1, 2, 3, published=1, emitted=3)
    await stage.publish(1)
    await stage.reader(3, [2, 2])
    done = await stage.run("gaps", "repair", "--wait", "0")
    assert f"{EVENTS.name} of acme: 2 (1 record) are about to be published for the first time" in done.stdout
    assert await stage.topic() == records(1)


async def test_a_gap_that_was_set_aside_is_left_to_its_dead_letter(stage: Stage) -> None:
    """The reader has it as a dead letter, whose replay marks it: that is named."""
    await stage.writer(1, 2, published=2, emitted=2)
    await stage.publish(1, 2)
    await stage.reader(2, [1, 1])
    name = EVENTS.dead_letters_of("billing")
    [(key, value, headers)] = records(1)
    async with connections.producer(stage.settings, 5) as producer:
        about = [*headers, ("dlq_reason", b"handler_failed"), ("dlq_offset", b"0")]
        await producer.send_and_wait(stage.settings.namespace + name, value, key=key, partition=SHARD, headers=about)
    done = await stage.run("gaps", "repair")
    assert f"was set aside by billing: `addonflow dead-letters replay {name}/{SHARD}/0`" in done.stdout
    assert len(await stage.topic()) == 2


async def test_an_account_is_replayed_from_what_is_retained(stage: Stage) -> None:
    """All of the account that is retained and published, to the byte, and nobody else's; what is gone is named."""
    await stage.writer(3, 4, 5, published=2, emitted=5)
    dry = await stage.run("replay", "--account", "acme", "--dry-run")
    assert (
        f"{EVENTS.name}: 2 of 5 records (3-4); 5 are about to be published for the first time; 1-2 are not"
        in dry.stdout
    )
    assert await stage.topic() == []
    done = await stage.run("replay", "--account", "acme")
    assert "2 records published again" in done.stdout
    assert await stage.topic() == records(3, 4)
    assert "0 records published again" in (await stage.run("replay", "--account", "acme", "--since", "0s")).stdout
    assert (await stage.run("replay", "--account", "acme", "--service", "billing")).exit_code == 1
    later = await stage.run("replay", "--account", "acme", "--since", "1h", "--service", "entitlements")
    assert "2 records published again" in later.stdout
    nobody = await stage.run("replay", "--account", "nobody")
    assert (nobody.exit_code, nobody.stdout) == (1, "0 records published again\n")


def test_every_stream_has_a_writer_with_an_outbox() -> None:
    """What gaps are filled from exists for every stream: its writer is one of the services."""
    assert all(topic.writer in READERS for topic in TOPICS if topic.kind is Kind.STREAM)
