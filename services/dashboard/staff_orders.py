"""What staff can order for an account: the fields of each form, and the command it becomes."""

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any, NamedTuple

from contracts.accounts import Licenses
from contracts.backoffice import (
    ActivateAddOn,
    CancelSubscription,
    DeclineQuote,
    EndTrial,
    EraseMember,
    ExtendTrial,
    GrantAddOn,
    IssueCredit,
    ModifySubscription,
)
from contracts.money import Money
from contracts.payload import Payload
from services.dashboard.commands import FormError, build, day


class Field(NamedTuple):
    """One field of a form: `kind` is text, amount, number, date, choice or check."""

    name: str
    label: str
    kind: str
    required: bool = False
    hint: str | None = None
    choices: tuple[tuple[str, str], ...] = ()


class Order(NamedTuple):
    """One thing staff can order: its command, what the form says, its fields, and whether it is a serious step."""

    command: type[Payload]
    title: str
    text: str
    button: str
    fields: tuple[Field, ...]
    serious: bool = False


_FREQUENCY = Field(
    "frequency", "Billed", "choice", choices=(("", "as it is"), ("monthly", "monthly"), ("annual", "annually"))
)
_STANDARD = Field("standard", "Standard licenses", "number", hint="Leave both empty to let them follow the account.")
_ADDITIONAL = Field("additional", "Additional users", "number")
_PRICE = Field("price", "Price of a seat and cycle", "amount", required=True, hint="As agreed, for example 14.50.")
_NEW_PRICE = Field("price", "New price of a seat and cycle", "amount", hint="Counts from the next period on.")

ORDERS: Mapping[str, Order] = {
    "activate": Order(
        ActivateAddOn,
        "Activate the quote",
        "Turns the open quote into a subscription at the agreed price, charged at once for the rest of the cycle.",
        "Activate",
        (
            _PRICE,
            _STANDARD,
            _ADDITIONAL,
            _FREQUENCY,
            Field("effective_date", "First billed day", "date", hint="Today, when left empty."),
            Field("reference", "Contract or order number", "text"),
        ),
    ),
    "decline": Order(DeclineQuote, "Decline the quote", "Closes the open quote without an offer.", "Decline", ()),
    "modify": Order(
        ModifySubscription,
        "Modify the subscription",
        "What is left empty stays. Licenses count from today on, everything else from the next period.",
        "Modify",
        (
            Field("standard", "Standard licenses", "number"),
            _ADDITIONAL,
            Field("follow_account", "Let the licenses follow the account’s", "check"),
            _FREQUENCY,
            _NEW_PRICE,
            Field("cycle_anchor", "Count cycles from", "date"),
        ),
    ),
    "cancel": Order(
        CancelSubscription,
        "Cancel the subscription",
        "At once, the days that are paid and not used are credited.",
        "Cancel the subscription",
        (
            Field(
                "when",
                "When",
                "choice",
                required=True,
                choices=(("end_of_cycle", "with the period that is paid"), ("now", "now, with a credit")),
            ),
        ),
        serious=True,
    ),
    "extend": Order(
        ExtendTrial,
        "Extend the trial",
        "The trial ends at the beginning of that day, in UTC.",
        "Extend",
        (Field("ends_on", "Ends on", "date", required=True),),
    ),
    "end": Order(EndTrial, "End the trial", "The trial ends now.", "End the trial", (), serious=True),
    "grant": Order(
        GrantAddOn,
        "Give it for free",
        "The account uses it free of charge up to, not including, that day.",
        "Give it",
        (Field("until", "Until", "date", required=True),),
    ),
    "credit": Order(
        IssueCredit,
        "Credit an invoice",
        "Gives back a part of what the invoice charged, on an invoice of its own.",
        "Issue the credit",
        (Field("price", "Amount", "amount", required=True, hint="Not more than what was paid and not credited."),),
        serious=True,
    ),
    "erase": Order(
        EraseMember,
        "Erase a member",
        "Their name, e-mail and notes are forgotten for good; what was bought and billed stays, under their id. "
        "Remove them in the account system first.",
        "Erase the member",
        (Field("user_id", "The member’s id", "text", required=True),),
        serious=True,
    ),
}


def staff_command(form: Mapping[str, str], account_id: str, staff_id: str) -> Payload:
    """Return the command that a form of staff is; who sends it comes from the session."""
    order = ORDERS.get(form.get("order", ""))
    if order is None:
        raise FormError("This form is none of ours: open the account and begin again.")
    said: dict[str, Any] = {name: text.strip() for name, text in form.items() if text.strip()}
    for name in ("effective_date", "cycle_anchor", "until"):
        if name in said:
            said[name] = day(said[name], name)
    if said.get("ends_on"):
        said["ends_at"] = datetime.combine(day(said["ends_on"], "ends_on"), time(0), UTC)
    if "price" in said:
        said["unit_price"] = said["amount"] = _amount(said["price"], form.get("currency", "").strip().upper())
    if said.get("standard") or said.get("additional"):
        said["licenses"] = _licenses(said.get("standard", "0"), said.get("additional", "0"))
    said["follow_account"] = "follow_account" in said
    return build(order.command, said | {"account_id": account_id, "staff_id": staff_id})


def _amount(figure: str, currency: str) -> Money:
    try:
        return Money.parse(figure.replace(",", ".") if figure.count(",") == 1 else figure, currency)
    except ValueError as error:
        raise FormError(f"Amount: {figure} {currency} is no amount, write it like 14.50.", "price") from error


def _licenses(standard: str, additional: str) -> Licenses:
    try:
        return Licenses(standard=int(standard), additional=int(additional))
    except ValueError as error:
        raise FormError("Licenses: whole numbers are wanted.", "standard") from error
