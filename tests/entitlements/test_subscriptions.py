"""A subscription follows its account: seats at once, other terms from the next period on, and its end with the account.

The account of these stories bought on 30 September 2026, in the period from 20 September to 20 October.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.backoffice import ActivateAddOn, ModifySubscription
from contracts.events import SubscriptionModified, Terms
from services.runtime.decision import Accepted
from tests.entitlements.scenario import (
    ADD_ON,
    SUBSCRIPTION,
    account,
    acme,
    dollars,
    having,
    purchase,
    quote,
    staff,
    subscribed,
)
from tests.entitlements.subscriptions import (
    ANNUAL,
    MONTHLY,
    NEXT,
    SEVENTY,
    TERMS,
    YEARLY,
    billing,
    modified,
    subscription_of,
)

# --------------------------------------------------------------------------------------------------------------- seats


def test_seats_change_at_once() -> None:
    """Seats of the account are those of the subscription from the local date on which they changed, and stay."""
    story = subscribed().when(account(2, licenses=SEVENTY)).then(modified(terms={"licenses": SEVENTY}))
    assert subscription_of(story).next_terms is None
    assert subscription_of(story).terms.licenses == SEVENTY


def test_the_day_of_a_change_is_the_accounts_own() -> None:
    """In the evening of New York it is still the day that is over in UTC."""
    story = subscribed()
    story.now = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
    story.when(account(2, licenses=SEVENTY)).then(modified(modified_at=story.now, terms={"licenses": SEVENTY}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"name": "Acme Inc."},
        {"payment_method_on_file": False},
        {"sales_managed": True},
        {"status": "suspended"},
    ],
)
def test_what_a_price_does_not_depend_on_changes_no_subscription(changes: dict[str, Any]) -> None:
    """A newer fact with the same seats, cycle, zone and currency is remembered, and no more; so is a suspension."""
    assert isinstance(subscribed().when(account(2, **changes)).then_nothing().decision, Accepted)


def test_a_stale_fact_changes_no_subscription() -> None:
    """Seats of an older revision are nobody's."""
    subscribed().given(account(3)).when(account(2, licenses=SEVENTY)).then_ignored("revision").then_nothing()


def test_every_subscription_follows() -> None:
    """One fact changes every subscription of the account, in the order of the add-ons."""
    story = having(subscribed(), purchase(add_on="assist"))
    changed = story.when(account(2, licenses=SEVENTY)).emitted_of(SubscriptionModified)
    assert [each.add_on for each in changed] == [ADD_ON, "assist"]


# --------------------------------------------------------------------------------------------------------------- terms


def test_another_frequency_comes_with_the_next_period() -> None:
    """It is billed at the list price of that frequency from the end of the current period on; till then as before."""
    story = subscribed().when(account(2, billing=billing(ANNUAL))).then(modified(terms=YEARLY))
    assert subscription_of(story).terms == TERMS
    assert subscription_of(story).next_from == NEXT


def test_the_list_price_is_that_of_the_moment() -> None:
    """A change in October takes October's price list; one that only changes seats keeps the price of the sale."""
    story = subscribed().given(account(2, billing=billing(ANNUAL)))
    story.now = datetime(2026, 10, 25, tzinfo=UTC)
    (seats,) = story.when(account(3, licenses=SEVENTY, billing=billing(ANNUAL))).emitted_of(SubscriptionModified)
    assert seats.terms.unit_price == dollars(17950)
    (again,) = story.when(account(4, licenses=SEVENTY)).emitted_of(SubscriptionModified)
    assert (again.terms.price_version, again.terms.unit_price) == ("2026-10", dollars(1995))


def test_who_goes_back_before_the_change_keeps_the_price() -> None:
    """A change of frequency that was taken back before its period began changed nothing, not even the price."""
    story = subscribed().given(account(2, billing=billing(ANNUAL)))
    story.now = datetime(2026, 10, 5, tzinfo=UTC)
    (back,) = story.when(account(3)).emitted_of(SubscriptionModified)
    assert back.terms == TERMS
    assert subscription_of(story).next_terms is None


@pytest.mark.parametrize(
    "changes",
    [{"currency": "CHF"}, {"currency": "GBP", "billing": billing(ANNUAL)}],
)
def test_without_a_list_price_the_price_stays(changes: dict[str, Any]) -> None:
    """Where the catalog has no price for the new currency and frequency, both stay, and nothing is to be said."""
    subscribed().when(account(2, **changes)).then_nothing()


def test_another_currency_takes_the_list_price_in_it() -> None:
    """The next period is billed in the account's new currency."""
    pounds = {"currency": "GBP", "unit_price": {"amount_minor": 1495, "currency": "GBP"}}
    (changed,) = subscribed().when(account(2, currency="GBP")).emitted_of(SubscriptionModified)
    assert changed.terms == Terms.model_validate(TERMS.model_dump() | pounds)


def test_anchor_and_zone_come_with_the_next_period() -> None:
    """The next period begins where this one ends, and is counted from the new anchor in the new zone."""
    moved = {"timezone": "Europe/Paris", "cycle_anchor": date(2027, 1, 5)}
    story = subscribed().when(account(2, timezone="Europe/Paris", billing=billing(anchor=date(2027, 1, 5))))
    story.then(modified(terms=moved))


