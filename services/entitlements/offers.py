"""How the terms of a subscription change: by staff's wish, or with its account (how it begins: `contracts.offers`)."""

from typing import Final

from contracts.accounts import BillingFrequency, Licenses
from contracts.backoffice import ModifySubscription
from contracts.catalog import ListPrice
from contracts.events import Terms
from contracts.offers import AccountFacts

QUOTED: Final = "quote:"
BY_BACK_OFFICE: Final = "backoffice:"


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
