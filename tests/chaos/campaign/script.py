"""What the customers of a campaign do: the facts that are known of each beforehand, and the steps they take, in order.

A customer's life is drawn from the seed and its number alone. It has refusals of every kind in it beside what takes
effect, a fact that raises the seats of what was bought, and orders of the vendor's staff.
"""

import random  # noqa: TID251 - lives are drawn, from a seed that is printed
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.backoffice import ActivateAddOn, DeclineQuote, IssueCredit
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
from tests.e2e.records import Record, record

ADD_ONS: Final = ("analytics_plus", "aircall_ai")
_CURRENCIES: Final = ("USD", "USD", "EUR", "GBP", "JPY", "KWD", "CHF")  # no list price in the last
_ZONES: Final = ("America/New_York", "Europe/Paris", "Pacific/Kiritimati", "Pacific/Honolulu", "Asia/Kathmandu")
_MEMBERS: Final = ("owner", "admin", "supervisor", "agent")
_SNOOZED_UNTIL: Final = date(2027, 6, 30)


class Step(NamedTuple):
    """A record to send, or the same command over HTTP: `body` with the record's id as key, by `user`."""

    record: Record
    over_http: bool = False
    user: str = ""
    body: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Customer:
    """One account of the campaign."""

    account_id: str
    facts: tuple[Record, ...]
    steps: tuple[Step, ...]


def customer(seed: int, number: int) -> Customer:
    """Return the customer of a number."""
    draw = random.Random(f"{seed}:{number}")  # noqa: S311 - no secret
    name = f"shop-{number:05d}"
    known = _account(draw, name)
    members = [
        MemberUpdated(account_id=name, revision=1, user_id=each, role=each, status="active") for each in _MEMBERS
    ]
    facts: list[Payload] = [known, *members]
    steps = _steps(draw, known)
    return Customer(
        name,
        tuple(record(fact, f"{name}:fact:{number}") for number, fact in enumerate(facts)),
        tuple(_step(draw, payload, f"{name}:{number}") for number, payload in enumerate(steps)),
    )


def _account(draw: random.Random, name: str) -> AccountUpdated:
    return AccountUpdated(
        account_id=name,
        revision=1,
        name=name,
        status="active",
        currency=draw.choice(_CURRENCIES),
        timezone=draw.choice(_ZONES),
        sales_managed=draw.random() < 0.15,
        payment_method_on_file=draw.random() < 0.95,
        licenses=Licenses(standard=draw.randint(1, 30), additional=draw.choice((0, 0, 2))),
        billing=Billing(
            frequency=draw.choice((BillingFrequency.MONTHLY, BillingFrequency.MONTHLY, BillingFrequency.ANNUAL)),
            cycle_anchor=date(2026, draw.randint(1, 12), draw.randint(1, 28)),
        ),
    )


def _steps(draw: random.Random, known: AccountUpdated) -> Iterator[Payload]:
    """Yield what is said, in order: requests, trials, purchases or quotes, more seats, credits, and vain attempts."""
    name = known.account_id
    for add_on in ADD_ONS:
        for who in ("supervisor", "admin", "agent"):
            yield RequestFeature(account_id=name, user_id=who, add_on=add_on)
    yield StartTrial(account_id=name, user_id="admin", add_on="aircall_ai")
    yield StartTrial(account_id=name, user_id="owner", add_on="aircall_ai")
    yield RequestFeature(account_id=name, user_id="nobody", add_on="analytics_plus")
    yield DeclineFeature(account_id=name, user_id="owner", add_on="analytics_plus")
    yield PurchaseAddOn(account_id=name, user_id="supervisor", add_on="analytics_plus")
    yield PurchaseAddOn(account_id=name, user_id="owner", add_on="analytics_plus")
    yield RequestQuote(account_id=name, user_id="owner", add_on="analytics_plus")
    price = Money(amount_minor=draw.randint(1, 9_999), currency=known.currency)
    yield ActivateAddOn(account_id=name, staff_id="sue", reason="as agreed", add_on="analytics_plus", unit_price=price)
    seats = Licenses(standard=known.licenses.standard + draw.randint(1, 5), additional=known.licenses.additional)
    yield known.model_copy(update={"revision": 2, "licenses": seats})
    yield PurchaseAddOn(account_id=name, user_id="owner", add_on="analytics_plus")
    yield ChangeDigest(account_id=name, user_id="owner", cadence=draw.choice(("daily", "weekly", "never")))
    yield SnoozeFeature(account_id=name, user_id="owner", add_on="aircall_ai", until=_SNOOZED_UNTIL)
    if draw.random() < 0.5:
        yield PurchaseAddOn(account_id=name, user_id="owner", add_on="aircall_ai")
    yield RequestQuote(account_id=name, user_id="admin", add_on="flying_car")
    yield DeclineQuote(account_id=name, staff_id="sue", reason="no answer", add_on="aircall_ai")
    yield known.model_copy(update={"revision": 3, "licenses": seats.model_copy(update={"additional": 9})})
    credit = Money(amount_minor=draw.randint(1, 20), currency=known.currency)
    for number in (1, 2):
        yield IssueCredit(
            account_id=name, staff_id="sue", reason="goodwill", invoice_number=f"{name}-{number:06d}", amount=credit
        )


def _step(draw: random.Random, payload: Payload, step_id: str) -> Step:
    """Have some of the members' commands come over HTTP."""
    over_http = isinstance(payload, RequestFeature | StartTrial | PurchaseAddOn) and draw.random() < 0.08
    if not over_http:
        return Step(record(payload, step_id))
    said = payload.model_dump(mode="json", exclude_none=True)
    body = {name: value for name, value in said.items() if name not in ("account_id", "user_id")}
    return Step(record(payload, step_id), True, said["user_id"], {"type": type(payload).__name__} | body)
