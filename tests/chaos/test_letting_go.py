"""Shards are let go within a bound, whatever the loops do with being cancelled."""

import asyncio

from aiokafka import TopicPartition

from services.runtime.shards import Shards

BOUND_SECONDS = 5


async def test_a_loop_that_swallows_a_cancellation_is_ended_all_the_same() -> None:
    """A cancellation that is lost in a client library does not hold up the group's rebalance."""
    swallowed = asyncio.Event()

    async def deaf_once(_: int) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        await asyncio.Event().wait()

    defects: list[BaseException] = []
    shards = Shards([deaf_once], defects.append)
    partition = TopicPartition("any", 0)
    await shards.on_partitions_assigned([partition])
    await asyncio.sleep(0)
    async with asyncio.timeout(BOUND_SECONDS):
        await shards.on_partitions_revoked([partition])
    assert swallowed.is_set()
    assert shards.owned == []
    assert defects == []
