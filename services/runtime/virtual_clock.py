"""A time that all processes of a deployment share, and that stands still until somebody moves it: for rehearsals.

It is one key in Redis, in milliseconds since the epoch. Promises, each proven by `tests/runtime/test_clock.py`:
- It never goes backwards: not by a move, not for a process that hears of two moves in the wrong order, and not when the
  key is lost (a process that runs puts back what it knows).
- After a refresh the time is not older than what Redis held when the refresh began.
- A deployment has one time: a process with the machine's clock refuses to start where a virtual one is kept.

What a machine measures for itself stays real: waits, health, what Redis and Kafka keep and for how long.
"""

from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from services.runtime.clock import Clock, SystemClock, from_milliseconds, to_milliseconds, to_rfc3339
from services.runtime.errors import AddonflowError, ConfigurationError
from services.runtime.keys import clock_key


class ClockRefused(AddonflowError):  # noqa: N818 - named for what happened
    """The clock cannot be moved so; the message is one sentence for people."""


class VirtualClock:
    """The deployment's time as this process last heard of it; to be refreshed before it is first asked.

    The first process of a deployment starts it at the machine's time.
    """

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._key = clock_key(namespace)
        self._known_ms: int | None = None

    def now(self) -> datetime:
        """Return the instant heard of last."""
        if self._known_ms is None:
            raise RuntimeError("a virtual clock must be refreshed before it is asked")
        return from_milliseconds(self._known_ms)

    async def refresh(self) -> None:
        """Ask Redis. Raises what Redis raises, and ConfigurationError when the key holds something else than a time."""
        held = await self._redis.get(self._key)
        if held is None:
            first_ms = to_milliseconds(SystemClock().now()) if self._known_ms is None else self._known_ms
            held = await self._redis.set(self._key, first_ms, nx=True, get=True) or first_ms
        # Replies of two refreshes may overtake each other.
        self._known_ms = max(_milliseconds(self._key, held), self._known_ms or 0)


async def check_clock(redis: Redis, namespace: str, clock: Clock) -> None:
    """Raise ConfigurationError when a process with this clock would not live in the time of its deployment."""
    key = clock_key(namespace)
    virtual = isinstance(clock, VirtualClock)
    try:
        if virtual:
            await clock.refresh()
        elif await redis.exists(key):
            raise ConfigurationError(
                f"this deployment's time is virtual (key {key}): set ADDONFLOW_VIRTUAL_CLOCK=true, or remove the key "
                "if nothing was decided in the future"
            )
    except NoPermissionError as error:
        if virtual:  # where nobody may touch the key, nobody keeps a virtual time
            raise ConfigurationError(
                f"ADDONFLOW_VIRTUAL_CLOCK=true, but Redis denies the key {key}: {error}"
            ) from error


async def virtual_now(redis: Redis, namespace: str) -> datetime | None:
    """Return a deployment's virtual time, None where it uses the machines' clocks."""
    key = clock_key(namespace)
    held = await redis.get(key)
    return None if held is None else from_milliseconds(_milliseconds(key, held))


async def time_of(redis: Redis, namespace: str) -> datetime:
    """Return what time it is in a deployment: its virtual time, or where it keeps none the machine's."""
    return await virtual_now(redis, namespace) or SystemClock().now()


async def move_clock(redis: Redis, namespace: str, instant: datetime) -> None:
    """Set a deployment's virtual time, rounded down to milliseconds; ClockRefused when it stands later already.

    Where none is kept yet, it begins so: only before the first service starts, which would begin it otherwise.
    """
    key, milliseconds = clock_key(namespace), to_milliseconds(instant)

    async def set_unless_later(pipe: Any) -> None:
        held = await pipe.get(key)
        if held is not None and _milliseconds(key, held) > milliseconds:
            stands = to_rfc3339(from_milliseconds(_milliseconds(key, held)))
            raise ClockRefused(f"the clock stands at {stands} and never goes backwards, not to {to_rfc3339(instant)}")
        pipe.multi()
        pipe.set(key, milliseconds)

    await redis.transaction(set_unless_later, key)


def _milliseconds(key: str, held: bytes | str | int) -> int:
    try:
        return int(held)
    except ValueError as error:
        raise ConfigurationError(f"the key {key} holds {held!r}, not milliseconds since the epoch") from error
