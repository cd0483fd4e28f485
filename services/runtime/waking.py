"""Wakes what runs for a shard before its next poll: a relay when records were added, timers when time was moved."""

import asyncio
from collections import defaultdict
from contextlib import suppress


class Waking:
    """A bell for each shard. Rung while nobody waits, it ends the next wait."""

    def __init__(self) -> None:
        self._bells: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    def wake(self, shard: int) -> None:
        """Have a shard looked at without waiting for the next poll."""
        self._bells[shard].set()

    def wake_all(self) -> None:
        """Have every shard that runs looked at without waiting for the next poll."""
        for bell in self._bells.values():
            bell.set()

    def looking(self, shard: int) -> None:
        """Forget that a shard was woken: what it was woken for will be seen by the look that begins now."""
        self._bells[shard].clear()

    async def wait(self, shard: int, milliseconds: int) -> None:
        """Wait until the shard is woken, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(milliseconds / 1_000):
                await self._bells[shard].wait()
