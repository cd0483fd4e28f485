"""What billing decides: one purchase, one invoice, at once, prorated, numbered without a gap, and never twice."""

from datetime import UTC, date, datetime
from functools import reduce

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.events import FeatureRequested, Person, QuoteRequested, TrialEnded, TrialStarted
from contracts.invoices import BilledDays, InvoiceKind, Period, ProrationRule, Share
from contracts.money import Money
from services.billing.account import BillingAccount, InvoiceRow, SubscriptionRow
from services.billing.domain import BillingDecider
from services.billing.proration import recompute
from services.runtime.decision import Decider, Message, TimerDue
from tests.billing.scenario import ACCOUNT, NOW, given, issued, purchase, stays_quiet

ANNUAL = BillingFrequency.ANNUAL
SUPERVISOR = Person(user_id="sam", role="supervisor")

# ------------------------------------------------------------------------------------------------------ bills at once


def test_a_purchase_is_billed_at_once_and_prorated() -> None:
    """17.95 for one seat, cycle 20 September to 20 October, bought 30 September: one invoice of 20/30, 11.97 USD."""
    invoice = issued(given().when(purchase()))

    assert invoice.account_id == ACCOUNT
    assert invoice.invoice_number == "acme-000001"
    assert invoice.kind is InvoiceKind.IMMEDIATE
    assert invoice.issued_at == NOW
    assert invoice.currency == "USD"
    assert invoice.total == Money.parse("11.97", "USD")
    assert len(invoice.lines) == 1


def test_a_line_stores_its_derivation() -> None:
    """A line holds everything its amount depends on, and what it is for in words."""
    bought = purchase(seats=(2, 3))
    (line,) = issued(given().when(bought)).lines

    assert (line.subscription_id, line.add_on) == ("sub-1", "analytics_plus")
    assert line.description == "analytics_plus, 30 Sep 2026 to 19 Oct 2026, 20 of 30 days"
    assert line.period == Period(from_=date(2026, 9, 30), to=date(2026, 10, 20))
    assert line.quantity == Licenses(standard=2, additional=3)
    assert line.unit_price == bought.terms.unit_price
    assert line.days == BilledDays(billed=20, in_cycle=30)
    assert line.share == Share(numerator=20, denominator=30)
    assert (line.price_version, line.rule, line.timezone) == ("2026-01", ProrationRule.DAY, "America/New_York")
    assert line.amount == recompute(line) == Money.parse("59.83", "USD")


def test_standard_and_additional_seats_are_charged() -> None:
    """Seats are standard licenses plus additional users, multiplied before the one rounding."""
    invoice = issued(given().when(purchase(seats=(7, 5))))
    assert invoice.total == Money.parse("143.60", "USD")  # twelve times 11.97 would be 143.64


def test_the_total_is_the_sum_of_the_lines() -> None:
    """An invoice's total adds its rounded lines, in the invoice's currency."""
    invoice = issued(given().when(purchase(seats=(3, 0), price="5.525 KWD")))
    assert invoice.total == reduce(Money.__add__, (line.amount for line in invoice.lines))
    assert invoice.total == Money.parse("11.050", "KWD")
    assert invoice.currency == invoice.total.currency == "KWD"


def test_a_purchase_on_the_first_day_is_billed_in_full() -> None:
    """Bought on the day a cycle starts, the whole cycle is charged."""
    assert issued(given().when(purchase(at="2026-09-20T16:00:00Z"))).total == Money.parse("17.95", "USD")


def test_a_purchase_on_the_last_day_is_billed_for_that_day() -> None:
    """Bought on the last day of a cycle, one day is charged, whatever the hour."""
    invoice = issued(given().when(purchase(at="2026-10-20T03:59:59Z")))
    assert invoice.lines[0].description == "analytics_plus, 19 Oct 2026, 1 of 30 days"
    assert invoice.total == Money.parse("0.60", "USD")


def test_no_seats_cost_nothing_and_the_line_says_so() -> None:
    """An account without seats gets an invoice of nothing, with a line that says why."""
    invoice = issued(given().when(purchase(seats=(0, 0))))
    assert invoice.total == Money.parse("0.00", "USD")
    assert invoice.lines[0].description == "analytics_plus, 30 Sep 2026 to 19 Oct 2026, no seats to charge for"


def test_an_invoice_is_due_on_the_first_billed_day() -> None:
    """Without payment terms an invoice is due on the local date of the purchase."""
    assert issued(given().when(purchase(at="2026-10-01T02:00:00Z"))).due_date == date(2026, 9, 30)


def test_payment_terms_move_the_due_date() -> None:
    """Payment terms are days after the first billed day."""
    story = given(decider=BillingDecider(payment_terms_days=14))
    assert issued(story.when(purchase())).due_date == date(2026, 10, 14)


