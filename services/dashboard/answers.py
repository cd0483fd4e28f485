"""Who waits for the answer to which command, and the answers that came lately; bounded, in memory, of this process.

An answer is kept whether or not somebody waits for it, so that a click whose page was closed finds it when it is shown
again. What is no longer here is in the log (`log.py`).
"""

import asyncio
from collections import OrderedDict

from contracts.results import CommandResult

Key = tuple[str, str]


class Answers:
    """Answers by (account, command id)."""

    def __init__(self, kept_max: int, waiting_max: int) -> None:
        self._kept: OrderedDict[Key, CommandResult] = OrderedDict()
        self._waiting: dict[Key, set[asyncio.Future[CommandResult]]] = {}
        self._kept_max = kept_max
        self._waiting_max = waiting_max
        self._waiters = 0

    def get(self, account_id: str, command_id: str) -> CommandResult | None:
        """Return an answer that came."""
        return self._kept.get((account_id, command_id))

    def take(self, answer: CommandResult) -> None:
        """Keep an answer, and give it to those who wait."""
        key = (answer.account_id, answer.command_id)
        self._kept[key] = answer
        self._kept.move_to_end(key)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(answer)

    async def wait(self, account_id: str, command_id: str, seconds: float) -> CommandResult | None:
        """Return the answer as soon as it is there, None when it is not within `seconds`."""
        key = (account_id, command_id)
        found = self._kept.get(key)
        if found is not None:
            return found
        if self._waiters >= self._waiting_max:
            return None
        future: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        self._waiters += 1
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return None
        finally:
            self._waiters -= 1
            left = self._waiting.get(key)
            if left is not None:
                left.discard(future)
                if not left:
                    del self._waiting[key]
