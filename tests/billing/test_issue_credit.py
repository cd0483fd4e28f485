"""What the back office credits: an amount of an invoice, never more than was charged, and one answer to each."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.backoffice import CancelSubscription, IssueCredit, Staff
from contracts.invoices import InvoiceIssued, InvoiceKind
from contracts.money import Money
from contracts.results import CreditAccepted, CreditRejected, Reason
from services.billing.account import number_of
from services.billing.credits import answer
from services.billing.proration import recompute, spread
from services.runtime.decision import Accepted, Cause, Rejected
from tests.billing.entitled import Entitled
from tests.billing.running import START, Running, credit, credited
from tests.billing.scenario import ACCOUNT, issued, stays_quiet, terms_of
from tests.billing.scenario import given as nothing


class TwoAddOns(Running):
    """Two subscriptions renewed by one bill, acme-000003, on 20 October at midnight; the other one's price varies."""

    def __init__(self, price: str) -> None:
        super().__init__()
        terms = terms_of(date(2026, 9, 20), timezone="America/New_York", price=price)
        self.other, event = Entitled.buy("aircall_ai", "sub-2", terms, START)
        self.story.given(event)
        self.story.advance(timedelta(days=30))


def test_the_back_office_credits_an_amount() -> None:
    """An amount of an invoice is given back, by whom and why; the row keeps it."""
    story = Running().credit("12.50 USD")
    invoice = issued(story)
    assert (invoice.kind, str(invoice.total), invoice.by) == (
        InvoiceKind.CREDIT,
        "-12.50 USD",
        Staff(staff_id="stella", reason="a bad week"),
    )
    line = invoice.lines[0]
    assert (line.credits, line.days.billed, line.amount) == ("acme-000001", 0, recompute(line))
    assert credited(story) == 1_250
    assert invoice.due_date == date(2026, 9, 20)


def test_digits_without_end_are_no_invoice() -> None:
    """Reading a number never raises, however long it is: Python refuses integers of thousands of digits."""
    assert [number_of(f"acme-{'9' * count}", ACCOUNT) for count in (7, 19, 5_000)] == [9_999_999, None, None]


def test_credits_add_up_to_the_invoice_and_no_further() -> None:
    """All that was charged can be credited in parts; a minor unit more is refused."""
    running = Running()
    assert issued(running.credit("20.00 USD")).total == Money.parse("-20.00", "USD")
    running.credit("10.01 USD").then_rejected(Reason.CREDIT_EXCEEDS_PAID)
    assert running.story.decision.message == "Of invoice acme-000001 10.00 USD can be credited, not 10.01 USD."  # type: ignore[union-attr]
    issued(running.credit("10.00 USD"))
    running.credit("0.01 USD").then_rejected(Reason.CREDIT_EXCEEDS_PAID)


def test_a_credit_is_spread_over_the_lines() -> None:
    """10.01 of a bill of 30.00 and 15.00 is a line for each, pro rata, and adds up to the cent."""
    running = TwoAddOns("15.00 USD")
    invoice = issued(running.credit("10.01 USD", "acme-000003"))
    assert [(line.subscription_id, str(line.amount), line.credits) for line in invoice.lines] == [
        ("sub-2", "-3.34 USD", "acme-000003"),
        ("sub-1", "-6.67 USD", "acme-000003"),
    ]
    assert all(line.amount == recompute(line) and line.days.billed == 0 for line in invoice.lines)
    assert str(invoice.total) == "-10.01 USD"


def test_a_credit_takes_no_other_subscriptions_credit() -> None:
    """Half of a bill of two add-ons is credited, then both end on its first day: each gets its own other half."""
    running = TwoAddOns("30.00 USD")
    running.credit("30.00 USD", "acme-000003")
    other = running.other.cancel(running.story.now, at_once=True)
    assert str(issued(running.story.when(other)).total) == "-15.00 USD"
    assert str(issued(running.canceled()).total) == "-15.00 USD"
    assert running.story.row("invoice:3").left == (0, 0)
    running.credit("0.01 USD", "acme-000003").then_rejected(Reason.CREDIT_EXCEEDS_PAID)


