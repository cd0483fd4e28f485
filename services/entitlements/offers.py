"""How an account comes by an add-on: at today's list price, or by a quote; the terms it buys on, and how they change.

Every account has exactly one of the two at any moment, so *Subscribe now* and *Request a quote* are never both open.
Prices are the catalog's of the UTC date: the same moment has the same price for every account on earth.
"""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from contracts.accounts import AccountManager, AccountUpdated, BillingFrequency, Licenses
from contracts.backoffice import ModifySubscription
from contracts.catalog import AddOn, Catalog, ListPrice
from contracts.events import Terms
from contracts.money import Money
from contracts.payload import Value

QUOTED: Final = "quote:"
BY_BACK_OFFICE: Final = "backoffice:"


class AccountFacts(Value):
    """What entitlements keeps of an account, as of `revision`."""

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


def notice_at(add_on: AddOn, ends_at: datetime, decided_at: datetime) -> datetime:
    """Return when to say that a trial ends soon; its end itself where that has passed or nobody is to be told."""
    due = ends_at - timedelta(days=add_on.trial_notice_days)
    return due if due > decided_at else ends_at


def expires_at(catalog: Catalog, requested_at: datetime) -> datetime:
    """Return the first moment at which a quote is open no more."""
    return requested_at + timedelta(days=catalog.quote_valid_days)


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


def is_negotiated(terms: Terms) -> bool:
    """Whether staff set the price: then no price list changes it any more."""
    return terms.price_version.startswith((QUOTED, BY_BACK_OFFICE))


def billed_as(
    terms: Terms, in_force: Terms, currency: str, frequency: BillingFrequency, listed: ListPrice | None
) -> Terms | None:
    """Return the terms in another currency or frequency; None when nobody knows a price in those.

    Terms that go back before a change took effect get back the price in force; any other takes the list price, unless
    staff set the price: then only staff know another.
    """
    if (currency, frequency) == (in_force.currency, in_force.frequency):
        version, price = in_force.price_version, in_force.unit_price
    elif listed is None or is_negotiated(terms):
        return None
    else:
        version, price = listed.version, listed.unit_price
    changes = {"price_version": version, "unit_price": price, "currency": currency, "frequency": frequency}
    return terms.model_copy(update=changes)


def with_licenses(terms: Terms, licenses: Licenses) -> Terms:
    """Return the terms for other seats."""
    return terms.model_copy(update={"licenses": licenses})


def terms_wanted(
    wants: ModifySubscription,
    cause_id: str,
    terms: Terms,
    in_force: Terms,
    account: AccountFacts,
    listed: ListPrice | None,
) -> Terms | str:
    """Return what `terms` become as staff want them, or a sentence that says why they cannot.

    `listed` is the list price in the currency of `terms` and the frequency that is wanted. A price that staff set is
    known by the command that did.
    """
    licenses = wants.licenses or (account.licenses if wants.follow_account else terms.licenses)
    terms = with_licenses(terms, licenses)
    if wants.cycle_anchor is not None:
        terms = terms.model_copy(update={"cycle_anchor": wants.cycle_anchor})
    price, frequency = wants.unit_price, wants.frequency or terms.frequency
    if price is not None and (price.currency != terms.currency or price.amount_minor < 0):
        return f"A unit price of this subscription is in {terms.currency} and not negative: correct it."
    if frequency == terms.frequency and price in {None, terms.unit_price}:
        return terms
    if price is None:
        return billed_as(terms, in_force, terms.currency, frequency, listed) or (
            f"There is no {frequency} list price in {terms.currency} to take: state the unit price, too."
        )
    changes = {"price_version": f"{BY_BACK_OFFICE}{cause_id}", "unit_price": price, "frequency": frequency}
    return terms.model_copy(update=changes)
