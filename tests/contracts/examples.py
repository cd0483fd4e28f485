"""One valid message of every type, as it is on the wire; in the tests, changed by one thing at a time."""

from copy import deepcopy
from typing import Any

_PERSON = {"user_id": "olga", "role": "owner", "name": "Olga"}
_LICENSES = {"standard": 3, "additional": 1}
_USD = {"amount_minor": 1795, "currency": "USD"}
_AT = "2026-09-30T15:04:05Z"
_COMMAND = {"account_id": "acme", "user_id": "olga", "add_on": "analytics_plus", "entry_point": "plan_tab"}
_HAPPENED = {"account_id": "acme", "add_on": "analytics_plus"}
_ANSWER = {"account_id": "acme", "user_id": "olga", "command_id": "c-1", "command_type": "addons.PurchaseAddOn.v1"}
_LINE = {
    "subscription_id": "s-1",
    "add_on": "analytics_plus",
    "description": "Analytics+",
    "period": {"from": "2026-09-30", "to": "2026-10-20"},
    "quantity": {"standard": 1, "additional": 0},
    "unit_price": _USD,
    "days": {"billed": 20, "in_cycle": 30},
    "share": {"numerator": 2, "denominator": 3},
    "price_version": "2026-01",
    "rule": "day",
    "timezone": "America/New_York",
    "amount": {"amount_minor": 1197, "currency": "USD"},
}

_EXAMPLES: dict[str, dict[str, Any]] = {
    "AccountUpdated": {
        "account_id": "acme",
        "revision": 1,
        "name": "Acme",
        "status": "active",
        "currency": "USD",
        "timezone": "Europe/Paris",
        "sales_managed": False,
        "payment_method_on_file": True,
        "licenses": _LICENSES,
        "billing": {"frequency": "monthly", "cycle_anchor": "2026-01-15"},
        "account_manager": {"name": "Ada", "email": "ada@example.com"},
    },
    "MemberUpdated": {
        "account_id": "acme",
        "revision": 1,
        "user_id": "olga",
        "role": "owner",
        "status": "active",
        "name": "Olga",
        "email": "olga@example.com",
        "locale": "fr-FR",
    },
    "PurchaseAddOn": {**_COMMAND, "price_promise": "p", "expected": {"amount_minor": 7180, "currency": "USD"}},
    "RequestQuote": {**_COMMAND, "note": "for 300 seats"},
    "StartTrial": _COMMAND,
    "RequestFeature": {**_COMMAND, "note": "for the night shift"},
    "QuoteRequested": {
        **_HAPPENED,
        "quote_id": "q-1",
        "requested_by": _PERSON,
        "requested_at": _AT,
        "licenses": _LICENSES,
        "note": "for 300 seats",
    },
    "TrialStarted": {**_HAPPENED, "started_by": _PERSON, "started_at": _AT, "ends_at": "2026-10-14T15:04:05Z"},
    "TrialEnded": {**_HAPPENED, "ended_at": _AT, "reason": "purchased"},
    "FeatureRequested": {**_HAPPENED, "requested_by": _PERSON, "requested_at": _AT, "note": "please"},
    "AddOnPurchased": {
        **_HAPPENED,
        "subscription_id": "s-1",
        "purchased_by": _PERSON,
        "purchased_at": _AT,
        "effective_date": "2026-09-30",
        "terms": {
            "price_version": "2026-01",
            "unit_price": _USD,
            "frequency": "annual",
            "licenses": _LICENSES,
            "currency": "USD",
            "timezone": "America/New_York",
            "cycle_anchor": "2026-01-20",
        },
        "origin": "self_service",
        "promise": "p",
    },
    "CommandAccepted": {**_ANSWER, "events": ["e-1", "e-2"]},
    "CommandRejected": {
        **_ANSWER,
        "reason": "role_not_permitted",
        "message": "An admin cannot subscribe.",
        "allowed_instead": ["try_for_free", "request_feature"],
        "ask": "owner",
    },
    "InvoiceIssued": {
        "account_id": "acme",
        "invoice_number": "acme-000001",
        "kind": "immediate",
        "issued_at": _AT,
        "due_date": "2026-09-30",
        "currency": "USD",
        "lines": [_LINE],
        "total": {"amount_minor": 1197, "currency": "USD"},
    },
    "NotificationRequested": {
        "account_id": "acme",
        "notification_id": "n-1",
        "template": "feature_request_first",
        "requested_at": _AT,
        "recipients": [{"user_id": "olga", "email": "olga@example.com", "name": "Olga"}],
        "data": {"add_on": "analytics_plus", "people": 3},
    },
}


def example(name: str, **changes: Any) -> dict[str, Any]:
    """Return a fresh example of a message type, every optional field set, with these fields changed."""
    return {**deepcopy(_EXAMPLES[name]), **changes}


def example_names() -> set[str]:
    """Return the names of all message types that have an example."""
    return set(_EXAMPLES)
