"""How a subscription ends with its account, and what an add-on is afterwards.

The account of these stories bought on 30 September 2026, in the period from 20 September to 20 October.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.backoffice import ActivateAddOn, CancelSubscription
from contracts.events import SubscriptionCanceled, SubscriptionModified
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


def test_what_never_began_follows_nothing() -> None:
    """Canceled before its first day, a subscription has no day on which other seats could count."""
    offer = staff(ActivateAddOn, unit_price=dollars(1500), effective_date="2026-11-01")
    story = having(acme(sales_managed=True), quote(), offer)
    having(story, staff(CancelSubscription, subscription_id=subscription_of(story).id, when="now"))
    story.when(account(2, sales_managed=True, licenses=SEVENTY)).then_nothing()
