"""What a campaign says of itself, and when it has failed."""

from pathlib import Path

from tests.chaos.__main__ import lines
from tests.chaos.campaign.history import History, notes, operations
from tests.chaos.campaign.run import Report
from tests.chaos.checker.invariants import Violation


def test_a_campaign_passes_when_every_fault_struck_and_nothing_was_violated() -> None:
    """One hit of each fault that was dealt, and no violation."""
    report = Report(7, 1, struck=["process-killed", "poison"], hits={"process-killed": 3, "poison": 1})
    assert report.passed
    assert "--seed 7" in lines(report)[-1]


def test_a_fault_that_struck_nothing_fails_the_campaign_by_name() -> None:
    """A campaign proves nothing about a fault that only came while nothing was in flight."""
    report = Report(7, 1, struck=["process-killed", "poison"], hits={"process-killed": 3}, misses={"poison": 2})
    assert not report.passed
    assert any("struck nothing: poison" in line for line in lines(report))


def test_a_violation_fails_the_campaign_by_name() -> None:
    """The invariant's name is printed with what broke it."""
    report = Report(7, 1, violations=[Violation("one_outcome_per_command", "c-1 of acme has 2 answers")])
    assert not report.passed
    assert any("one_outcome_per_command: c-1 of acme has 2 answers" in line for line in lines(report))


def test_what_was_never_completed_is_indeterminate(tmp_path: Path) -> None:
    """An operation that was invoked and of which no more was heard may have had its effect."""
    history = History(tmp_path / "history.jsonl")
    done, lost = history.invoke("command", id="c-1"), history.invoke("command", id="c-2")
    history.complete(done, "ok", offset=3)
    history.note("hit", fault="poison")
    text = history.path.read_text("utf-8").splitlines()  # while it is still being written
    history.close()
    read = operations(text)
    assert (read[done].status, read[done].heard, read[lost].status) == ("ok", {"offset": 3}, "indeterminate")
    assert [each["fault"] for each in notes(text, "hit")] == ["poison"]