def test_a_later_credit_takes_what_is_left_of_each_line() -> None:
    """After one line was given back whole, a credit is of the other, up to all of it."""
    running = TwoAddOns("30.00 USD")
    running.canceled()
    running.credit("30.01 USD", "acme-000003").then_rejected(Reason.CREDIT_EXCEEDS_PAID)
    [line] = issued(running.credit("30.00 USD", "acme-000003")).lines
    assert (line.subscription_id, str(line.amount)) == ("sub-2", "-30.00 USD")


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8), st.data())
def test_what_is_spread_adds_up(left: list[int], data: st.DataObject) -> None:
    """The parts add up exactly, none is more than was left, and each is its exact share rounded up or down."""
    minor = data.draw(st.integers(0, sum(left)))
    parts = spread(minor, left)
    assert sum(parts) == minor
    for part, each in zip(parts, left, strict=True):
        assert 0 <= part <= each
        assert abs(part * sum(left) - minor * each) < max(1, sum(left))


def test_more_than_is_left_is_not_spread() -> None:
    """Asked to spread what is not there, or less than nothing, it says so."""
    for minor in (-1, 4):
        with pytest.raises(ValueError, match="cannot be spread"):
            spread(minor, (1, 2))


@pytest.mark.parametrize(
    ("figure", "number", "reason"),
    [
        ("1.00 USD", "acme-000002", Reason.INVOICE_UNKNOWN),
        ("1.00 USD", "acme-1", Reason.INVOICE_UNKNOWN),
        ("1.00 USD", "other-000001", Reason.INVOICE_UNKNOWN),
        ("1.00 USD", "nonsense", Reason.INVOICE_UNKNOWN),
        ("1.00 USD", "acme-000000", Reason.INVOICE_UNKNOWN),
        ("1.00 EUR", "acme-000001", Reason.CHANGE_NOT_ALLOWED),
        ("0.00 USD", "acme-000001", Reason.CHANGE_NOT_ALLOWED),
        ("-1.00 USD", "acme-000001", Reason.CHANGE_NOT_ALLOWED),
        ("30.01 USD", "acme-000001", Reason.CREDIT_EXCEEDS_PAID),
    ],
)
def test_what_cannot_be_credited(figure: str, number: str, reason: Reason) -> None:
    """Unknown invoices, other currencies, amounts of nothing or less, and more than was charged are refused."""
    running = Running()
    before = running.story.document
    running.credit(figure, number).then_rejected(reason)
    assert running.story.document == before


def test_a_credit_is_not_credited() -> None:
    """A credit invoice gives nothing back."""
    running = Running()
    running.credit("1.00 USD")
    running.credit("1.00 USD", "acme-000002").then_rejected(Reason.CREDIT_EXCEEDS_PAID)


def test_a_credit_of_an_unknown_account_is_refused() -> None:
    """An account that was never billed has no invoice to credit."""
    nothing().when(credit("1.00 USD")).then_rejected(Reason.INVOICE_UNKNOWN)


def test_other_back_office_commands_are_not_billings() -> None:
    """What entitlements answers is ignored here."""
    command = CancelSubscription(
        account_id=ACCOUNT, staff_id="stella", reason="asked", subscription_id="sub-1", when="now"
    )
    assert stays_quiet(Running().story.when(command)).endswith("is not billed")


def test_a_credit_is_answered() -> None:
    """Who asked gets one answer: accepted with the invoice's event, or refused with the reason and a sentence."""
    command, cause = credit("1.00 USD"), Cause("command-1", IssueCredit.ce_type)
    accepted = answer(command, cause, Accepted(), ("event-1",))
    assert accepted == CreditAccepted(
        account_id=ACCOUNT,
        command_id="command-1",
        command_type=IssueCredit.ce_type,
        user_id="stella",
        events=("event-1",),
    )
    refused = answer(command, cause, Rejected(Reason.INVOICE_UNKNOWN, "No such invoice."), ())
    assert isinstance(refused, CreditRejected)
    assert (refused.reason, refused.message, refused.ask) == (Reason.INVOICE_UNKNOWN, "No such invoice.", None)


def test_what_is_no_credit_has_no_answer() -> None:
    """Asked to answer anything but a credit, billing says that it does not."""
    purchase = next(event for event in Running().story.events if isinstance(event, InvoiceIssued))
    with pytest.raises(TypeError, match="is not answered by billing"):
        answer(purchase, Cause("1", purchase.ce_type), Accepted(), ())
