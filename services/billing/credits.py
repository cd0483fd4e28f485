"""What is given back: days that were paid for and are not used, and what the back office wants to credit.

    unused days   for each charge, what its line came to x unused days / its days, once a subscription's end is known
    wrong days    the same for what was charged before a change was heard of that would have had it charged otherwise
    IssueCredit   an amount of one invoice, no days, spread over its lines

No line of an invoice gives back more than it charged: what is left of it caps every credit, and a credit invoice gives
nothing back. Amounts are negative, and counted in calendar days whatever the deployment's rule is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, NamedTuple

from contracts.accounts import Licenses
from contracts.backoffice import IssueCredit, Staff
from contracts.cycles import local_date
from contracts.events import SubscriptionCanceled, SubscriptionModified
from contracts.invoices import (
    BASE_PLAN,
    BilledDays,
    InvoiceIssued,
    InvoiceKind,
    InvoiceLine,
    Period,
    ProrationRule,
    Share,
)
from contracts.money import Money
from contracts.payload import Payload
from contracts.results import CreditAccepted, CreditRejected, Reason
from services.billing.account import (
    BillingAccount,
    ChargeRow,
    InvoiceRow,
    charge_row,
    invoice_row,
    issue,
    issue_each,
    number_of,
)
from services.billing.proration import amount, days_in_words, spread
from services.billing.schedule import PaidPeriod
from services.runtime.decision import Accepted, Cause, Rejected, State

_WHOLE: Final = Share(numerator=1, denominator=1)
_NOT_USED: Final = "not used"
_ONE: Final = Licenses(standard=1)


class Unused(NamedTuple):
    """What was charged for the local days from `first` on, of these paid periods, and is to be given back.

    `why` is what the lines say. Unless the days were simply not used, they are charged again, or must be able to be:
    then that they were given back is said even where it comes to nothing.
    """

    subscription_id: str
    periods: tuple[PaidPeriod, ...]
    first: date
    why: str = _NOT_USED

    @property
    def charge_rows(self) -> Iterator[str]:
        """Name the rows that say where the charges are."""
        for period in self.periods:
            for count in range(period.charges if period.end > self.first else 0):
                yield charge_row(self.subscription_id, period.first, count)


def charged_otherwise(account: BillingAccount, event: SubscriptionModified) -> tuple[Unused, ...]:
    """Return what a change that is heard late finds charged otherwise than it should be; nothing in most cases."""
    found = account.subscription(event.subscription_id)
    first = None if found is None else found[1].charged_otherwise_from(event)
    if found is None or first is None:
        return ()
    return (Unused(event.subscription_id, found[1].periods, first, "charged anew"),)


def unused_from(account: BillingAccount, event: SubscriptionCanceled) -> tuple[Unused, ...]:
    """Return what a cancellation leaves unused, and the base plan's cycles that begin where no add-on is left."""
    found, base = account.subscription(event.subscription_id), account.base
    if found is None:
        return ()
    unused = [Unused(event.subscription_id, found[1].periods, event.effective_date)]
    if base is not None:
        unneeded = base.unneeded(event.effective_date, account.subscriptions.values())
        unused += [Unused(BASE_PLAN, (each,), each.first, "without an add-on") for each in unneeded]
    return tuple(unused)


def rows_to_credit(unused: Iterable[Unused], state: State[BillingAccount]) -> tuple[str, ...]:
    """Name the rows not loaded yet that a credit needs: where the charges are and, once known, their invoices."""
    charges = [name for each in unused for name in each.charge_rows]
    missing = tuple(name for name in charges if not _is_loaded(state, name))
    if missing:
        return missing
    names = dict.fromkeys(invoice_row(state.row(name).invoice) for name in charges)
    return tuple(name for name in names if not _is_loaded(state, name))


@dataclass(frozen=True, slots=True)
class Crediting:
    """How the credits of one decision are made: issued `now`, because `by` said so."""

    account_id: str
    now: datetime
    by: Staff | None

    def of_days(
        self, unused: Iterable[Unused], state: State[BillingAccount], due_date: date
    ) -> tuple[InvoiceIssued, ...]:
        """Give days back: invoices of at most `LINES_MAX` lines, of `due_date` or today; none when it is nothing.

        The rows that `rows_to_credit` names are loaded.
        """
        lines: list[InvoiceLine] = []
        for each in unused:
            for name in each.charge_rows:
                charge: ChargeRow = state.row(name)
                row: InvoiceRow = state.row(invoice_row(charge.invoice))
                line = _unused_line(row, charge.line, each)
                if line is not None and (each.why != _NOT_USED or line.amount.amount_minor):
                    lines.append(line)

        def invoice(before: BillingAccount, part: list[InvoiceLine]) -> InvoiceIssued:
            issued_on = local_date(self.now, part[0].timezone)
            due = max(due_date, issued_on)
            return issue(before, self.account_id, InvoiceKind.CREDIT, part, self.now, due, self.by)

        return issue_each(state.document, lines, invoice)


