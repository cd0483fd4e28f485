"""When an account may buy at list price, at which, and when it needs a quote."""

from datetime import date
from typing import Any

import pytest

from contracts.accounts import Billing, BillingFrequency, Licenses
from contracts.catalog import ListPrice
from contracts.offers import AccountFacts, Offer, QuoteCause, full_price, offer_to
from tests.entitlements.scenario import ADD_ON, CATALOG, account

BEFORE, TODAY, FROM_OCTOBER = date(2025, 12, 31), date(2026, 9, 30), date(2026, 10, 1)
ANNUAL = Billing(frequency=BillingFrequency.ANNUAL, cycle_anchor=TODAY)


def offered(today: date = TODAY, add_on: str = ADD_ON, **changes: Any) -> Offer:
    """Return what an account with these fields is offered."""
    return offer_to(AccountFacts.of(account(**changes)), CATALOG.add_ons[add_on], CATALOG, today)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"sales_managed": True}, QuoteCause.SALES_MANAGED),
        ({"licenses": Licenses(standard=201)}, QuoteCause.TOO_MANY_SEATS),
        ({"licenses": Licenses(standard=0, additional=201)}, QuoteCause.TOO_MANY_SEATS),
        ({"currency": "CHF"}, QuoteCause.NO_LIST_PRICE),
        ({"currency": "XXX"}, QuoteCause.NO_LIST_PRICE),
        ({"currency": "GBP", "billing": ANNUAL}, QuoteCause.NO_LIST_PRICE),
        ({"add_on": "aircall_ai"}, QuoteCause.NO_LIST_PRICE),
        ({"today": BEFORE}, QuoteCause.NO_LIST_PRICE),
    ],
)
def test_an_account_without_a_list_price_needs_a_quote(changes: dict[str, Any], cause: QuoteCause) -> None:
    """Sales-managed, above the seat limit, or without a price in its currency and frequency today: a quote, and why."""
    assert offered(**changes) is cause


@pytest.mark.parametrize(
    ("changes", "price"),
    [
        ({}, "17.95 USD"),
        ({"licenses": Licenses(standard=200)}, "17.95 USD"),
        ({"licenses": Licenses(standard=0)}, "17.95 USD"),
        ({"billing": ANNUAL}, "179.50 USD"),
        ({"currency": "JPY"}, "2650 JPY"),
        ({"today": FROM_OCTOBER}, "19.95 USD"),
        ({"today": FROM_OCTOBER, "currency": "GBP"}, "14.95 GBP"),
    ],
)
def test_any_other_account_buys_at_the_price_of_the_day(changes: dict[str, Any], price: str) -> None:
    """Up to the limit, 0 seats included, the newest price valid on the UTC date in currency and frequency."""
    offer = offered(**changes)
    assert isinstance(offer, ListPrice)
    assert str(offer.unit_price) == price


def test_the_full_price_is_per_seat() -> None:
    """One cycle costs unit price × (standard + additional)."""
    offer = offered()
    assert isinstance(offer, ListPrice)
    assert str(full_price(offer, Licenses(standard=50, additional=10))) == "1077.00 USD"
    assert str(full_price(offer, Licenses(standard=0))) == "0.00 USD"
