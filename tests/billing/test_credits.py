"""What an end gives back: the days paid for and not used, never more than was charged."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import Licenses
from contracts.invoices import ProrationRule, Share
from contracts.money import Money
from services.billing.account import LINES_MAX
from services.billing.proration import recompute
from services.billing.schedule import PERIODS_KEPT
from services.runtime.codec import to_json
from services.runtime.decision import Accepted
from tests.billing.entitled import STAFF, Entitled
from tests.billing.running import START, Running, credited
from tests.billing.scenario import billed, invoices, issued, stays_quiet, terms_of

MIDNIGHT = datetime(2026, 10, 20, 4, tzinfo=UTC)


# ------------------------------------------------------------------------------------------------------ cancellation


def test_unused_days_are_given_back() -> None:
    """Cancelled on 30 September, 20 of the 30 days paid with 30.00 come back: 20.00, on a credit invoice."""
    story = Running().after(10).canceled()
    invoice = issued(story)
    assert billed(invoice) == ["credit", "analytics_plus 2026-09-30 2026-10-20 1 -20.00 USD", "-20.00 USD"]
    line = invoice.lines[0]
    assert (line.unit_price, line.share) == (Money.parse("-30.00", "USD"), Share(numerator=20, denominator=30))
    assert line.credits == "acme-000001"
    assert line.amount == recompute(line)
    assert line.description == "analytics_plus, 30 Sep 2026 to 19 Oct 2026, 20 of 30 days not used"
    assert (invoice.by, invoice.due_date, invoice.invoice_number) == (STAFF, date(2026, 9, 30), "acme-000002")
    assert credited(story) == 2_000


def test_nothing_is_charged_after_the_end() -> None:
    """What ended has no timer, and no bill comes."""
    story = Running().after(10).canceled()
    assert story.document.timers == {}
    story.advance(timedelta(days=400)).then_nothing()


def test_an_end_with_the_cycle_gives_nothing_back() -> None:
    """Cancelled for the end of what is paid, no invoice is issued, then or later."""
    story = Running().after(10).canceled(at_once=False).then_nothing()
    assert isinstance(story.decision, Accepted)
    assert story.document.timers == {}


def test_at_once_after_with_the_cycle() -> None:
    """An end that was announced for later may come earlier, and gives back its days."""
    running = Running().after(10)
    running.canceled(at_once=False)
    assert issued(running.after(5).canceled()).total == Money.parse("-15.00", "USD")


def test_an_earlier_end_gives_back_what_is_left() -> None:
    """A second, earlier end gives back the days between, and together no more than was paid."""
    running = Running().after(20)
    running.canceled()
    earlier = running.has.cancel(START + timedelta(days=5), at_once=True)
    invoice = issued(running.story.when(earlier))
    assert billed(invoice)[1] == "analytics_plus 2026-09-25 2026-10-10 1 -15.00 USD"
    assert credited(running.story) == 2_500


def test_a_later_end_changes_nothing() -> None:
    """What has ended does not end later."""
    running = Running().after(10)
    event = running.has.cancel(running.story.now, at_once=True)
    running.story.given(event)
    running.story.when(event.model_copy(update={"effective_date": date(2026, 10, 15)})).then_nothing()
    assert running.story.document.subscriptions["analytics_plus"].ends_on == date(2026, 9, 30)


def test_every_charge_of_the_period_is_given_back_from() -> None:
    """Seats added within the cycle are credited for their own days, each from its invoice."""
    running = Running().after(10)
    running.story.given(running.has.modify(running.story.now, Licenses(standard=3)))
    invoice = issued(running.after(10).canceled())
    assert [
        (line.credits, str(line.unit_price), line.share.numerator, line.share.denominator) for line in invoice.lines
    ] == [
        ("acme-000001", "-30.00 USD", 10, 30),
        ("acme-000002", "-40.00 USD", 10, 20),
    ]
    assert str(invoice.total) == "-30.00 USD"


def test_an_end_heard_of_late_gives_the_whole_renewal_back() -> None:
    """Cancelled a second before midnight for that midnight, heard of after the renewal: all of it comes back."""
    running = Running()
    event = running.has.cancel(MIDNIGHT - timedelta(seconds=1), at_once=False)
    running.after(31)
    assert billed(issued(running.story.when(event)))[1] == "analytics_plus 2026-10-20 2026-11-20 1 -30.00 USD"


def test_an_end_on_the_first_day_of_a_cycle_that_was_not_charged_yet() -> None:
    """When the cancellation comes before the timer, the cycle that began is charged and all of it given back."""
    running = Running()
    running.story.now = MIDNIGHT + timedelta(hours=1)
    running.canceled()
    assert [str(invoice.total) for invoice in invoices(running.story)] == ["30.00 USD", "-30.00 USD"]


def test_missed_cycles_are_charged_before_the_end() -> None:
    """A cancellation after missed cycles finds them charged in full, as the timer would have, and credits the rest."""
    running = Running()
    running.story.now = START + timedelta(days=70)
    running.canceled()
    assert [billed(invoice)[1] for invoice in invoices(running.story)] == [
        "analytics_plus 2026-10-20 2026-11-20 1 30.00 USD",
        "analytics_plus 2026-11-20 2026-12-20 1 30.00 USD",
        "analytics_plus 2026-11-29 2026-12-20 1 -21.00 USD",
    ]


def test_a_start_in_the_future_is_given_back_whole() -> None:
    """What is cancelled before its first day is credited in full."""
    running = Running()
    terms = terms_of(date(2026, 9, 20), price="30.00 USD")
    has, event = Entitled.buy("aircall_ai", "sub-2", terms, START, date(2026, 11, 30))
    running.story.given(event)
    running.story.when(has.cancel(START + timedelta(days=3), at_once=True))
    assert billed(issued(running.story))[1:] == ["aircall_ai 2026-11-30 2026-12-20 1 -20.00 USD", "-20.00 USD"]


@pytest.mark.parametrize(
    ("price", "total"), [("2650 JPY", "-1767 JPY"), ("5.525 KWD", "-3.683 KWD"), ("17.95 USD", "-11.97 USD")]
)
def test_credits_round_to_their_currency(price: str, total: str) -> None:
    """20 of 30 days come back in yen, dollars and dinars, rounded once."""
    assert str(issued(Running(price).after(10).canceled()).total) == total


def test_a_credit_of_nothing_is_not_issued() -> None:
    """A last day worth less than half a minor unit, or a cycle without a price, gives no invoice."""
    Running("0.01 USD").after(29).canceled().then_nothing()
    Running("0.00 USD").after(10).canceled().then_nothing()


@pytest.mark.parametrize("rule", [ProrationRule.SECOND, ProrationRule.FIXED_30])
def test_credits_count_days_whatever_the_rule(rule: ProrationRule) -> None:
    """What was charged by seconds or 30-day months is given back by its calendar days."""
    line = issued(Running(rule=rule).after(10).canceled()).lines[0]
    assert (line.rule, line.share) == (ProrationRule.DAY, Share(numerator=20, denominator=30))


def test_an_earlier_credit_caps_what_comes_back() -> None:
    """Of 30.00, 25.00 were credited: the 20 unused days give back 5.00, not 20.00."""
    running = Running()
    running.credit("25.00 USD")
    invoice = issued(running.after(10).canceled())
    assert (invoice.lines[0].unit_price, invoice.lines[0].share) == (
        Money.parse("-5.00", "USD"),
        Share(numerator=1, denominator=1),
    )
    assert credited(running.story) == 3_000


def test_a_charge_that_was_credited_whole_gives_nothing_more() -> None:
    """When all of an invoice was credited, its end issues no invoice."""
    running = Running()
    running.credit("30.00 USD")
    running.after(10).canceled().then_nothing()


def test_a_charge_gives_back_no_more_than_it_was() -> None:
    """Half of 0.01 rounds to 0.01: the other half gives nothing back, whatever else the invoice charged."""
    running = Running("0.01 USD")
    other = terms_of(date(2026, 9, 20), timezone="America/New_York", price="30.00 USD")
    running.story.given(Entitled.buy("aircall_ai", "sub-2", other, START)[1])
    running.after(30 + 31 + 15)
    event = running.has.cancel(running.story.now, at_once=True)
    assert issued(running.story.when(event)).total == Money.parse("-0.01", "USD")
    running.story.when(event.model_copy(update={"effective_date": date(2026, 11, 20)})).then_nothing()


def test_the_end_of_what_is_not_known_is_ignored() -> None:
    """An end of a subscription that was never bought costs and gives nothing."""
    running = Running()
    event = running.has.cancel(START, at_once=True).model_copy(update={"subscription_id": "sub-9"})
    assert stays_quiet(running.story.when(event)) == "subscription sub-9 is not known"


def test_a_credit_of_very_many_charges_is_split() -> None:
    """450 increases of one cycle are given back by invoices of at most 200 lines, numbered one after the other."""
    running = Running().after(10)
    for seats in range(2, 452):
        running.story.given(running.has.modify(running.story.now, Licenses(standard=seats)))
    issued_now = invoices(running.canceled())
    assert [len(invoice.lines) for invoice in issued_now] == [LINES_MAX, LINES_MAX, 51]
    assert [invoice.invoice_number for invoice in issued_now] == ["acme-000452", "acme-000453", "acme-000454"]
    assert sum(invoice.total.amount_minor for invoice in issued_now) == -451 * 2_000
    assert max(len(to_json(invoice)) for invoice in issued_now) < 131_072


def test_the_document_does_not_grow_with_the_seats() -> None:
    """After 300 increases the document is as long as after one; each row they left is a short one."""
    running = Running().after(1)
    sizes = []
    for seats in range(10, 310):
        running.story.given(running.has.modify(running.story.now, Licenses(standard=seats)))
        sizes.append(running.story.document_bytes)
    assert max(sizes) - sizes[0] < 20
    assert max(len(row) for row in running.story._rows.values()) < 2_000


def test_the_document_does_not_grow_with_the_years() -> None:
    """Of ten years' cycles the document keeps the last ones."""
    running = Running().after(365 * 4)
    before = running.story.document_bytes
    assert running.after(365 * 6).story.document_bytes < before + 20
    assert len(running.story.document.subscriptions["analytics_plus"].periods) == PERIODS_KEPT
