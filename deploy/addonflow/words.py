"""What a message says in a few words: who, what, why, how much. Nothing here raises, whatever the data is."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from contracts.money import Money


def short_type(ce_type: str) -> str:
    """Return "PurchaseAddOn" for "addons.PurchaseAddOn.v1"."""
    parts = ce_type.split(".")
    return parts[1] if len(parts) == 3 else ce_type  # noqa: PLR2004 - context, name, version


def money(value: Any) -> str:
    """Return an amount as on the wire for people: "11.97 USD"."""
    try:
        return str(Money.model_validate(value))
    except ValueError:
        return json.dumps(value)


def words_of(kind: str, data: dict[str, Any]) -> str:
    """Return the essential of a message of this short type; of one that is not as it should be, its data."""
    try:
        words: str = _WORDS.get(kind, _plain)(data)
    except (KeyError, TypeError, AttributeError, IndexError):
        return _plain(data)
    return words


def _plain(data: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in data.items() if name != "account_id"}, ensure_ascii=False)


def _account(data: dict[str, Any]) -> str:
    seats = data["licenses"]["standard"] + data["licenses"].get("additional", 0)
    paid = f"{data['billing']['frequency']} in {data['currency']}"
    managed = ", sales-managed" if data["sales_managed"] else ""
    return f"{data['name']}: {data['status']}, {seats} seats, {paid}{managed}"


def _member(data: dict[str, Any]) -> str:
    return f"{data['user_id']} is {data['role']}, {data['status']}"


def _command(data: dict[str, Any]) -> str:
    note = f": “{data['note']}”" if data.get("note") else ""
    return f"{data['add_on']} by {data['user_id']}{note}"


def _rejected(data: dict[str, Any]) -> str:
    instead = f" (instead: {', '.join(data['allowed_instead'])})" if data.get("allowed_instead") else ""
    return f"{data['reason']} for {data['user_id']}: {data['message']}{instead}"


def _accepted(data: dict[str, Any]) -> str:
    count = len(data["events"])
    return f"{short_type(data['command_type'])} of {data['user_id']}, {count} {'event' if count == 1 else 'events'}"


def _purchased(data: dict[str, Any]) -> str:
    terms = data["terms"]
    seats = terms["licenses"]["standard"] + terms["licenses"].get("additional", 0)
    price = f"{seats} seats at {money(terms['unit_price'])} {terms['frequency']}"
    return f"{data['add_on']} by {data['purchased_by']['user_id']}, {price}, from {data['effective_date']}"


def _invoice(data: dict[str, Any]) -> str:
    lines = "; ".join(f"{line['add_on']} {money(line['amount'])}" for line in data["lines"])
    return f"{data['invoice_number']} {data['kind']}: {money(data['total'])} ({lines})"


def _notification(data: dict[str, Any]) -> str:
    people = ", ".join(str(who.get("user_id") or who.get("email") or who.get("name")) for who in data["recipients"])
    said = data["data"]
    roles = ", ".join(f"{role} {count}" for role, count in said.get("roles", {}).items())
    counts = f", {said['people']} people ({roles})" if "people" in said else ""
    total = f", {money(said['total'])}" if "total" in said else ""
    return f"{data['template']} to {people}{counts}{total}"


def _trial(data: dict[str, Any]) -> str:
    return f"{data['add_on']} by {data['started_by']['user_id']} until {data['ends_at']}"


def _ended(data: dict[str, Any]) -> str:
    return f"{data['add_on']}: {data['reason']}{_by_staff(data)}"


def _requested(data: dict[str, Any]) -> str:
    person = data["requested_by"]
    note = f": “{data['note']}”" if data.get("note") else ""
    return f"{data['add_on']} by {person['user_id']} ({person['role']}){note}"


def _order(data: dict[str, Any]) -> str:
    about = next(filter(None, map(data.get, ("add_on", "subscription_id", "invoice_number", "user_id"))), None)
    return f"{about} by staff {data['staff_id']}: “{data['reason']}”"


def _credit_asked(data: dict[str, Any]) -> str:
    return f"{money(data['amount'])} of {_order(data)}"


def _closed_quote(data: dict[str, Any]) -> str:
    return f"{data['add_on']} for {data['requested_by']['user_id']}{_by_staff(data)}"


def _extended(data: dict[str, Any]) -> str:
    return f"{data['add_on']} until {data['ends_at']}{_by_staff(data)}"


def _modified(data: dict[str, Any]) -> str:
    terms = data["terms"]
    seats = data["licenses"]["standard"] + data["licenses"].get("additional", 0)
    price = f"{money(terms['unit_price'])} {terms['frequency']} from {data['terms_from']}"
    return f"{data['add_on']}: {seats} seats from {data['licenses_from']}, {price}{_by_staff(data)}"


def _canceled(data: dict[str, Any]) -> str:
    return f"{data['add_on']} from {data['effective_date']} ({data['cause']}){_by_staff(data)}"


def _granted(data: dict[str, Any]) -> str:
    return f"{data['add_on']} free until {data['until']}{_by_staff(data)}"


def _declined(data: dict[str, Any]) -> str:
    note = f": “{data['note']}”" if data.get("note") else ""
    return f"{data['add_on']} by {data['declined_by']['user_id']}{note}"


def _snoozed(data: dict[str, Any]) -> str:
    return f"{data['add_on']} by {data['snoozed_by']['user_id']} until {data['until']}"


def _cadence_asked(data: dict[str, Any]) -> str:
    return f"{data['cadence']} by {data['user_id']}"


def _cadence(data: dict[str, Any]) -> str:
    return f"{data['cadence']} by {data['changed_by']['user_id']}"


def _erased(data: dict[str, Any]) -> str:
    return f"{data['user_id']}{_by_staff(data)}"


def _by_staff(data: dict[str, Any]) -> str:
    by = data.get("by")
    return f", by staff {by['staff_id']}: “{by['reason']}”" if by else ""


_WORDS: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "AccountUpdated": _account,
    "MemberUpdated": _member,
    "PurchaseAddOn": _command,
    "RequestQuote": _command,
    "StartTrial": _command,
    "RequestFeature": _command,
    "ChangeDigest": _cadence_asked,
    "DeclineFeature": _command,
    "SnoozeFeature": _command,
    "ActivateAddOn": _order,
    "DeclineQuote": _order,
    "ModifySubscription": _order,
    "CancelSubscription": _order,
    "ExtendTrial": _order,
    "EndTrial": _order,
    "GrantAddOn": _order,
    "IssueCredit": _credit_asked,
    "EraseMember": _order,
    "CommandAccepted": _accepted,
    "CreditAccepted": _accepted,
    "CreditRejected": _rejected,
    "CommandRejected": _rejected,
    "AddOnPurchased": _purchased,
    "InvoiceIssued": _invoice,
    "NotificationRequested": _notification,
    "TrialStarted": _trial,
    "TrialEndingSoon": _trial,
    "TrialExtended": _extended,
    "TrialEnded": _ended,
    "FeatureRequested": _requested,
    "FeatureDeclined": _declined,
    "FeatureSnoozed": _snoozed,
    "DigestChanged": _cadence,
    "QuoteRequested": _requested,
    "QuoteDeclined": _closed_quote,
    "QuoteExpired": _closed_quote,
    "AddOnGranted": _granted,
    "SubscriptionModified": _modified,
    "SubscriptionCanceled": _canceled,
    "MemberErased": _erased,
}
