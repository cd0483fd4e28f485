"""A year of three accounts, from 1 December 2027 to 1 December 2028: what people, staff and the calendar do to them.

Alder (New York, months counted from a 31st) tries an add-on, buys another, grows on the day the clocks change, shrinks
and is canceled. Birch (Paris, years counted from a 29 February) negotiates. Cedar's bills show the base plan, too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from contracts.accounts import (
    AccountManager,
    AccountUpdated,
    BasePlan,
    Billing,
    BillingFrequency,
    Licenses,
    MemberUpdated,
)
from contracts.backoffice import ActivateAddOn, CancelSubscription
from contracts.commands import PurchaseAddOn, RequestFeature, RequestQuote, StartTrial
from contracts.money import Money
from contracts.payload import Payload
from deploy.addonflow.messages import Outbound, of_payload
from deploy.addonflow.year_check import Charge, Plan, charges

ANALYTICS: Final = "analytics_plus"
AI: Final = "aircall_ai"
BEGINS: Final = datetime(2027, 12, 1, 12, tzinfo=UTC)
ENDS: Final = datetime(2028, 12, 1, 12, tzinfo=UTC)
NEW_YORK, PARIS = "America/New_York", "Europe/Paris"
_NOON: Final = time(12)

ALDER = Plan(
    "alder",
    1_795,
    anchor=date(2027, 1, 31),
    starts=date(2027, 12, 15),
    seats={date(2027, 12, 15): 3, date(2028, 3, 12): 5, date(2028, 5, 10): 4, date(2028, 5, 20): 5},
    credited_from=date(2028, 10, 12),
)
BIRCH = Plan(
    "birch", 12_000, anchor=date(2024, 2, 29), starts=date(2028, 1, 20), seats={date(2028, 1, 20): 250}, yearly=True
)
CEDAR = Plan(
    "cedar",
    1_795,
    anchor=date(2028, 9, 20),
    starts=date(2028, 9, 30),
    seats={date(2028, 9, 30): 1},
    base_minor=2_495,
)
PLANS: Final = (ALDER, BIRCH, CEDAR)


@dataclass(frozen=True, slots=True)
class Moment:
    """Somebody does something at an instant."""

    at: datetime
    title: str
    sends: tuple[Payload, ...]


def messages(moment: Moment) -> list[Outbound]:
    """Return what is sent, under ids of its own."""
    return [of_payload(each, f"year-{moment.at:%m%d}-{n}") for n, each in enumerate(moment.sends)]


def expected_charges() -> list[Charge]:
    """Return what all three must be billed, by day and account."""
    found = [charge for plan in PLANS for charge in charges(plan, ENDS.date())]
    return sorted(found, key=lambda charge: (charge.day, charge.account_id))


def moments(subscription_of: Callable[[str], str]) -> Iterator[Moment]:
    """Yield what happens, in order of time; the id of an account's subscription is asked for when it is known."""
    yield Moment(BEGINS, "The account system tells of three accounts and their people", tuple(_directory()))
    yield _on(date(2027, 12, 6), NEW_YORK, "Alder tries Aircall AI", StartTrial(**_by("alder", AI)))
    yield _on(
        date(2027, 12, 15), NEW_YORK, "Alder buys Analytics+ for 3 seats", PurchaseAddOn(**_by("alder", ANALYTICS))
    )
    yield _on(date(2028, 1, 10), PARIS, "Birch asks for a quote", RequestQuote(**_by("birch", ANALYTICS)))
    yield _on(date(2028, 1, 17), PARIS, "The account manager activates it at 120.00 EUR a seat and year", _activation())
    yield _on(date(2028, 3, 12), NEW_YORK, "Alder grows to 5 seats, on the day the clocks change", _alder(2, 5))
    yield _on(
        date(2028, 4, 1), PARIS, "Birch asks for another quote, which nobody answers", RequestQuote(**_by("birch", AI))
    )
    yield _on(date(2028, 5, 10), NEW_YORK, "Alder shrinks to 4 seats", _alder(3, 4))
    yield _on(date(2028, 5, 20), NEW_YORK, "Alder is back at 5 seats, which are paid", _alder(4, 5))
    asked = _request("sam"), _request("sol")
    yield _on(date(2028, 7, 3), NEW_YORK, "Two supervisors of Alder request Aircall AI", *asked)
    yield _on(
        date(2028, 9, 30), NEW_YORK, "Cedar buys Analytics+ for its one seat", PurchaseAddOn(**_by("cedar", ANALYTICS))
    )
    cancel = CancelSubscription(
        account_id="alder", staff_id="sue", reason="moves away", subscription_id=subscription_of("alder"), when="now"
    )
    yield _on(date(2028, 10, 12), NEW_YORK, "Staff cancels Alder's subscription, with a credit", cancel)


def _on(day: date, timezone: str, title: str, *sends: Payload) -> Moment:
    return Moment(datetime.combine(day, _NOON, ZoneInfo(timezone)).astimezone(UTC), title, sends)


def _by(account_id: str, add_on: str) -> dict[str, Any]:
    return {"account_id": account_id, "user_id": "olga", "add_on": add_on}


def _request(user_id: str) -> RequestFeature:
    return RequestFeature(account_id="alder", user_id=user_id, add_on=AI)


def _activation() -> ActivateAddOn:
    return ActivateAddOn(
        account_id="birch",
        staff_id="sue",
        reason="agreed by phone",
        add_on=ANALYTICS,
        unit_price=Money(amount_minor=BIRCH.unit_price_minor, currency="EUR"),
        effective_date=BIRCH.starts,
        reference="contract 7",
    )


def _alder(revision: int, seats: int) -> AccountUpdated:
    return _account(ALDER, "Alder", revision=revision, seats=seats)


def _account(plan: Plan, name: str, *, revision: int = 1, seats: int, **more: Any) -> AccountUpdated:
    facts: dict[str, Any] = {"currency": "USD", "timezone": NEW_YORK, "sales_managed": False, **more}
    frequency = BillingFrequency.ANNUAL if plan.yearly else BillingFrequency.MONTHLY
    return AccountUpdated(
        account_id=plan.account_id,
        revision=revision,
        name=name,
        status="active",
        payment_method_on_file=True,
        licenses=Licenses(standard=seats),
        billing=Billing(frequency=frequency, cycle_anchor=plan.anchor),
        **facts,
    )


def _directory() -> Iterator[Payload]:
    yield _alder(1, 3)
    manager = AccountManager(name="Sue", email="sue@example.com")
    yield _account(
        BIRCH, "Birch", seats=250, currency="EUR", timezone=PARIS, sales_managed=True, account_manager=manager
    )
    base = BasePlan(description="Professional", amount=Money(amount_minor=CEDAR.base_minor, currency="USD"))
    yield _account(CEDAR, "Cedar", seats=1, base_plan=base)
    for plan in PLANS:
        yield MemberUpdated(account_id=plan.account_id, revision=1, user_id="olga", role="owner", status="active")
    for user_id in ("sam", "sol"):
        yield MemberUpdated(account_id="alder", revision=1, user_id=user_id, role="supervisor", status="active")
