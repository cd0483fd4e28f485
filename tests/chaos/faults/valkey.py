"""What happens to Valkey and the link to it. Every acknowledged write is on its disk."""

import asyncio
import io
import re
import tarfile
from typing import Any, Final

from tests.chaos.campaign import servers
from tests.chaos.campaign.link import State
from tests.chaos.campaign.plan import Strike
from tests.chaos.campaign.world import World
from tests.chaos.faults import outages

_SLOW_SECONDS: Final = 0.1
_AOF_FOLDER: Final = "/data/appendonlydir"
_TORN: Final = b"*3\r\n$3\r\nSET\r\n$9\r\nhalf a wri"  # what stands there of a write that was never acknowledged


async def killed(world: World, strike: Strike) -> None:
    """Kill -9 of Valkey; it comes back with everything it acknowledged."""
    await outages.killed(world, strike, world.servers.valkey, min(strike.seconds, 2.0))


async def torn_write(world: World, strike: Strike) -> None:
    """Lose power in the middle of a write: half of one that nobody was told of stands at the end of the file."""
    waiting = await world.everything_in_flight()
    await servers.kill(world.servers.valkey)
    try:
        torn = await asyncio.to_thread(_tear, world.servers.valkey.get_wrapped_container())
        world.hit(strike.fault, waiting, file=torn)
    finally:
        await servers.bring_back(world.servers.valkey)


async def paused(world: World, strike: Strike) -> None:
    """Have Valkey stand still for longer than a call may take."""
    await outages.paused(world, strike, world.servers.valkey, strike.seconds)


async def cut(world: World, strike: Strike) -> None:
    """Lose every connection, and refuse new ones."""
    await outages.broken(world, strike, world.servers.valkey_link, State.CUT)


async def half_open(world: World, strike: Strike) -> None:
    """Accept and never answer."""
    await outages.broken(world, strike, world.servers.valkey_link, State.HALF_OPEN)


async def reply_lost(world: World, strike: Strike) -> None:
    """Let commits be written, and the replies be lost: the client tries again by itself."""
    await outages.replies_lost(world, strike, world.servers.valkey_link)


async def slow(world: World, strike: Strike) -> None:
    """Have every packet take longer, as on a slow disk."""
    await outages.slow(world, strike, world.servers.valkey_link, _SLOW_SECONDS)


async def out_of_memory(world: World, strike: Strike) -> None:
    """Refuse every write for want of memory, and have some again later."""
    async with world.servers.redis() as redis:
        waiting = await world.everything_in_flight()
        refused = -await _refused(redis)
        await redis.config_set("maxmemory", 1)
        try:
            await asyncio.sleep(strike.seconds)
            refused += await _refused(redis)
        finally:
            await redis.config_set("maxmemory", 0)
        world.hit(strike.fault, min(waiting, refused) if waiting else 0, refused=refused)


async def functions_flushed(world: World, strike: Strike) -> None:
    """Forget the functions, as a failover to a server does that never had them."""
    async with world.servers.redis() as redis:
        waiting = await world.everything_in_flight()
        await redis.function_flush("SYNC")
        world.hit(strike.fault, waiting)
        await asyncio.sleep(strike.seconds)


async def _refused(redis: Any) -> int:
    """Return how many calls were refused for want of memory since the server started."""
    errors = await redis.info("errorstats")
    return sum(int(each["count"]) for name, each in errors.items() if "OOM" in name)


def _tear(container: Any) -> str:
    """Add half a write to the newest append-only file of a stopped server; return the file's name."""
    chunks, _ = container.get_archive(_AOF_FOLDER)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
        increments = [each for each in archive.getmembers() if each.name.endswith(".incr.aof")]
        newest = max(increments, key=lambda each: int((re.findall(r"\.(\d+)\.incr", each.name) or ["0"])[0]))
        held = archive.extractfile(newest)
        assert held is not None
        content = held.read() + _TORN
        changed = tarfile.TarInfo(newest.name.rpartition("/")[2])
        changed.size, changed.mode, changed.mtime = len(content), newest.mode, newest.mtime
        changed.uid, changed.gid = newest.uid, newest.gid
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        archive.addfile(changed, io.BytesIO(content))
    container.put_archive(_AOF_FOLDER, written.getvalue())
    return changed.name
