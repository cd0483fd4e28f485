"""A subscription under way, cancelled or credited at any moment."""

from datetime import UTC, date, datetime, timedelta

from contracts.backoffice import IssueCredit
from contracts.invoices import ProrationRule
from contracts.money import Money
from services.billing.account import BillingAccount, InvoiceRow
from services.billing.domain import BillingDecider
from tests.billing.entitled import Entitled
from tests.billing.scenario import ACCOUNT, given, terms_of
from tests.scenario import Scenario

START = datetime(2026, 9, 20, 16, tzinfo=UTC)


class Running:
    """A subscription at 30.00, bought on the first day of its cycle of 30 days, 20 September to 20 October."""

    def __init__(self, price: str = "30.00 USD", rule: ProrationRule = ProrationRule.DAY) -> None:
        terms = terms_of(date(2026, 9, 20), timezone="America/New_York", price=price)
        self.has, event = Entitled.buy("analytics_plus", "sub-1", terms, START)
        self.story: Scenario[BillingAccount] = given(decider=BillingDecider(rule=rule))
        self.story.now = START
        self.story.given(event)

    def after(self, days: int) -> "Running":
        """Let days pass."""
        self.story.advance(timedelta(days=days))
        return self

    def canceled(self, *, at_once: bool = True) -> Scenario[BillingAccount]:
        """Cancel now."""
        return self.story.when(self.has.cancel(self.story.now, at_once=at_once))

    def credit(self, figure: str, number: str = "acme-000001") -> Scenario[BillingAccount]:
        """Ask for a credit."""
        return self.story.when(credit(figure, number))


def credit(figure: str, number: str = "acme-000001") -> IssueCredit:
    """Return the back office's command."""
    return IssueCredit(
        account_id=ACCOUNT,
        staff_id="stella",
        reason="a bad week",
        invoice_number=number,
        amount=Money.parse(*figure.split()),
    )


def credited(story: Scenario[BillingAccount], number: int = 1) -> int:
    """Return what was given back of an invoice, in minor units."""
    row: InvoiceRow = story.row(f"invoice:{number}")
    return row.invoice.total.amount_minor - sum(row.left)
