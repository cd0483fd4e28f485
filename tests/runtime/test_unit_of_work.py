"""One account during one attempt: what its deliveries become, together one commit."""

import json
from typing import Any, cast

import pytest
from pydantic import BaseModel

from contracts import topics
from contracts.events import TrialEnded
from contracts.identity import derive_record_id
from contracts.results import CommandAccepted, CommandRejected
from contracts.topics import Topic
from services.runtime import codec
from services.runtime.clock import to_rfc3339
from services.runtime.decision import NeedsRows
from services.runtime.delivery import Delivery
from services.runtime.sequences import Arrival, Sequences
from services.runtime.store import Commit
from services.runtime.unit_of_work import ACCEPTED, IGNORED, REPEATED
from tests.runtime.counting import committed, said, stored, unit
from tests.runtime.toys import NOW, TOTAL, command, event, fact


def identity(cause_id: str, topic: Topic, sequence: int) -> str:
    """Return the id of what a command said on a topic."""
    return derive_record_id("acme", cause_id, topic.name, sequence, to_rfc3339(NOW))


def answers_in(commit: Commit) -> list[Any]:
    """Return the answers that a commit keeps."""
    return [codec.remembered(stored)[1] for stored in commit.inbox[1::2] if isinstance(stored, bytes)]


def test_a_command_becomes_state_event_answer_and_mark() -> None:
    """An accepted command is a commit: the changed document, its event and its answer, the inbox mark."""
    work = unit()

    assert work.handle(command("acme", "c1")) == ACCEPTED

    commit = committed(work)
    assert (commit.account_id, commit.expected_version) == ("acme", 0)
    assert json.loads(commit.document)["count"] == 1
    assert said(commit) == [
        (TrialEnded.ce_type, identity("c1", topics.EVENTS, 1), 1),
        (CommandAccepted.ce_type, identity("c1", topics.RESULTS, 1), 1),
    ]
    command_id, answer = cast(tuple[str, bytes], tuple(commit.inbox))
    assert command_id == "c1"
    digest, kept = codec.remembered(answer)
    assert digest == codec.digest_of(command("acme", "c1").message)  # type: ignore[arg-type]
    assert kept["events"] == [identity("c1", topics.EVENTS, 1)]


def test_all_of_a_batch_is_one_commit() -> None:
    """Three commands are one commit on the version loaded: the state after the last, every answer, all that was said.

    The records stand in the order of the commands, and their sequences have no hole.
    """
    work = unit()
    for number in (1, 2, 3):
        work.handle(command("acme", f"c{number}"))

    commit = committed(work)
    assert commit.expected_version == 0
    assert json.loads(commit.document)["causes"] == ["c1", "c2", "c3"]
    assert commit.inbox[::2] == ["c1", "c2", "c3"]
    assert [answer["command_id"] for answer in answers_in(commit)] == ["c1", "c2", "c3"]
    assert [record[1:] for record in said(commit)] == [
        (identity(f"c{number}", topic, number), number)
        for number in (1, 2, 3)
        for topic in (topics.EVENTS, topics.RESULTS)
    ]
    assert Sequences.load(commit.sequences).emitted == {topics.EVENTS.name: 3, topics.RESULTS.name: 3}


