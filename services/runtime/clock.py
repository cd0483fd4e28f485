"""The only place that reads the time. Everything else is given the time it works with."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Clock(Protocol):
    """Says what time it is: an aware UTC datetime."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""

    async def refresh(self) -> None:
        """Make `now` at least as late as the time is at this call; whoever decides or looks for timers asks for it."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        return datetime.now(UTC)

    async def refresh(self) -> None:
        """Do nothing: it is always right."""


class ManualClock:
    """A clock that stands still until it is moved: for tests and rehearsals."""

    def __init__(self, instant: datetime) -> None:
        self._instant = instant

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self._instant

    async def refresh(self) -> None:
        """Do nothing: only `advance` moves it."""

    def advance(self, step: timedelta) -> None:
        """Move forward by `step`."""
        self._instant += step


def machine_milliseconds() -> int:
    """Return the machine's milliseconds since the epoch: for what is measured, never for what is decided."""
    return time.time_ns() // 1_000_000


def to_milliseconds(instant: datetime) -> int:
    """Return milliseconds since the epoch, rounded down."""
    return (instant - _EPOCH) // _MILLISECOND


def from_milliseconds(milliseconds: int) -> datetime:
    """Return the UTC instant of milliseconds since the epoch."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def to_rfc3339(instant: datetime) -> str:
    """Return a UTC instant as RFC 3339 text with microseconds and `Z`."""
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
