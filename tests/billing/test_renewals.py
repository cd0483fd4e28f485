"""The next bills: every cycle in full, once, at its local midnight, in order, whatever happens to cycles and clocks."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from contracts.accounts import BillingFrequency
from contracts.invoices import InvoiceKind, ProrationRule
from contracts.money import Money
from services.billing.account import RENEWAL, BillingAccount
from services.billing.domain import BillingDecider
from services.billing.proration import recompute
from tests.billing.bills import NEW_YORK, bought, periods
from tests.billing.entitled import Entitled
from tests.billing.scenario import billed, invoices, issued, purchase, terms_of
from tests.scenario import Scenario

# ---------------------------------------------------------------------------------------------------- a cycle begins


def test_the_next_bill_is_in_full() -> None:
    """At the local midnight that begins the next cycle it is charged in full: 17.95 for 20 October to 20 November."""
    story = bought(purchase())
    assert story.document.timers == {RENEWAL: datetime(2026, 10, 20, 4, tzinfo=UTC)}

    invoice = issued(story.advance(timedelta(days=20)))

    assert invoice.kind is InvoiceKind.RENEWAL
    assert invoice.issued_at == datetime(2026, 10, 20, 4, tzinfo=UTC)
    assert invoice.invoice_number == "acme-000002"
    assert billed(invoice) == ["renewal", "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD", "17.95 USD"]
    assert invoice.lines[0].description == "analytics_plus, 20 Oct 2026 to 19 Nov 2026, 31 of 31 days"
    assert invoice.due_date == date(2026, 10, 20)


def test_not_a_second_before_midnight() -> None:
    """Up to the last second of the cycle nothing is charged."""
    story = bought(purchase())
    story.now = datetime(2026, 10, 20, 3, 59, 59, tzinfo=UTC)
    story.advance().then_nothing()
    issued(story.advance(timedelta(seconds=1)))


def test_add_ons_of_one_day_share_a_bill() -> None:
    """One invoice has a line for every add-on that begins a cycle that day, by name; others have their own day."""
    story = bought(
        purchase(),
        purchase("sub-2", add_on="aircall_ai", price="9.00 USD", seats=(2, 0)),
        purchase("sub-3", add_on="later", anchor="2026-09-25", price="1.00 USD"),
    )
    together, alone = invoices(story.advance(timedelta(days=26)))
    assert billed(together)[1:] == [
        "aircall_ai 2026-10-20 2026-11-20 2 18.00 USD",
        "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD",
        "35.95 USD",
    ]
    assert billed(alone)[1:] == ["later 2026-10-25 2026-11-25 1 1.00 USD", "1.00 USD"]


def test_each_currency_has_its_bill() -> None:
    """Add-ons sold in two currencies that begin a cycle together are two invoices; amounts keep their digits."""
    story = bought(purchase(price="2650 JPY", seats=(3, 0)), purchase("sub-2", add_on="aircall_ai", price="5.525 KWD"))
    totals = [str(invoice.total) for invoice in invoices(story.advance(timedelta(days=20)))]
    assert totals == ["7950 JPY", "5.525 KWD"]


def test_no_seats_are_renewed_for_nothing() -> None:
    """An account without seats gets its bill of nothing, so that no cycle is missing."""
    invoice = issued(bought(purchase(seats=(0, 0))).advance(timedelta(days=20)))
    assert invoice.total == Money.parse("0.00", "USD")
    assert invoice.lines[0].description.endswith("no seats to charge for")


def test_payment_terms_count_from_the_cycles_start() -> None:
    """A renewal in time is due so many days after its cycle began."""
    story = bought(purchase(), decider=BillingDecider(payment_terms_days=14))
    assert issued(story.advance(timedelta(days=24))).due_date == date(2026, 11, 3)


@pytest.mark.parametrize("rule", ProrationRule)
def test_every_rule_renews_in_full(rule: ProrationRule) -> None:
    """By days, seconds or months of 30 days, a whole cycle costs the price, daylight saving or not."""
    story = bought(purchase(), decider=BillingDecider(rule=rule))
    totals = [str(each.total) for each in invoices(story.advance(timedelta(days=100)))]
    assert totals == ["17.95 USD"] * 3
    assert {line.rule for each in invoices(story) for line in each.lines} == {rule}


# ------------------------------------------------------------------------------------------------ dates that are odd


@pytest.mark.parametrize(
    ("anchor", "frequency", "at", "days", "boundaries"),
    [
        ("2026-01-31", "monthly", "2026-01-31T17:00:00Z", 125, "2026-02-28 2026-03-31 2026-04-30 2026-05-31"),
        ("2028-01-30", "monthly", "2028-01-30T17:00:00Z", 70, "2028-02-29 2028-03-30"),
        ("2024-02-29", "annual", "2024-02-29T17:00:00Z", 1_500, "2025-02-28 2026-02-28 2027-02-28 2028-02-29"),
        ("2031-05-31", "monthly", "2026-02-10T17:00:00Z", 60, "2026-02-28 2026-03-31"),
    ],
)
def test_boundaries_come_from_the_anchor(anchor: str, frequency: str, at: str, days: int, boundaries: str) -> None:
    """Month ends clamp and return, 29 February returns in leap years, and an anchor may lie in the future."""
    event = purchase(anchor=anchor, frequency=BillingFrequency(frequency), at=at)
    story = bought(event).advance(timedelta(days=days))
    assert [first for first, _ in periods(story)] == boundaries.split()
    assert all(one[1] == other[0] for one, other in pairwise(periods(story)))


def test_daylight_saving_moves_the_instant_and_no_day() -> None:
    """Where clocks change, a bill comes at that day's own midnight, and a day of 23 or 25 hours counts as one."""
    story = bought(purchase(at="2026-10-10T16:00:00Z", anchor="2026-09-15")).advance(timedelta(days=175))
    assert [invoice.issued_at.hour for invoice in invoices(story)] == [4, 5, 5, 5, 5, 4]
    assert {str(invoice.total) for invoice in invoices(story)} == {"17.95 USD"}


