"""What comes too late, or begins in the past, is charged cycle by cycle, in order and once."""

from datetime import UTC, date, datetime, timedelta

from contracts.accounts import Licenses
from contracts.invoices import InvoiceKind
from services.billing.account import RENEWAL
from services.billing.domain import BillingDecider
from services.runtime.decision import Accepted, TimerDue
from tests.billing.bills import NEW_YORK, bought, periods
from tests.billing.entitled import Entitled
from tests.billing.scenario import ACCOUNT, billed, given, invoices, issued, purchase, terms_of


def test_three_months_are_caught_up_in_order() -> None:
    """A service that was down for three months issues one invoice for each cycle, in order, once it is back."""
    story = bought(purchase())
    story.now += timedelta(days=100)
    assert [billed(invoice)[1] for invoice in invoices(story.advance())] == [
        "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD",
        "analytics_plus 2026-11-20 2026-12-20 1 17.95 USD",
        "analytics_plus 2026-12-20 2027-01-20 1 17.95 USD",
    ]
    assert [invoice.invoice_number[-1] for invoice in invoices(story)] == ["2", "3", "4"]
    story.advance().then_nothing()


def test_what_is_caught_up_is_due_when_it_is_issued() -> None:
    """A cycle that began in the past is due on the local day of its invoice plus the terms, not before."""
    story = bought(purchase(), decider=BillingDecider(payment_terms_days=14))
    story.now = datetime(2026, 11, 25, 3, tzinfo=UTC)  # still the 24th in New York
    assert [each.due_date for each in invoices(story.advance())] == [date(2026, 12, 8), date(2026, 12, 8)]
    assert issued(story.advance(timedelta(days=27))).due_date == date(2027, 1, 3)


def test_missed_cycles_come_before_what_happened_after_them() -> None:
    """An event that arrives first finds the cycles before it charged with the seats of their time."""
    now = datetime(2026, 9, 30, 16, tzinfo=UTC)
    has, event = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20), timezone=NEW_YORK), now)
    story = bought(event)
    story.now = datetime(2026, 12, 10, 12, tzinfo=UTC)
    story.when(has.modify(story.now, Licenses(standard=3)))
    assert [billed(invoice)[:2] for invoice in invoices(story)] == [
        ["renewal", "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD"],
        ["renewal", "analytics_plus 2026-11-20 2026-12-20 1 17.95 USD"],
        ["adjustment", "analytics_plus 2026-12-10 2026-12-20 2 11.97 USD"],
    ]
    story.advance().then_nothing()


def test_another_purchase_finds_missed_cycles_charged() -> None:
    """What is bought after a missed cycle is numbered after it."""
    story = bought(purchase())
    story.now = datetime(2026, 11, 1, 12, tzinfo=UTC)
    story.when(purchase("sub-2", add_on="aircall_ai", at="2026-11-01T12:00:00Z"))
    assert [invoice.kind for invoice in invoices(story)] == [InvoiceKind.RENEWAL, InvoiceKind.IMMEDIATE]


def test_a_timer_that_fires_again_charges_nothing() -> None:
    """A timer delivered twice finds its cycle paid; the next cycle's timer stays."""
    story = bought(purchase())
    due = story.document.timers[RENEWAL]
    issued(story.advance(timedelta(days=20)))
    before = story.document
    story.when(TimerDue(account_id=ACCOUNT, name=RENEWAL, due=due))
    assert story.decision == Accepted()
    assert story.document == before


def test_a_start_in_the_past_is_caught_up() -> None:
    """An activation from a past day is billed for that day's cycle at once, and then for every cycle since."""
    event = purchase().model_copy(update={"effective_date": date(2026, 7, 30)})
    story = given()
    assert billed(issued(story.when(event)))[1] == "analytics_plus 2026-07-30 2026-08-20 1 12.16 USD"
    assert periods(story.advance()) == [("2026-08-20", "2026-09-20"), ("2026-09-20", "2026-10-20")]


def test_a_start_in_the_future_is_billed_at_once() -> None:
    """An activation from a future day is billed at once for the part of the cycle that contains it, then renewed."""
    event = purchase().model_copy(update={"effective_date": date(2026, 11, 30)})
    story = given()
    assert billed(issued(story.when(event)))[1] == "analytics_plus 2026-11-30 2026-12-20 1 11.97 USD"
    story.advance(timedelta(days=79)).then_nothing()
    assert periods(story.advance(timedelta(days=2))) == [("2026-12-20", "2027-01-20")]
