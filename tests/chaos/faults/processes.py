"""What happens to processes: killed at random and between two steps, frozen, stopped, doubled, coming and going."""

import asyncio
from functools import partial
from typing import Final

from tests.chaos import launcher
from tests.chaos.campaign.fleet import Member
from tests.chaos.campaign.plan import Strike
from tests.chaos.campaign.waiting import within
from tests.chaos.campaign.world import World
from tests.e2e.services import SERVICES

ZOMBIE_SECONDS: Final = 12.0  # longer than the session: the group gives its shards to the other
_JOIN_SECONDS: Final = 20.0
_POINTS: Final = tuple(name for name in launcher.POINTS if name != "after_dead_letter")


async def killed(world: World, strike: Strike) -> None:
    """Kill -9 of a process with work in flight, and then of one of another service; others take their place."""
    draw = strike.drawn()
    for service in draw.sample(SERVICES, 2):
        member = draw.choice(world.fleet.named(service))
        waiting = await world.in_flight(service)
        if member.process.running and not member.frozen:
            world.fleet.kill(member)
            world.kills += bool(waiting)
            world.hit(strike.fault, waiting, member=member.label)
        await asyncio.sleep(strike.seconds / 2)


async def killed_at_a_point(world: World, strike: Strike) -> None:
    """Have a process kill itself between two steps of the handling: it comes there only with work in its hands.

    The one whose place it takes is killed too. It may come there when others strike already (`Fleet.points_reached`).
    """
    draw = strike.drawn()
    member, point = _chosen(world, strike), draw.choice(_POINTS)
    waiting = await world.in_flight(member.service)
    world.kills += bool(waiting)
    world.hit("process-killed", waiting, member=member.label)
    world.fleet.arm(member, point, draw.randint(1, 3))
    await within(strike.seconds, lambda: not member.point)


async def frozen(world: World, strike: Strike) -> None:
    """SIGSTOP for longer than its session, then SIGCONT: it goes on as if it still owned its shards."""
    member = _chosen(world, strike)
    waiting = await world.in_flight(member.service)
    if not member.process.running:
        return
    process = member.process
    world.fleet.freeze(member)
    world.hit(strike.fault, waiting, member=member.label)
    try:
        await asyncio.sleep(ZOMBIE_SECONDS)
    finally:
        if member.process is process:
            world.fleet.thaw(member)


async def stopped(world: World, strike: Strike) -> None:
    """SIGTERM in the middle of the work; another takes its place when it has ended."""
    member = _chosen(world, strike)
    waiting = await world.in_flight(member.service)
    if member.process.running and not member.frozen:
        world.fleet.stop(member)
        world.hit(strike.fault, waiting, member=member.label)
    await asyncio.sleep(strike.seconds)


async def rebalance_storm(world: World, strike: Strike) -> None:
    """Have processes without a name join a group and leave it, killed or stopped, while others handle."""
    draw = strike.drawn()
    service = draw.choice(SERVICES)
    for leaves in ("stopped", "killed"):
        extra = world.fleet.join(service)
        await within(_JOIN_SECONDS, partial(_owns, extra))
        waiting = await world.in_flight(service)
        if extra.process.running:
            (world.fleet.stop if leaves == "stopped" else world.fleet.kill)(extra)
            world.kills += leaves == "killed" and bool(waiting)
            world.hit(strike.fault, waiting, member=extra.label, leaves=leaves)


async def second_owner(world: World, strike: Strike) -> None:
    """Have a process read in a group of its own, from offset 0: two own every shard, two relays publish it."""
    service = strike.drawn().choice(SERVICES)
    extra = world.fleet.join(service, launcher.words(service, "zombie"))
    owns = await within(_JOIN_SECONDS, partial(_owns, extra))
    waiting = await world.in_flight(service)
    await asyncio.sleep(strike.seconds)
    world.hit(strike.fault, waiting if owns else 0, member=extra.label)
    if extra.process.running:
        world.fleet.kill(extra)


async def _owns(member: Member) -> bool:
    """Whether a process owns shards."""
    return await asyncio.to_thread(member.process.metric, "addonflow_shards") > 0


def _chosen(world: World, strike: Strike) -> Member:
    """Return the process that is struck: entitlements twice as often, because commands wait there."""
    draw = strike.drawn()
    service = draw.choice((*SERVICES, SERVICES[0]))
    return draw.choice(world.fleet.named(service))
