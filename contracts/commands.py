"""What a member asks for (topic `addons.commands.v1`, written by dashboards).

The sender chooses the envelope's `ce_id`: the idempotency key of the command. A command never states the member's role,
and the moment of a purchase is when entitlements decides it, not the sender's `ce_time`.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from contracts.money import Money
from contracts.payload import AddOnId, Note, Payload, UserId


class UserCommand(Payload):
    """What all four commands carry."""

    user_id: UserId
    add_on: AddOnId
    entry_point: Annotated[str, Field(max_length=64, description="plan_tab, trial, sidebar or email")] | None = None


class PurchaseAddOn(UserCommand):
    """Subscribe now, at list price.

    `expected` is the full price of one billing cycle (unit price x seats) that the buyer was shown: when it is not the
    price now, the command is refused with `price_changed`. `price_promise` is a signed promise of billing's preview.
    """

    ce_type: ClassVar[str] = "addons.PurchaseAddOn.v1"

    price_promise: Annotated[str, Field(max_length=4_096)] | None = None
    expected: Money | None = None


class RequestQuote(UserCommand):
    """Ask the account manager for an offer, where the account may not buy at list price."""

    ce_type: ClassVar[str] = "addons.RequestQuote.v1"

    note: Note | None = None


class StartTrial(UserCommand):
    """Try the add-on for free: once per add-on and account, ever."""

    ce_type: ClassVar[str] = "addons.StartTrial.v1"


class RequestFeature(UserCommand):
    """Ask the Owners for the add-on."""

    ce_type: ClassVar[str] = "addons.RequestFeature.v1"

    note: Note | None = None


Command = PurchaseAddOn | RequestQuote | StartTrial | RequestFeature
