"""A wait for the next poll ends as soon as somebody rings, and only for whom they ring."""

import asyncio

from services.runtime.waking import Waking

_LONG_MS, _SHORT_MS, _SECONDS = 60_000, 1, 5


async def test_a_ring_ends_the_wait_even_when_it_came_before() -> None:
    """What was rung while nobody waited ends the next wait, until a look begins that sees what it was for."""
    waking = Waking()
    waking.wake(0)
    async with asyncio.timeout(_SECONDS):
        await waking.wait(0, _LONG_MS)

    waking.looking(0)
    waiting = asyncio.create_task(waking.wait(0, _LONG_MS))
    await asyncio.sleep(0)
    assert not waiting.done()
    waking.wake_all()
    async with asyncio.timeout(_SECONDS):
        await waiting


async def test_a_wait_ends_by_itself_and_hears_no_other_shard() -> None:
    """Rung for another shard, a shard goes on waiting; unrung, it waits no longer than it was told."""
    waking = Waking()
    waiting = asyncio.create_task(waking.wait(0, _LONG_MS))
    waking.wake(1)
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    async with asyncio.timeout(_SECONDS):
        await waking.wait(0, _SHORT_MS)