@pytest.mark.parametrize(
    ("rule", "share", "total"),
    [
        (ProrationRule.DAY, Share(numerator=20, denominator=30), "11.97"),
        (ProrationRule.SECOND, Share(numerator=1_684_800, denominator=2_592_000), "11.67"),
        (ProrationRule.FIXED_30, Share(numerator=20, denominator=30), "11.97"),
    ],
)
def test_the_deployment_chooses_the_rule_and_the_line_records_it(rule: ProrationRule, share: Share, total: str) -> None:
    """Bought at local noon, seconds charge half a day less; every line names the rule it was counted by."""
    (line,) = issued(given(decider=BillingDecider(rule=rule)).when(purchase())).lines
    assert (line.rule, line.share, line.amount) == (rule, share, Money.parse(total, "USD"))
    assert line.days == BilledDays(billed=20, in_cycle=30)


@pytest.mark.parametrize(
    ("timezone", "at", "first_day", "billed"),
    [
        ("America/New_York", "2026-10-01T03:59:59Z", date(2026, 9, 30), 20),
        ("America/New_York", "2026-10-01T04:00:00Z", date(2026, 10, 1), 19),
        ("UTC", "2026-10-01T03:59:59Z", date(2026, 10, 1), 19),
        ("Asia/Tokyo", "2026-09-30T14:59:59Z", date(2026, 9, 30), 20),
        ("Asia/Tokyo", "2026-09-30T15:00:00Z", date(2026, 10, 1), 19),
        ("Asia/Kolkata", "2026-09-29T18:30:00Z", date(2026, 9, 30), 20),
        ("America/New_York", "2026-10-20T03:59:59Z", date(2026, 10, 19), 1),
        ("America/New_York", "2026-10-20T04:00:00Z", date(2026, 10, 20), 31),  # the next cycle, in full
    ],
)
def test_a_purchase_near_midnight_counts_by_the_accounts_day(
    timezone: str, at: str, first_day: date, billed: int
) -> None:
    """The first billed day is the account's local date, so a second or a zone can move a purchase by a day."""
    (line,) = issued(given().when(purchase(timezone=timezone, at=at))).lines
    assert (line.period.from_, line.days.billed) == (first_day, billed)


@pytest.mark.parametrize(
    ("anchor", "at", "period_end", "days"),
    [
        ("2026-01-31", "2026-02-10T12:00:00Z", "2026-02-28", (18, 28)),
        ("2026-01-31", "2026-02-28T12:00:00Z", "2026-03-31", (31, 31)),
        ("2026-01-31", "2026-03-30T12:00:00Z", "2026-03-31", (1, 31)),
        ("2026-01-31", "2026-04-01T12:00:00Z", "2026-04-30", (29, 30)),
        ("2028-01-31", "2028-02-10T12:00:00Z", "2028-02-29", (19, 29)),
        ("2031-05-31", "2026-02-10T12:00:00Z", "2026-02-28", (18, 28)),  # bought before the anchor
    ],
)
def test_an_anchor_on_the_31st(anchor: str, at: str, period_end: str, days: tuple[int, int]) -> None:
    """An anchor on the 31st ends short months on their last day and is the 31st again in long ones."""
    (line,) = issued(given().when(purchase(anchor=anchor, at=at))).lines
    assert line.period.to == date.fromisoformat(period_end)
    assert (line.days.billed, line.days.in_cycle) == days


@pytest.mark.parametrize(
    ("anchor", "at", "period_end", "days", "total"),
    [
        ("2026-01-15", "2026-09-30T16:00:00Z", "2027-01-15", (107, 365), "52.62"),
        ("2024-02-29", "2026-03-01T16:00:00Z", "2027-02-28", (364, 365), "179.01"),
        ("2024-02-29", "2027-03-01T16:00:00Z", "2028-02-29", (365, 366), "179.01"),
        ("2024-02-29", "2028-02-29T16:00:00Z", "2029-02-28", (365, 365), "179.50"),
    ],
)
def test_an_annual_account_is_billed_to_the_end_of_its_year(
    anchor: str, at: str, period_end: str, days: tuple[int, int], total: str
) -> None:
    """An annual purchase is charged by the days of its own year, which a 29 February may lengthen or clamp."""
    invoice = issued(given().when(purchase(anchor=anchor, at=at, frequency=ANNUAL, price="179.50 USD")))
    (line,) = invoice.lines
    assert line.period.to == date.fromisoformat(period_end)
    assert (line.days.billed, line.days.in_cycle) == days
    assert invoice.total == Money.parse(total, "USD")


def test_the_same_decision_again_is_the_same_invoice() -> None:
    """A purchase decided a second time, after a crash before it was stored, yields the same invoice to the byte."""
    first, again = (issued(given().when(purchase())).model_dump_json() for _ in range(2))
    assert first == again


# ---------------------------------------------------------------------------------------------- refuses to bill twice


