"""How a subscription ends with its account, and what an add-on is afterwards.

The account of these stories bought on 30 September 2026, in the period from 20 September to 20 October.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.backoffice import ActivateAddOn, CancelSubscription, ModifySubscription
from contracts.events import AddOnPurchased, SubscriptionCanceled, SubscriptionModified
from contracts.results import Reason
from services.entitlements.account import Entitlements
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    NOW,
    SUBSCRIPTION,
    account,
    acme,
    dollars,
    having,
    purchase,
    quote,
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
from tests.scenario import Scenario


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
    assert subscription_of(story).id != SUBSCRIPTION
    assert subscription_of(story).terms_from == NEXT


def test_who_ended_today_may_buy_today() -> None:
    """Canceled as of today, an add-on is bought again today as another subscription."""
    story = having(subscribed(), staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="now"), purchase())
    assert subscription_of(story).terms_from == TODAY
    assert subscription_of(story).ends_on is None


# ----------------------------------------------------------------------------------------------------- a clock set back


def canceled_on_the_21st(when: str) -> Scenario[Entitlements]:
    """Begin a story with a subscription that staff canceled on 21 October, and a clock then set back two days."""
    story = subscribed()
    story.now = datetime(2026, 10, 21, 12, tzinfo=UTC)
    having(story, staff(CancelSubscription, subscription_id=SUBSCRIPTION, when=when))
    story.now -= timedelta(days=2)
    return story


def test_seats_follow_on_no_day_that_an_end_left_behind() -> None:
    """What ended at once follows nothing by a clock set back: no day is left on which other seats could count."""
    canceled_on_the_21st("now").when(account(2, licenses=SEVENTY)).then_nothing()


def test_an_end_moves_no_day_back() -> None:
    """Decided by a clock set back, seats count from the day the end was decided on; so does an earlier end."""
    story = canceled_on_the_21st("end_of_cycle")
    (seats,) = story.when(account(2, licenses=SEVENTY)).emitted_of(SubscriptionModified)
    assert (seats.licenses_from, seats.terms_from) == (date(2026, 10, 21), date(2026, 11, 20))
    (end,) = story.when(staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="now")).emitted_of(
        SubscriptionCanceled
    )
    assert end.effective_date == date(2026, 10, 21)


def test_what_ended_at_once_ends_no_earlier() -> None:
    """A second cancellation by a clock set back is refused: it would give back days that were used."""
    story = canceled_on_the_21st("now").when(staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="now"))
    then_refused(story, Reason.CHANGE_NOT_ALLOWED)


# --------------------------------------------------------------------------------------------- before the first day

NOVEMBER = date(2026, 11, 1)


def agreed() -> Scenario[Entitlements]:
    """Begin a story with a subscription that staff activated from 1 November on."""
    offer = staff(ActivateAddOn, unit_price=dollars(1500), effective_date=NOVEMBER)
    return having(acme(sales_managed=True), quote(), offer)


def cancels(story: Scenario[Entitlements], when: str) -> CancelSubscription:
    """Return staff's end of the add-on's subscription."""
    return staff(CancelSubscription, subscription_id=subscription_of(story).id, when=when)


@pytest.mark.parametrize("when", ["now", "end_of_cycle"])
def test_what_staff_cancel_before_its_first_day_ends_on_that_day(when: str) -> None:
    """Nothing of it is used, so nothing of it stays: neither today's end nor that of a period is its end."""
    story = agreed()
    (end,) = story.when(cancels(story, when)).emitted_of(SubscriptionCanceled)
    assert end.effective_date == NOVEMBER
    then_refused(story.when(cancels(story, when)), Reason.CHANGE_NOT_ALLOWED)
    assert refused(story).message == "The subscription was canceled before it began: nothing is left to end."


@pytest.mark.parametrize("earlier", [[], [staff(ModifySubscription, subscription_id=SUBSCRIPTION, licenses=SEVENTY)]])
def test_an_account_closed_before_the_first_day_ends_it_on_that_day(earlier: list[Any]) -> None:
    """Whatever staff changed meanwhile, a closed account keeps no period that has not begun."""
    story = agreed()
    for each in earlier:
        having(story, each.model_copy(update={"subscription_id": subscription_of(story).id}))
    story.now += timedelta(days=20)
    (end,) = story.when(account(2, status="closed")).emitted_of(SubscriptionCanceled)
    assert (end.effective_date, end.cause) == (NOVEMBER, "account_closed")
    story.when(account(3, status="closed"), account(4)).then_nothing()


def test_from_its_first_day_on_a_subscription_ends_with_its_period() -> None:
    """At the midnight that begins the first day, in its own zone, there is a period that is paid and used."""
    for hour, ends_on in ((3, NOVEMBER), (4, date(2026, 11, 20))):
        story = agreed()
        story.now = datetime(2026, 11, 1, hour, tzinfo=UTC)
        (end,) = story.when(account(2, status="closed")).emitted_of(SubscriptionCanceled)
        assert end.effective_date == ends_on


def test_what_never_began_follows_nothing() -> None:
    """Canceled before its first day, a subscription has no day on which other seats could count."""
    story = agreed()
    having(story, cancels(story, "now"))
    story.when(account(2, sales_managed=True, licenses=SEVENTY)).then_nothing()


def test_what_never_began_is_in_nobodys_way() -> None:
    """Canceled before its first day, the add-on is new again at once, and may begin today."""
    story = agreed()
    having(story, cancels(story, "end_of_cycle"), request(), quote())
    first = staff(ActivateAddOn, unit_price=dollars(1400), effective_date=TODAY)
    (again,) = having(story).when(first).emitted_of(AddOnPurchased)
    assert (again.effective_date, subscription_of(story).ends_on) == (TODAY, None)


def test_what_never_began_hides_no_day_of_the_one_before() -> None:
    """Days that an earlier subscription covered stay its own, whatever was agreed and canceled after it."""
    story = subscribed()
    having(story, cancels(story, "end_of_cycle"))
    story.now = datetime(2026, 10, 21, tzinfo=UTC)
    offer = staff(ActivateAddOn, unit_price=dollars(1500), effective_date=NOVEMBER)
    having(story, account(2, sales_managed=True), quote(), offer)
    having(story, account(3, sales_managed=True, licenses=SEVENTY), cancels(story, "now"), quote())
    then_refused(story.when(offer.model_copy(update={"effective_date": date(2026, 10, 19)})), Reason.CHANGE_NOT_ALLOWED)
    assert refused(story).message.startswith("An earlier subscription covers the days before 2026-10-20")
    story.now = datetime(2026, 10, 19, 12, tzinfo=UTC)  # a clock set back
    then_refused(story.when(request()), Reason.ALREADY_PURCHASED)
    story.now = datetime(2026, 10, 21, tzinfo=UTC)
    having(story, offer.model_copy(update={"effective_date": NEXT}))
