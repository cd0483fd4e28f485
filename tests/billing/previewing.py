"""An account whose Owner looks at prices, in billing and in entitlements at once: one story told to both."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.catalog import Catalog
from contracts.commands import PurchaseAddOn
from contracts.events import AddOnPurchased
from contracts.invoices import InvoiceIssued, ProrationRule
from contracts.payload import Payload
from contracts.promises import PromiseKeys
from services.billing.account import BillingAccount
from services.billing.charges import Charging
from services.billing.directory import member_row
from services.billing.domain import BillingDecider
from services.billing.preview import Preview, Previewing
from services.entitlements.account import Entitlements
from services.entitlements.domain import EntitlementsDecider
from services.runtime.decision import Accepted, Rejected, State
from tests.promising import KEYS
from tests.scenario import Scenario

ACCOUNT = "acme"
NOW = datetime(2026, 9, 30, 16, tzinfo=UTC)
PRICES = [
    {"currency": "USD", "monthly": "17.95", "annual": "179.50"},
    {"currency": "JPY", "monthly": "2650", "annual": "26500"},
    {"currency": "KWD", "monthly": "5.525", "annual": "55.255"},
]
CATALOG = Catalog.model_validate(
    {
        "self_service_seat_limit": 200,
        "add_ons": {
            name: {
                "name": name.title(),
                "trial_days": 14,
                "prices": [{"version": "2020-01", "valid_from": date(2020, 1, 1), "unit_prices": PRICES}],
            }
            for name in ("analytics_plus", "aircall_ai")
        },
    }
)


def account(revision: int = 1, **changes: Any) -> AccountUpdated:
    """Return an account of 60 seats in New York, with these fields changed."""
    facts: dict[str, Any] = {
        "name": "Acme",
        "status": "active",
        "currency": "USD",
        "timezone": "America/New_York",
        "sales_managed": False,
        "payment_method_on_file": True,
        "licenses": Licenses(standard=50, additional=10),
        "billing": Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 1, 20)),
    }
    return AccountUpdated(account_id=ACCOUNT, revision=revision, **(facts | changes))


def member(user_id: str = "olga", role: str = "owner", revision: int = 1, *, removed: bool = False) -> MemberUpdated:
    """Return a member of the account."""
    status = "removed" if removed else "active"
    return MemberUpdated.model_validate(
        {"account_id": ACCOUNT, "revision": revision, "user_id": user_id, "role": role, "status": status}
    )


class Looking:
    """Both services' account, at one moment."""

    def __init__(
        self,
        *facts: Payload,
        now: datetime = NOW,
        rule: ProrationRule = ProrationRule.DAY,
        keys: PromiseKeys = KEYS,
    ) -> None:
        self.rule = rule
        self.keys = keys
        self.billing: Scenario[BillingAccount] = Scenario(BillingDecider(rule), ACCOUNT, now)
        self.entitlements: Scenario[Entitlements] = Scenario(EntitlementsDecider(CATALOG, keys), ACCOUNT, now)
        self.given(*(facts or (account(), member())))

    def given(self, *messages: Payload) -> "Looking":
        """Tell both services facts."""
        for message in messages:
            self.billing.when(message)
            self.entitlements.when(message)
        return self

    def at(self, now: datetime) -> "Looking":
        """Let time pass; what comes due happens at its instant."""
        self.billing.advance(now - self.billing.now)
        self.entitlements.now = now
        return self

    def previewed(self, user_id: str = "olga", add_on: str = "analytics_plus") -> Preview | Rejected:
        """Preview an add-on now."""
        charging = Charging(self.rule, 0, ACCOUNT, self.billing.now)
        previewing = Previewing(CATALOG, charging, self.keys, timedelta(minutes=15))
        name = member_row(user_id)
        state = State(ACCOUNT, self.billing.document, {name: self.billing.row(name)})
        return previewing.preview(state, user_id, add_on)

    def preview(self, add_on: str = "analytics_plus") -> Preview:
        """Preview an add-on that the Owner can buy now."""
        shown = self.previewed(add_on=add_on)
        assert isinstance(shown, Preview), shown
        return shown

    def buy(self, preview: Preview | None = None, add_on: str = "analytics_plus") -> InvoiceIssued:
        """Buy now, by a preview's promise if one is given; return the invoice of the purchase."""
        said: Mapping[str, Any] = {"account_id": ACCOUNT, "user_id": "olga", "add_on": add_on}
        token = preview.promise.token if preview is not None and preview.promise is not None else None
        self.entitlements.when(PurchaseAddOn(**said, price_promise=token))
        assert isinstance(self.entitlements.decision, Accepted), self.entitlements.decision
        (event,) = self.entitlements.emitted_of(AddOnPurchased)
        self.billing.when(event)
        invoice = self.billing.emitted[-1]
        assert isinstance(invoice, InvoiceIssued)
        return invoice
