"""The base plan is billed with the add-ons, on its own days, once."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.invoices import BASE_PLAN, InvoiceIssued
from contracts.payload import Payload
from services.billing.account import BillingAccount
from services.billing.audit import audit
from services.billing.ledger import Finding
from tests.billing.bills import NEW_YORK, account_fact
from tests.billing.entitled import Entitled
from tests.billing.running import credit, credited
from tests.billing.scenario import (
    ACCOUNT,
    NOW,
    billed,
    given,
    invoices,
    issued,
    purchase,
    stays_quiet,
    terms_of,
)
from tests.scenario import Scenario


def audited(story: Scenario[BillingAccount], *events: Payload) -> list[Finding]:
    """Return what the audit finds of a story of one fact and these events."""
    issued_so_far = [event for event in story.events if isinstance(event, InvoiceIssued)]
    return audit(ACCOUNT, [account_fact(), *events], issued_so_far, story.now)


def test_the_base_plan_is_billed_with_it() -> None:
    """The published example: 24.95 for the base plan and 17.95 for the add-on are one bill of 42.90."""
    story = given().given(account_fact(), purchase())
    invoice = issued(story.advance(timedelta(days=20)))
    assert billed(invoice) == [
        "renewal",
        "base_plan 2026-10-20 2026-11-20 1 24.95 USD",
        "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD",
        "42.90 USD",
    ]
    base = invoice.lines[0]
    assert (base.subscription_id, base.quantity, base.price_version) == (BASE_PLAN, Licenses(standard=1), "account:1")
    assert base.description == "Professional, 20 Oct 2026 to 19 Nov 2026, 31 of 31 days"


def test_an_account_without_a_base_plan_is_billed_for_add_ons_alone() -> None:
    """Where the facts tell of no base plan, none is billed."""
    invoice = issued(given().given(account_fact(figure=None), purchase()).advance(timedelta(days=20)))
    assert [line.add_on for line in invoice.lines] == ["analytics_plus"]


def test_another_currency_is_another_bill() -> None:
    """A base plan in euros beside an add-on in dollars is billed by itself, on the same day."""
    first, second = invoices(given().given(account_fact(figure="20.00 EUR"), purchase()).advance(timedelta(days=20)))
    assert [billed(each)[1:] for each in (first, second)] == [
        ["base_plan 2026-10-20 2026-11-20 1 20.00 EUR", "20.00 EUR"],
        ["analytics_plus 2026-10-20 2026-11-20 1 17.95 USD", "17.95 USD"],
    ]


def test_another_day_is_another_bill() -> None:
    """A base plan whose cycle begins on the first is billed on the first, from the first after the purchase on."""
    story = given().given(account_fact(anchor="2026-09-01"), purchase())
    assert [billed(each)[1] for each in invoices(story.advance(timedelta(days=32)))] == [
        "base_plan 2026-10-01 2026-11-01 1 24.95 USD",
        "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD",
        "base_plan 2026-11-01 2026-12-01 1 24.95 USD",
    ]


def test_an_annual_add_on_has_the_base_plan_billed_every_month() -> None:
    """Beside an add-on that is billed by the year, a monthly base plan is billed each month."""
    story = given().given(account_fact(), purchase(frequency=BillingFrequency.ANNUAL))
    lines = [line for each in invoices(story.advance(timedelta(days=366))) for line in each.lines]
    assert [line.subscription_id for line in lines].count(BASE_PLAN) == 12
    assert audited(story, purchase(frequency=BillingFrequency.ANNUAL)) == []


def test_a_new_anchor_is_bridged_by_a_part() -> None:
    """From the 20th to the 5th: the 15 days between are 15 of 30 days, and no day is left out."""
    story = given().given(account_fact(), purchase())
    story.advance(timedelta(days=25)).given(account_fact(2, anchor="2026-10-05"))
    lines = [line for each in invoices(story.advance(timedelta(days=45))) for line in each.lines]
    assert [(str(each.period.from_), str(each.amount)) for each in lines if each.subscription_id == BASE_PLAN] == [
        ("2026-11-20", "12.48 USD"),
        ("2026-12-05", "24.95 USD"),
    ]
    facts = [account_fact(), account_fact(2, anchor="2026-10-05")]
    issued_so_far = [event for event in story.events if isinstance(event, InvoiceIssued)]
    assert audit(ACCOUNT, [*facts, purchase()], issued_so_far, story.now) == []


def test_what_is_outstanding_is_charged_before_a_new_price_counts() -> None:
    """Billing was away for three months and first hears of a new price: the months gone by cost the old one."""
    story = given().given(account_fact(), purchase())
    story.now += timedelta(days=100)
    story.when(account_fact(2, "99.00 USD"))
    assert [billed(each)[1] for each in invoices(story)] == [
        "base_plan 2026-10-20 2026-11-20 1 24.95 USD",
        "base_plan 2026-11-20 2026-12-20 1 24.95 USD",
        "base_plan 2026-12-20 2027-01-20 1 24.95 USD",
    ]
    lines = [line for each in invoices(story.advance(timedelta(days=15))) for line in each.lines]
    assert [str(line.amount) for line in lines] == ["17.95 USD"] * 3 + ["99.00 USD", "17.95 USD"]


def test_a_fact_that_changes_nothing_of_it_charges_nothing() -> None:
    """What is outstanding waits for the timer where the fact says the same of the base plan."""
    story = given().given(account_fact(), purchase())
    story.now += timedelta(days=100)
    story.when(account_fact(2)).then_nothing()


def test_a_base_plan_told_of_later_joins_at_the_next_bill() -> None:
    """An account with add-ons gets a base plan: it begins on the add-ons' next bill when its cycle begins that day."""
    story = given().given(account_fact(figure=None), purchase())
    story.advance(timedelta(days=100)).given(account_fact(2))
    assert billed(issued(story.advance(timedelta(days=20))))[1:] == [
        "base_plan 2027-01-20 2027-02-20 1 24.95 USD",
        "analytics_plus 2027-01-20 2027-02-20 1 17.95 USD",
        "42.90 USD",
    ]


