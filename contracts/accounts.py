"""Facts of the account system: what an account and its members are (topic `addons.accounts.v1`).

Each fact carries the whole truth of its subject at a `revision`; a reader ignores one whose revision is not higher than
what it has. Role, status and currency are open strings: what addonflow does not know is refused when it is used
(unknown role: `role_not_permitted`; currency without a list price: `quote_required`), never dropped.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.money import Money
from contracts.payload import CurrencyCode, Payload, TimeZoneName, UserId, Value

Revision = Annotated[int, Field(ge=0, description="Grows with every change of the subject; lower ones are stale.")]


class BillingFrequency(StrEnum):
    """How often an account is billed."""

    MONTHLY = "monthly"
    ANNUAL = "annual"


class Licenses(Value):
    """Seats of an account: those of its plan, and users added to it."""

    standard: Annotated[int, Field(ge=0, le=10_000_000)]
    additional: Annotated[int, Field(ge=0, le=10_000_000)] = 0

    @property
    def total(self) -> int:
        """Seats that an add-on is charged for."""
        return self.standard + self.additional


class Billing(Value):
    """The billing cycle: its frequency and the local date from which every cycle boundary is counted."""

    frequency: BillingFrequency
    cycle_anchor: date


class AccountManager(Value):
    """Whom a sales-managed account talks to."""

    name: str
    email: str | None = None


class BasePlan(Value):
    """What the account pays for the product itself, per cycle of its billing."""

    description: Annotated[str, Field(min_length=1, max_length=200)]
    amount: Money


class AccountUpdated(Payload):
    """The state of an account at `revision`."""

    ce_type: ClassVar[str] = "addons.AccountUpdated.v1"

    revision: Revision
    name: Annotated[str, Field(max_length=200)]
    status: Annotated[str, Field(description="active, suspended or closed")]
    currency: CurrencyCode
    timezone: TimeZoneName
    sales_managed: bool
    payment_method_on_file: bool
    licenses: Licenses
    billing: Billing
    account_manager: AccountManager | None = None
    base_plan: Annotated[BasePlan, Field(description="billed with the add-ons where it is given")] | None = None


class MemberUpdated(Payload):
    """The state of a member of an account at `revision`: the only source of a user's role."""

    ce_type: ClassVar[str] = "addons.MemberUpdated.v1"

    revision: Revision
    user_id: UserId
    role: Annotated[str, Field(max_length=64, description="owner, admin, supervisor or agent")]
    status: Literal["active", "removed"]
    name: Annotated[str, Field(max_length=200)] | None = None
    email: Annotated[str, Field(max_length=320)] | None = None
    locale: Annotated[str, Field(max_length=35)] | None = None


AccountFact = AccountUpdated | MemberUpdated
