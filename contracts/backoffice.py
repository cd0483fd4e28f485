"""What the vendor's staff asks for (topic `addons.backoffice.v1`, written by the back office with its own credentials).

Every command names the member of staff and the reason, which every event it causes carries on. The sender chooses the
envelope's `ce_id`, as for a member's command, and gets one answer: from entitlements, or for a credit from billing.
"""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.accounts import BillingFrequency, Licenses
from contracts.money import Money
from contracts.payload import AddOnId, Instant, Payload, UserId, Value

StaffId = Annotated[UserId, Field(description="Who of the vendor's staff acts.")]
StaffReason = Annotated[str, Field(min_length=1, max_length=500, description="Why, in the staff's own words.")]


class Staff(Value):
    """Who of the vendor's staff did something, and why."""

    staff_id: StaffId
    reason: StaffReason


class StaffCommand(Payload):
    """What all back-office commands carry."""

    staff_id: StaffId
    reason: StaffReason

    @property
    def staff(self) -> Staff:
        """Who acts, and why."""
        return Staff(staff_id=self.staff_id, reason=self.reason)


class ActivateAddOn(StaffCommand):
    """Turn an open quote into a subscription at the negotiated price.

    `licenses` and `frequency` are the account's where they are left out, and `effective_date`, the first billed day, is
    its today. `reference` is the vendor's own: a contract or an order.
    """

    ce_type: ClassVar[str] = "addons.ActivateAddOn.v1"

    add_on: AddOnId
    unit_price: Money
    licenses: Licenses | None = None
    frequency: BillingFrequency | None = None
    effective_date: date | None = None
    reference: Annotated[str, Field(max_length=200)] | None = None


class DeclineQuote(StaffCommand):
    """Close an open quote without an offer."""

    ce_type: ClassVar[str] = "addons.DeclineQuote.v1"

    add_on: AddOnId


class ModifySubscription(StaffCommand):
    """Change a subscription; what is left out stays.

    `licenses` count from today on and no longer follow the account's; `follow_account` lets them follow it again.
    `frequency`, `unit_price` and `cycle_anchor` (where the next period's cycles are counted from) take effect with the
    next period.
    """

    ce_type: ClassVar[str] = "addons.ModifySubscription.v1"

    subscription_id: Annotated[str, Field(min_length=1, max_length=128)]
    licenses: Licenses | None = None
    follow_account: bool = False
    frequency: BillingFrequency | None = None
    unit_price: Money | None = None
    cycle_anchor: date | None = None


class CancelSubscription(StaffCommand):
    """End a subscription: with the period that is paid, or now, with a credit for the days that are not used."""

    ce_type: ClassVar[str] = "addons.CancelSubscription.v1"

    subscription_id: Annotated[str, Field(min_length=1, max_length=128)]
    when: Literal["end_of_cycle", "now"]


class ExtendTrial(StaffCommand):
    """Let a running trial end later."""

    ce_type: ClassVar[str] = "addons.ExtendTrial.v1"

    add_on: AddOnId
    ends_at: Instant


class EndTrial(StaffCommand):
    """End a running trial now."""

    ce_type: ClassVar[str] = "addons.EndTrial.v1"

    add_on: AddOnId


class GrantAddOn(StaffCommand):
    """Give an add-on for free up to, not including, the local date `until`."""

    ce_type: ClassVar[str] = "addons.GrantAddOn.v1"

    add_on: AddOnId
    until: date


class IssueCredit(StaffCommand):
    """Give back a part of what an invoice charged; billing answers."""

    ce_type: ClassVar[str] = "addons.IssueCredit.v1"

    invoice_number: Annotated[str, Field(min_length=1, max_length=200)]
    amount: Money


class EraseMember(StaffCommand):
    """Forget who a member was whom the account system has removed: their name, e-mail, locale and notes.

    `user_id` is the member's. It stays, as a pseudonym, in what was bought and billed; who comes back needs another.
    """

    ce_type: ClassVar[str] = "addons.EraseMember.v1"

    user_id: UserId


BackOfficeCommand = (
    ActivateAddOn
    | DeclineQuote
    | ModifySubscription
    | CancelSubscription
    | ExtendTrial
    | EndTrial
    | GrantAddOn
    | IssueCredit
    | EraseMember
)
