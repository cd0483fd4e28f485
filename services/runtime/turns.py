"""Commands that come over HTTP for one account are decided one after another, those that wait together.

Each by itself would load the account, decide, and find at its commit that the others had changed it: of a hundred at
once most would lose again and again, and messages of the account from Kafka with them. So an account has one commit of
requests under way in a process, and what comes meanwhile is all decided in the next one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence

from services.runtime.delivery import Delivery
from services.runtime.errors import Crowded

_TOGETHER_MAX = 100
_WAITING_MAX = 1_000

Turn = tuple[Delivery, "asyncio.Future[None]"]


class Turns:
    """Has requests decided by `decide`, which is given a shard and deliveries of one account of it."""

    def __init__(self, decide: Callable[[int, Sequence[Delivery]], Awaitable[object]]) -> None:
        self._decide = decide
        self._waiting: defaultdict[str, list[Turn]] = defaultdict(list)
        self._working: dict[str, asyncio.Task[None]] = {}

    async def take(self, shard: int, delivery: Delivery) -> None:
        """Return when a delivery is decided; raises what deciding it, or what is decided with it, raises.

        Crowded, and nothing is decided, when too many wait for the account.
        """
        account_id = delivery.account_id
        waiting = self._waiting[account_id]
        if len(waiting) >= _WAITING_MAX:
            raise Crowded(f"{_WAITING_MAX} requests wait for one account")
        done = asyncio.get_running_loop().create_future()
        waiting.append((delivery, done))
        if account_id not in self._working:
            self._working[account_id] = asyncio.create_task(self._work(shard, account_id))
        await done

    async def _work(self, shard: int, account_id: str) -> None:
        waiting = self._waiting[account_id]
        try:
            while waiting:
                together, waiting[:] = waiting[:_TOGETHER_MAX], waiting[_TOGETHER_MAX:]
                await self._decide_all(shard, together)
        finally:
            del self._waiting[account_id], self._working[account_id]

    async def _decide_all(self, shard: int, together: Sequence[Turn]) -> None:
        trouble: Exception | None = None
        try:
            await self._decide(shard, [delivery for delivery, _ in together])
        except Exception as error:  # noqa: BLE001 - each who asked is told
            trouble = error
        for _, done in together:
            if done.done():  # whoever asked was cancelled
                continue
            if trouble is None:
                done.set_result(None)
            else:
                done.set_exception(trouble)
