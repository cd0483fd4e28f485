"""The whole table: member × command × what the account has × account factors, against the design's rules as tables.

The expectation is written from the design alone and shares no rule with the policy. It orders the rules as the design
does: identity, role, account status, what the account has of the add-on, account factors.
"""

from collections.abc import Mapping
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses
from contracts.backoffice import CancelSubscription, DeclineQuote, EndTrial, GrantAddOn
from contracts.commands import DeclineFeature
from contracts.results import Action
from services.entitlements.account import Entitlements
from services.runtime.decision import Accepted, Rejected
from tests.entitlements.scenario import (
    ADD_ON,
    NOW,
    SUBSCRIPTION,
    account,
    asks,
    given,
    member,
    purchase,
    quote,
    request,
    says,
    staff,
    trial,
)
from tests.scenario import Scenario

BUY, QUOTE, TRY, REQUEST = Action.SUBSCRIBE_NOW, Action.REQUEST_QUOTE, Action.TRY_FOR_FREE, Action.REQUEST_FEATURE

MEMBERS = ("owner", "admin", "supervisor", "agent", "wizard", "removed owner", "stranger")
STATES = (
    "fresh",
    "purchased",
    "canceled",
    "ended",
    "granted",
    "grant over",
    "trial active",
    "trial used",
    "trial ended by staff",
    "quote pending",
    "quote declined",
    "quote expired",
    "requested by me",
    "declined to me",
)
ANNUAL_POUNDS: dict[str, Any] = {
    "currency": "GBP",
    "billing": Billing(frequency=BillingFrequency.ANNUAL, cycle_anchor=NOW.date()),
}
FACTORS: Mapping[str, dict[str, Any]] = {
    "self-service": {},
    "sales-managed": {"sales_managed": True},
    "too many seats": {"licenses": Licenses(standard=150, additional=51)},
    "no price in currency": {"currency": "CHF"},
    "no price in frequency": ANNUAL_POUNDS,
    "suspended": {"status": "suspended"},
    "closed": {"status": "closed"},
    "no payment method": {"payment_method_on_file": False},
}

# ------------------------------------------------------------------------------------------- the expectation, as tables

ROLE_MAY = {
    "owner": {BUY, QUOTE, TRY},
    "admin": {TRY, REQUEST},
    "supervisor": {REQUEST},
    "agent": set(),
    "wizard": set(),
}
NO_MEMBERS = {"removed owner", "stranger"}
NOT_ACTIVE = {"suspended", "closed"}
NEEDS_QUOTE = {"sales-managed", "too many seats", "no price in currency", "no price in frequency"}
REFUSED_BY_STATE = {
    **{(state, action): "already_purchased" for state in ("purchased", "canceled") for action in Action},
    ("granted", TRY): "change_not_allowed",
    ("trial ended by staff", TRY): "trial_already_used",
    ("trial active", TRY): "trial_active",
    ("trial used", TRY): "trial_already_used",
    ("quote pending", QUOTE): "quote_pending",
    ("requested by me", REQUEST): "already_requested",
}
REFUSED_BY_FACTOR = {
    **{(factor, BUY): "quote_required" for factor in NEEDS_QUOTE},
    ("self-service", QUOTE): "quote_not_offered",
    ("no payment method", QUOTE): "quote_not_offered",
    ("no payment method", BUY): "payment_method_required",
}


def expected(who: str, action: Action, state: str, factor: str) -> str | None:
    """Return the reason the design gives, None when the command takes effect."""
    if who in NO_MEMBERS:
        return "member_unknown"
    if action not in ROLE_MAY[who]:
        return "role_not_permitted"
    if factor in NOT_ACTIVE:
        return "account_not_active"
    if (state, action) in REFUSED_BY_STATE:
        return REFUSED_BY_STATE[state, action]
    if state == "quote pending" and action is BUY and factor in NEEDS_QUOTE:
        return "quote_pending"  # rather than to be told to request what is on its way
    return REFUSED_BY_FACTOR.get((factor, action))


# --------------------------------------------------------------------------------------------------------- the stories


def story_of(who: str, state: str, factor: str) -> Scenario[Entitlements]:
    """Bring the account into the state while that was possible, then let the facts be what the case says."""
    story = given(account(1, sales_managed=state.startswith("quote")), member("someone", "owner"))
    messages, later = _HISTORIES[state]
    for message in messages:
        story.when(message, cause_id="buy")
        assert isinstance(story.decision, Accepted), story.decision
    story.now += later
    return story.given(facts(factor), *([] if who == "stranger" else [_me(who)]))


_BOUGHT = (purchase("someone"),)
_CANCELED = (*_BOUGHT, staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="end_of_cycle"))
_TRIED, _QUOTED = (trial("someone"),), (quote("someone"),)
_GRANTED = (staff(GrantAddOn, until="2026-10-02"),)
_ASKED = (member("me", "supervisor"), request("me"))
_HISTORIES: Mapping[str, tuple[tuple[Any, ...], timedelta]] = {
    "fresh": ((), timedelta()),
    "purchased": (_BOUGHT, timedelta()),
    "canceled": (_CANCELED, timedelta()),
    "ended": (_CANCELED, timedelta(days=20)),
    "granted": (_GRANTED, timedelta(days=1)),
    "grant over": (_GRANTED, timedelta(days=2)),
    "trial active": (_TRIED, timedelta()),
    "trial used": (_TRIED, timedelta(days=14)),
    "trial ended by staff": ((*_TRIED, staff(EndTrial)), timedelta()),
    "quote pending": (_QUOTED, timedelta()),
    "quote declined": ((*_QUOTED, staff(DeclineQuote)), timedelta()),
    "quote expired": (_QUOTED, timedelta(days=30)),
    "requested by me": (_ASKED, timedelta()),
    "declined to me": ((*_ASKED, says(DeclineFeature, "someone", add_on=ADD_ON)), timedelta()),
}


def facts(factor: str) -> AccountUpdated:
    """Return the account as the factor makes it."""
    return account(2, **FACTORS[factor])


def _me(who: str) -> Any:
    removed = who == "removed owner"
    return member("me", "owner" if removed else who, revision=2, removed=removed)


CASES = [
    pytest.param(who, state, factor, id=f"{who}-{state}-{factor}")
    for who, state, factor in product(MEMBERS, STATES, FACTORS)
    if who != "stranger" or not state.endswith("me")  # who asked before is no stranger
]


@pytest.mark.parametrize(("who", "state", "factor"), CASES)
def test_every_command_is_answered_as_the_table_says(who: str, state: str, factor: str) -> None:
    """Each of the four commands is accepted or refused for the table's reason, and offers exactly what is accepted."""
    open_now = {action for action in Action if expected(who, action, state, factor) is None}
    for action in Action:
        story = story_of(who, state, factor).when(asks(action, "me"))
        reason = expected(who, action, state, factor)
        if reason is None:
            assert isinstance(story.decision, Accepted), (action, story.decision)
            assert story.emitted, action
        else:
            assert isinstance(story.decision, Rejected), (action, story.decision)
            assert story.decision.reason == reason, action
            assert set(story.decision.allowed_instead) == open_now, action


def test_the_table_has_every_case() -> None:
    """The cases are the whole product, but for strangers who have already asked."""
    assert len(CASES) * len(Action) == (7 * 14 - 2) * 8 * 4