def test_a_day_that_a_zone_skips_is_charged_once() -> None:
    """Samoa had no 30 December 2011: a cycle that begins on it begins with the 31st, and no day is lost."""
    event = purchase(at="2011-12-10T16:00:00Z", anchor="2011-11-30", timezone="Pacific/Apia")
    story = bought(event).advance(timedelta(days=60))
    assert periods(story) == [("2011-12-30", "2012-01-30"), ("2012-01-30", "2012-02-29")]
    assert invoices(story)[0].issued_at == datetime(2011, 12, 30, 10, tzinfo=UTC)


# ----------------------------------------------------------------------------------------------------- terms change


def changed(zone: str = NEW_YORK, **terms: Any) -> Scenario[BillingAccount]:
    """Begin a story in which the terms of a running subscription change from its next period on."""
    now = datetime(2026, 9, 30, 16, tzinfo=UTC)
    has, event = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20), timezone=zone), now)
    story = bought(event)
    return story.given(has.modify(now + timedelta(days=1), **terms))


def test_another_frequency_begins_with_the_next_cycle() -> None:
    """From monthly to annual: the paid month stays, then a year by the same anchor, its part until the anchor's day."""
    story = changed(frequency=BillingFrequency.ANNUAL, unit_price=Money.parse("179.50", "USD")).advance(
        timedelta(days=700)
    )
    assert periods(story) == [("2026-10-20", "2027-09-20"), ("2027-09-20", "2028-09-20")]
    part, whole = (invoice.lines[0] for invoice in invoices(story))
    assert (part.days.billed, part.days.in_cycle, str(part.amount)) == (335, 365, "164.75 USD")
    assert str(whole.amount) == "179.50 USD"


def test_another_anchor_begins_with_a_part() -> None:
    """After a new anchor the first period reaches to the new boundary, for its days of the new cycle."""
    story = changed(cycle_anchor=date(2026, 1, 1)).advance(timedelta(days=40))
    assert periods(story) == [("2026-10-20", "2026-11-01"), ("2026-11-01", "2026-12-01")]
    part = invoices(story)[0].lines[0]
    assert (part.days.billed, part.days.in_cycle, str(part.amount)) == (12, 31, "6.95 USD")
    assert part.amount == recompute(part)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Honolulu"])
def test_another_zone_moves_no_day(zone: str) -> None:
    """East or west, the cycle after the change begins where the last one ended, by the clock it was sold by."""
    story = changed(timezone=zone)
    assert story.document.timers[RENEWAL] == datetime(2026, 10, 20, 4, tzinfo=UTC)
    story.advance(timedelta(days=60))
    assert periods(story) == [("2026-10-20", "2026-11-20"), ("2026-11-20", "2026-12-20")]
    assert {invoice.lines[0].timezone for invoice in invoices(story)} == {zone}


def test_another_currency_begins_with_the_next_cycle() -> None:
    """A new price in another currency is charged from the next period on."""
    story = changed(unit_price=Money.parse("2650", "JPY"), currency="JPY").advance(timedelta(days=20))
    assert str(issued(story).total) == "2650 JPY"


def test_a_later_announcement_replaces_the_first() -> None:
    """Terms that were announced and replaced before their day are never charged."""
    now = datetime(2026, 9, 30, 16, tzinfo=UTC)
    has, event = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20), timezone=NEW_YORK), now)
    story = bought(event)
    story.given(has.modify(now, unit_price=Money.parse("99.00", "USD")))
    story.given(has.modify(now, unit_price=Money.parse("15.00", "USD")))
    assert len(story.document.subscriptions["analytics_plus"].agreed) == 2  # in force and announced, no history
    assert str(issued(story.advance(timedelta(days=20))).total) == "15.00 USD"


def test_announced_terms_cut_the_charge_before_them() -> None:
    """Terms that take over within a cycle, as after a late change, end its charge on their day."""
    now = datetime(2026, 9, 30, 16, tzinfo=UTC)
    has, event = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20), timezone=NEW_YORK), now)
    change = has.modify(now, cycle_anchor=date(2026, 1, 1), unit_price=Money.parse("30.00", "USD"))
    story = bought(event).given(change.model_copy(update={"terms_from": date(2026, 11, 1)}))
    story.advance(timedelta(days=40))
    assert [billed(invoice)[1] for invoice in invoices(story)] == [
        "analytics_plus 2026-10-20 2026-11-01 1 6.95 USD",
        "analytics_plus 2026-11-01 2026-12-01 1 30.00 USD",
    ]
