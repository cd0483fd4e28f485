"""What happens to Kafka and the link to it. Its log is kept: what was acknowledged is there afterwards."""

import asyncio
from typing import Final

from tests.chaos.campaign import servers
from tests.chaos.campaign.link import State
from tests.chaos.campaign.plan import Strike
from tests.chaos.campaign.waiting import within
from tests.chaos.campaign.world import World

_LOST_SECONDS_MAX: Final = 8.0
_SLOW_SECONDS: Final = 0.15


async def killed(world: World, strike: Strike) -> None:
    """Kill -9 of the broker; it comes back with its log."""
    waiting = await world.everything_in_flight()
    await servers.kill(world.servers.kafka)
    world.hit(strike.fault, waiting)
    try:
        await asyncio.sleep(min(strike.seconds, 3.0))
    finally:
        await servers.bring_back(world.servers.kafka)


async def paused(world: World, strike: Strike) -> None:
    """Have the broker stand still for longer than a request may take, its connections open."""
    waiting = await world.everything_in_flight()
    await servers.pause(world.servers.kafka)
    world.hit(strike.fault, waiting)
    try:
        await asyncio.sleep(strike.seconds + 3)
    finally:
        await servers.go_on(world.servers.kafka)


async def cut(world: World, strike: Strike) -> None:
    """Lose every connection, and refuse new ones."""
    await _broken(world, strike, State.CUT)


async def half_open(world: World, strike: Strike) -> None:
    """Accept and never answer."""
    await _broken(world, strike, State.HALF_OPEN)


async def acknowledgement_lost(world: World, strike: Strike) -> None:
    """Let records be written, and their acknowledgement be lost: the relay cannot know."""
    await lost_replies(world, strike, "kafka_link")


async def slow(world: World, strike: Strike) -> None:
    """Have every packet take longer."""
    waiting = await world.everything_in_flight()
    world.servers.kafka_link.delay_seconds = _SLOW_SECONDS
    world.hit(strike.fault, waiting)
    try:
        await asyncio.sleep(strike.seconds)
    finally:
        world.servers.kafka_link.delay_seconds = 0.0


async def _broken(world: World, strike: Strike, state: State) -> None:
    link = world.servers.kafka_link
    waiting = await world.everything_in_flight()
    world.hit(strike.fault, waiting if link.connections else 0, connections=link.connections)
    link.break_(state)
    try:
        await asyncio.sleep(strike.seconds)
    finally:
        link.mend()


async def lost_replies(world: World, strike: Strike, name: str) -> None:
    """Lose the replies of a link until one was lost that matters, at least for the strike's time."""
    link = world.servers.kafka_link if name == "kafka_link" else world.servers.valkey_link
    await world.in_flight()
    before = link.lost_replies
    link.break_(State.MUTE)
    try:
        await asyncio.sleep(strike.seconds)
        await within(_LOST_SECONDS_MAX, lambda: link.lost_replies > before)
    finally:
        world.hit(strike.fault, link.lost_replies - before)
        link.mend()
