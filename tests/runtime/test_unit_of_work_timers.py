"""Timers of one account: set and cleared with its state, and what came in between decides."""

from datetime import timedelta
from typing import Any

from services.runtime import codec
from services.runtime.sequences import Sequences
from services.runtime.store import Commit, Loaded
from services.runtime.unit_of_work import ACCEPTED, IGNORED, Delivery
from tests.runtime.counting import ALARM_MS, unit
from tests.runtime.toys import NOW, CounterDocument, command


def with_alarm(due_ms: int = ALARM_MS, count: int = 1) -> Loaded:
    """Return an account that wants to be woken."""
    document = CounterDocument(count=count, timers={"alarm": NOW + timedelta(milliseconds=due_ms - ALARM_MS)})
    return Loaded(3, Sequences().dump(), codec.to_json(document), [], [])


def test_timers_are_set_and_cleared_with_the_state() -> None:
    """A timer that the document names is set in the same commit, and cleared in the one that decides it."""
    work = unit()
    work.handle(command("acme", "c1", f"wake:{ALARM_MS}"))
    work.handle(Delivery.of_timer("acme", "alarm", ALARM_MS))

    assert [list(commit.timers) for commit in work.commits] == [["alarm", ALARM_MS], ["alarm", -1]]
    assert work.state.document.count == 2


def timer_commits(loaded: Loaded, due_ms: int = ALARM_MS) -> tuple[Any, list[Commit]]:
    """Deliver the timer `alarm` to an account; return outcome and commits."""
    work = unit(loaded)
    return work.handle(Delivery.of_timer("acme", "alarm", due_ms)), work.commits


def test_a_timer_cleared_meanwhile_is_only_removed() -> None:
    """When the document no longer names the timer, nothing happens and its entry is removed."""
    outcome, (commit,) = timer_commits(Loaded(3, Sequences().dump(), b'{"count":1}', [], []))

    assert outcome == IGNORED
    assert commit == Commit("acme", 3, timers=("alarm", -1))


def test_a_timer_set_again_meanwhile_does_not_fire_early() -> None:
    """When another process handled the timer and set it to later, the old instant is ignored, the new one kept."""
    outcome, (commit,) = timer_commits(with_alarm(ALARM_MS + 60_000))

    assert outcome == IGNORED
    assert commit == Commit("acme", 3, timers=("alarm", ALARM_MS + 60_000))


def test_a_timer_put_off_fires_later_than_the_document_says() -> None:
    """A timer that could not be decided comes again behind its instant, and is decided then."""
    outcome, (commit,) = timer_commits(with_alarm(), ALARM_MS + 60_000)

    assert outcome == ACCEPTED
    assert list(commit.timers) == ["alarm", -1]
