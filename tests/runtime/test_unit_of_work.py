"""One account during one attempt: what a delivery becomes, and that what fails leaves no trace."""

import json

import pytest

from contracts import topics
from contracts.events import TrialEnded
from contracts.identity import derive_id
from contracts.results import CommandAccepted
from services.runtime.decision import NeedsRows
from services.runtime.sequences import Arrival, Sequences
from services.runtime.unit_of_work import ACCEPTED, IGNORED, REPEATED, Delivery
from tests.runtime.counting import said, stored, unit
from tests.runtime.toys import TOTAL, command, event


def test_a_command_becomes_state_event_answer_and_mark() -> None:
    """An accepted command is one commit: the changed document, its event and its answer, the inbox mark."""
    work = unit()

    assert work.handle(command("acme", "c1")) == ACCEPTED

    (commit,) = work.commits
    assert (commit.account_id, commit.expected_version, commit.command_id) == ("acme", 0, "c1")
    assert json.loads(commit.document)["count"] == 1
    assert said(commit) == [
        (TrialEnded.ce_type, derive_id("acme", "c1", 1), 1),
        (CommandAccepted.ce_type, derive_id("acme", "c1", 0), 1),
    ]
    assert json.loads(commit.answer)["events"] == [derive_id("acme", "c1", 1)]


def test_commits_follow_each_other_on_the_state_left_behind() -> None:
    """Three commands of a batch expect versions 0, 1 and 2, count on, and their sequences have no hole."""
    work = unit()
    for number in (1, 2, 3):
        work.handle(command("acme", f"c{number}"))

    assert [commit.expected_version for commit in work.commits] == [0, 1, 2]
    assert [json.loads(commit.document)["count"] for commit in work.commits] == [1, 2, 3]
    assert [sequence for commit in work.commits for _, _, sequence in said(commit)] == [1, 1, 2, 2, 3, 3]
    assert (work.base_version, work.version) == (0, 3)


def test_a_repeated_command_is_recognised() -> None:
    """A command answered before, in an earlier batch or in this one, is repeated: no commit."""
    work = unit()
    work.mark_answered("c1")

    assert [work.handle(command("acme", name)) for name in ("c1", "c2", "c2")] == [REPEATED, ACCEPTED, REPEATED]
    assert len(work.commits) == 1


def test_a_repeated_event_is_recognised() -> None:
    """A sequence applied before is repeated: no commit."""
    work = unit()

    assert [work.handle(event("acme", number)) for number in (1, 2, 1, 2)] == [ACCEPTED, ACCEPTED, REPEATED, REPEATED]
    assert len(work.commits) == 2


def test_a_gap_is_reported_with_the_commit_that_saw_it_and_cleared_by_the_one_that_fills_it() -> None:
    """The text of what is missing travels with the commit; the late event is applied, and then it is empty."""
    work = unit()
    for number in (1, 4, 2, 3):
        work.handle(event("acme", number))

    topic = topics.EVENTS.name
    assert [commit.gaps for commit in work.commits] == [(), (topic, "2-3"), (topic, "3"), (topic, "")]
    assert [arrival for *_, arrival in work.arrivals] == [Arrival.AFTER_GAP, Arrival.FILLS_GAP, Arrival.FILLS_GAP]
    assert work.state.document.count == 4


def test_a_trimmed_log_starts_where_it_starts() -> None:
    """The first sequence ever seen is the start: nothing is missing, and it is said."""
    work = unit()
    work.handle(event("acme", 40))

    assert work.commits[0].gaps == (topics.EVENTS.name, "")
    assert work.arrivals == [(topics.EVENTS.name, 40, Arrival.START_OF_TRIMMED_LOG)]


def test_an_ignored_event_is_remembered_and_nothing_else() -> None:
    """Ignoring an event of a stream stores its sequence, so it is not decided again; no document, no record."""
    work = unit()

    assert work.handle(event("acme", 1, "ignore")) == IGNORED

    (commit,) = work.commits
    assert (commit.document, list(commit.rows), list(commit.records), commit.answer) == (b"", [], [], b"")
    assert Sequences.load(commit.sequences).applied[topics.EVENTS.name].highest == 1


def test_an_ignored_command_leaves_nothing() -> None:
    """What is ignored without a sequence (a stale fact) writes nothing at all."""
    work = unit()

    assert work.handle(command("acme", "c1", "ignore")) == IGNORED
    assert work.commits == []


def test_a_type_of_a_newer_release_is_remembered() -> None:
    """An event without data keeps its place in the sequence and is never shown to the service."""
    work = unit()
    newer = event("acme", 1, "fail")._replace(message=None)

    assert work.handle(newer) == IGNORED
    assert work.handle(event("acme", 2)) == ACCEPTED
    assert work.commits[1].gaps == ()