def decide_credit(
    account: BillingAccount, command: IssueCredit, row: InvoiceRow | None, now: datetime
) -> Accepted | Rejected:
    """Give back an amount of an invoice, or say why not; `row` is the invoice's, None when there is none."""
    if row is None:
        return Rejected(Reason.INVOICE_UNKNOWN, f"This account has no invoice {command.invoice_number}.")
    total, wanted = row.invoice.total, command.amount
    if wanted.currency != total.currency:
        return Rejected(
            Reason.CHANGE_NOT_ALLOWED,
            f"Invoice {command.invoice_number} is in {total.currency}, not {wanted.currency}.",
        )
    if wanted.amount_minor <= 0:
        return Rejected(Reason.CHANGE_NOT_ALLOWED, f"A credit is more than nothing: {wanted} is not.")
    if row.invoice.kind is InvoiceKind.CREDIT:
        return Rejected(Reason.CREDIT_EXCEEDS_PAID, f"Invoice {command.invoice_number} is a credit itself.")
    rest = Money(amount_minor=sum(row.left), currency=total.currency)
    if wanted.amount_minor > rest.amount_minor:
        return Rejected(
            Reason.CREDIT_EXCEEDS_PAID, f"Of invoice {command.invoice_number} {rest} can be credited, not {wanted}."
        )
    lines = _lines_of_amount(row, wanted)
    due_date = local_date(now, lines[0].timezone)
    return Accepted((issue(account, command.account_id, InvoiceKind.CREDIT, lines, now, due_date, command.staff),))


def answer(
    command: Payload, cause: Cause, decision: Accepted | Rejected, event_ids: tuple[str, ...]
) -> CreditAccepted | CreditRejected:
    """Build the one answer to an IssueCredit; TypeError when the payload is none."""
    if not isinstance(command, IssueCredit):
        raise TypeError(f"{cause.type} is not answered by billing")
    asked = {
        "account_id": command.account_id,
        "command_id": cause.id,
        "command_type": cause.type,
        "user_id": command.staff_id,
        "request_digest": cause.request_digest,
    }
    if isinstance(decision, Accepted):
        return CreditAccepted(**asked, events=event_ids)
    return CreditRejected(**asked, reason=decision.reason, message=decision.message)


def credited_rows(invoice: InvoiceIssued) -> tuple[str, ...]:
    """Name the rows of the invoices that a credit invoice gives back from; none for another kind."""
    numbers = {number_of(line.credits, invoice.account_id) for line in invoice.lines if line.credits is not None}
    return tuple(invoice_row(number) for number in sorted(each for each in numbers if each is not None))


def _is_loaded(state: State[BillingAccount], name: str) -> bool:
    return name in state.rows or name in state.written


def _unused_line(row: InvoiceRow, index: int, unused: Unused) -> InvoiceLine | None:
    """Credit the unused days of a line that were not given back yet; None when there are none."""
    line = row.invoice.lines[index]
    period = Period(from_=max(unused.first, line.period.from_), to=row.used_to(index))
    if period.from_ >= period.to:
        return None
    days = BilledDays(billed=(period.to - period.from_).days, in_cycle=(line.period.to - line.period.from_).days)
    paid, rest = line.amount.amount_minor, row.left[index]
    unit_price, share = _negative(line, paid), Share(numerator=days.billed, denominator=days.in_cycle)
    if -amount(unit_price, 1, share).amount_minor > rest:
        unit_price, share = _negative(line, rest), _WHOLE
    dates = days_in_words(period.from_, period.to)
    changes = {
        "description": f"{line.add_on}, {dates}, {days.billed} of {days.in_cycle} days {unused.why}",
        "period": period,
        "days": days,
    }
    return _credit_line(row.invoice, line, unit_price, share, changes)


def _lines_of_amount(row: InvoiceRow, wanted: Money) -> list[InvoiceLine]:
    """Credit an amount of an invoice for no days: a line for each of its lines, pro rata of what is left of it."""
    invoice = row.invoice
    parts = zip(invoice.lines, spread(wanted.amount_minor, row.left), strict=True)
    return [
        _credit_line(
            invoice,
            line,
            _negative(line, minor),
            _WHOLE,
            {
                "description": f"{line.add_on}, credit on {invoice.invoice_number}",
                "days": BilledDays(billed=0, in_cycle=line.days.in_cycle),
            },
        )
        for line, minor in parts
        if minor
    ]


def _credit_line(
    invoice: InvoiceIssued, line: InvoiceLine, unit_price: Money, share: Share, changes: Mapping[str, Any]
) -> InvoiceLine:
    return line.model_copy(
        update={
            "quantity": _ONE,
            "unit_price": unit_price,
            "share": share,
            "rule": ProrationRule.DAY,
            "amount": amount(unit_price, 1, share),
            "credits": invoice.invoice_number,
            **changes,
        }
    )


def _negative(line: InvoiceLine, minor: int) -> Money:
    return Money(amount_minor=-minor, currency=line.amount.currency)
