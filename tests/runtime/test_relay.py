"""The relay: everything committed is published, in order, and nothing is forgotten too early."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from contracts import topics
from services.runtime.clock import ManualClock
from services.runtime.codec import Outgoing
from services.runtime.kafka import Acknowledged
from services.runtime.store import FIRST, Store
from tests.runtime import logs
from tests.runtime.relays import NOW, cursor, ids, relay_of, say

EVENTS = topics.EVENTS.name


class Kafka:
    """Stands for Kafka: a log per topic in memory, that can fail after it wrote, and lose everything."""

    def __init__(self) -> None:
        self.log: list[Outgoing] = []
        self.fail_after: int | None = None

    async def publish(self, _: int, records: Sequence[Outgoing]) -> dict[str, Acknowledged]:
        """Write records as one batch, or only the first few of them."""
        if self.fail_after is not None:
            self.log += records[: self.fail_after]
            self.fail_after = None
            raise KafkaConnectionError("in between")
        first = len(self.log)
        self.log += records
        return {EVENTS: Acknowledged(len(records), first, first)}

    async def of(self, partitions: Any) -> dict[TopicPartition, int]:
        """Return where the logs end."""
        return {each: len(self.log) for each in partitions}

    def lose(self) -> None:
        """Lose everything."""
        self.log.clear()

    @property
    def ids(self) -> list[str]:
        """The ids written, in order."""
        return [dict(out.headers)["ce_id"].decode() for out in self.log]


async def test_records_are_published_in_the_order_of_the_commits(embedded_store: Store) -> None:
    """All of the outbox is published in order, in bounded parts, and the saved cursor ends behind the last."""
    kafka = Kafka()
    relay = relay_of(embedded_store, kafka, relay_records_max=10)
    await say(embedded_store, *range(25))

    published = [await relay.publish_some(0) for _ in range(4)]
    await relay.save(0)

    assert published == [10, 10, 5, 0]
    assert kafka.ids == ids(*range(25))
    assert await embedded_store.outbox(0, await cursor(embedded_store), 10) == []


@pytest.mark.parametrize("written", [0, 1, 3])
async def test_the_cursor_moves_only_after_the_acknowledgement(embedded_store: Store, written: int) -> None:
    """A failure, whatever was written, leaves the cursor; the same records are published again, to the byte."""
    kafka = Kafka()
    relay = relay_of(embedded_store, kafka)
    await say(embedded_store, 1, 2, 3)
    kafka.fail_after = written

    with pytest.raises(KafkaConnectionError):
        await relay.publish_some(0)
    await relay.save(0)
    assert await cursor(embedded_store) == FIRST
    await relay.publish_some(0)

    assert kafka.ids == ids(1, 2, 3)[:written] + ids(1, 2, 3)
    for first, again in zip(kafka.log[:written], kafka.log[written:], strict=False):
        assert (first.key, first.value, list(first.headers)) == (again.key, again.value, list(again.headers))


async def test_two_relays_on_one_shard_lose_and_reorder_nothing(embedded_store: Store) -> None:
    """Relays of two processes that believe they own the shard may publish twice, never skip, never go back."""
    kafka = Kafka()
    one, other = (relay_of(embedded_store, kafka, relay_records_max=3) for _ in range(2))
    for number in range(0, 40, 4):
        await say(embedded_store, *range(number, number + 4))
        await asyncio.gather(one.publish_some(0), other.publish_some(0))
        await asyncio.gather(one.save(0), other.save(0))
        await one.publish_some(0)

    while await one.publish_some(0) or await other.publish_some(0):
        await asyncio.gather(one.save(0), other.save(0))
    firsts = list(dict.fromkeys(kafka.ids))
    assert firsts == ids(*range(40))
    assert await embedded_store.outbox(0, await cursor(embedded_store), 10) == []


async def test_a_lost_log_is_noticed_by_its_end_and_published_again(embedded_store: Store) -> None:
    """When the log ends at or below what was acknowledged, the whole retained outbox is published again."""
    kafka = Kafka()
    relay = relay_of(embedded_store, kafka)
    await say(embedded_store, 1, 2, 3)
    await relay.publish_some(0)
    await relay.save(0)
    await relay.check_log(0)
    assert await cursor(embedded_store) != FIRST

    kafka.lose()
    await relay.check_log(0)
    await relay.publish_some(0)

    assert kafka.ids == ids(1, 2, 3)


async def test_a_lost_log_is_noticed_by_the_next_acknowledgement(embedded_store: Store) -> None:
    """An offset at or below one acknowledged before says the same, even before the log's end is looked at."""
    kafka = Kafka()
    relay = relay_of(embedded_store, kafka)
    await say(embedded_store, 1, 2, 3)
    await relay.publish_some(0)
    kafka.lose()
    await say(embedded_store, 4)

    while await relay.publish_some(0):
        pass

    assert kafka.ids == ids(4, 1, 2, 3, 4)


