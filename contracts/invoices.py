"""What was billed: the events of billing (topic `billing.events.v1`).

Every line carries its own derivation: amount = round_half_up(unit_price x all seats x share). A credit's amounts are
negative, so that an account's invoices add up to what it has been charged.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from contracts.accounts import Licenses
from contracts.backoffice import Staff
from contracts.money import Money
from contracts.payload import AddOnId, CurrencyCode, Instant, Payload, Value

BASE_PLAN = "base_plan"
"""What stands for the add-on and the subscription in the line of an account's base plan."""


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
    """One charge and its derivation: amount = round_half_up(unit_price x all seats x share).

    A credit's line names in `credits` the invoice it gives back from; its unit price is the part of what that invoice
    charged that it starts from, negative, and its share the part of that which was not used.
    """

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
    timezone: Annotated[str, Field(max_length=64, description="IANA time zone name.")]
    amount: Money
    credits: Annotated[str, Field(description="number of the invoice that is credited")] | None = None


class InvoiceKind(StrEnum):
    """Why an invoice was issued: a purchase, a new cycle, more seats within one, or something given back."""

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
    by: Staff | None = None
