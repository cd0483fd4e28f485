"""What happens to a server or to the link before it, whichever it is."""

import asyncio
from typing import Final

from tests.chaos.campaign import servers
from tests.chaos.campaign.link import Link, State
from tests.chaos.campaign.plan import Strike
from tests.chaos.campaign.waiting import within
from tests.chaos.campaign.world import World
from tests.containers import Kafka, Valkey

_LOST_SECONDS_MAX: Final = 8.0


async def killed(world: World, strike: Strike, server: Kafka | Valkey, seconds: float) -> None:
    """Kill -9 of a server; it comes back with what it stored."""
    waiting = await world.everything_in_flight()
    await servers.kill(server)
    world.hit(strike.fault, waiting)
    try:
        await asyncio.sleep(seconds)
    finally:
        await servers.bring_back(server)


async def paused(world: World, strike: Strike, server: Kafka | Valkey, seconds: float) -> None:
    """Have a server stand still, its connections open."""
    waiting = await world.everything_in_flight()
    await servers.pause(server)
    world.hit(strike.fault, waiting)
    try:
        await asyncio.sleep(seconds)
    finally:
        await servers.go_on(server)


async def broken(world: World, strike: Strike, link: Link, state: State) -> None:
    """Break a link for the strike's time."""
    waiting = await world.everything_in_flight()
    world.hit(strike.fault, waiting if link.connections else 0, connections=link.connections)
    link.break_(state)
    try:
        await asyncio.sleep(strike.seconds)
    finally:
        link.mend()


async def slow(world: World, strike: Strike, link: Link, delay_seconds: float) -> None:
    """Have every packet of a link take longer."""
    waiting = await world.everything_in_flight()
    link.delay_seconds = delay_seconds
    world.hit(strike.fault, waiting)
    try:
        await asyncio.sleep(strike.seconds)
    finally:
        link.delay_seconds = 0.0


async def replies_lost(world: World, strike: Strike, link: Link) -> None:
    """Lose the replies of a link until one was lost that matters, at least for the strike's time."""
    await world.in_flight()
    before = link.lost_replies
    link.break_(State.MUTE)
    try:
        await asyncio.sleep(strike.seconds)
        await within(_LOST_SECONDS_MAX, lambda: link.lost_replies > before)
    finally:
        world.hit(strike.fault, link.lost_replies - before)
        link.mend()
