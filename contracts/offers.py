"""How an account comes by an add-on: at today's list price, or by a quote, on which terms, and whether it has it.

One place for two readers: entitlements decides by it, and billing previews by it, so that what a preview shows is what
a purchase is decided on. Every account has exactly one of the two ways at any moment. Prices are the catalog's of the
UTC date: the same moment has the same price for every account on earth.
"""

from datetime import date
from enum import StrEnum
from typing import NamedTuple

from contracts.accounts import AccountManager, AccountUpdated, BillingFrequency, Licenses
from contracts.catalog import AddOn, Catalog, ListPrice
from contracts.events import Terms
from contracts.money import Money
from contracts.payload import Value


class AccountFacts(Value):
    """What offers and decisions depend on of an account, as of `revision`."""

    revision: int
    status: str
    currency: str
    timezone: str
    sales_managed: bool
    payment_method_on_file: bool
    licenses: Licenses
    frequency: BillingFrequency
    cycle_anchor: date
    account_manager: AccountManager | None = None

    @classmethod
    def of(cls, fact: AccountUpdated) -> "AccountFacts":
        """Keep what decisions depend on."""
        return cls(
            revision=fact.revision,
            status=fact.status,
            currency=fact.currency,
            timezone=fact.timezone,
            sales_managed=fact.sales_managed,
            payment_method_on_file=fact.payment_method_on_file,
            licenses=fact.licenses,
            frequency=fact.billing.frequency,
            cycle_anchor=fact.billing.cycle_anchor,
            account_manager=fact.account_manager,
        )


class QuoteCause(StrEnum):
    """Why an account needs a quote."""

    SALES_MANAGED = "sales_managed"
    TOO_MANY_SEATS = "too_many_seats"
    NO_LIST_PRICE = "no_list_price"


Offer = ListPrice | QuoteCause


def offer_to(account: AccountFacts, add_on: AddOn, catalog: Catalog, today: date) -> Offer:
    """Return the list price the account may buy at on the UTC date `today`, or why it needs a quote.

    Source: design section 1. The seat limit itself is still self-service; 0 seats are too, and cost 0.
    """
    if account.sales_managed:
        return QuoteCause.SALES_MANAGED
    if account.licenses.total > catalog.self_service_seat_limit:
        return QuoteCause.TOO_MANY_SEATS
    return add_on.list_price(account.currency, account.frequency, today) or QuoteCause.NO_LIST_PRICE


def full_price(price: ListPrice, licenses: Licenses) -> Money:
    """Return what one whole billing cycle costs: unit price × seats."""
    unit = price.unit_price
    return Money(amount_minor=unit.amount_minor * licenses.total, currency=unit.currency)


def terms_of(account: AccountFacts, price: ListPrice) -> Terms:
    """Write down everything the price of a purchase depends on, as it is now."""
    return Terms(
        price_version=price.version,
        unit_price=price.unit_price,
        frequency=account.frequency,
        licenses=account.licenses,
        currency=account.currency,
        timezone=account.timezone,
        cycle_anchor=account.cycle_anchor,
    )


class Coverage(NamedTuple):
    """The local days that subscriptions of one add-on cover, as far as the latest goes.

    `begins_on` is its first billed day and `ends_on` the first without it: where that is not later, it covers no day.
    `free_from` is the first day that none before it covers; None where there was none.
    """

    begins_on: date
    ends_on: date | None = None
    free_from: date | None = None

    @property
    def until(self) -> date | None:
        """The first day that none of them covers; None where no day is covered, or the latest has no end."""
        if self.ends_on is None or self.ends_on <= self.begins_on:
            return self.free_from
        return self.ends_on

    def is_over(self, day: date) -> bool:
        """Whether none of them covers a day or a later one: the add-on can be bought on it."""
        return self.ends_on is not None and day >= (self.until or date.min)