async def test_a_successor_knows_what_was_acknowledged(embedded_store: Store) -> None:
    """The offset of the last acknowledged batch is kept with the cursor: another process notices the loss too."""
    kafka = Kafka()
    await say(embedded_store, 1, 2)
    predecessor = relay_of(embedded_store, kafka)
    await predecessor.publish_some(0)
    await predecessor.save(0)
    kafka.lose()

    successor = relay_of(embedded_store, kafka)
    await successor.check_log(0)
    await successor.publish_some(0)

    assert kafka.ids == ids(1, 2)


async def test_records_are_forgotten_when_published_and_old(embedded_store: Store) -> None:
    """Behind the retention, published records are forgotten; unpublished ones never, however old they are."""
    kafka = Kafka()
    clock = ManualClock(NOW.replace(year=2020))
    relay = relay_of(embedded_store, kafka, clock=clock, relay_records_max=300, outbox_retention_hours=1)
    for part in (range(200), range(200, 300)):
        await say(embedded_store, *part)
        await asyncio.sleep(0.002)  # ids count milliseconds: the next records have others
    await relay.publish_some(0)
    await relay.save(0)
    await say(embedded_store, *range(300, 600))
    assert await embedded_store.outbox_length(0) == 600

    clock.advance(timedelta(days=50_000))
    await relay.publish_some(0)
    await relay.save(0)
    await say(embedded_store, 600)

    left = await embedded_store.outbox_length(0)
    assert left >= 301, "what was not behind the cursor when the retention was looked at"
    assert left < 601, "what was published before is forgotten"
    await relay.publish_some(0)
    assert kafka.ids == ids(*range(601))


async def test_within_the_retention_nothing_is_forgotten(embedded_store: Store) -> None:
    """Published records stay for the retention: a log that is lost can be published again."""
    kafka = Kafka()
    relay = relay_of(embedded_store, kafka, clock=ManualClock(datetime(2020, 1, 1, tzinfo=UTC)), relay_records_max=100)
    await say(embedded_store, *range(500))

    while await relay.publish_some(0):
        await relay.save(0)

    assert await embedded_store.outbox_length(0) == 500


async def test_an_idle_relay_wakes_for_what_another_process_commits(embedded_store: Store) -> None:
    """Without being told, the relay finds new records by itself; told, it does not wait for its poll."""
    for poll_ms, told in ((20, False), (60_000, True)):
        kafka = Kafka()
        relay = relay_of(embedded_store, kafka, relay_poll_ms=poll_ms)
        running = asyncio.create_task(relay.run(0))
        try:
            await asyncio.sleep(0.05)
            await say(embedded_store, poll_ms)
            if told:
                relay.wake(0)
            await logs.until(lambda: ids(poll_ms)[0] in kafka.ids, "published", 5)  # noqa: B023
        finally:
            running.cancel()


async def test_the_cursor_is_saved_while_it_moves_and_when_it_rests(
    embedded_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy relay saves its cursor again and again, not at every batch; one that came to rest has saved all of it."""
    kafka = Kafka()
    saved: list[str] = []
    advance = embedded_store.advance_relay

    async def noted(shard: int, seen: str, cursor: str, *rest: Any) -> bool:
        moved = await advance(shard, seen, cursor, *rest)
        saved.append(cursor)
        return moved

    monkeypatch.setattr(embedded_store, "advance_relay", noted)
    relay = relay_of(embedded_store, kafka, relay_records_max=1, relay_save_ms=20, relay_poll_ms=60_000)
    await say(embedded_store, *range(200))
    last = (await embedded_store.outbox(0, FIRST, 200))[-1][0]
    running = asyncio.create_task(relay.run(0))
    try:
        await logs.until(lambda: saved[-1:] == [last], "saved", 10)
    finally:
        running.cancel()
    assert kafka.ids == ids(*range(200))
    assert 2 <= len(saved) < 100


async def test_a_stop_saves_the_cursor(embedded_store: Store) -> None:
    """What a stopping relay drained is not published again by its successor."""
    kafka = Kafka()
    await say(embedded_store, 1, 2)
    await relay_of(embedded_store, kafka).drain(0)
    await relay_of(embedded_store, kafka).drain(0)
    assert kafka.ids == ids(1, 2)