def test_a_new_anchor_begins_with_a_stub() -> None:
    """Terms of 5th to 5th that take over on 20 October have a first period to 5 November, then whole ones."""
    story = subscribed().given(account(2, billing=billing(anchor=date(2026, 1, 5))))
    story.now = datetime(2026, 10, 21, 12, tzinfo=UTC)
    (in_the_stub,) = story.when(account(3, licenses=SEVENTY, billing=billing(anchor=date(2026, 1, 5)))).emitted_of(
        SubscriptionModified
    )
    assert (in_the_stub.licenses_from, in_the_stub.terms_from) == (date(2026, 10, 21), date(2026, 11, 5))
    assert subscription_of(story).terms_from == NEXT


def test_seats_keep_what_is_announced() -> None:
    """While terms are announced, new seats are those of both, and the first day of the announced stays."""
    story = subscribed().given(account(2, billing=billing(ANNUAL)))
    story.when(account(3, licenses=SEVENTY, billing=billing(ANNUAL)))
    story.then(modified(terms=YEARLY | {"licenses": SEVENTY}))
    assert subscription_of(story).terms.licenses == SEVENTY


def test_a_later_change_replaces_what_is_announced() -> None:
    """Annual, then another anchor as well: one announcement holds both, for the same day."""
    story = subscribed().given(account(2, billing=billing(ANNUAL)))
    both = billing(ANNUAL, date(2026, 1, 5))
    story.when(account(3, billing=both)).then(modified(terms=YEARLY | {"cycle_anchor": both.cycle_anchor}))


def test_terms_take_over_by_the_date_alone() -> None:
    """From the announced day on the new terms are in force, though no message and no timer came."""
    story = subscribed().given(account(2, billing=billing(ANNUAL)))
    assert story.document.timers == {}
    before, after = datetime(2026, 10, 20, 3, 59, tzinfo=UTC), datetime(2026, 10, 20, 4, 0, tzinfo=UTC)
    assert subscription_of(story).at(before).terms.frequency is MONTHLY
    assert subscription_of(story).at(after).terms.frequency is ANNUAL
    assert subscription_of(story).at(after).next_from == date(2027, 1, 20)


def test_a_zone_further_west_loses_no_day() -> None:
    """Where the new zone is still in the day before, the first day of its terms counts as today."""
    story = subscribed(timezone="Pacific/Kiritimati").given(account(2, timezone="Pacific/Honolulu"))
    story.now = datetime(2026, 10, 19, 11, 0, tzinfo=UTC)  # 20 October in Kiritimati, the 19th in Honolulu
    present = subscription_of(story).at(story.now)
    assert (present.terms.timezone, present.day) == ("Pacific/Honolulu", date(2026, 10, 20))


def test_a_clock_set_back_moves_no_day_back() -> None:
    """A change decided by a clock that went back a month counts from the day of the change before it."""
    story = subscribed()
    story.now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    story.given(account(2, licenses=SEVENTY))
    story.now -= timedelta(days=31)
    (changed,) = story.when(account(3)).emitted_of(SubscriptionModified)
    assert (changed.licenses_from, changed.terms_from) == (date(2026, 11, 25), date(2026, 12, 20))


@pytest.mark.parametrize(
    ("anchor", "now", "next_period"),
    [
        (date(2026, 1, 31), datetime(2027, 2, 10, tzinfo=UTC), date(2027, 2, 28)),
        (date(2026, 1, 31), datetime(2027, 3, 1, 12, tzinfo=UTC), date(2027, 3, 31)),
        (date(2030, 8, 15), datetime(2026, 10, 1, tzinfo=UTC), date(2026, 10, 15)),
    ],
)
def test_the_next_period_is_counted_from_the_anchor(anchor: date, now: datetime, next_period: date) -> None:
    """Also at a month's end, and from an anchor in the future."""
    story = subscribed(billing=billing(anchor=anchor))
    story.now = now
    (changed,) = story.when(account(2, licenses=SEVENTY, billing=billing(anchor=anchor))).emitted_of(
        SubscriptionModified
    )
    assert changed.terms_from == next_period


def test_a_subscription_that_has_not_begun_changes_on_its_first_day() -> None:
    """Seats that change before the first billed day count from that day on, and terms from its period's end on."""
    offer = staff(ActivateAddOn, unit_price=dollars(1500), effective_date="2026-11-01")
    story = acme(sales_managed=True).given(quote(), offer)
    (changed,) = story.when(account(2, sales_managed=True, licenses=SEVENTY)).emitted_of(SubscriptionModified)
    assert (changed.licenses_from, changed.terms_from) == (date(2026, 11, 1), date(2026, 11, 20))


def test_a_negotiated_price_is_nobody_elses() -> None:
    """What staff agreed on, by a quote or a change, keeps price, currency and frequency; anchor and seats follow."""
    offer = staff(ActivateAddOn, unit_price=dollars(1500))
    by_quote = having(acme(sales_managed=True), quote(), offer)
    change = staff(ModifySubscription, subscription_id=SUBSCRIPTION, unit_price=dollars(1500))
    for story in (by_quote, having(subscribed(sales_managed=False), change)):
        moved = account(2, currency="GBP", licenses=SEVENTY, billing=billing(anchor=date(2026, 1, 5)))
        (changed,) = story.when(moved).emitted_of(SubscriptionModified)
        assert changed.terms.unit_price == dollars(1500)
        assert (changed.terms.currency, changed.terms.frequency) == ("USD", MONTHLY)
        assert (changed.licenses, changed.terms.cycle_anchor) == (SEVENTY, date(2026, 1, 5))
