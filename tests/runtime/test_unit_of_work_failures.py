"""One account during one attempt: what fails leaves no trace in the account's commit."""

import pytest

from contracts import topics
from contracts.events import TrialEnded
from contracts.payload import Payload
from services.runtime.decision import Accepted
from services.runtime.delivery import Delivery
from services.runtime.errors import RecordTooLarge
from services.runtime.sequences import Arrival
from tests.runtime.counting import committed, said, unit
from tests.runtime.toys import NOW, CounterDecider, command, event


class StrayEvent(Payload):
    """An event that no topic carries."""

    ce_type = "addons.Stray.v1"


BROKEN = {
    "the decision": command("acme", "broken", "fail"),
    "the evolution": command("acme", "broken", "fail-evolve"),
    "the answer": command("acme", "broken", "count", user_id="unanswerable"),
    "the stored form of a row": command("acme", "broken", "fail-store"),
    "the stored form of the document": command("acme", "broken", "fail-document"),
    "what is said": command("acme", "broken", "fail-large"),
    "an event's evolution": event("acme", 8, "fail-evolve"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_what_fails_leaves_no_trace(broken: Delivery) -> None:
    """When something of a service raises, all of the commit is as if the delivery had never come.

    What came before it and what comes behind it keep their effect.
    """
    work, untroubled = unit(careful=True), unit()
    for each in (work, untroubled):
        each.handle(command("acme", "c1"))
        each.handle(event("acme", 7))

    with pytest.raises((ValueError, RecordTooLarge), match=r"for you|serialize|the limit is"):
        work.handle(broken)
    assert work.commit() == untroubled.commit()
    for each in (work, untroubled):
        each.handle(command("acme", "c2"))

    assert work.commit() == untroubled.commit()
    assert [sequence for *_, sequence in said(committed(work))] == [1, 1, 2, 3, 2]


def test_an_event_nobody_may_emit_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the second of two events has no topic, the first has not been counted."""
    both = TrialEnded(account_id="acme", add_on="ai", ended_at=NOW, reason="expired"), StrayEvent(account_id="acme")
    work, untroubled = unit(), unit()
    with monkeypatch.context() as other:
        other.setattr(CounterDecider, "decide", lambda *_: Accepted(both))
        with pytest.raises(KeyError):
            work.handle(command("acme", "c1"))
    for each in (work, untroubled):
        each.handle(command("acme", "c2"))

    assert work.commit() == untroubled.commit()


@pytest.mark.parametrize("wish", ["fail-store", "fail-document"])
def test_what_cannot_be_stored_is_found_at_the_latest_by_the_commit(wish: str) -> None:
    """A unit that does not try each delivery raises when it is asked for its commit, not when it is written."""
    work = unit()
    work.handle(command("acme", "c1", wish))

    with pytest.raises(ValueError, match="serialize"):
        work.commit()


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
    assert committed(work).gaps == [topics.EVENTS.name, "2"]
