"""What renewals are tested with: an account's fact, purchases that were just made, and the days that were charged."""

from datetime import date

from contracts.accounts import AccountUpdated, BasePlan, Billing, BillingFrequency, Licenses
from contracts.events import AddOnPurchased
from contracts.money import Money
from services.billing.account import BillingAccount
from services.billing.domain import BillingDecider
from tests.billing.scenario import ACCOUNT, given, invoices
from tests.scenario import Scenario

NEW_YORK = "America/New_York"


def account_fact(revision: int = 1, figure: str | None = "24.95 USD", anchor: str = "2026-09-20") -> AccountUpdated:
    """Return the account's fact; without a figure it has no base plan."""
    plan = BasePlan(description="Professional", amount=Money.parse(*figure.split())) if figure else None
    return AccountUpdated(
        account_id=ACCOUNT,
        revision=revision,
        name="Acme",
        status="active",
        currency="USD",
        timezone=NEW_YORK,
        sales_managed=False,
        payment_method_on_file=True,
        licenses=Licenses(standard=1),
        billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date.fromisoformat(anchor)),
        base_plan=plan,
    )


def bought(*messages: AddOnPurchased, decider: BillingDecider | None = None) -> Scenario[BillingAccount]:
    """Begin a story in which these were just bought, at the instant of the first."""
    story = given(decider=decider)
    story.now = messages[0].purchased_at
    return story.given(*messages)


def periods(story: Scenario[BillingAccount]) -> list[tuple[str, str]]:
    """Return the days charged by the last step, in order."""
    return [(str(line.period.from_), str(line.period.to)) for each in invoices(story) for line in each.lines]
