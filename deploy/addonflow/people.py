"""`addonflow people`: accounts for trying things out, as the account system would state them.

Cedar buys by itself, Birch is looked after by an account manager. Their facts have revision 1, so stating them again
changes nothing, whatever has become of them since.
"""

from collections.abc import Sequence
from typing import Final

from contracts.accounts import (
    AccountManager,
    AccountUpdated,
    BasePlan,
    Billing,
    BillingFrequency,
    Licenses,
    MemberUpdated,
)
from contracts.money import Money
from deploy.addonflow import connections
from deploy.addonflow.messages import Outbound, of_payload
from deploy.addonflow.send import publish
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings

CEDAR: Final = "cedar"
BIRCH: Final = "birch"
_CEDAR: Final = (
    ("olivia", "Olivia Marsh", "owner", "en-US"),
    ("oscar", "Oscar Lind", "owner", "sv-SE"),
    ("adam", "Adam Roy", "admin", "fr-FR"),
    ("sam", "Sam Okafor", "supervisor", "en-GB"),
    ("sina", "Sina Vogel", "supervisor", "de-DE"),
    ("gil", "Gil Adler", "agent", "en-US"),
)
_BIRCH: Final = (("bea", "Bea Holt", "owner", "de-DE"), ("ben", "Ben Ortiz", "admin", "es-ES"))


def facts() -> Sequence[Outbound]:
    """Return everything that is stated of both accounts."""
    cedar = _account(CEDAR, "Cedar Support", "USD", sales_managed=False)
    birch = _account(BIRCH, "Birch Insurance", "EUR", sales_managed=True)
    members = [_member(CEDAR, *each) for each in _CEDAR] + [_member(BIRCH, *each) for each in _BIRCH]
    return [of_payload(each, f"people-{number}") for number, each in enumerate([cedar, birch, *members])]


def _account(account_id: str, name: str, currency: str, *, sales_managed: bool) -> AccountUpdated:
    today = SystemClock().now().date()
    return AccountUpdated(
        account_id=account_id,
        revision=1,
        name=name,
        status="active",
        currency=currency,
        timezone="Europe/Paris",
        sales_managed=sales_managed,
        payment_method_on_file=True,
        licenses=Licenses(standard=120, additional=18) if sales_managed else Licenses(standard=5, additional=2),
        billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=today.replace(day=1)),
        account_manager=AccountManager(name="Mara Lund", email="mara@example.com") if sales_managed else None,
        base_plan=BasePlan(description="Base plan", amount=Money(amount_minor=24_950, currency=currency)),
    )


def _member(account_id: str, user_id: str, name: str, role: str, locale: str) -> MemberUpdated:
    return MemberUpdated(
        account_id=account_id,
        revision=1,
        user_id=user_id,
        role=role,
        status="active",
        name=name,
        email=f"{user_id}@{account_id}.example",
        locale=locale,
    )


async def introduce(settings: Settings, wait_seconds: float) -> int:
    """Publish the facts; return how many there are. Unreachable when no broker answers in time."""
    stated = facts()
    async with connections.producer(settings, wait_seconds) as producer:
        for each in stated:
            await publish(producer, settings, each)
    return len(stated)