def test_a_thousand_commands_of_an_account_store_its_state_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What grows with a batch are its decisions and records: document, rows and sequences are put in form once."""
    work = unit()
    work.add_rows(["person:ann"], [None])
    for number in range(1_000):
        work.handle(command("acme", f"c{number}", "row"))
    stored_forms: list[str] = []
    to_json = codec.to_json

    def noted(model: BaseModel) -> bytes:
        stored_forms.append(type(model).__name__)
        return to_json(model)

    monkeypatch.setattr(codec, "to_json", noted)

    commit = committed(work)

    assert stored_forms == ["CounterDocument", "Counted"]
    assert list(commit.rows) == ["person:ann", b'{"count":1000}']
    assert len(commit.records) == 2_000
    assert len(commit.inbox) == 2_000


def test_nothing_decided_is_no_commit() -> None:
    """A unit whose deliveries were all repeated or ignored has nothing to write."""
    assert unit().commit() is None


def test_a_repeated_command_is_recognised() -> None:
    """A command answered before, in an earlier batch or in this one, is repeated: nothing more is written."""
    work = unit()
    work.mark_answered("c1")

    assert [work.handle(command("acme", name)) for name in ("c1", "c2", "c2")] == [REPEATED, ACCEPTED, REPEATED]
    commit = committed(work)
    assert commit.inbox[::2] == ["c2"]
    assert len(commit.records) == 2


def test_a_repeated_event_is_recognised() -> None:
    """A sequence applied before is repeated: nothing more is written."""
    work = unit()

    assert [work.handle(event("acme", number)) for number in (1, 2, 1, 2)] == [ACCEPTED, ACCEPTED, REPEATED, REPEATED]
    assert len(committed(work).records) == 2


@pytest.mark.parametrize(("numbers", "missing"), [((1, 4), "2-3"), ((1, 4, 2), "3"), ((1, 4, 2, 3), "")])
def test_a_gap_is_reported_as_it_is_at_the_end(numbers: tuple[int, ...], missing: str) -> None:
    """What is still missing travels with the commit, empty when it came late in the same batch, and is applied."""
    work = unit()
    for number in numbers:
        work.handle(event("acme", number))

    assert committed(work).gaps == [topics.EVENTS.name, missing]
    expected = [Arrival.AFTER_GAP, Arrival.FILLS_GAP, Arrival.FILLS_GAP][: len(numbers) - 1]
    assert [arrival for *_, arrival in work.arrivals] == expected
    assert work.state.document.count == len(numbers)


def test_a_trimmed_log_starts_where_it_starts() -> None:
    """The first sequence ever seen is the start: nothing is missing, and it is said."""
    work = unit()
    work.handle(event("acme", 40))

    assert committed(work).gaps == [topics.EVENTS.name, ""]
    assert work.arrivals == [(topics.EVENTS.name, 40, Arrival.START_OF_TRIMMED_LOG)]


def test_an_ignored_event_is_remembered_and_nothing_else() -> None:
    """Ignoring an event of a stream stores its sequence, so it is not decided again; no document, no record."""
    work = unit()

    assert work.handle(event("acme", 1, "ignore")) == IGNORED

    commit = committed(work)
    assert (commit.document, commit.rows, commit.records, commit.inbox) == (b"", [], [], [])
    assert Sequences.load(commit.sequences).applied[topics.EVENTS.name].highest == 1


def test_an_ignored_command_leaves_nothing() -> None:
    """What is ignored without a sequence (a stale fact) writes nothing at all."""
    work = unit()

    assert work.handle(command("acme", "c1", "ignore")) == IGNORED
    assert work.commit() is None


def test_a_type_of_a_newer_release_is_remembered() -> None:
    """An event without data keeps its place in the sequence and is never shown to the service."""
    work = unit()
    newer = event("acme", 1, "fail")._replace(message=None)

    assert work.handle(newer) == IGNORED
    assert work.handle(event("acme", 2)) == ACCEPTED
    assert committed(work).gaps == []


def test_rejections_for_an_unknown_account_leave_it_unknown() -> None:
    """They have answers and marks, no sequence, and the account is not written."""
    work = unit()

    for name in ("c1", "c2"):
        assert work.handle(command("acme", name, "reject")) == "add_on_unknown"

    commit = committed(work)
    assert (commit.expected_version, commit.sequences, commit.document, commit.rows) == (0, b"", b"", [])
    assert commit.inbox[::2] == ["c1", "c2"]
    assert [sequence for *_, sequence in said(commit)] == [0, 0]


def test_what_is_said_counts_from_when_the_account_is_known() -> None:
    """In one batch, what is said before a fact makes the account known has no sequence; all behind it counts from 1."""
    work = unit()
    for delivery in (
        command("acme", "c1", "reject"),
        command("acme", "c2", "reject"),
        fact("acme", "f1"),
        command("acme", "c3", "reject"),
        command("acme", "c4"),
    ):
        work.handle(delivery)

    commit = committed(work)
    rejected, ended, accepted = CommandRejected.ce_type, TrialEnded.ce_type, CommandAccepted.ce_type
    assert [(kind, sequence) for kind, _, sequence in said(commit)] == [
        (rejected, 0),
        (rejected, 0),
        (ended, 1),
        (rejected, 1),
        (ended, 2),
        (accepted, 2),
    ]
    assert json.loads(commit.document)["causes"] == ["f1", "c4"]
    assert commit.inbox[::2] == ["c1", "c2", "c3", "c4"]


@pytest.mark.parametrize("known_by", [event("acme", 1, "ignore"), command("acme", "c0", "note")], ids=["event", "row"])
def test_a_sequence_or_a_row_makes_an_account_known(known_by: Delivery) -> None:
    """An event of a stream, even one ignored, and a change of rows make the account known to what comes behind."""
    work = unit()
    work.handle(known_by)
    work.handle(command("acme", "c1", "reject"))

    commit = committed(work)
    assert commit.sequences
    assert said(commit)[-1][2] > 0


def test_a_rejection_for_a_known_account_is_counted() -> None:
    """On a known account the answer carries the next sequence of the results, and the account is written for it."""
    first = unit()
    first.handle(command("acme", "c1"))
    work = unit(stored(committed(first)))
    work.handle(command("acme", "c2", "reject"))

    commit = committed(work)
    assert [sequence for *_, sequence in said(commit)] == [2]
    assert (commit.expected_version, commit.document) == (1, b"")
    assert Sequences.load(commit.sequences).emitted[topics.RESULTS.name] == 2


def test_rows_are_written_as_they_are_at_the_end() -> None:
    """A row changed twice is written once; the next decision of the batch sees what the last one wrote."""
    work = unit()
    work.add_rows(["person:ann", "person:bob", "person:eve"], [b'{"count":5}', None, None])
    for number, who in enumerate(("ann", "bob", "ann")):
        work.handle(command("acme", f"c{number}", "row", who))

    assert committed(work).rows == ["person:ann", b'{"count":7}', "person:bob", b'{"count":1}']


def test_a_decision_may_ask_for_more_rows() -> None:
    """NeedsRows leaves no trace, and with the rows the same delivery is decided."""
    work = unit()
    asked = work.handle(command("acme", "c1", "ask"))
    assert asked == NeedsRows((TOTAL,))
    assert work.commit() is None

    work.add_rows((TOTAL,), [None])
    assert work.handle(command("acme", "c1", "ask")) == ACCEPTED
    assert committed(work).rows == [TOTAL, b'{"count":1}']


def test_rows_loaded_late_do_not_undo_what_was_changed() -> None:
    """A row that this unit changed stays as changed when it is loaded again from what is stored."""
    work = unit()
    work.add_rows((TOTAL,), [b'{"count":1}'])
    work.handle(command("acme", "c1", "ask"))
    work.add_rows((TOTAL,), [b'{"count":1}'])
    work.handle(command("acme", "c2", "ask"))

    assert committed(work).rows == [TOTAL, b'{"count":3}']


def test_a_second_attempt_says_the_same_things() -> None:
    """Ids derive from causes: the same deliveries on the same state give the same commit, to the byte."""
    attempts = []
    for _ in range(2):
        work = unit()
        for delivery in (command("acme", "c1"), event("acme", 3), command("acme", "c2", "reject")):
            work.handle(delivery)
        attempts.append(committed(work))

    assert attempts[0] == attempts[1]


def test_what_was_stored_is_gone_on_with() -> None:
    """A unit on what an earlier one committed goes on counting state, versions and sequences."""
    work = unit()
    work.handle(command("acme", "c1"))
    work.handle(event("acme", 1))
    later = unit(stored(committed(work)))

    assert later.handle(event("acme", 1)) == REPEATED
    assert later.handle(command("acme", "c2")) == ACCEPTED
    commit = committed(later)
    assert commit.expected_version == 1
    assert [sequence for *_, sequence in said(commit)] == [3, 2]
    assert json.loads(commit.document)["count"] == 3