def test_a_subscription_is_never_billed_its_purchase_twice() -> None:
    """A second purchase event of one subscription is ignored, names the invoice, and uses up no number."""
    story = given(purchase())
    why = stays_quiet(story.when(purchase(at="2026-10-02T12:00:00Z")))
    assert why == "subscription sub-1 was billed by acme-000001"
    assert story.document.next_number == 2
    assert set(story._rows) == {"invoice:1", "subscription:sub-1", "charge:sub-1:2026-09-30:0"}


def test_another_subscription_is_billed() -> None:
    """The guard is the subscription, not the add-on: bought anew under another id, it is billed anew."""
    story = given(purchase("sub-1"))
    assert issued(story.when(purchase("sub-2"))).invoice_number == "acme-000002"


# ------------------------------------------------------------------------------------------------------- stays quiet


@pytest.mark.parametrize(
    "message",
    [
        FeatureRequested(account_id=ACCOUNT, add_on="analytics_plus", requested_by=SUPERVISOR, requested_at=NOW),
        QuoteRequested(
            account_id=ACCOUNT,
            add_on="analytics_plus",
            quote_id="quote-1",
            requested_by=SUPERVISOR,
            requested_at=NOW,
            licenses=Licenses(standard=300),
        ),
        TrialStarted(
            account_id=ACCOUNT,
            add_on="analytics_plus",
            started_by=SUPERVISOR,
            started_at=NOW,
            ends_at=datetime(2026, 10, 14, tzinfo=UTC),
        ),
        TrialEnded(account_id=ACCOUNT, add_on="analytics_plus", ended_at=NOW, reason="purchased"),
        TimerDue(account_id=ACCOUNT, name="another", due=NOW),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_not_a_purchase_is_not_billed(message: Message) -> None:
    """Requests, quotes, trials and timers cost nothing, load no row and change nothing."""
    story = given()
    assert BillingDecider().rows(message) == ()
    assert stays_quiet(story.when(message)).endswith("is not billed")
    assert story.document == BillingAccount()
    assert set(story._rows) == set()


# -------------------------------------------------------------------------------------------------- what is remembered


def test_invoice_numbers_have_no_gap() -> None:
    """Numbers count 1, 2, 3 … in the account; what is ignored in between takes none."""
    story = given()
    numbers = []
    for n in range(1, 6):
        numbers.append(issued(story.when(purchase(f"sub-{n}", add_on=f"add-on-{n}"))).invoice_number)
        stays_quiet(story.when(purchase(f"sub-{n}", add_on=f"add-on-{n}")))
        stays_quiet(story.when(TrialEnded(account_id=ACCOUNT, add_on="x", ended_at=NOW, reason="expired")))
    assert numbers == [f"acme-00000{n}" for n in range(1, 6)]
    assert story.document.next_number == 6


def test_a_number_beyond_six_digits_grows() -> None:
    """The millionth invoice has seven digits; none is cut off."""
    story = given()
    story._document = BillingAccount(next_number=1_000_000).model_dump_json().encode()
    assert issued(story.when(purchase())).invoice_number == "acme-1000000"


def test_an_invoice_is_kept_as_issued() -> None:
    """The row of an invoice holds exactly what was published; the row of a subscription leads to it."""
    story = given(purchase("sub-1"))
    invoice = issued(story.when(purchase("sub-2", add_on="aircall_ai", price="9.00 USD")))
    assert story.row("invoice:2") == InvoiceRow(invoice=invoice)
    assert story.row("subscription:sub-2") == SubscriptionRow(invoice_number="acme-000002")


def test_active_subscriptions_are_kept_with_their_terms() -> None:
    """The document keeps what the account pays for from now on, one entry for each add-on."""
    first, second = purchase("sub-1"), purchase("sub-2", add_on="aircall_ai", price="9.00 USD")
    kept = given(first, second).document.subscriptions
    assert set(kept) == {"analytics_plus", "aircall_ai"}
    assert (kept["aircall_ai"].subscription_id, kept["aircall_ai"].terms_on(NOW.date())) == ("sub-2", second.terms)
    assert kept["analytics_plus"].effective_date == date(2026, 9, 30)


def test_the_document_does_not_grow_with_invoices() -> None:
    """Buying one add-on many times over adds rows, not document: its size depends on the catalog alone."""
    purchases = [purchase(f"sub-{n:02d}") for n in range(1, 31)]
    short, long = given(*purchases[:10]), given(*purchases)
    assert len(long._rows) == 90
    assert long.document_bytes == short.document_bytes


def test_a_purchase_names_the_one_row_it_needs() -> None:
    """A purchase loads its subscription's row only, however many invoices the account has."""
    assert BillingDecider().rows(purchase("sub-7")) == ("subscription:sub-7",)


def test_billing_is_a_decider_of_the_runtime() -> None:
    """The runtime takes billing as it is: its document, its rows by prefix and its functions."""
    decider: Decider[BillingAccount] = BillingDecider()
    assert decider.document is BillingAccount
    assert set(decider.row_types) == {"charge", "invoice", "member", "subscription"}
    assert decider.row_types["invoice"] is InvoiceRow
    assert decider.row_types["subscription"] is SubscriptionRow
