"""A process compares its clock with that of its Redis, and says so when they differ."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from services.runtime import metrics
from services.runtime.clock import ManualClock, SystemClock
from services.runtime.errors import ConfigurationError, Stopping
from services.runtime.health import Health
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.skew import Skew
from services.runtime.store import Store
from tests.runtime.logs import until

HOUR = timedelta(hours=1)


def skew_of(
    redis: Redis, *, ahead: timedelta = timedelta(0), health: Health | None = None, **settings: Any
) -> tuple[Skew, Patience, ManualClock]:
    """Return the comparison of a clock that stands so far ahead of this machine's, on which the Redis runs too."""
    clock = ManualClock(SystemClock().now() + ahead)
    made = Settings(log_check_ms=10, **settings)
    patience = Patience(health or Health(30), 20)
    return Skew(redis, made, patience, clock), patience, clock


async def test_clocks_that_agree_are_measured_and_taken(redis: Redis, store: Store) -> None:
    """A clock within the bound is no reason to refuse, and the gauge says by how much it differs, and which way."""
    await skew_of(redis)[0].check()
    assert abs(metrics.CLOCK_SKEW._value.get()) < 50
    await skew_of(redis, ahead=timedelta(seconds=-55))[0].check()
    assert -60 < metrics.CLOCK_SKEW._value.get() < -50


@pytest.mark.parametrize(("ahead", "way"), [(HOUR, "ahead of"), (-HOUR, "behind")])
async def test_a_process_whose_clock_differs_refuses_to_start(
    redis: Redis, store: Store, ahead: timedelta, way: str
) -> None:
    """One line says how far the clocks differ, which way, and what to set."""
    with pytest.raises(ConfigurationError, match=rf"3(600|599|601)\.\d s {way} that of Redis: set both") as refused:
        await skew_of(redis, ahead=ahead)[0].check()
    assert "ADDONFLOW_CLOCK_SKEW_SECONDS_MAX" in str(refused.value)


@pytest.mark.parametrize("settings", [{"clock_skew_seconds_max": 0}, {"virtual_clock": True}])
async def test_nothing_is_compared_where_nobody_wants_it(redis: Redis, settings: dict[str, Any]) -> None:
    """A bound of 0 turns the comparison off, and a virtual clock is no machine's."""
    await skew_of(redis, ahead=HOUR, **settings)[0].check()


async def test_a_user_that_may_not_ask_for_the_time_goes_without(redis: Redis, server_url: str, namespace: str) -> None:
    """Users of Redis from before this release lack the right: their processes start all the same."""
    await redis.execute_command("ACL", "SETUSER", namespace, "on", ">secret", "+@all", "-time", "~*")
    try:
        async with Redis.from_url(server_url, username=namespace, password="secret") as denied:
            await skew_of(denied, ahead=HOUR)[0].check()
    finally:
        await redis.execute_command("ACL", "DELUSER", namespace)


async def test_a_running_process_says_that_its_clock_went_wrong(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    """While the clocks differ it is not ready, says why and logs it; it is ready again when they agree."""
    health = Health(30)
    health.started()
    skew, patience, clock = skew_of(redis, health=health)
    watching = asyncio.create_task(skew.watch())
    with caplog.at_level(logging.WARNING, "addonflow"):
        clock.advance(HOUR)
        await until(lambda: (health.ready() or "").startswith("cannot trust its clock: ClockSkewed: "), "unready")
        assert "ahead of that of Redis" in caplog.text
        clock.advance(-HOUR)
        await until(lambda: health.ready() is None, "ready")
    patience.stop()
    with pytest.raises(Stopping):
        await watching
