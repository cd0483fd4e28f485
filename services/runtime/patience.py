"""Waits out infrastructure trouble: the same action again with bounded backoff, until it works or the process stops."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.runtime import metrics
from services.runtime.errors import TROUBLE, Stopping
from services.runtime.health import Health

log = logging.getLogger("addonflow.patience")
T = TypeVar("T")
_BACKOFF_SECONDS_MIN = 0.05


class Patience:
    """Kafka or Redis being away blocks the action and drops nothing; readiness says so meanwhile."""

    def __init__(self, health: Health, backoff_ms_max: int) -> None:
        self._health = health
        self._backoff_seconds_max = backoff_ms_max / 1_000
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Make every wait, now and later, end with Stopping."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether the process was asked to stop."""
        return self._stop.is_set()

    async def pause(self, seconds: float) -> None:
        """Sleep, or raise Stopping as soon as the process stops."""
        if self._stop.is_set():
            raise Stopping
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return
        raise Stopping

    async def until_done(self, action: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what `attempt` returns, trying again for as long as it meets trouble; Stopping when asked to stop.

        `action` names it for people: "cannot <action>: …" is what readiness says meanwhile.
        """
        wait = _BACKOFF_SECONDS_MIN
        while True:
            try:
                result = await attempt()
            except TROUBLE as error:
                metrics.TROUBLE.labels(action).inc()
                self._health.away(action, error)
                log.warning("cannot %s, trying again in %.2f s: %s: %s", action, wait, type(error).__name__, error)
                await self.pause(wait)
                wait = min(wait * 2, self._backoff_seconds_max)
            else:
                self._health.back(action)
                return result