def test_a_base_plan_of_other_days_joins_after_the_next_bill() -> None:
    """Its cycle begins on the first: it is billed from the first after the add-ons' next bill on, and not before."""
    story = given().given(account_fact(figure=None), purchase())
    story.advance(timedelta(days=100)).given(account_fact(2, anchor="2026-09-01"))
    assert [billed(each)[1] for each in invoices(story.advance(timedelta(days=30)))] == [
        "analytics_plus 2027-01-20 2027-02-20 1 17.95 USD",
        "base_plan 2027-02-01 2027-03-01 1 24.95 USD",
    ]


def test_the_base_plan_goes_and_comes_with_the_add_ons() -> None:
    """After the last add-on's end nothing is billed; the next one brings it back, from its next cycle on."""
    has, event = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20), timezone=NEW_YORK), NOW)
    story = given().given(account_fact(), event)
    story.advance(timedelta(days=30)).given(has.cancel(story.now, at_once=True))
    story.advance(timedelta(days=60)).then_nothing()
    _, other = Entitled.buy("aircall_ai", "sub-2", terms_of(date(2026, 9, 20), timezone=NEW_YORK), story.now)
    story.given(other)
    assert billed(issued(story.advance(timedelta(days=22))))[1] == "base_plan 2027-01-20 2027-02-20 1 24.95 USD"


def test_a_late_end_gives_the_base_plan_back() -> None:
    """An end of January heard in April: the cycles that began without an add-on are given back, and billed no more."""
    has, event = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20), timezone=NEW_YORK), NOW)
    story = given().given(account_fact(), event)
    end = has.cancel(NOW + timedelta(days=30), at_once=True)
    story.advance(timedelta(days=90)).when(end)
    lines = [line for each in invoices(story) for line in each.lines if line.subscription_id == BASE_PLAN]
    assert [(str(line.period.from_), str(line.amount)) for line in lines] == [
        ("2026-11-20", "-24.95 USD"),
        ("2026-12-20", "-24.95 USD"),
    ]
    assert lines[0].description == "base_plan, 20 Nov 2026 to 19 Dec 2026, 30 of 30 days without an add-on"
    story.advance(timedelta(days=60)).then_nothing()
    assert audited(story, event, end) == []


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (lambda issued: issued[:1] + issued[2:], "is billed from 2026-11-20 on, instead of 2026-10-20"),
        (lambda issued: [*issued[:2], *issued[3:]], "is not billed from 2026-11-20 to 2026-12-20"),
        (lambda issued: issued[:1], "is not billed since 2026-10-20"),
        (lambda issued: [*issued, issued[-1]], "is billed twice on 2026-12-20"),
    ],
)
def test_the_audit_sees_gaps_and_doubles(
    broken: Callable[[list[InvoiceIssued]], list[InvoiceIssued]], sentence: str
) -> None:
    """A cycle of the base plan that is not billed, or billed twice, is found, and so is one that never begins."""
    story = given().given(account_fact(anchor="2026-09-20"), purchase()).advance(timedelta(days=90))
    issued_so_far = [event for event in story.events if isinstance(event, InvoiceIssued)]
    found = audit(ACCOUNT, [account_fact(), purchase()], broken(issued_so_far), story.now)
    assert Finding(BASE_PLAN, sentence) in found


def test_the_base_plan_is_billed_once_a_day() -> None:
    """Where two bills begin on one day, in two currencies or zones, one of them has the base plan."""
    other = purchase("sub-2", add_on="aircall_ai", timezone="America/Los_Angeles")
    story = given().given(account_fact(), purchase(), other)
    first, second = invoices(story.advance(timedelta(days=20)))
    assert [line.add_on for line in first.lines] == [BASE_PLAN, "analytics_plus"]
    assert [line.add_on for line in second.lines] == ["aircall_ai"]


def test_a_stale_fact_is_ignored() -> None:
    """A fact whose revision is not higher changes no base plan, even when the newer one has none."""
    story = given().given(account_fact(2, figure=None))
    assert stays_quiet(story.when(account_fact(1))) == "revision 1 is not newer than 2"
    assert stays_quiet(story.when(account_fact(2))) == "revision 2 is not newer than 2"
    assert story.document.base is None


def test_a_credit_does_not_bill_the_base_plan_again() -> None:
    """What an earlier bill gives back leaves the day alone up to which the base plan is billed."""
    story = given().given(account_fact(), purchase())
    story.advance(timedelta(days=60)).given(credit("1.00 USD", "acme-000002"))
    assert credited(story, 2) == 100
    assert story.document.base is not None
    assert story.document.base.paid_until == date(2026, 12, 20)
