"""Health: ready and alive by progress, and a restart is asked for only where it helps."""

import asyncio

import pytest

from services.runtime.health import Health, Waiting


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


def test_what_stands_still_too_long_makes_it_unready_and_later_dead(health: Health, loop: Loop) -> None:
    """What waits in the same place for longer than the bearable stall: not ready; three times as long: restart."""
    health.looked("Redis", {"relay of shard 3": Waiting(5, "7-0")})
    loop.seconds += 30
    health.looked("Redis", {"relay of shard 3": Waiting(5, "7-0")})
    assert health.ready() is None

    loop.seconds += 1
    health.looked("Redis", {"relay of shard 3": Waiting(7, "7-0")})
    assert health.ready() == "relay of shard 3: no progress for 31 s"
    assert health.alive() is None

    loop.seconds += 60
    health.looked("Redis", {"relay of shard 3": Waiting(7, "7-0")})
    assert health.alive() == "relay of shard 3: no progress for 91 s"


@pytest.mark.parametrize("now", [Waiting(5, "8-0"), Waiting(0, "7-0"), None])
def test_progress_ends_a_stall(health: Health, loop: Loop, now: Waiting | None) -> None:
    """Another place, nothing that waits, or a shard that is another process's now: the count begins anew."""
    health.looked("Redis", {"relay of shard 3": Waiting(5, "7-0")})
    loop.seconds += 1_000
    health.looked("Redis", {"relay of shard 3": Waiting(5, "7-0")})
    assert health.ready() is not None

    health.looked("Redis", {} if now is None else {"relay of shard 3": now})
    assert health.ready() is None


def test_one_that_stands_still_is_seen_among_many_that_do_not(health: Health, loop: Loop) -> None:
    """The progress of other shards hides no shard that stands still."""
    for second in range(40):
        health.looked("Redis", {"timers of shard 1": Waiting(1, second), "timers of shard 2": Waiting(1, "same")})
        loop.seconds += 1
    assert health.ready() == "timers of shard 2: no progress for 40 s"


def test_looking_that_ends_is_a_stall_itself(health: Health, loop: Loop) -> None:
    """When nobody looks any more, nothing is known to make progress: not ready, and dead after three times as long."""
    health.looked("Redis", {})
    loop.seconds += 31
    health.looked("Kafka", {})
    assert health.ready() == "looking at Redis: no progress for 31 s"
    loop.seconds += 60
    assert health.alive() is not None


def test_an_outage_is_no_stall(health: Health, loop: Loop) -> None:
    """What stands still because Kafka is away asks for no restart, however long, and has its time anew afterwards."""
    health.looked("Redis", {"relay of shard 3": Waiting(5, "7-0")})
    health.away("publish", OSError("broken"))
    loop.seconds += 1_000
    assert health.ready() == "cannot publish: OSError: broken"
    assert health.alive() is None

    health.back("publish")
    assert health.ready() is None
    loop.seconds += 31
    assert health.ready() is not None
