"""A stored zone that this machine's zone data does not have any more: everything goes on, and nothing final is sold.

The account of these stories was in New York until the zone of its document became "Mars/Base".
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.backoffice import (
    ActivateAddOn,
    CancelSubscription,
    DeclineQuote,
    EndTrial,
    ExtendTrial,
    GrantAddOn,
    ModifySubscription,
)
from contracts.commands import ChangeDigest, DeclineFeature, SnoozeFeature
from contracts.events import AddOnPurchased, SubscriptionCanceled, SubscriptionModified, TrialEnded
from contracts.results import Action, Reason
from services.entitlements.account import Entitlements
from services.runtime.decision import Accepted, Rejected, State
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CONVERTING,
    NOW,
    SUBSCRIPTION,
    account,
    acme,
    asks,
    dollars,
    having,
    purchase,
    quote,
    refused,
    request,
    says,
    staff,
    subscribed,
    then_refused,
    trial,
)
from tests.entitlements.subscriptions import SEVENTY, subscription_of
from tests.scenario import Scenario

SUE = {"subscription_id": SUBSCRIPTION}
CHANGES = [
    staff(ActivateAddOn, unit_price=dollars(1500)),
    staff(ModifySubscription, licenses=SEVENTY, **SUE),
    staff(CancelSubscription, when="now", **SUE),
    staff(CancelSubscription, when="end_of_cycle", **SUE),
]
OTHERS = [
    staff(DeclineQuote),
    staff(ExtendTrial, ends_at=NOW + timedelta(days=20)),
    staff(EndTrial),
    staff(GrantAddOn, until="2026-11-01"),
    *(asks(action, "owner") for action in Action),
    request(),
    says(DeclineFeature, add_on=ADD_ON),
    says(SnoozeFeature, add_on=ADD_ON, until="2026-11-01"),
    says(ChangeDigest, cadence="weekly"),
]


def lost(story: Scenario[Entitlements]) -> Scenario[Entitlements]:
    """Have the stored zone, of the account and of all terms, be one that nobody knows."""
    return story.rewrite("America/New_York", "Mars/Base")


def test_a_purchase_is_refused_until_the_zone_is_known() -> None:
    """Its first day would be a guess, and purchases are final; a fact with a zone that is known lets it be bought."""
    story = then_refused(lost(acme()).when(purchase()), Reason.CHANGE_NOT_ALLOWED, Action.TRY_FOR_FREE)
    assert refused(story).message == (
        "Your account's time zone, Mars/Base, is not known any more: correct it, then subscribe to Analytics+."
    )
    (bought,) = having(story, account(2, timezone="Asia/Tokyo")).when(purchase()).emitted_of(AddOnPurchased)
    assert (bought.effective_date, bought.terms.timezone) == (date(2026, 10, 1), "Asia/Tokyo")


@pytest.mark.parametrize("command", CHANGES)
def test_staff_change_no_subscription_until_the_zone_is_known(command: Any) -> None:
    """What is charged or credited by the day waits for the account's zone."""
    story = acme(sales_managed=True).given(quote()) if isinstance(command, ActivateAddOn) else subscribed()
    then_refused(lost(story).when(command), Reason.CHANGE_NOT_ALLOWED)
    assert "time zone, Mars/Base, is not known any more" in refused(story).message
    sales_managed = isinstance(command, ActivateAddOn)
    having(story, account(2, timezone="America/New_York", sales_managed=sales_managed), command)


@pytest.mark.parametrize("command", [*CHANGES, *OTHERS])
@pytest.mark.parametrize("story", [acme, subscribed])
def test_every_command_is_answered(story: Any, command: Any) -> None:
    """Whatever the account has, each command is accepted, or refused with a sentence."""
    decision = lost(story()).when(command).decision
    assert isinstance(decision, Accepted) or (isinstance(decision, Rejected) and decision.message.endswith("."))


def test_what_needs_no_local_day_goes_on() -> None:
    """Quotes, trials and requests are accepted as ever, as they are counted by instants."""
    having(lost(acme(sales_managed=True)), quote(), trial(), request(), says(DeclineFeature, add_on=ADD_ON))


def test_what_is_owned_lasts_by_days_of_utc() -> None:
    """A subscription that ends is there until that day ends by UTC, and new again after it."""
    story = having(subscribed(), staff(CancelSubscription, when="end_of_cycle", **SUE))
    lost(story).now = datetime(2026, 10, 19, 23, 59, 59, tzinfo=UTC)
    then_refused(story.when(request()), Reason.ALREADY_PURCHASED)
    story.now = datetime(2026, 10, 20, tzinfo=UTC)
    having(story, request())


def test_a_new_zone_heals_the_account_and_its_subscription() -> None:
    """The fact is taken; days count by UTC until the period ends, and by the new zone from then on."""
    story = lost(subscribed())
    story.now = datetime(2026, 10, 1, 2, tzinfo=UTC)  # still September in New York
    (change,) = story.when(account(2, timezone="America/New_York")).emitted_of(SubscriptionModified)
    assert (change.licenses_from, change.terms_from) == (date(2026, 10, 1), date(2026, 10, 20))
    assert change.terms.timezone == "America/New_York"
    (end,) = story.when(staff(CancelSubscription, when="now", **SUE)).emitted_of(SubscriptionCanceled)
    assert end.effective_date == date(2026, 10, 1)


def test_a_closed_account_ends_what_it_has() -> None:
    """A fact that closes the account ends its subscription with the period, whatever was known of its zone."""
    (end,) = lost(subscribed()).when(account(2, status="closed", timezone="UTC")).emitted_of(SubscriptionCanceled)
    assert end.effective_date == date(2026, 10, 20)


def test_timers_come_to_rest() -> None:
    """A trial ends at its instant and lapses, as the account could not buy either; no timer is left."""
    story = lost(having(acme(), trial(add_on=CONVERTING))).advance(timedelta(days=7))
    assert [event.reason for event in story.emitted_of(TrialEnded)] == ["expired"]
    assert not story.emitted_of(AddOnPurchased)
    assert story.document.timers == {}


def test_what_was_agreed_for_later_begins_by_utc() -> None:
    """An event of a zone that was lost since is folded all the same: its first moment is the midnight of UTC."""
    offer = staff(ActivateAddOn, unit_price=dollars(1500), effective_date="2026-10-10")
    story = having(acme(sales_managed=True), trial(), quote()).when(offer)
    (bought,) = story.emitted_of(AddOnPurchased)
    read = AddOnPurchased.model_validate_json(bought.model_dump_json().replace("America/New_York", "Mars/Base"))
    state = story.decider.evolve(State(ACCOUNT, lost(story).document), read)
    subscription = state.document.add_ons[ADD_ON].subscription
    assert subscription is not None
    assert subscription.begins_at == datetime(2026, 10, 10, tzinfo=UTC)
    assert subscription_of(story).begins_at == datetime(2026, 10, 10, 4, tzinfo=UTC)
