"""Timers of one account: set and cleared with its state, and what came in between decides."""

from datetime import timedelta
from typing import Any

import pytest

from services.runtime import codec
from services.runtime.delivery import Delivery
from services.runtime.sequences import Sequences
from services.runtime.store import Commit, Loaded
from services.runtime.unit_of_work import ACCEPTED, IGNORED
from tests.runtime.counting import ALARM_MS, committed, unit
from tests.runtime.toys import NOW, CounterDocument, command


def with_alarm(due_ms: int = ALARM_MS, count: int = 1) -> Loaded:
    """Return an account that wants to be woken."""
    document = CounterDocument(count=count, timers={"alarm": NOW + timedelta(milliseconds=due_ms - ALARM_MS)})
    return Loaded(3, Sequences().dump(), codec.to_json(document), [], [])


def timers_of(*deliveries: Delivery, loaded: Loaded | None = None) -> list[str | int]:
    """Return the timers in the one commit of these deliveries."""
    work = unit(loaded) if loaded else unit()
    for each in deliveries:
        work.handle(each)
    return list(committed(work).timers)


ALARM = Delivery.of_timer("acme", "alarm", ALARM_MS)


def test_a_timer_is_set_with_the_state() -> None:
    """A timer that the document names is set in the same commit."""
    assert timers_of(command("acme", "c1", f"wake:{ALARM_MS}")) == ["alarm", ALARM_MS]


def test_a_timer_that_fired_is_cleared_with_the_state() -> None:
    """The commit that decides a timer removes it."""
    work = unit(with_alarm())

    assert work.handle(ALARM) == ACCEPTED

    assert list(committed(work).timers) == ["alarm", -1]
    assert work.state.document.count == 2


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ((command("acme", "c1", f"wake:{ALARM_MS}"), ALARM), -1),
        ((ALARM, command("acme", "c1", f"wake:{ALARM_MS}")), ALARM_MS),
        ((ALARM, command("acme", "c1", f"wake:{ALARM_MS + 1}")), ALARM_MS + 1),
        ((command("acme", "c1", f"wake:{ALARM_MS + 1}"), command("acme", "c2", f"wake:{ALARM_MS}")), ALARM_MS),
        ((command("acme", "c1", f"wake:{ALARM_MS + 1}"), ALARM), ALARM_MS + 1),
    ],
    ids=["set and fired", "fired and set as before", "fired and set", "set and set as before", "set again before it"],
)
def test_the_last_word_on_a_timer_counts(batch: tuple[Delivery, Delivery], expected: int) -> None:
    """Of all that happens to a timer in a batch the commit says what it came to, also what it had been before."""
    assert timers_of(*batch, loaded=with_alarm()) == ["alarm", expected]


def timer_commit(loaded: Loaded, due_ms: int = ALARM_MS) -> tuple[Any, Commit]:
    """Deliver the timer `alarm` to an account; return outcome and commit."""
    work = unit(loaded)
    return work.handle(Delivery.of_timer("acme", "alarm", due_ms)), committed(work)


def test_a_timer_cleared_meanwhile_is_only_removed() -> None:
    """When the document no longer names the timer, nothing happens and its entry is removed."""
    outcome, commit = timer_commit(Loaded(3, Sequences().dump(), b'{"count":1}', [], []))

    assert outcome == IGNORED
    assert commit == Commit("acme", 3, rows=[], inbox=[], records=[], timers=["alarm", -1], gaps=[])


def test_a_timer_set_again_meanwhile_does_not_fire_early() -> None:
    """When another process handled the timer and set it to later, the old instant is ignored, the new one kept."""
    outcome, commit = timer_commit(with_alarm(ALARM_MS + 60_000))

    assert outcome == IGNORED
    assert commit == Commit("acme", 3, rows=[], inbox=[], records=[], timers=["alarm", ALARM_MS + 60_000], gaps=[])


def test_a_timer_that_cannot_be_decided_is_put_off_with_the_rest() -> None:
    """The account's commit says when the failed timer comes again, beside what else happened; the state keeps it."""
    work = unit(with_alarm(count=13))
    with pytest.raises(ValueError, match="thirteen"):
        work.handle(ALARM)
    work.handle(command("acme", "c1"))
    work.put_off("alarm", ALARM_MS + 60_000)

    commit = committed(work)
    assert list(commit.timers) == ["alarm", ALARM_MS + 60_000]
    assert (commit.expected_version, len(commit.records)) == (3, 2)
    assert work.state.document.timers == {"alarm": NOW}


def test_a_timer_that_was_only_put_off_leaves_the_account_unwritten() -> None:
    """Nothing but the timer's new instant is committed, on the version that was loaded."""
    work = unit(with_alarm())
    work.put_off("alarm", ALARM_MS + 60_000)

    assert committed(work) == Commit(
        "acme", 3, rows=[], inbox=[], records=[], timers=["alarm", ALARM_MS + 60_000], gaps=[]
    )


def test_what_the_account_says_of_a_timer_goes_before_putting_it_off() -> None:
    """A timer that failed, and was set to another instant in the same batch, is due at that one."""
    work = unit(with_alarm(count=13))
    with pytest.raises(ValueError, match="thirteen"):
        work.handle(ALARM)
    work.handle(command("acme", "c1", f"wake:{ALARM_MS + 10_000}"))
    work.put_off("alarm", ALARM_MS + 60_000)

    assert list(committed(work).timers) == ["alarm", ALARM_MS + 10_000]


def test_a_timer_put_off_fires_later_than_the_document_says() -> None:
    """A timer that could not be decided comes again behind its instant, and is decided then."""
    outcome, commit = timer_commit(with_alarm(), ALARM_MS + 60_000)

    assert outcome == ACCEPTED
    assert list(commit.timers) == ["alarm", -1]
