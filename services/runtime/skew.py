"""Whether this machine's clock can be trusted: the processes of a deployment all compare theirs with their Redis's.

What happened when, which day a purchase is billed from, when a trial ends: each is told by the clock of the process
that decides. On machines whose clocks differ an account's story would be dated out of order, so a process whose clock
differs by more than `clock_skew_seconds_max` refuses to start; one that runs says that it is not ready, and goes on:
which of the two clocks is wrong, it cannot know. Proven by `tests/runtime/test_skew.py`.
"""

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from services.runtime import metrics
from services.runtime.clock import Clock, SystemClock, to_milliseconds
from services.runtime.cluster import everywhere
from services.runtime.errors import TROUBLE, ClockSkewed, ConfigurationError
from services.runtime.patience import Patience
from services.runtime.settings import Settings


class Skew:
    """Compares a clock with that of Redis, or of every node of a cluster.

    With `clock_skew_seconds_max` 0, or a virtual clock, with nothing.
    """

    def __init__(self, redis: Redis, settings: Settings, patience: Patience, clock: Clock | None = None) -> None:
        self._redis = redis
        self._settings = settings
        self._patience = patience
        self._clock = clock or SystemClock()

    async def check(self) -> None:
        """Raise ConfigurationError where the clocks differ too much to start; what Redis raises. Cost: one call."""
        try:
            await self._look()
        except ClockSkewed as error:
            raise ConfigurationError(
                f"{error}: set both by a time server, or allow it by ADDONFLOW_CLOCK_SKEW_SECONDS_MAX"
            ) from error

    async def watch(self) -> None:
        """Look every `log_check_ms` until the process stops; while the clocks differ too much it is not ready."""
        while True:
            await self._patience.pause(self._settings.log_check_ms / 1_000)
            await self._patience.until_done("trust its clock", self._look_while_redis_answers)

    async def _look_while_redis_answers(self) -> None:
        try:
            await self._look()
        except ClockSkewed:
            raise
        except TROUBLE:
            return  # that Redis is away is said by those who need it

    async def _look(self) -> None:
        most_ms = self._settings.clock_skew_seconds_max * 1_000
        if not most_ms or self._settings.virtual_clock:
            return
        before_ms = to_milliseconds(self._clock.now())
        try:
            times = await everywhere(self._redis, "TIME")
        except NoPermissionError:  # a user made by an earlier release may not ask
            return
        after_ms = to_milliseconds(self._clock.now())
        # They were asked somewhen between: what lies between is no difference.
        theirs = [seconds * 1_000 + microseconds // 1_000 for seconds, microseconds in times]
        ahead_ms = max((max(before_ms - each, 0) + min(after_ms - each, 0) for each in theirs), key=abs)
        metrics.CLOCK_SKEW.set(ahead_ms / 1_000)
        if abs(ahead_ms) > most_ms:
            way = "ahead of" if ahead_ms > 0 else "behind"
            raise ClockSkewed(f"this machine's clock is {abs(ahead_ms) / 1_000:.1f} s {way} that of Redis")
