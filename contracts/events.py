"""What happened: the events of entitlements, billing and notifications.

`AddOnPurchased` carries the terms of the sale, so that billing charges those and never reads today's price list for
yesterday's purchase.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from contracts.accounts import BillingFrequency, Licenses
from contracts.money import Money
from contracts.payload import AddOnId, CurrencyCode, Instant, Note, Payload, TimeZoneName, UserId, Value


class Person(Value):
    """A member as they were when something happened."""

    user_id: UserId
    role: str
    name: str | None = None


class QuoteRequested(Payload):
    """An Owner asked for an offer; the quote is open until the back office answers."""

    ce_type: ClassVar[str] = "addons.QuoteRequested.v1"

    add_on: AddOnId
    quote_id: str
    requested_by: Person
    requested_at: Instant
    licenses: Licenses
    note: Note | None = None


class TrialStarted(Payload):
    """A free trial began; access lasts until `ends_at` (exclusive)."""

    ce_type: ClassVar[str] = "addons.TrialStarted.v1"

    add_on: AddOnId
    started_by: Person
    started_at: Instant
    ends_at: Instant


class TrialEnded(Payload):
    """A trial is over, and why."""

    ce_type: ClassVar[str] = "addons.TrialEnded.v1"

    add_on: AddOnId
    ended_at: Instant
    reason: Literal["expired", "purchased", "back_office"]


class FeatureRequested(Payload):
    """A member who may not buy asked the Owners for an add-on."""

    ce_type: ClassVar[str] = "addons.FeatureRequested.v1"

    add_on: AddOnId
    requested_by: Person
    requested_at: Instant
    note: Note | None = None


class Terms(Value):
    """Everything the price of a subscription depends on, as agreed at the purchase."""

    price_version: str
    unit_price: Money
    frequency: BillingFrequency
    licenses: Licenses
    currency: CurrencyCode
    timezone: TimeZoneName
    cycle_anchor: date


class AddOnPurchased(Payload):
    """A subscription began. `effective_date` is the first billed day, in the account's zone."""

    ce_type: ClassVar[str] = "addons.AddOnPurchased.v1"

    add_on: AddOnId
    subscription_id: str
    purchased_by: Person
    purchased_at: Instant
    effective_date: date
    terms: Terms
    origin: Literal["self_service", "quote"]
    promise: str | None = None


EntitlementEvent = QuoteRequested | TrialStarted | TrialEnded | FeatureRequested | AddOnPurchased


class ProrationRule(StrEnum):
    """How a part of a cycle is counted: calendar days (default), seconds, or months of 30 days."""

    DAY = "day"
    SECOND = "second"
    FIXED_30 = "fixed_30"


class Period(Value):
    """Local dates [from, to): `to` is not included."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    from_: Annotated[date, Field(alias="from")]
    to: date


class BilledDays(Value):
    """Calendar days billed, of the calendar days in the cycle."""

    billed: Annotated[int, Field(ge=0)]
    in_cycle: Annotated[int, Field(ge=1)]


class Share(Value):
    """The exact part of a cycle that was charged; in days, seconds or 30-day-month days, as the line's rule says."""

    numerator: Annotated[int, Field(ge=0)]
    denominator: Annotated[int, Field(ge=1)]


class InvoiceLine(Value):
    """One charge and its derivation: amount = round_half_up(unit_price x all seats x share)."""

    subscription_id: str
    add_on: AddOnId
    description: str
    period: Period
    quantity: Licenses
    unit_price: Money
    days: BilledDays
    share: Share
    price_version: str
    rule: ProrationRule
    timezone: TimeZoneName
    amount: Money


class InvoiceKind(StrEnum):
    """Why an invoice was issued."""

    IMMEDIATE = "immediate"
    RENEWAL = "renewal"
    ADJUSTMENT = "adjustment"
    CREDIT = "credit"


class InvoiceIssued(Payload):
    """An invoice. Numbers are gap-free per account; the total is the sum of the rounded lines."""

    ce_type: ClassVar[str] = "billing.InvoiceIssued.v1"

    invoice_number: Annotated[str, Field(description="account id, a dash and 1, 2, 3 … in six digits or more")]
    kind: InvoiceKind
    issued_at: Instant
    due_date: date
    currency: CurrencyCode
    lines: tuple[InvoiceLine, ...]
    total: Money


class Recipient(Value):
    """Whom a notification is for; the sender of mail looks up what is missing."""

    user_id: str | None = None
    email: str | None = None
    name: str | None = None


class Template(StrEnum):
    """What a notification says."""

    FEATURE_REQUEST_FIRST = "feature_request_first"
    FEATURE_REQUEST_DIGEST = "feature_request_digest"
    REQUESTED_ADD_ON_PURCHASED = "requested_add_on_purchased"
    REQUESTED_ADD_ON_TRIAL_STARTED = "requested_add_on_trial_started"
    QUOTE_REQUESTED = "quote_requested"
    PURCHASE_RECEIPT = "purchase_receipt"


class NotificationRequested(Payload):
    """A message to people, for whatever delivers mail or in-app messages; `data` fills the template."""

    ce_type: ClassVar[str] = "notifications.NotificationRequested.v1"

    notification_id: str
    template: Template
    requested_at: Instant
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1)]
    data: dict[str, Any]
