"""Health: ready and alive by progress, and a restart is asked for only where it helps."""

import asyncio

import pytest

from services.runtime.health import Health


class Loop:
    """Stands for the event loop's clock."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = 1_000.0
        patch.setattr(asyncio, "get_running_loop", lambda: self)

    def time(self) -> float:
        """Return the seconds."""
        return self.seconds


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    """Give a clock that the test moves."""
    return Loop(monkeypatch)


@pytest.fixture
def health() -> Health:
    """Give a health that bears a stall of 30 seconds, started."""
    health = Health(stall_seconds=30)
    health.started()
    return health


def test_a_process_is_not_ready_before_it_takes_part() -> None:
    """Until it has joined its group and heard the log it is starting, alive, and says what it waits for."""
    health = Health(stall_seconds=30)
    assert health.ready() == "starting: hearing what is in the log"

    health.away("reach Redis", ConnectionRefusedError("refused"))
    assert health.ready() == "starting: ConnectionRefusedError: refused"
    assert health.alive() is None

    health.back("reach Redis")
    health.started()
    assert health.ready() is None


def test_what_is_away_makes_it_unready_and_not_dead(health: Health) -> None:
    """Kafka or Redis away is said by name until it is back, and never asks for a restart."""
    health.away("reach Redis", TimeoutError("10 s"))
    health.away("publish", OSError("broken"))
    assert health.ready() == "cannot reach Redis: TimeoutError: 10 s"
    assert health.alive() is None

    health.back("reach Redis")
    assert health.ready() == "cannot publish: OSError: broken"
    health.back("publish")
    assert health.ready() is None


def test_records_that_wait_too_long_make_it_unready_and_later_dead(health: Health, loop: Loop) -> None:
    """No progress for longer than the bearable stall: not ready; for three times as long: restart."""
    health.behind(5)
    loop.seconds += 30
    assert health.ready() is None

    loop.seconds += 1
    health.behind(7)
    assert health.ready() == "no progress for 31 s"
    assert health.alive() is None

    loop.seconds += 60
    assert health.alive() == "no progress for 91 s"


def test_progress_ends_a_stall(health: Health, loop: Loop) -> None:
    """Handled records, or none waiting, start the count anew."""
    for progress in (health.progressed, lambda: health.behind(0)):
        health.behind(5)
        loop.seconds += 1_000
        assert health.ready() is not None
        progress()
        assert health.ready() is None
        health.behind(5)
        assert health.ready() is None
        health.progressed()
