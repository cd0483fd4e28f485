"""From a form to a command: which fields each has, and the id that makes every repetition the same command.

The form's id is made when it is shown and is part of its address: a second click, a reload, the back button and "try
again" send the same command, which has one effect and one answer. The command's id is derived from it and from who
sends it: an address that is passed on is a form of its own to everybody.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from contracts.commands import (
    ChangeDigest,
    DeclineFeature,
    PurchaseAddOn,
    RequestFeature,
    RequestQuote,
    SnoozeFeature,
    StartTrial,
)
from contracts.money import Money
from contracts.payload import Payload

_ID = re.compile(r"dashboard-[0-9a-f]{32}")
_MEMBERS: Mapping[str, type[Payload]] = {
    each.__name__: each
    for each in (PurchaseAddOn, RequestQuote, StartTrial, RequestFeature, DeclineFeature, SnoozeFeature, ChangeDigest)
}
_PLAIN = ("add_on", "entry_point", "note", "price_promise", "cadence")
_FIELDS = {"unit_price": "price", "amount": "price", "licenses": "standard", "ends_at": "ends_on"}
SHOWN = frozenset(
    {"note", "until", "cadence", "reason", "price", "standard", "additional", "frequency", "effective_date"}
    | {"reference", "cycle_anchor", "when", "ends_on", "user_id"}
)
"""The fields that people fill in; what is wrong with another is said of the whole form."""
ENTRY_POINTS = frozenset({"plan_tab", "trial", "sidebar", "email"})


class FormError(ValueError):
    """The form cannot be a command; the message is for people. `field` is the one it is about, where people see it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def new_id() -> str:
    """Return an id that no other form has."""
    return f"dashboard-{secrets.token_hex(16)}"


def is_id(text: str) -> bool:
    """Whether a text is an id of ours."""
    return _ID.fullmatch(text) is not None


def id_of(form: Mapping[str, str]) -> str:
    """Return the id of a form; FormError when it has none of ours."""
    form_id = form.get("command_id", "")
    if not is_id(form_id):
        raise FormError("This form is none of ours: open the page it is on, and begin again.")
    return form_id


def sent_as(form_id: str, account_id: str, subject: str, add_on: str = "") -> str:
    """Return the id of the command that a form is when this member, or this one of staff, sends it for this account.

    `add_on` is the one that a member's answer is said to be about: an address that names another has no answer.
    """
    said = "\0".join((form_id, account_id, subject, *([add_on] if add_on else [])))
    return f"dashboard-{hashlib.sha256(said.encode()).hexdigest()[:32]}"


def entry_point(text: str | None) -> str:
    """Return where a flow was entered; what is unknown counts as the Plan tab."""
    return text if text in ENTRY_POINTS else "plan_tab"


def member_command(form: Mapping[str, str], account_id: str, user_id: str) -> Payload:
    """Return the command that a member's form is; who sends it comes from the session, never from the form."""
    kind = _MEMBERS.get(form.get("type", ""))
    if kind is None:
        raise FormError("This form is none of ours: open the Plan tab and begin again.")
    if kind is PurchaseAddOn and not form.get("understood"):
        raise FormError("Purchases are final: tick the box when you have understood that.", "understood")
    said: dict[str, Any] = {name: form[name].strip() for name in _PLAIN if form.get(name, "").strip()}
    if form.get("expected_minor") and form.get("expected_currency"):
        said["expected"] = money(form["expected_minor"], form["expected_currency"])
    if kind is SnoozeFeature:
        said["until"] = day(form.get("until", ""), "until")
    return build(kind, said | {"account_id": account_id, "user_id": user_id})


def build(kind: type[Payload], said: Mapping[str, Any]) -> Payload:
    """Return a command with these fields; FormError says which one cannot be."""
    try:
        return kind.model_validate({name: each for name, each in said.items() if name in kind.model_fields})
    except ValidationError as error:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"]).replace("_", " ")
        field = str(first["loc"][0]) if first["loc"] else ""
        field = _FIELDS.get(field, field)
        message = f"{where.capitalize() or 'The form'}: {first['msg']}."
        raise FormError(message, field if field in SHOWN else None) from error


def money(minor: str, currency: str) -> Money:
    """Read an amount of whole minor units."""
    try:
        return Money(amount_minor=int(minor), currency=currency)
    except ValueError as error:
        raise FormError("The amount of this form cannot be read: open the Plan tab and begin again.") from error


def day(text: str, field: str) -> date:
    """Read a day as a date field gives it."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise FormError("Choose a day, as year-month-day: 2027-01-31.", field) from error
