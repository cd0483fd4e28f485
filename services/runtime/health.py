"""Whether a process is alive and ready, judged by progress and not by a ping.

Ready: it has shards (or the group gave it none), the facts that were in the log at its start are heard, nothing it
depends on is away, and no record has waited longer than `stall_seconds` without progress. Alive: the same, but a stall
must last three times as long before it asks for a restart. Kafka or Redis being away never asks for one: restarting
does not bring them back.
"""

import asyncio
from collections.abc import Awaitable, Callable

from services.runtime import metrics

Responder = Callable[[], Awaitable[tuple[int, str]]]


class Health:
    """What the parts of a process report about themselves. Times are seconds of the event loop's clock."""

    def __init__(self, stall_seconds: int) -> None:
        self._stall_seconds = stall_seconds
        self._started = False
        self._away: dict[str, str] = {}
        self._behind_since: float | None = None

    def started(self) -> None:
        """Say that the process takes part in its group, and that it has heard what was in the log."""
        self._started = True

    def away(self, action: str, error: Exception) -> None:
        """Say that `action` cannot be done now."""
        self._away[action] = f"{type(error).__name__}: {error}"

    def back(self, action: str) -> None:
        """Say that `action` works (again)."""
        if self._away:
            self._away.pop(action, None)

    def progressed(self) -> None:
        """Say that records were handled."""
        self._behind_since = None

    def behind(self, waiting: int) -> None:
        """Say how many records wait in the shards of this process."""
        if not waiting:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = asyncio.get_running_loop().time()

    def problem(self, patience: int = 1) -> str | None:
        """Return why the process is not ready, or None. `patience` multiplies the bearable stall."""
        if not self._started:
            return "starting: " + (next(iter(self._away.values()), "hearing what is in the log"))
        if self._away:
            action, error = next(iter(self._away.items()))
            return f"cannot {action}: {error}"
        return self._stall(patience)

    def _stall(self, patience: int) -> str | None:
        if self._behind_since is None:
            return None
        stalled = asyncio.get_running_loop().time() - self._behind_since
        return f"no progress for {stalled:.0f} s" if stalled > patience * self._stall_seconds else None

    def ready(self) -> str | None:
        """Return None when ready, else the reason it is not."""
        problem = self.problem()
        metrics.READY.set(problem is None)
        return problem

    def alive(self) -> str | None:
        """Return None when alive, else why a restart is asked for."""
        return self._stall(patience=3)
