"""One line of an account's history: what happened, by whom and to what, in words for staff. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.backoffice import EraseMember
from contracts.events import MemberErased
from contracts.invoices import InvoiceIssued
from contracts.payload import Payload
from contracts.results import CommandAccepted, CommandRejected, CreditAccepted, CreditRejected

WORDS = {
    "AccountUpdated": "Account changed",
    "MemberUpdated": "Member changed",
    "PurchaseAddOn": "Purchase ordered",
    "RequestQuote": "Quote asked for",
    "StartTrial": "Trial asked for",
    "RequestFeature": "Feature asked for",
    "DeclineFeature": "Decline of the requests ordered",
    "SnoozeFeature": "Snooze of the requests ordered",
    "ChangeDigest": "Other summaries ordered",
    "ActivateAddOn": "Activation ordered",
    "DeclineQuote": "Decline of the quote ordered",
    "ModifySubscription": "Change ordered",
    "CancelSubscription": "Cancellation ordered",
    "ExtendTrial": "Extension of the trial ordered",
    "EndTrial": "End of the trial ordered",
    "GrantAddOn": "Free use ordered",
    "IssueCredit": "Credit ordered",
    "EraseMember": "Erasure of a member ordered",
    "BackOfficeAttempt": "Attempt at what only staff may order",
    "AddOnPurchased": "Purchased",
    "AddOnGranted": "Given for free",
    "QuoteRequested": "Quote requested",
    "QuoteDeclined": "Quote declined",
    "QuoteExpired": "Quote expired",
    "TrialStarted": "Trial started",
    "TrialEndingSoon": "Trial ending soon",
    "TrialExtended": "Trial extended",
    "TrialEnded": "Trial ended",
    "FeatureRequested": "Feature requested",
    "FeatureDeclined": "Requests declined",
    "FeatureSnoozed": "Requests snoozed",
    "DigestChanged": "Summaries changed",
    "SubscriptionModified": "Subscription changed",
    "SubscriptionCanceled": "Subscription canceled",
    "MemberErased": "Member erased",
    "InvoiceIssued": "Invoice issued",
    "CommandAccepted": "Accepted",
    "CommandRejected": "Refused",
    "CreditAccepted": "Credit accepted",
    "CreditRejected": "Credit refused",
}
_OF_NOBODY = (AccountUpdated, MemberUpdated, CommandAccepted, CreditAccepted, CommandRejected, CreditRejected)
_DOERS = ("purchased_by", "requested_by", "started_by", "declined_by", "snoozed_by", "changed_by")
Members = Mapping[str, MemberUpdated]


class Happened(NamedTuple):
    """One line of the history: when, what, by whom, what of it, and whether it was refused."""

    at: str
    what: str
    who: str
    about: str
    refused: bool


def happened(at: str, data: Payload, members: Members, add_on_names: Mapping[str, str]) -> Happened:
    """Return the line of a message, with the names of people and of add-ons where they are known."""
    kind = type(data).__name__
    by = "" if isinstance(data, _OF_NOBODY) else _by(data.__dict__, members)
    refused = isinstance(data, CommandRejected | CreditRejected)
    return Happened(at, WORDS.get(kind, kind), by, _about(data, members, add_on_names), refused)


def _by(said: Mapping[str, Any], members: Members) -> str:
    """Return by whom something was ordered or done: never for whom."""
    staff_id = said["by"].staff_id if said.get("by") is not None else said.get("staff_id")
    if staff_id:
        return f"by {staff_id} (staff)"
    person = next((said[name] for name in _DOERS if said.get(name)), None)
    user_id = said.get("user_id") or getattr(person, "user_id", None)
    name = getattr(person, "name", None) or (_name(user_id, members) if user_id else None)
    return f"by {name}" if name else ""


def _name(user_id: str, members: Members) -> str:
    member = members.get(user_id)
    return (member.name if member is not None else None) or user_id


def _about(data: Payload, members: Members, add_on_names: Mapping[str, str]) -> str:
    match data:
        case InvoiceIssued():
            return f"{data.invoice_number}, {data.kind}, {data.total}"
        case CommandRejected() | CreditRejected():
            return f"{_order(data, members)}: {data.message}"
        case CommandAccepted() | CreditAccepted():
            return _order(data, members)
        case AccountUpdated():
            return f"{data.name}, {data.status}, {data.licenses.total} seats"
        case MemberUpdated():
            return f"{data.name or data.user_id}, {data.role}, {data.status}"
    said = data.__dict__
    by, add_on = said.get("by"), said.get("add_on")
    name = add_on_names.get(add_on, add_on) if add_on else None
    erased = data.user_id if isinstance(data, EraseMember | MemberErased) else None
    parts = (name, erased, said.get("note"), said.get("reason"), by.reason if by is not None else None)
    return ", ".join(str(part) for part in dict.fromkeys(parts) if part)


def _order(answer: CommandAccepted | CreditAccepted | CommandRejected | CreditRejected, members: Members) -> str:
    """Return which order an answer is to, and whose."""
    kind = answer.command_type.split(".")[1]
    return f"{WORDS.get(kind, kind)} by {_name(answer.user_id, members)}"
