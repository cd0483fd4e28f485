"""What happens to processes: killed at random and between two steps, frozen, stopped, doubled, coming and going."""

import asyncio
from typing import Final

from tests.chaos import launcher
from tests.chaos.campaign.fleet import Member
from tests.chaos.campaign.plan import Strike
from tests.chaos.campaign.waiting import within
from tests.chaos.campaign.world import World
from tests.e2e.services import SERVICES

ZOMBIE_SECONDS: Final = 12.0  # longer than the session: the group gives its shards to the other
_POINT_SECONDS: Final = 20.0
_POINTS: Final = tuple(name for name in launcher.POINTS if name != "after_dead_letter")


async def killed(world: World, strike: Strike) -> None:
    """Kill -9 of a process with work in flight; another takes its place at once."""
    member = _chosen(world, strike)
    waiting = await world.in_flight(member.service)
    if member.process.running and not member.frozen:
        world.fleet.kill(member)
        world.kills += bool(waiting)
        world.hit(strike.fault, waiting, member=member.label)
    await asyncio.sleep(strike.seconds)


async def killed_at_a_point(world: World, strike: Strike) -> None:
    """Have a process kill itself between two steps of the handling: it comes there only with work in its hands.

    The one whose place it takes is killed too.
    """
    draw = strike.drawn()
    member, point = _chosen(world, strike), draw.choice(_POINTS)
    waiting = await world.in_flight(member.service)
    world.kills += bool(waiting)
    world.hit("process-killed", waiting, member=member.label)
    world.fleet.arm(member, point, draw.randint(1, 3))
    before = len(world.fleet.points_reached)
    await within(_POINT_SECONDS, lambda: not member.point)
    reached = (member.label, point) in world.fleet.points_reached[before:]
    world.kills += reached
    world.hit(strike.fault, int(reached), member=member.label, point=point)
    world.fleet.disarm(member)


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
        await asyncio.sleep(max(3.0, strike.seconds))  # it takes two to be there
        waiting = await world.in_flight(service)
        if extra.process.running:
            (world.fleet.stop if leaves == "stopped" else world.fleet.kill)(extra)
            world.kills += leaves == "killed" and bool(waiting)
            world.hit(strike.fault, waiting, member=extra.label, leaves=leaves)


async def second_owner(world: World, strike: Strike) -> None:
    """Have a process read in a group of its own, from offset 0: two own every shard, two relays publish it."""
    service = strike.drawn().choice(SERVICES)
    extra = world.fleet.join(service, launcher.words(service, "zombie"))
    await asyncio.sleep(ZOMBIE_SECONDS)
    waiting = await world.in_flight(service)
    owned = await asyncio.to_thread(extra.process.metric, "addonflow_shards") if extra.process.running else 0
    world.hit(strike.fault, waiting if owned else 0, member=extra.label, shards=owned)
    if extra.process.running:
        world.fleet.kill(extra)


def _chosen(world: World, strike: Strike) -> Member:
    """Return the process that is struck: entitlements twice as often, because commands wait there."""
    draw = strike.drawn()
    service = draw.choice((*SERVICES, SERVICES[0]))
    return draw.choice(world.fleet.named(service))
