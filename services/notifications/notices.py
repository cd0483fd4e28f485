"""What events say to people, and whom: the notices that wait for nothing but a reader.

    QuoteRequested                             -> the account manager, or the Owners where none can be reached
    quote activated, declined, expired         -> who requested it
    TrialEndingSoon, TrialEnded                -> the Owners and who started it; not where a purchase ended it
    SubscriptionCanceled, InvoiceIssued        -> the Owners

What stays true (`tests/notifications/test_addressing.py`, `tests/notifications/test_outcomes.py`):
- A notice without a reader is held, not lost; one that only its person read is held for the Owners.
- A notice names no member of the vendor's staff, and only invoices and receipts carry prices.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeGuard, get_args

from contracts.catalog import Catalog
from contracts.events import (
    AddOnPurchased,
    Person,
    QuoteDeclined,
    QuoteExpired,
    QuoteRequested,
    SubscriptionCanceled,
    TrialEnded,
    TrialEndingSoon,
    TrialExtended,
)
from contracts.invoices import InvoiceIssued, InvoiceKind
from contracts.notices import Recipient, Template
from services.notifications import account, directory
from services.notifications.account import Held, Known, Notice
from services.notifications.directory import member_row

_Plain = QuoteRequested | QuoteDeclined | QuoteExpired | TrialEndingSoon | TrialEnded | SubscriptionCanceled
Told = _Plain | AddOnPurchased | InvoiceIssued
"""The events that may make a notice of their own."""

CHANGED: Final = (*get_args(Told), TrialExtended)
"""The events that make a notice, or after which another is true no more."""

_TEMPLATES: Final[Mapping[type[_Plain], Template]] = MappingProxyType(
    {
        QuoteRequested: Template.QUOTE_REQUESTED,
        QuoteDeclined: Template.QUOTE_DECLINED,
        QuoteExpired: Template.QUOTE_EXPIRED,
        TrialEndingSoon: Template.TRIAL_ENDING_SOON,
        TrialEnded: Template.TRIAL_ENDED,
        SubscriptionCanceled: Template.SUBSCRIPTION_CANCELED,
    }
)


def naming(catalog: Catalog, add_on: str) -> dict[str, Any]:
    """Name an add-on as notices do; one that the catalog does not list goes by its id."""
    known = catalog.add_ons.get(add_on)
    return {"add_on": add_on, "add_on_name": known.name if known else add_on}


def has_notice(message: object) -> TypeGuard[Told]:
    """Say whether people are told of a message by a notice of its own: not of a trial that a purchase ended."""
    match message:
        case TrialEnded(reason=reason):
            return reason != "purchased"
        case AddOnPurchased(origin=origin):
            return origin == "quote"
    return isinstance(message, Told)


def person_of(event: Told) -> Person | None:
    """Return the one member whom the notice of an event is for, beside the Owners or instead of them."""
    match event:
        case TrialEndingSoon(started_by=person) | TrialEnded(started_by=person):
            return person
        case QuoteDeclined(requested_by=person) | QuoteExpired(requested_by=person):
            return person
        case AddOnPurchased(purchased_by=person):
            return person
    return None


def with_notice(state: Known, event: Told | TrialExtended, catalog: Catalog) -> Known:
    """Hold the notice that an event makes, if any, and drop what it makes untrue."""
    match event:
        case QuoteDeclined() | QuoteExpired():
            state = account.without_held(state, event.add_on, Template.QUOTE_REQUESTED)
        case TrialEnded() | TrialExtended():
            state = account.without_held(state, event.add_on, Template.TRIAL_ENDING_SOON)
        case AddOnPurchased():
            state = account.without_held(state, event.add_on, Template.QUOTE_REQUESTED, Template.TRIAL_ENDING_SOON)
    return account.with_held(state, _notice(event, catalog)) if has_notice(event) else state


def _notice(event: Told, catalog: Catalog) -> Held:
    match event:
        case InvoiceIssued():
            return _invoice(event, catalog)
        case AddOnPurchased():
            return _activated(event, catalog)
    said = event.model_dump(mode="json", exclude={"account_id", "by"}) | naming(catalog, event.add_on)
    if isinstance(event, TrialEndingSoon):
        known = catalog.add_ons.get(event.add_on)
        said["after_trial"] = event.after_trial or (known.after_trial if known else None)
    to_owners = not isinstance(event, QuoteDeclined | QuoteExpired)
    return Held(template=_TEMPLATES[type(event)], data=said, person=person_of(event), to_owners=to_owners)


def _activated(event: AddOnPurchased, catalog: Catalog) -> Held:
    told = {"quote_id", "reference", "subscription_id", "effective_date"}
    said = event.model_dump(mode="json", include=told) | {
        "requested_by": event.purchased_by.model_dump(mode="json"),
        "licenses": event.terms.licenses.model_dump(mode="json"),
        "activated_at": event.model_dump(mode="json", include={"purchased_at"})["purchased_at"],
    }
    data = said | naming(catalog, event.add_on)
    return Held(template=Template.QUOTE_ACTIVATED, data=data, person=event.purchased_by, to_owners=False)


def _invoice(invoice: InvoiceIssued, catalog: Catalog) -> Held:
    receipt = invoice.kind is InvoiceKind.IMMEDIATE
    said = invoice.model_dump(mode="json", exclude={"account_id", "by"} | ({"kind"} if receipt else set()))
    said["lines"] = [line | naming(catalog, line["add_on"]) for line in said["lines"]]
    return Held(template=Template.PURCHASE_RECEIPT if receipt else Template.INVOICE, data=said)


def addressed(state: Known, held: Held) -> tuple[Notice, tuple[Recipient, ...]]:
    """Address a notice to those of its readers who are there. A person not loaded was removed before."""
    if held.template is Template.QUOTE_REQUESTED:
        return _addressed_quote(state, held)
    readers = directory.owners(state) if held.to_owners else ()
    person = held.person
    if person is not None and person.user_id not in {each.user_id for each in readers}:
        loaded = {*state.rows, *state.written}
        found = directory.reader(state, person.user_id, person.name) if member_row(person.user_id) in loaded else None
        readers += (found,) if found is not None else ()
    return held, readers


def _addressed_quote(state: Known, held: Held) -> tuple[Notice, tuple[Recipient, ...]]:
    """Address a quote: to nobody while the account is unknown, as its first fact may still name an account manager."""
    document, owners = state.document, directory.owners(state)
    manager = document.account_manager
    recipients = owners if document.account_revision >= 0 else ()
    if manager is not None and manager.email is not None:
        recipients = (Recipient(email=manager.email, name=manager.name),)
    said = {
        "account_name": document.account_name,
        "account_manager": manager.name if manager else None,
        "addressed_to": "owners" if recipients is owners else "account_manager",
    }
    return Notice(template=held.template, data=held.data | said), recipients
