"""How a subscription ends with its account, and what an add-on is afterwards.

The account of these stories bought on 30 September 2026, in the period from 20 September to 20 October.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.backoffice import CancelSubscription, ModifySubscription
from contracts.events import SubscriptionCanceled
from contracts.results import Action, Reason
from services.entitlements.account import Entitlements
from services.entitlements.schedule import AddOnState
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    NOW,
    SUBSCRIPTION,
    account,
    acme,
    having,
    purchase,
    refused,
    request,
    staff,
    subscribed,
    then_refused,
)
from tests.entitlements.subscriptions import (
    ANNUAL,
    NEXT,
    SEVENTY,
    TODAY,
    billing,
    modified,
    subscription_of,
)


def canceled(effective_date: date, **more: Any) -> SubscriptionCanceled:
    """Return the end of the subscription with its account."""
    return SubscriptionCanceled(
        account_id=ACCOUNT,
        add_on=ADD_ON,
        subscription_id=SUBSCRIPTION,
        canceled_at=NOW,
        effective_date=effective_date,
        cause="account_closed",
        **more,
    )


def test_a_closed_account_keeps_what_is_paid() -> None:
    """Closing cancels with the end of the current period; neither a later fact nor reopening says it again."""
    story = subscribed().when(account(2, status="closed", licenses=SEVENTY)).then(canceled(NEXT))
    story.when(account(3, status="closed"), account(4)).then_nothing()
    assert subscription_of(story).ends_on == NEXT


def test_a_closed_account_keeps_what_staff_ended_earlier() -> None:
    """A subscription that already ends is not canceled again."""
    story = having(subscribed(), staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="end_of_cycle"))
    story.when(account(2, status="closed")).then_nothing()


def test_seats_follow_until_the_end_and_terms_do_not() -> None:
    """A canceled subscription is used until its last day: more seats count; another cycle would never begin."""
    story = having(subscribed(), staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="end_of_cycle"))
    story.when(account(2, billing=billing(ANNUAL))).then_nothing()
    story.when(account(3, licenses=SEVENTY, billing=billing(ANNUAL))).then(modified(terms={"licenses": SEVENTY}))
    assert subscription_of(story).ends_on == NEXT
    story.now = datetime(2026, 10, 20, 4, tzinfo=UTC)
    story.when(account(4)).then_nothing()


def test_after_its_end_an_add_on_is_new_again() -> None:
    """Until the last local day it is purchased; from `effective_date` on it may be requested and bought, once more."""
    story = having(acme(), request()).when(purchase(), cause_id="buy")
    having(story, staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="end_of_cycle"))
    story.now = datetime(2026, 10, 20, 3, 59, 59, tzinfo=UTC)
    for command in (purchase(), request()):
        then_refused(story.when(command), Reason.ALREADY_PURCHASED)
    story.now += timedelta(seconds=1)
    having(story, request(), purchase())
    assert story.document.add_ons[ADD_ON].subscription_id != SUBSCRIPTION
    assert subscription_of(story).terms_from == NEXT


def test_who_ended_today_may_buy_today() -> None:
    """Canceled as of today, an add-on is bought again today as another subscription."""
    story = having(subscribed(), staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="now"), purchase())
    assert subscription_of(story).terms_from == TODAY
    assert subscription_of(story).ends_on is None


# -------------------------------------------------------------------------------------------- state of an older release


def test_a_subscription_without_terms_stays_as_it_is() -> None:
    """What was stored before terms were kept is purchased, follows nothing, and staff are told what to do."""
    story = acme()
    story.given(account(2))
    document = story.document.model_copy(update={"add_ons": {ADD_ON: AddOnState(subscription_id="s-1")}})
    story._document = document.model_dump_json(exclude_none=True).encode()
    then_refused(story.when(purchase()), Reason.ALREADY_PURCHASED)
    story.when(account(3, licenses=SEVENTY)).then_nothing()
    story.when(account(4, status="closed")).then_nothing()
    for command in (
        staff(CancelSubscription, subscription_id="s-1", when="now"),
        staff(ModifySubscription, subscription_id="s-1", licenses={"standard": 1}),
    ):
        then_refused(story.when(command), Reason.CHANGE_NOT_ALLOWED)
        assert "rebuild" in refused(story).message


def test_a_document_of_the_first_release_still_loads() -> None:
    """What the first release stored is read, with everything it did not know at its default."""
    stored = {"account": None, "add_ons": {ADD_ON: {"subscription_id": "s-1", "quote_id": "q-1"}}}
    has = Entitlements.model_validate(stored).add_ons[ADD_ON]
    assert has == AddOnState(subscription_id="s-1", quote_id="q-1")
    assert has.is_purchased(date.max)
    assert Action.SUBSCRIBE_NOW not in refused(acme().given(purchase()).when(purchase())).allowed_instead
