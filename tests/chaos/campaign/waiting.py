"""Waits for a condition, and says whether it came true."""

import asyncio
from collections.abc import Awaitable, Callable

_LOOK_SECONDS = 0.05


async def within(seconds: float, condition: Callable[[], Awaitable[bool] | bool]) -> bool:
    """Wait until a condition holds; False when it does not within `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return True
        if loop.time() > deadline:
            return False
        await asyncio.sleep(_LOOK_SECONDS)
