"""Whether a process is alive and ready, judged by progress and not by a ping.

Ready: it takes part in its group, the facts that were in the log at its start are heard, nothing it depends on is away,
and nothing that waits has stood still for longer than `stall_seconds`: a partition that is read, the batches under way,
a relay, the timers of a shard (`progress.py` looks at them), or the looking itself. Alive: the same, but it must have
stood still three times as long before a restart is asked for. Kafka or Redis being away never asks for one: restarting
does not bring them back, and what stood still meanwhile has its time anew when they are there again. A blocked event
loop answers neither: whoever asks must not wait for long.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from services.runtime import metrics

Responder = Callable[[], Awaitable[tuple[int, str]]]


class Waiting(NamedTuple):
    """How much of something waits, and a value that is another one whenever some of it was done."""

    number: int
    place: Any


class _Still(NamedTuple):
    """What waits and stands still: where, and since when."""

    place: Any
    since: float


class Health:
    """What the parts of a process report about themselves. Times are seconds of the event loop's clock."""

    def __init__(self, stall_seconds: int) -> None:
        self._stall_seconds = stall_seconds
        self._started = False
        self._away: dict[str, str] = {}
        self._still: dict[tuple[str, str], _Still] = {}

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
            if self._still and not self._away:
                now = _now()
                self._still = {name: still._replace(since=now) for name, still in self._still.items()}

    def looked(self, where: str, waiting: Mapping[str, Waiting]) -> None:
        """Say what waits of all that `where` (Kafka, Redis) has; to be said again at intervals from then on."""
        now, before = _now(), self._still
        self._still = {key: still for key, still in before.items() if key[0] != where}
        self._still[where, f"looking at {where}"] = _Still(None, now)
        for name, (number, place) in waiting.items():
            if number:
                still = before.get((where, name))
                self._still[where, name] = still if still is not None and still.place == place else _Still(place, now)

    def problem(self, patience: int = 1) -> str | None:
        """Return why the process is not ready, or None. `patience` multiplies the bearable stall."""
        if not self._started:
            return "starting: " + (next(iter(self._away.values()), "hearing what is in the log"))
        if self._away:
            action, error = next(iter(self._away.items()))
            return f"cannot {action}: {error}"
        return self._stall(patience)

    def _stall(self, patience: int) -> str | None:
        if not self._still:
            return None
        (_, name), still = min(self._still.items(), key=lambda each: each[1].since)
        stalled = _now() - still.since
        return f"{name}: no progress for {stalled:.0f} s" if stalled > patience * self._stall_seconds else None

    def ready(self) -> str | None:
        """Return None when ready, else the reason it is not."""
        problem = self.problem()
        metrics.READY.set(problem is None)
        return problem

    def alive(self) -> str | None:
        """Return None when alive, else why a restart is asked for."""
        return None if self._away else self._stall(patience=3)


def _now() -> float:
    return asyncio.get_running_loop().time()
