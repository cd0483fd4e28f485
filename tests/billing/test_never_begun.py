"""What entitlements ends before it begins, billing gives back whole: both decide, on one stream.

Staff activated 50 seats at 10.00 for 1 November 2026, which billing charged on 30 September.
"""

from typing import Any

import pytest

from contracts.accounts import Licenses
from contracts.backoffice import ActivateAddOn, CancelSubscription, ModifySubscription
from contracts.invoices import InvoiceIssued, InvoiceKind
from services.billing.account import BillingAccount
from services.billing.domain import BillingDecider
from services.entitlements.account import Entitlements
from services.runtime.decision import Accepted
from tests.entitlements.scenario import ACCOUNT, ADD_ON, NOW, account, acme, dollars, having, quote, staff
from tests.scenario import Scenario

FIFTY = Licenses(standard=50)
WAYS = ["now", "end_of_cycle", "closed"]


class Both:
    """An account as entitlements decides it, and as billing follows."""

    def __init__(self) -> None:
        self.entitled: Scenario[Entitlements] = having(acme(sales_managed=True, licenses=FIFTY), quote())
        self.billed: Scenario[BillingAccount] = Scenario(BillingDecider(), ACCOUNT, NOW)
        self.say(staff(ActivateAddOn, unit_price=dollars(1000), effective_date="2026-11-01"))

    def say(self, message: Any) -> list[InvoiceIssued]:
        """Have entitlements decide a message and billing what came of it; return what was issued."""
        self.entitled.when(message)
        assert isinstance(self.entitled.decision, Accepted), self.entitled.decision
        self.billed.when(*self.entitled.emitted)
        return list(self.billed.emitted_of(InvoiceIssued))

    def end(self, way: str) -> list[InvoiceIssued]:
        """End the subscription by staff or with its account."""
        if way == "closed":
            return self.say(account(9, status="closed", sales_managed=True, licenses=FIFTY))
        return self.say(staff(CancelSubscription, subscription_id=self.subscription_id, when=way))

    @property
    def subscription_id(self) -> str:
        """The id of what was activated."""
        subscription = self.entitled.document.add_ons[ADD_ON].subscription
        assert subscription is not None
        return subscription.id

    @property
    def total_minor(self) -> int:
        """What all invoices come to, in cents."""
        return sum(each.total.amount_minor for each in self.billed.events if isinstance(each, InvoiceIssued))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_stays_charged_of_what_never_began(way: str) -> None:
    """Ended before its first day by staff, in either way, or with its account, it is credited whole; no bill comes."""
    both = Both()
    assert both.total_minor == 30_645  # 500.00 x 19 of 31 days
    (credit,) = both.end(way)
    assert (credit.kind, credit.total) == (InvoiceKind.CREDIT, dollars(-30_645))
    assert both.total_minor == 0
    assert both.billed.document.timers == {}


@pytest.mark.parametrize("way", WAYS)
def test_seats_added_before_the_first_day_are_given_back_too(way: str) -> None:
    """Each charge for what never began is credited in full."""
    both = Both()
    both.say(staff(ModifySubscription, subscription_id=both.subscription_id, licenses={"standard": 60}))
    assert both.total_minor == 36_774
    both.end(way)
    assert both.total_minor == 0
    assert both.billed.document.timers == {}
