"""State is the fold of the messages: another catalog changes nothing of what was said under an earlier one."""

from datetime import timedelta
from typing import Any

import pytest

from contracts.backoffice import ExtendTrial
from contracts.events import QuoteExpired, QuoteRequested, TrialEnded, TrialEndingSoon, TrialExtended, TrialStarted
from contracts.payload import Payload
from services.entitlements.account import QUOTE_END, TRIAL_END, Entitlements
from services.entitlements.domain import EntitlementsDecider
from services.runtime.decision import State
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CATALOG,
    DECIDER,
    NOW,
    UNLIKE,
    account,
    having,
    member,
    quote,
    staff,
    trial,
)
from tests.scenario import Scenario

NEW_FIELDS = {"expires_at", "notice_at"}


def decider(notice_days: int, quote_days: int) -> EntitlementsDecider:
    """Return a decider whose catalog has other periods."""
    add_on = CATALOG.add_ons[ADD_ON].model_copy(update={"trial_notice_days": notice_days})
    return EntitlementsDecider(CATALOG.model_copy(update={"quote_valid_days": quote_days, "add_ons": {ADD_ON: add_on}}))


def said(by: EntitlementsDecider) -> list[Payload]:
    """Return the events of a trial, its extension and a quote, decided by a catalog."""
    story: Scenario[Entitlements] = Scenario(by, ACCOUNT, NOW)
    having(story, account(sales_managed=True), member("owner"), quote(), trial())
    having(story, staff(ExtendTrial, ends_at=NOW + timedelta(days=20)))
    assert [type(event) for event in story.events] == [QuoteRequested, TrialStarted, TrialExtended]
    return story.events


def folded(by: EntitlementsDecider, events: list[Payload]) -> Entitlements:
    """Fold events as they were written and read again."""
    state: State[Entitlements] = State(ACCOUNT, by.initial())
    for event in events:
        state = by.evolve(state, type(event).model_validate_json(event.model_dump_json(exclude_none=True)))
    return state.document


def without_fields(events: list[Payload]) -> list[Any]:
    """Return events as they were written before they said when."""
    return [type(event).model_validate(event.model_dump(exclude=NEW_FIELDS)) for event in events]


@pytest.mark.parametrize("notice_days", [0, 3, 30])
def test_another_catalog_folds_to_the_same_state(notice_days: int) -> None:
    """When a trial is announced, or that it is not, and when a quote expires, is what was decided then."""
    then, events = decider(notice_days, 10), said(decider(notice_days, 10))
    for upto in range(len(events) + 1):
        for other in (decider(5, 60), UNLIKE):
            assert folded(other, events[:upto]) == folded(then, events[:upto])


def test_events_that_do_not_say_when_are_read_by_the_catalog() -> None:
    """A log from before the fields folds as it did, by the catalog."""
    then = decider(4, 20)
    events = said(then)
    assert folded(then, without_fields(events)) == folded(then, events)
    assert folded(decider(5, 60), without_fields(events)) == folded(decider(5, 60), said(decider(5, 60)))


def test_a_trial_that_began_without_a_notice_has_none_under_another_catalog() -> None:
    """What was decided to go unannounced ends unannounced, and a quote expires when its requester was told it would."""
    story: Scenario[Entitlements] = Scenario(decider(0, 10), ACCOUNT, NOW)
    having(story, account(sales_managed=True), member("owner"), quote(), trial())
    assert set(story.document.timers) == {f"{QUOTE_END}:{ADD_ON}", f"{TRIAL_END}:{ADD_ON}"}
    story.decider = DECIDER
    story.advance(timedelta(days=60))
    assert not story.emitted_of(TrialEndingSoon)
    assert len(story.emitted_of(TrialEnded)) == 1
    assert [event.expired_at for event in story.emitted_of(QuoteExpired)] == [NOW + timedelta(days=10)]
