"""What a member asks for (topic `addons.commands.v1`, written by dashboards).

The sender chooses the envelope's `ce_id`: the idempotency key of the command. A command never states the member's role,
and the moment of a purchase is when entitlements decides it, not the sender's `ce_time`.
"""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.money import Money
from contracts.payload import AddOnId, Note, Payload, UserId


class MemberCommand(Payload):
    """What all commands of members carry."""

    user_id: UserId
    entry_point: Annotated[str, Field(max_length=64, description="plan_tab, trial, sidebar or email")] | None = None


class UserCommand(MemberCommand):
    """What the commands about one add-on carry."""

    add_on: AddOnId


class PurchaseAddOn(UserCommand):
    """Subscribe now, at list price.

    `expected` is the full price of one billing cycle (unit price x seats) that the buyer was shown: when it is not the
    price now, the command is refused with `price_changed`. `price_promise` is a signed promise of billing's preview
    (`contracts.promises`): the purchase is charged exactly that, or refused with `promise_invalid` or `price_changed`.
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


class DeclineFeature(UserCommand):
    """An Owner turns down the feature requests for an add-on: those who asked are told."""

    ce_type: ClassVar[str] = "addons.DeclineFeature.v1"

    note: Note | None = None


class SnoozeFeature(UserCommand):
    """An Owner wants to hear nothing of the feature requests for an add-on before the local date `until`."""

    ce_type: ClassVar[str] = "addons.SnoozeFeature.v1"

    until: date


Cadence = Literal["daily", "weekly", "never"]


class ChangeDigest(MemberCommand):
    """An Owner chooses how often the Owners get a digest of feature requests; `never` leaves the first notices."""

    ce_type: ClassVar[str] = "addons.ChangeDigest.v1"

    cadence: Cadence


Command = PurchaseAddOn | RequestQuote | StartTrial | RequestFeature
"""What a member may do with an add-on: one command for each action of the table (design section 1)."""

OwnerCommand = DeclineFeature | SnoozeFeature | ChangeDigest
"""What an Owner may say about the requests of others."""


class BackOfficeAttempt(Payload):
    """A back-office command that came as a member's: it is refused, whatever else it says."""

    user_id: UserId | None = None
