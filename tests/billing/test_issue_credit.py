"""What the back office credits: an amount of an invoice, never more than was charged, and one answer to each."""

from datetime import date

import pytest

from contracts.backoffice import CancelSubscription, IssueCredit, Staff
from contracts.invoices import InvoiceIssued, InvoiceKind
from contracts.money import Money
from contracts.results import CreditAccepted, CreditRejected, Reason
from services.billing.credits import answer
from services.billing.proration import recompute
from services.runtime.decision import Accepted, Cause, Rejected
from tests.billing.running import Running, credit, credited
from tests.billing.scenario import ACCOUNT, given, issued, stays_quiet


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


def test_credits_add_up_to_the_invoice_and_no_further() -> None:
    """All that was charged can be credited in parts; a minor unit more is refused."""
    running = Running()
    assert issued(running.credit("20.00 USD")).total == Money.parse("-20.00", "USD")
    running.credit("10.01 USD").then_rejected(Reason.CREDIT_EXCEEDS_PAID)
    assert running.story.decision.message == "Of invoice acme-000001 10.00 USD can be credited, not 10.01 USD."  # type: ignore[union-attr]
    issued(running.credit("10.00 USD"))
    running.credit("0.01 USD").then_rejected(Reason.CREDIT_EXCEEDS_PAID)


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
    given().when(credit("1.00 USD")).then_rejected(Reason.INVOICE_UNKNOWN)


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
