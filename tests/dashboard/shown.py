"""What entitlements and billing answer, as examples for the dashboard's pure parts."""

from datetime import UTC, datetime
from typing import Any

from contracts.accounts import Licenses
from contracts.invoices import BilledDays, Period, Share
from contracts.money import Money
from services.dashboard.shapes import ChargedToday, NextBill, Preview, ShownAction, ShownAddOn, ShownPrice

NOW = datetime(2026, 9, 30, 10, tzinfo=UTC)


def usd(minor: int) -> Money:
    """Return an amount in US cents."""
    return Money(amount_minor=minor, currency="USD")


PRICE = ShownPrice(price_version="2026-01", unit_price=usd(1795), frequency="monthly", seats=7, full_price=usd(12565))


def action(name: str, message: str | None = None, ask: str | None = None) -> ShownAction:
    """Return an open action, or with a message a closed one."""
    return ShownAction(action=name, open=message is None, message=message, ask=ask)


def add_on(*actions: ShownAction, **said: Any) -> ShownAddOn:
    """Return Analytics+ as somebody sees it."""
    defaults: dict[str, Any] = {"add_on": "analytics_plus", "name": "Analytics+", "access": "none", "price": PRICE}
    return ShownAddOn(**(defaults | said), actions=actions)


def preview(**said: Any) -> Preview:
    """Return the example of the design: 20 of 30 days, with seven seats."""
    today = ChargedToday(
        amount=usd(8377),
        period=Period.model_validate({"from": "2026-09-30", "to": "2026-10-20"}),
        days=BilledDays(billed=20, in_cycle=30),
        share=Share(numerator=20, denominator=30),
        rule="day",
    )
    defaults: dict[str, Any] = {
        "account_id": "acme",
        "add_on": "analytics_plus",
        "licenses": Licenses(standard=5, additional=2),
        "unit_price": usd(1795),
        "price_version": "2026-01",
        "frequency": "monthly",
        "today": today,
        "next_bill": NextBill(date=datetime(2026, 10, 20, tzinfo=UTC).date(), amount=usd(12565), total=usd(30030)),
    }
    return Preview(**(defaults | said))
