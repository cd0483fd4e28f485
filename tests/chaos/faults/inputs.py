"""What comes in that should not: records nobody can read, repetitions, old ones again; and a clock that is moved."""

import asyncio
from datetime import timedelta
from itertools import count
from typing import Final

from contracts.topics import ACCOUNTS, EVENTS, READERS
from services.runtime.virtual_clock import move_clock, time_of
from tests.chaos.campaign.plan import Strike
from tests.chaos.campaign.world import World
from tests.e2e.bad_input import UNREADABLE
from tests.e2e.records import Record

_KINDS_AT_ONCE: Final = 4
_AGAIN_AT_ONCE: Final = 15
_STEP_DAYS_MAX: Final = 4
_numbers = count(1)
_POISON: Final = tuple(
    (topic, name, sent)
    for topic, kinds in UNREADABLE.items()
    for name, (sent, _) in kinds.items()
    if topic is not EVENTS
)
"""Of outside writers: what somebody else writes to a service's topic, a rebuild of it rightly tells of."""


async def poison(world: World, strike: Strike) -> None:
    """Write records that cannot be read, between those that can."""
    draw = strike.drawn()
    waiting = await world.in_flight()
    chosen = draw.sample(_POISON, _KINDS_AT_ONCE)
    sent = [each.but(case=f"{name} {next(_numbers)}") for _, name, each in chosen]
    await asyncio.gather(world.clients.send("poison", sent), world.load.send(_KINDS_AT_ONCE))
    readers = sum(topic in topics for topic, *_ in chosen for topics in READERS.values())
    world.hit(strike.fault, waiting, kinds=[name for _, name, _ in chosen], readers=readers)


async def repeated(world: World, strike: Strike) -> None:
    """Send commands, facts and events again that were sent before, the oldest among them: stale and out of order."""
    draw = strike.drawn()
    waiting = await world.in_flight()
    before = list(world.clients.sent)
    commands = [each for each in before if each.topic != ACCOUNTS.name]
    facts = [each for each in before if each.topic == ACCOUNTS.name]
    again: list[Record] = []
    for kind in (commands, facts, list(world.observer.events)):
        again += draw.sample(kind, min(len(kind), _AGAIN_AT_ONCE))
    if again:
        await world.clients.send("repeated", again)
        world.hit(strike.fault, waiting, records=len(again))


async def clock_stepped(world: World, strike: Strike) -> None:
    """Move the time of the deployment ahead by days at once, over midnights, month ends and changed clocks."""
    waiting = await world.everything_in_flight()
    step = timedelta(days=strike.drawn().randint(1, _STEP_DAYS_MAX), hours=strike.drawn().randint(0, 23))
    async with world.servers.redis() as redis:
        now = await time_of(redis, world.namespace)
        await move_clock(redis, world.namespace, now + step)
    world.hit(strike.fault, waiting, to=(now + step).isoformat())
