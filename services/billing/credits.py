"""What is given back: days that were paid for and are not used, and what the back office wants to credit.

    unused days   for each charge, what its line came to x unused days / its days, once a subscription's end is known
    IssueCredit   an amount of one invoice, no days

No invoice gives back more than it charged: what is left of it caps every credit, and a credit invoice gives nothing
back. Amounts are negative, and counted in calendar days whatever the deployment's rule is.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from contracts.accounts import Licenses
from contracts.backoffice import IssueCredit
from contracts.cycles import local_date
from contracts.events import SubscriptionCanceled
from contracts.invoices import BilledDays, InvoiceIssued, InvoiceKind, InvoiceLine, Period, ProrationRule, Share
from contracts.money import Money
from contracts.payload import Payload
from contracts.results import CreditAccepted, CreditRejected, Reason
from services.billing.account import (
    BillingAccount,
    InvoiceRow,
    invoice_row,
    issue,
    issue_each,
    number_of,
)
from services.billing.proration import amount, days_in_words
from services.billing.schedule import ActiveSubscription, Charge
from services.runtime.decision import Accepted, Cause, Rejected, State

_WHOLE: Final = Share(numerator=1, denominator=1)
_ONE: Final = Licenses(standard=1)


def rows_to_credit(subscription: ActiveSubscription, state: State[BillingAccount]) -> tuple[str, ...]:
    """Name the rows not loaded yet of the invoices to be credited."""
    names = dict.fromkeys(invoice_row(charge.number) for charge in _unused(subscription))
    return tuple(name for name in names if not _is_loaded(state, name))


def credits_of_unused_days(
    account: BillingAccount, event: SubscriptionCanceled, state: State[BillingAccount], now: datetime
) -> tuple[InvoiceIssued, ...]:
    """Give back the days paid for from the subscription's end on: an invoice a currency; none when it is nothing.

    `account` knows the end; the rows that `rows_to_credit` names are loaded.
    """
    found = account.subscription(event.subscription_id)
    if found is None:
        return ()
    _, subscription = found
    lines: list[InvoiceLine] = []
    taken: Counter[int] = Counter()
    for charge in _unused(subscription):
        number = charge.number
        line = _unused_line(subscription, charge, state.row(invoice_row(number)), taken[number])
        if line.amount.amount_minor:
            taken[number] -= line.amount.amount_minor
            lines.append(line)

    def invoice(before: BillingAccount, each: list[InvoiceLine]) -> InvoiceIssued:
        return issue(before, event.account_id, InvoiceKind.CREDIT, each, now, event.effective_date, event.by)

    return issue_each(account, lines, invoice)


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
    rest = Money(amount_minor=total.amount_minor - row.credited, currency=total.currency)
    if wanted.amount_minor > rest.amount_minor:
        return Rejected(
            Reason.CREDIT_EXCEEDS_PAID, f"Of invoice {command.invoice_number} {rest} can be credited, not {wanted}."
        )
    line = _line_of_amount(row.invoice, wanted)
    due_date = local_date(now, line.timezone)
    return Accepted((issue(account, command.account_id, InvoiceKind.CREDIT, (line,), now, due_date, command.staff),))


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
    }
    if isinstance(decision, Accepted):
        return CreditAccepted(**asked, events=event_ids)
    return CreditRejected(**asked, reason=decision.reason, message=decision.message)


def credited_rows(invoice: InvoiceIssued) -> tuple[str, ...]:
    """Name the rows of the invoices that a credit invoice gives back from; none for another kind."""
    numbers = {number_of(line.credits, invoice.account_id) for line in invoice.lines if line.credits is not None}
    return tuple(invoice_row(number) for number in sorted(each for each in numbers if each is not None))


def _unused(subscription: ActiveSubscription) -> tuple[Charge, ...]:
    ends_on = subscription.ends_on
    if ends_on is None:
        return ()
    charges = (charge for period in subscription.periods for charge in period.charges)
    return tuple(charge for charge in charges if charge.used_to > max(ends_on, charge.first))


def _is_loaded(state: State[BillingAccount], name: str) -> bool:
    return name in state.rows or name in state.written


def _unused_line(subscription: ActiveSubscription, charge: Charge, row: InvoiceRow, taken: int) -> InvoiceLine:
    """Credit a charge's unused days; `taken` minor units of its invoice are given back by lines beside this one."""
    line = next(
        each
        for each in row.invoice.lines
        if each.subscription_id == subscription.subscription_id and each.period.from_ == charge.first
    )
    period = Period(from_=max(subscription.ends_on or charge.first, charge.first), to=charge.used_to)
    paid = line.amount.amount_minor
    days = BilledDays(billed=(period.to - period.from_).days, in_cycle=(charge.end - charge.first).days)
    unit_price, share = _negative(line, paid), Share(numerator=days.billed, denominator=days.in_cycle)
    rest = min(paid - charge.credited, row.invoice.total.amount_minor - row.credited - taken)
    if -amount(unit_price, 1, share).amount_minor > rest:
        unit_price, share = _negative(line, rest), _WHOLE
    dates = days_in_words(period.from_, period.to)
    changes = {
        "description": f"{line.add_on}, {dates}, {days.billed} of {days.in_cycle} days not used",
        "period": period,
        "days": days,
    }
    return _credit_line(row.invoice, line, unit_price, share, changes)


def _line_of_amount(invoice: InvoiceIssued, wanted: Money) -> InvoiceLine:
    """Credit an amount of an invoice: on its first line, for no days."""
    line = invoice.lines[0]
    changes = {
        "description": f"credit on {invoice.invoice_number}",
        "days": BilledDays(billed=0, in_cycle=line.days.in_cycle),
    }
    return _credit_line(invoice, line, _negative(line, wanted.amount_minor), _WHOLE, changes)


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
