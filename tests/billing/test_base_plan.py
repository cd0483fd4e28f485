"""The base plan is billed with the add-ons, on its own days, once."""

from datetime import date, timedelta

import pytest

from contracts.accounts import AccountUpdated, Licenses
from contracts.invoices import BASE_PLAN
from tests.billing.bills import account_fact
from tests.billing.running import credit, credited
from tests.billing.scenario import billed, given, invoices, issued, purchase, stays_quiet


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


@pytest.mark.parametrize(
    "fact",
    [account_fact(figure=None), account_fact(figure="20.00 EUR"), account_fact(anchor="2026-09-01")],
    ids=["no base plan", "another currency", "another day"],
)
def test_no_base_plan_on_other_bills(fact: AccountUpdated) -> None:
    """Without a base plan, in another currency, or where its own cycle does not begin, only add-ons are billed."""
    invoice = issued(given().given(fact, purchase()).advance(timedelta(days=20)))
    assert [line.add_on for line in invoice.lines] == ["analytics_plus"]


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
    assert story.document.base_billed_until == date(2026, 12, 20)
