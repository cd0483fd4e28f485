"""Feeds due timers of the shards this process owns through the same path as messages.

A timer is set and cleared in the commit that decides it, so it fires after a crash, and its effect happens once.
"""

from services.runtime.clock import Clock, to_milliseconds
from services.runtime.decision import D
from services.runtime.handling import Handling
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import Store
from services.runtime.waking import Waking


class Timers:
    """Looks for due timers every `timer_poll_ms`, at most `timer_batch_max` at once, earliest first."""

    def __init__(
        self, store: Store, handling: "Handling[D]", patience: Patience, clock: Clock, settings: Settings
    ) -> None:
        self._store = store
        self._handling = handling
        self._patience = patience
        self._clock = clock
        self._settings = settings
        self._waking = Waking()

    def wake(self, shard: int) -> None:
        """Have a shard looked at without waiting for the next poll."""
        self._waking.wake(shard)

    def wake_all(self) -> None:
        """Have every shard that runs looked at without waiting for the next poll."""
        self._waking.wake_all()

    async def run(self, shard: int) -> None:
        """Feed the shard's due timers until cancelled or stopped."""
        while not self._patience.stopping:
            self._waking.looking(shard)
            if not await self.feed(shard):
                await self._waking.wait(shard, self._settings.timer_poll_ms)

    async def feed(self, shard: int) -> bool:
        """Handle the timers that are due now; return whether there may be more. Cost: O(timers due), bounded."""
        due = await self._patience.until_done("reach Redis", lambda: self._due(shard))
        if due:
            await self._handling.handle_timers(shard, due)
        return len(due) == self._settings.timer_batch_max

    async def _due(self, shard: int) -> list[tuple[str, str, int]]:
        await self._clock.refresh()
        return await self._store.due_timers(shard, to_milliseconds(self._clock.now()), self._settings.timer_batch_max)
