"""Patience: trouble is waited out, stopping ends every wait, anything else is not trouble."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from services.runtime.errors import ConfigurationError, Stopping
from services.runtime.health import Health
from services.runtime.patience import Patience


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """Return an attempt that raises these, one after another, and then works."""
    left = list(errors)

    async def attempt() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return attempt


@pytest.fixture
def health() -> Health:
    """Give a health that has started."""
    health = Health(stall_seconds=30)
    health.started()
    return health


TROUBLES = [
    RedisConnectionError("refused"),
    OutOfMemoryError("full"),
    KafkaConnectionError("away"),
    ConnectionRefusedError("refused"),
    TimeoutError("slow"),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: type(trouble).__name__)
async def test_trouble_is_waited_out(health: Health, trouble: Exception) -> None:
    """The same attempt is made again until it works, and its result is returned."""
    assert await Patience(health, 10).until_done("reach Redis", failing(trouble, trouble)) == "done"
    assert health.ready() is None


@pytest.mark.parametrize("error", [ValueError("a defect"), ConfigurationError("one line"), KeyError("x")])
async def test_what_is_no_trouble_is_raised_at_once(health: Health, error: Exception) -> None:
    """A defect or a misconfiguration is not tried again."""
    with pytest.raises(type(error)):
        await Patience(health, 10).until_done("reach Redis", failing(error))


async def test_readiness_says_what_is_away_meanwhile(health: Health) -> None:
    """While an action is tried again, the process is not ready, and says why; afterwards it is."""
    reasons: list[str | None] = []
    attempt = failing(RedisConnectionError("refused"))

    async def watched() -> str:
        reasons.append(health.ready())
        return await attempt()

    await Patience(health, 10).until_done("reach Redis", watched)

    assert reasons == [None, "cannot reach Redis: ConnectionError: refused"]
    assert health.ready() is None


async def test_waits_double_up_to_a_bound(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between tries grow from 50 ms, twice each time, to the longest allowed."""
    waits: list[float] = []

    async def pause(_: Patience, seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(Patience, "pause", pause)
    await Patience(health, 300).until_done("publish", failing(*[TimeoutError()] * 6))

    assert waits == [0.05, 0.1, 0.2, 0.3, 0.3, 0.3]


async def test_stopping_ends_a_wait_at_once(health: Health) -> None:
    """Asked to stop, a process does not wait for what is away: this wait and every later one end with Stopping."""
    patience = Patience(health, 3_600_000)
    forever = failing(*[TimeoutError()] * 1_000)
    waiting = asyncio.create_task(patience.until_done("reach Redis", forever))
    pausing = asyncio.create_task(patience.pause(3_600))
    await asyncio.sleep(0.01)

    patience.stop()

    async with asyncio.timeout(1):
        for ended in (waiting, pausing, patience.pause(3_600), patience.until_done("reach Redis", forever)):
            with pytest.raises(Stopping):
                await ended
    assert patience.stopping


async def test_what_works_at_once_works_while_stopping(health: Health) -> None:
    """A last attempt is still made: what is committed may be published at a graceful stop."""
    patience = Patience(health, 10)
    patience.stop()

    assert await patience.until_done("publish", failing()) == "done"
