"""Price promises of a deployment whose secret the tests know."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.accounts import BillingFrequency, Licenses
from contracts.events import Terms
from contracts.invoices import ProrationRule
from contracts.money import Money
from contracts.promises import PricePromise, PromiseKeys

SECRET = "a secret of a test that has thirty-two bytes at least"
KEYS = PromiseKeys.load(SECRET)
AT = datetime(2026, 9, 30, 16, tzinfo=UTC)
TERMS = Terms(
    price_version="2026-01",
    unit_price=Money(amount_minor=1_795, currency="USD"),
    frequency=BillingFrequency.MONTHLY,
    licenses=Licenses(standard=50, additional=10),
    currency="USD",
    timezone="America/New_York",
    cycle_anchor=date(2026, 1, 20),
)


def promise(**changes: Any) -> PricePromise:
    """Return the promise for Analytics+ to the account of 60 seats that the tests of entitlements begin with."""
    said: dict[str, Any] = {
        "account_id": "acme",
        "add_on": "analytics_plus",
        "amount": Money(amount_minor=71_800, currency="USD"),
        "first_day": date(2026, 9, 30),
        "terms": TERMS,
        "rule": ProrationRule.DAY,
        "promised_at": AT,
        "expires_at": AT + timedelta(minutes=15),
    }
    return PricePromise.model_validate(said | changes)


def token(made: PricePromise | None = None, keys: PromiseKeys = KEYS, **changes: Any) -> str:
    """Return a promise as it is sent."""
    signed = keys.sign(made or promise(**changes))
    assert signed is not None
    return signed
