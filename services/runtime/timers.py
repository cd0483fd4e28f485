"""Feeds due timers of the shards this process owns through the same path as messages.

A timer is set and cleared in the commit that decides it, so it fires after a crash, and its effect happens once. It
fires only when the shard has heard everything that was in its partitions at an instant not before the timer's
(`hearing.py`): what happened before a timer is decided before it, after an outage too.
"""

from datetime import datetime
from typing import Protocol

from services.runtime.clock import Clock, to_milliseconds
from services.runtime.decision import D
from services.runtime.handling import Handling
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import Store
from services.runtime.waking import Waking

_NEVER_MS = -1
_Due = list[tuple[str, str, int]]


class Hears(Protocol):
    """Waits until everything that is in a shard's partitions is handled, and returns the instant it began."""

    async def everything(self, shard: int) -> datetime:
        """Wait for as long as it takes; Stopping when the process stops."""


class Timers:
    """Looks for due timers every `timer_poll_ms`, at most `timer_batch_max` at once, earliest first."""

    def __init__(
        self,
        store: Store,
        handling: "Handling[D]",
        hearing: Hears,
        patience: Patience,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._store = store
        self._handling = handling
        self._hearing = hearing
        self._patience = patience
        self._clock = clock
        self._settings = settings
        self._waking = Waking()
        self._heard_until_ms: dict[int, int] = {}

    def wake(self, shard: int) -> None:
        """Have a shard looked at without waiting for the next poll."""
        self._waking.wake(shard)

    def wake_all(self) -> None:
        """Have every shard that runs looked at without waiting for the next poll."""
        self._waking.wake_all()

    async def run(self, shard: int) -> None:
        """Feed the shard's due timers until cancelled or stopped."""
        self._heard_until_ms.pop(shard, None)
        while not self._patience.stopping:
            self._waking.looking(shard)
            if not await self.feed(shard):
                await self._waking.wait(shard, self._settings.timer_poll_ms)

    async def feed(self, shard: int) -> bool:
        """Handle the timers that are due now; return whether there may be more. Cost: O(timers due), bounded.

        Timers due by the instant up to which everything was heard cost no look at the logs, later ones cost one.
        """
        due = await self._patience.until_done("reach Redis", lambda: self._due(shard))
        if due and due[-1][2] > self._heard_until_ms.get(shard, _NEVER_MS):
            self._heard_until_ms[shard] = to_milliseconds(await self._hearing.everything(shard))
            due = await self._patience.until_done("reach Redis", lambda: self._due(shard))  # as it is after that
        full = len(due) == self._settings.timer_batch_max
        due = [timer for timer in due if timer[2] <= self._heard_until_ms.get(shard, _NEVER_MS)]
        if due:
            await self._handling.handle_timers(shard, due)
        return full

    async def _due(self, shard: int) -> _Due:
        await self._clock.refresh()
        return await self._store.due_timers(shard, to_milliseconds(self._clock.now()), self._settings.timer_batch_max)
