"""What may be asked about an account's invoices: a page of them, one with its derivations, and the bill to come."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated

from pydantic import BaseModel, Field

from contracts.backoffice import Staff
from contracts.invoices import BASE_PLAN, InvoiceIssued, InvoiceKind, InvoiceLine
from contracts.money import Money
from contracts.payload import AccountId, AddOnId, CurrencyCode
from services.billing.account import RENEWAL, BillingAccount, InvoiceRow, in_words, invoice_row, retimed
from services.billing.charges import Charging
from services.billing.proration import days_in_words, derivation
from services.runtime.decision import State

Names = Mapping[str, str]
"""What the catalog calls the add-ons now: events and what is kept of them have their ids, which never change."""
_BASE_PLAN_NAME = "Base plan"
_Day = date  # a field of that name hides the type


class InvoiceHead(BaseModel):
    """An invoice without its lines. `credited` is what credits gave back of it so far."""

    invoice_number: str
    kind: InvoiceKind
    issued_at: datetime
    due_date: date
    currency: CurrencyCode
    total: Money
    credited: Money


class InvoicePage(BaseModel):
    """Some of an account's invoices, newest first; `next` is the `before` of the following page, if there is one."""

    account_id: AccountId
    invoices: tuple[InvoiceHead, ...]
    next: str | None = None


class ShownLine(InvoiceLine):
    """A line, what people call what it is for, and how its amount comes about, in one sentence."""

    name: str
    derivation: str


class ShownInvoice(InvoiceHead):
    """An invoice as it was issued. `by` is for the vendor's staff alone."""

    account_id: AccountId
    billed_to: Annotated[str, Field(description="the account's name when the invoice was issued")]
    lines: tuple[ShownLine, ...]
    by: Staff | None = None


class UpcomingLine(BaseModel):
    """A charge of the bill to come."""

    add_on: AddOnId
    name: str
    description: str
    amount: Money
    derivation: str


class UpcomingBill(BaseModel):
    """What the next renewal charges as things stand; without `date` and lines when nothing is to be renewed.

    A bill that is due and not issued yet is it, so `date` may be past.
    """

    account_id: AccountId
    date: Annotated[_Day | None, Field(description="the first day it is for")] = None
    currency: CurrencyCode
    lines: tuple[UpcomingLine, ...] = ()
    total: Money


def page_rows(document: BillingAccount, before: int | None, limit: int) -> tuple[str, ...]:
    """Name the rows of a page: the newest `limit` invoices with a number below `before`, newest first."""
    last = document.next_number if before is None else min(before, document.next_number)
    return tuple(invoice_row(number) for number in range(last - 1, max(last - 1 - limit, 0), -1))


def page(state: State[BillingAccount], names: Sequence[str]) -> InvoicePage:
    """Show the invoices of these rows, which are loaded."""
    rows: list[InvoiceRow] = [row for name in names if (row := state.row(name)) is not None]
    oldest = int(names[-1].partition(":")[2]) if names else 1
    return InvoicePage(
        account_id=state.account_id,
        invoices=tuple(InvoiceHead(**_head(row)) for row in rows),
        next=in_words(oldest, state.account_id) if oldest > 1 else None,
    )


def shown(row: InvoiceRow, names: Names, *, to_staff: bool) -> ShownInvoice:
    """Show an invoice with its derivations; staff also who ordered it and why."""
    invoice = row.invoice
    return ShownInvoice(
        **_head(row),
        account_id=invoice.account_id,
        billed_to=row.billed_to or invoice.account_id,
        lines=tuple(_line(line, invoice, names) for line in invoice.lines),
        by=invoice.by if to_staff else None,
    )


def _head(row: InvoiceRow) -> dict[str, object]:
    invoice = row.invoice
    return {
        "invoice_number": invoice.invoice_number,
        "kind": invoice.kind,
        "issued_at": invoice.issued_at,
        "due_date": invoice.due_date,
        "currency": invoice.currency,
        "total": invoice.total,
        "credited": Money(amount_minor=invoice.total.amount_minor - sum(row.left), currency=invoice.currency),
    }


def _line(line: InvoiceLine, invoice: InvoiceIssued, names: Names) -> ShownLine:
    return ShownLine(**line.__dict__, name=_name(line, names), derivation=derivation(line, invoice.kind))


def _name(line: InvoiceLine, names: Names) -> str:
    """Return what the catalog calls the add-on, and the account's facts the base plan."""
    if line.add_on != BASE_PLAN:
        return names.get(line.add_on, line.add_on)
    label = line.description.partition(f", {days_in_words(line.period.from_, line.period.to)}")[0]
    return _BASE_PLAN_NAME if line.credits is not None or label == BASE_PLAN else label


def upcoming(document: BillingAccount, charging: Charging, names: Names) -> UpcomingBill:
    """Show the next bill, by the functions that make it; the account is known.

    It is the first that is not issued yet, whether its midnight is to come or has passed; of several on one midnight
    (in several currencies, or for several days) the first.
    """
    document = retimed(document)
    if RENEWAL not in document.timers:
        currency = document.facts.currency if document.facts is not None else ""
        nothing = Money(amount_minor=0, currency=currency)
        return UpcomingBill(account_id=charging.account_id, currency=currency, total=nothing)
    bill = charging.renewals(document)[0]
    lines = tuple(
        UpcomingLine(
            add_on=line.add_on,
            name=_name(line, names),
            description=line.description,
            amount=line.amount,
            derivation=derivation(line, bill.kind),
        )
        for line in bill.lines
    )
    day = min(line.period.from_ for line in bill.lines)
    return UpcomingBill(account_id=charging.account_id, date=day, currency=bill.currency, lines=lines, total=bill.total)
