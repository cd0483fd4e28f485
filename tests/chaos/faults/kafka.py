"""What happens to Kafka and the link to it. Its log is kept: what was acknowledged is there afterwards."""

from typing import Final

from tests.chaos.campaign.link import State
from tests.chaos.campaign.plan import Strike
from tests.chaos.campaign.world import World
from tests.chaos.faults import outages

_SLOW_SECONDS: Final = 0.15


async def killed(world: World, strike: Strike) -> None:
    """Kill -9 of the broker; it comes back with its log."""
    await outages.killed(world, strike, world.servers.kafka, min(strike.seconds, 3.0))


async def paused(world: World, strike: Strike) -> None:
    """Have the broker stand still for longer than a request may take, its connections open."""
    await outages.paused(world, strike, world.servers.kafka, strike.seconds + 3)


async def cut(world: World, strike: Strike) -> None:
    """Lose every connection, and refuse new ones."""
    await outages.broken(world, strike, world.servers.kafka_link, State.CUT)


async def half_open(world: World, strike: Strike) -> None:
    """Accept and never answer."""
    await outages.broken(world, strike, world.servers.kafka_link, State.HALF_OPEN)


async def acknowledgement_lost(world: World, strike: Strike) -> None:
    """Let records be written, and their acknowledgement be lost: the relay cannot know."""
    await outages.replies_lost(world, strike, world.servers.kafka_link)


async def slow(world: World, strike: Strike) -> None:
    """Have every packet take longer."""
    await outages.slow(world, strike, world.servers.kafka_link, _SLOW_SECONDS)
