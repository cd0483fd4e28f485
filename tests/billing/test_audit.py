"""The audit: silent about what billing issues, and not about anything else that could be in the log."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.events import PromisedPrice
from contracts.invoices import InvoiceIssued
from contracts.money import Money
from services.billing.audit import audit
from services.billing.ledger import Finding
from tests.billing.entitled import Entitled
from tests.billing.logs import BROKEN, END, START, history
from tests.billing.scenario import ACCOUNT, given, terms_of

MIDNIGHT = datetime(2026, 10, 20, tzinfo=UTC)


def test_what_billing_issues_is_in_order() -> None:
    """A log with every kind of invoice has no finding."""
    events, issued = history()
    assert [str(each.kind) for each in issued] == (
        "immediate adjustment renewal credit immediate renewal renewal credit".split()
    )
    assert audit(ACCOUNT, events, issued, END) == []


def test_nothing_is_in_order() -> None:
    """An account that has bought nothing and was charged nothing has no finding."""
    assert audit(ACCOUNT, [], [], END) == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_found(name: str) -> None:
    """Every way to break the log has its finding, at its place."""
    breaks, place, sentence = BROKEN[name]
    log = history()
    breaks(log)
    found = audit(ACCOUNT, *log, END)
    assert any(each.place == place and each.sentence.startswith(sentence) for each in found), found


def test_a_cycle_is_missing_only_once_it_has_begun() -> None:
    """A second before the midnight of the next cycle nothing is missing; from then on it is."""
    events, issued = history()
    midnight = datetime(2027, 1, 20, tzinfo=UTC)
    assert audit(ACCOUNT, events, issued, midnight - timedelta(seconds=1)) == []
    assert audit(ACCOUNT, events, issued, midnight) == [Finding("sub-2", "is not renewed since 2027-01-20")]


def test_a_charge_made_before_the_change_was_heard_of_is_made_good() -> None:
    """A cycle charged by what was agreed until then, given back and charged anew, is as it should be; without, not."""
    has, bought = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20)), START)
    change = has.modify(MIDNIGHT - timedelta(seconds=1), Licenses(standard=4), frequency=BillingFrequency.ANNUAL)
    story = given(bought)
    story.advance(timedelta(days=20, hours=1)).when(change).advance(timedelta(days=60))
    issued = [event for event in story.events if isinstance(event, InvoiceIssued)]
    assert " ".join(each.kind for each in issued) == "immediate renewal credit adjustment renewal"
    assert audit(ACCOUNT, [bought, change], issued, story.now) == []
    assert audit(ACCOUNT, [bought, change], issued[:2], MIDNIGHT) == [
        Finding("sub-1", "has 4 seats on 2026-10-19, but 1 are charged"),
        Finding("sub-1", "is charged from 2026-10-20 to 2026-11-20 by terms that were not in force"),
        Finding("sub-1", "has 4 seats on 2026-10-20, but 1 are charged"),
    ]


def test_what_was_promised_must_have_been_charged() -> None:
    """A purchase with a promise of its amount is in order; with a promise of any other it is not."""
    promised = PromisedPrice(promised_at=START, rule="day", amount=Money(amount_minor=1_795, currency="USD"))
    _, bought = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20)), START)
    bought = bought.model_copy(update={"promised": promised})
    issued = [event for event in given(bought).events if isinstance(event, InvoiceIssued)]
    promised = promised.model_copy(update={"amount": issued[0].total})
    assert audit(ACCOUNT, [bought.model_copy(update={"promised": promised})], issued, START) == []
    other = promised.model_copy(update={"amount": Money(amount_minor=issued[0].total.amount_minor + 1, currency="USD")})
    (finding,) = audit(ACCOUNT, [bought.model_copy(update={"promised": other})], issued, START)
    assert finding.sentence == f"is charged {issued[0].total} for its purchase, but {other.amount} was promised"
