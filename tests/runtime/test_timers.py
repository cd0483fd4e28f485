"""Timers: what is due is fed through the same path as messages, once, bounded, whatever happens in between."""

import asyncio
import json
from datetime import timedelta

import pytest

from contracts import topics
from services.runtime.clock import ManualClock, to_milliseconds
from services.runtime.committing import Committing
from services.runtime.errors import Stopping
from services.runtime.handling import Handling
from services.runtime.health import Health
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import Store, Wanted
from services.runtime.timers import Timers
from tests.runtime import logs
from tests.runtime.toys import NOW, CounterDecider, CounterDocument, answer, command

LIMIT = 5


class Feed:
    """A process's timers over a store, with a clock that the test moves."""

    def __init__(self, store: Store) -> None:
        settings = Settings(partitions=4, timer_batch_max=LIMIT, timer_poll_ms=5)
        health = Health(30)
        self.store = store
        self.clock = ManualClock(NOW)
        self.patience = Patience(health, 100)
        self.woken: list[int] = []
        self.committing = Committing(CounterDecider(), answer, store, self.clock, 20)
        handling: Handling[CounterDocument] = Handling(
            committing=self.committing,
            topics=(topics.COMMANDS,),
            dead_letters=None,  # type: ignore[arg-type]
            patience=self.patience,
            health=health,
            settings=settings,
            wake=self.woken.append,
        )
        self.timers = Timers(store, handling, self.patience, self.clock, settings)

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
        with pytest.raises(Stopping):
            await running
