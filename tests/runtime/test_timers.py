"""Timers: what is due is fed through the same path as messages, once, bounded, whatever happens in between."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import pytest
from redis.asyncio import Redis

from contracts import topics
from services.runtime.clock import Clock, ManualClock, to_milliseconds
from services.runtime.committing import Committing
from services.runtime.decision import Message, TimerDue
from services.runtime.handling import Handling
from services.runtime.health import Health
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import Store, Wanted
from services.runtime.timers import Timers
from services.runtime.virtual_clock import VirtualClock, move_clock
from tests.runtime import logs
from tests.runtime.toys import NOW, CounterDecider, CounterDocument, answer, command

LIMIT = 5


class Feed:
    """A process's timers over a store, with a clock that the test moves (`clock`, or the one given).

    `looks` counts the looks at the logs; `backlog` is what happens during one.
    """

    def __init__(self, store: Store, time: Clock | None = None, poll_ms: int = 5) -> None:
        settings = Settings(partitions=4, timer_batch_max=LIMIT, timer_poll_ms=poll_ms)
        health = Health(30)
        self.store = store
        self.clock = ManualClock(NOW)
        self.patience = Patience(health, 100)
        self.woken: list[int] = []
        self.decided: list[tuple[str, datetime]] = []
        decider = CounterDecider(self._note)
        self.committing = Committing(decider, answer, store, time or self.clock, 20)
        handling: Handling[CounterDocument] = Handling(
            committing=self.committing,
            topics=(topics.COMMANDS,),
            dead_letters=None,  # type: ignore[arg-type]
            patience=self.patience,
            clock=time or self.clock,
            settings=settings,
            wake=self.woken.append,
        )
        self.time = time or self.clock
        self.looks = 0
        self.backlog: Callable[[], Awaitable[None]] | None = None
        self.timers = Timers(store, handling, self, self.patience, self.time, settings)

    async def everything(self, _: int) -> datetime:
        """Hear what is in the logs."""
        self.looks += 1
        began = self.time.now()
        if self.backlog is not None:
            await self.backlog()
        return began

    def _note(self, message: Message, now: datetime) -> None:
        if isinstance(message, TimerDue):
            self.decided.append((message.account_id, now))

    async def set(self, account_id: str, after: timedelta) -> None:
        """Have an account woken after a while."""
        due_ms = to_milliseconds(NOW + after)
        await self.committing.run(0, [command(account_id, f"{account_id}-set", f"wake:{due_ms}")])

    async def count(self, account_id: str) -> int:
        """Return how often an account was counted: once for being set, once for each time it was woken."""
        (loaded,) = await self.store.load(0, [Wanted(account_id, [], [])])
        return int(json.loads(loaded.document or b'{"count":0}')["count"])


@pytest.fixture
def feed(embedded_store: Store) -> Feed:
    """Give the timers of a process."""
    return Feed(embedded_store)


async def test_a_timer_fires_when_it_is_due_and_once(feed: Feed) -> None:
    """Before its instant nothing happens; at it the account is woken, its relay told, and never again."""
    await feed.set("acme", timedelta(hours=1))

    assert not await feed.timers.feed(0)
    assert await feed.count("acme") == 1
    feed.clock.advance(timedelta(hours=1))
    for _ in range(3):
        await feed.timers.feed(0)

    assert await feed.count("acme") == 2
    assert feed.woken == [0]


async def test_many_due_timers_are_fed_in_bounded_parts(feed: Feed) -> None:
    """At most `timer_batch_max` at once, and the feed says when there may be more."""
    names = [f"account-{n}" for n in range(LIMIT + 2)]
    for name in names:
        await feed.set(name, timedelta())

    assert await feed.timers.feed(0)
    assert sum([await feed.count(name) - 1 for name in names]) == LIMIT
    assert not await feed.timers.feed(0)
    assert sum([await feed.count(name) - 1 for name in names]) == LIMIT + 2


async def test_what_came_due_while_nobody_ran_fires_at_the_start(feed: Feed, embedded_store: Store) -> None:
    """A timer outlives its process: the next owner of the shard feeds it, however late."""
    await feed.set("acme", timedelta(days=1))
    successor = Feed(embedded_store)
    successor.clock.advance(timedelta(days=30))

    await successor.timers.feed(0)

    assert await successor.count("acme") == 2


async def test_the_loop_feeds_until_the_process_stops(feed: Feed) -> None:
    """Running, it looks again and again; a stop ends it."""
    running = asyncio.create_task(feed.timers.run(0))
    await feed.set("acme", timedelta(minutes=1))
    feed.clock.advance(timedelta(minutes=1))

    async def woken() -> bool:
        return await feed.count("acme") == 2

    await logs.until(woken, "woken", 5)
    feed.patience.stop()
    async with asyncio.timeout(5):
        await running


async def test_timers_obey_the_virtual_clock_and_fire_in_the_order_of_time(
    embedded_store: Store, embedded_redis: Redis, namespace: str
) -> None:
    """While it stands nothing fires; moved, what is due by then fires, earliest first, decided at that instant."""
    await move_clock(embedded_redis, namespace, NOW)
    clock = VirtualClock(embedded_redis, namespace)
    await clock.refresh()
    feed = Feed(embedded_store, clock)
    for account_id, hours in (("late", 3), ("early", 1), ("later", 4), ("middle", 2)):
        await feed.set(account_id, timedelta(hours=hours))

    await feed.timers.feed(0)
    assert feed.decided == []
    at = NOW + timedelta(hours=3)
    await move_clock(embedded_redis, namespace, at)
    await feed.timers.feed(0)

    assert feed.decided == [("early", at), ("middle", at), ("late", at)]


async def test_a_shard_that_is_woken_does_not_wait_for_the_next_poll(embedded_store: Store) -> None:
    """Woken, a shard is looked at within less than its poll; that is how a virtual year takes seconds."""
    feed = Feed(embedded_store, poll_ms=60_000)
    await feed.set("first", timedelta())
    running = asyncio.create_task(feed.timers.run(0))
    try:
        await logs.until(lambda: "first" in dict(feed.decided), "running", 5)
        await feed.set("acme", timedelta())
        feed.timers.wake(0)
        await logs.until(lambda: "acme" in dict(feed.decided), "woken", 5)
        await feed.set("birch", timedelta())
        feed.timers.wake_all()
        await logs.until(lambda: "birch" in dict(feed.decided), "woken with all", 5)
    finally:
        running.cancel()


async def test_a_look_at_the_logs_is_paid_for_when_timers_are_due_and_once_for_all_of_them(feed: Feed) -> None:
    """Nothing due costs no look; a night of renewals costs one, however many batches and late cycles; the next one."""
    await feed.timers.feed(0)
    assert feed.looks == 0
    for number in range(3 * LIMIT):
        await feed.set(f"account-{number}", timedelta(hours=1 + number % 2))
    feed.clock.advance(timedelta(hours=2))
    while await feed.timers.feed(0):
        pass
    assert [feed.looks, len(feed.decided)] == [1, 3 * LIMIT]

    await feed.set("late", timedelta(hours=1))
    await feed.timers.feed(0)
    assert [feed.looks, feed.decided[-1][0]] == [1, "late"]
    await feed.set("next", timedelta(hours=3))
    feed.clock.advance(timedelta(hours=1))
    await feed.timers.feed(0)
    assert [feed.looks, feed.decided[-1][0]] == [2, "next"]


async def test_what_was_in_the_logs_is_decided_before_the_timers(feed: Feed) -> None:
    """A command that waited in the log sets the account's timer anew; the instant it had before is not decided."""
    await feed.set("acme", timedelta(hours=1))
    anew = to_milliseconds(NOW + timedelta(hours=9))

    async def backlog() -> None:
        await feed.committing.run(0, [command("acme", "waited", f"wake:{anew}")])

    feed.backlog = backlog
    feed.clock.advance(timedelta(hours=2))
    await feed.timers.feed(0)

    assert feed.decided == []
    assert feed.looks == 1


async def test_what_comes_due_during_a_look_waits_for_the_next(feed: Feed) -> None:
    """Only timers due by the instant at which the look began are fed behind it."""
    await feed.set("acme", timedelta())
    await feed.set("birch", timedelta(hours=1))

    async def backlog() -> None:
        feed.clock.advance(timedelta(hours=1))

    feed.backlog = backlog
    await feed.timers.feed(0)
    assert [account_id for account_id, _ in feed.decided] == ["acme"]
    feed.backlog = None
    await feed.timers.feed(0)
    assert [account_id for account_id, _ in feed.decided] == ["acme", "birch"]


async def test_a_shard_that_comes_again_is_heard_anew(feed: Feed) -> None:
    """What an owner heard is not taken for granted by the loop of the next assignment."""
    await feed.set("acme", timedelta())
    await feed.timers.feed(0)
    await feed.set("birch", timedelta())
    running = asyncio.create_task(feed.timers.run(0))
    await logs.until(lambda: "birch" in dict(feed.decided), "woken", 5)
    running.cancel()
    assert feed.looks == 2