def test_a_rejection_for_an_unknown_account_leaves_it_unknown() -> None:
    """It has an answer and a mark, no sequence, and the account is not written."""
    work = unit()

    assert work.handle(command("acme", "c1", "reject")) == "add_on_unknown"

    (commit,) = work.commits
    assert (commit.sequences, commit.document, commit.command_id) == (b"", b"", "c1")
    assert [sequence for *_, sequence in said(commit)] == [0]
    assert work.version == 0


def test_a_rejection_for_a_known_account_is_counted() -> None:
    """On a known account the answer carries the next sequence of the results."""
    work = unit()
    work.handle(command("acme", "c1"))
    work.handle(command("acme", "c2", "reject"))

    assert [sequence for *_, sequence in said(work.commits[1])] == [2]
    assert work.commits[1].expected_version == 1


def test_rows_are_written_when_they_changed() -> None:
    """A row read and changed travels with the commit; the next decision of the batch sees what the last one wrote."""
    work = unit()
    work.add_rows(["person:ann"], [b'{"count":5}'])
    work.handle(command("acme", "c1", "row"))
    work.handle(command("acme", "c2", "count"))
    work.handle(command("acme", "c3", "row"))

    assert [list(commit.rows) for commit in work.commits] == [
        ["person:ann", b'{"count":6}'],
        [],
        ["person:ann", b'{"count":7}'],
    ]


def test_a_decision_may_ask_for_more_rows() -> None:
    """NeedsRows leaves no trace, and with the rows the same delivery is decided."""
    work = unit()
    asked = work.handle(command("acme", "c1", "ask"))
    assert asked == NeedsRows((TOTAL,))
    assert work.commits == []

    work.add_rows((TOTAL,), [None])
    assert work.handle(command("acme", "c1", "ask")) == ACCEPTED
    assert list(work.commits[0].rows) == [TOTAL, b'{"count":1}']


def test_rows_loaded_late_do_not_undo_what_was_changed() -> None:
    """A row that this unit changed stays as changed when it is loaded again from what is stored."""
    work = unit()
    work.add_rows((TOTAL,), [b'{"count":1}'])
    work.handle(command("acme", "c1", "ask"))
    work.add_rows((TOTAL,), [b'{"count":1}'])
    work.handle(command("acme", "c2", "ask"))

    assert list(work.commits[1].rows) == [TOTAL, b'{"count":3}']


BROKEN = {
    "the decision": command("acme", "broken", "fail"),
    "the evolution": command("acme", "broken", "fail-evolve"),
    "the answer": command("acme", "broken", "count", user_id="unanswerable"),
    "the stored form of a row": command("acme", "broken", "fail-store"),
    "an event's evolution": event("acme", 1, "fail-evolve"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_fails_leaves_no_trace(broken: Delivery) -> None:
    """When something of a service raises, state, versions and sequences are as if the delivery had never come."""
    work, untroubled = unit(), unit()
    for each in (work, untroubled):
        each.handle(command("acme", "c1"))

    with pytest.raises(ValueError, match=r"for you|serialize"):
        work.handle(broken)
    for each in (work, untroubled):
        each.handle(command("acme", "c2"))

    assert work.commits == untroubled.commits
    assert [sequence for commit in work.commits for *_, sequence in said(commit)] == [1, 1, 2, 2]


def test_a_failed_event_is_a_gap_for_those_behind_it() -> None:
    """An event that could not be decided was not applied: the next one says that it is missing."""
    work = unit()
    with pytest.raises(ValueError, match="for you"):
        work.handle(event("acme", 1, "fail"))
    work.handle(event("acme", 2))
    assert work.arrivals == [(topics.EVENTS.name, 2, Arrival.START_OF_TRIMMED_LOG)]

    work = unit()
    work.handle(event("acme", 1))
    with pytest.raises(ValueError, match="for you"):
        work.handle(event("acme", 2, "fail"))
    work.handle(event("acme", 3))
    assert work.commits[1].gaps == (topics.EVENTS.name, "2")


def test_a_second_attempt_says_the_same_things() -> None:
    """Ids derive from causes: the same deliveries on the same state give the same commits, to the byte."""
    attempts = []
    for _ in range(2):
        work = unit()
        for delivery in (command("acme", "c1"), event("acme", 3), command("acme", "c2", "reject")):
            work.handle(delivery)
        attempts.append(work.commits)

    assert attempts[0] == attempts[1]


def test_what_was_stored_is_gone_on_with() -> None:
    """A unit on what an earlier one committed goes on counting state, versions and sequences."""
    work = unit()
    work.handle(command("acme", "c1"))
    work.handle(event("acme", 1))
    later = unit(stored(work.commits))

    assert later.handle(event("acme", 1)) == REPEATED
    assert later.handle(command("acme", "c2")) == ACCEPTED
    assert later.commits[0].expected_version == 2
    assert [sequence for *_, sequence in said(later.commits[0])] == [3, 2]
    assert json.loads(later.commits[0].document)["count"] == 3
