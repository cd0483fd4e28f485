"""One valid message of every type, as it is on the wire; in the tests, changed by one thing at a time."""

from copy import deepcopy
from typing import Any

_PERSON = {"user_id": "olga", "role": "owner", "name": "Olga"}
_LICENSES = {"standard": 3, "additional": 1}
_USD = {"amount_minor": 1795, "currency": "USD"}
_AT = "2026-09-30T15:04:05Z"
_COMMAND = {"account_id": "acme", "user_id": "olga", "add_on": "analytics_plus", "entry_point": "plan_tab"}
_HAPPENED = {"account_id": "acme", "add_on": "analytics_plus"}
_ANSWER = {
    "account_id": "acme",
    "user_id": "olga",
    "command_id": "c-1",
    "command_type": "addons.PurchaseAddOn.v1",
    "request_digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}
_STAFF = {"staff_id": "sue", "reason": "agreed by phone"}
_ORDER = {"account_id": "acme", **_STAFF}
_TERMS = {
    "price_version": "2026-01",
    "unit_price": _USD,
    "frequency": "annual",
    "licenses": _LICENSES,
    "currency": "USD",
    "timezone": "America/New_York",
    "cycle_anchor": "2026-01-20",
}
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
    "credits": "acme-000001",
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
        "base_plan": {"description": "Professional", "amount": {"amount_minor": 2495, "currency": "USD"}},
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
    "DeclineFeature": {**_COMMAND, "note": "next year"},
    "SnoozeFeature": {**_COMMAND, "until": "2026-12-31"},
    "ChangeDigest": {"account_id": "acme", "user_id": "olga", "entry_point": "email", "cadence": "weekly"},
    "ActivateAddOn": {
        **_ORDER,
        "add_on": "analytics_plus",
        "unit_price": _USD,
        "licenses": _LICENSES,
        "frequency": "annual",
        "effective_date": "2026-10-01",
        "reference": "contract 7",
    },
    "DeclineQuote": {**_ORDER, "add_on": "analytics_plus"},
    "ModifySubscription": {
        **_ORDER,
        "subscription_id": "s-1",
        "licenses": _LICENSES,
        "follow_account": False,
        "frequency": "annual",
        "unit_price": _USD,
        "cycle_anchor": "2026-11-01",
    },
    "CancelSubscription": {**_ORDER, "subscription_id": "s-1", "when": "now"},
    "ExtendTrial": {**_ORDER, "add_on": "analytics_plus", "ends_at": "2026-10-21T15:04:05Z"},
    "EndTrial": {**_ORDER, "add_on": "analytics_plus"},
    "GrantAddOn": {**_ORDER, "add_on": "analytics_plus", "until": "2026-12-31"},
    "IssueCredit": {**_ORDER, "invoice_number": "acme-000001", "amount": _USD},
    "EraseMember": {**_ORDER, "user_id": "olga"},
    "QuoteDeclined": {**_HAPPENED, "quote_id": "q-1", "requested_by": _PERSON, "declined_at": _AT, "by": _STAFF},
    "QuoteExpired": {**_HAPPENED, "quote_id": "q-1", "requested_by": _PERSON, "expired_at": _AT},
    "CreditAccepted": {**_ANSWER, "events": ["e-1"]},
    "CreditRejected": {
        **_ANSWER,
        "reason": "credit_exceeds_paid",
        "message": "The invoice has less left to give back.",
        "allowed_instead": [],
        "ask": "account_manager",
    },
    "QuoteRequested": {
        **_HAPPENED,
        "quote_id": "q-1",
        "requested_by": _PERSON,
        "requested_at": _AT,
        "licenses": _LICENSES,
        "note": "for 300 seats",
        "expires_at": "2026-10-30T15:04:05Z",
    },
    "TrialStarted": {
        **_HAPPENED,
        "started_by": _PERSON,
        "started_at": _AT,
        "ends_at": "2026-10-14T15:04:05Z",
        "notice_at": "2026-10-11T15:04:05Z",
    },
    "TrialEndingSoon": {
        **_HAPPENED,
        "started_by": _PERSON,
        "ends_at": "2026-10-14T15:04:05Z",
        "after_trial": "convert",
    },
    "TrialExtended": {
        **_HAPPENED,
        "ends_at": "2026-10-21T15:04:05Z",
        "extended_at": _AT,
        "by": _STAFF,
        "notice_at": "2026-10-18T15:04:05Z",
    },
    "TrialEnded": {**_HAPPENED, "ended_at": _AT, "reason": "back_office", "started_by": _PERSON, "by": _STAFF},
    "FeatureRequested": {**_HAPPENED, "requested_by": _PERSON, "requested_at": _AT, "note": "please"},
    "AddOnPurchased": {
        **_HAPPENED,
        "subscription_id": "s-1",
        "purchased_by": _PERSON,
        "purchased_at": _AT,
        "effective_date": "2026-09-30",
        "terms": _TERMS,
        "origin": "quote",
        "promise": "p",
        "promised": {"promised_at": _AT, "rule": "day", "amount": _USD},
        "quote_id": "q-1",
        "reference": "contract 7",
        "by": _STAFF,
    },
    "AddOnGranted": {**_HAPPENED, "until": "2026-12-31", "granted_at": _AT, "by": _STAFF},
    "SubscriptionModified": {
        **_HAPPENED,
        "subscription_id": "s-1",
        "modified_at": _AT,
        "licenses": _LICENSES,
        "licenses_from": "2026-09-30",
        "terms": _TERMS,
        "terms_from": "2026-10-20",
        "follows_account": False,
        "cause": "back_office",
        "by": _STAFF,
    },
    "SubscriptionCanceled": {
        **_HAPPENED,
        "subscription_id": "s-1",
        "canceled_at": _AT,
        "effective_date": "2026-10-20",
        "cause": "back_office",
        "by": _STAFF,
    },
    "FeatureDeclined": {**_HAPPENED, "declined_by": _PERSON, "declined_at": _AT, "note": "next year"},
    "FeatureSnoozed": {**_HAPPENED, "snoozed_by": _PERSON, "snoozed_at": _AT, "until": "2026-12-31"},
    "DigestChanged": {"account_id": "acme", "cadence": "weekly", "changed_by": _PERSON, "changed_at": _AT},
    "MemberErased": {"account_id": "acme", "user_id": "olga", "erased_at": _AT, "by": _STAFF},
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
        "by": _STAFF,
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
