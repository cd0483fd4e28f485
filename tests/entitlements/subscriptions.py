"""What the stories of a subscription share: its account bought on 30 September 2026, in the period to 20 October."""

from datetime import date
from typing import Any

from contracts.accounts import Billing, BillingFrequency, Licenses
from contracts.events import SubscriptionModified, Terms
from services.entitlements.account import Entitlements
from services.entitlements.schedule import Subscription
from tests.entitlements.scenario import ACCOUNT, ADD_ON, NOW, SUBSCRIPTION, dollars
from tests.scenario import Scenario

TODAY, NEXT = date(2026, 9, 30), date(2026, 10, 20)
MONTHLY, ANNUAL = BillingFrequency.MONTHLY, BillingFrequency.ANNUAL
SIXTY, SEVENTY = Licenses(standard=50, additional=10), Licenses(standard=70)
TERMS = Terms(
    price_version="2026-01",
    unit_price=dollars(1795),
    frequency=MONTHLY,
    licenses=SIXTY,
    currency="USD",
    timezone="America/New_York",
    cycle_anchor=date(2026, 1, 20),
)
YEARLY = {"frequency": ANNUAL, "unit_price": dollars(17950)}


def billing(frequency: BillingFrequency = MONTHLY, anchor: date = TERMS.cycle_anchor) -> Billing:
    """Return an account's billing cycle."""
    return Billing(frequency=frequency, cycle_anchor=anchor)


def modified(**changes: Any) -> SubscriptionModified:
    """Return the change of the subscription by its account, now; `terms` are what differs from those of the sale."""
    terms = TERMS.model_copy(update=changes.pop("terms", {}))
    facts: dict[str, Any] = {
        "modified_at": NOW,
        "licenses": terms.licenses,
        "licenses_from": TODAY,
        "terms": terms,
        "terms_from": NEXT,
        "cause": "account",
    }
    return SubscriptionModified(account_id=ACCOUNT, add_on=ADD_ON, subscription_id=SUBSCRIPTION, **(facts | changes))


def subscription_of(story: Scenario[Entitlements]) -> Subscription:
    """Return what is remembered of the subscription."""
    subscription = story.document.add_ons[ADD_ON].subscription
    assert subscription is not None
    return subscription
