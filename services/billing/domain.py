"""What billing decides and remembers: one purchase, one invoice, at once.

    AddOnPurchased   -> InvoiceIssued (immediate), from the first billed day to the end of the cycle containing it
    anything else    -> Ignored

What stays true:
- A subscription's purchase is billed once: its row names the invoice, and a purchase that finds the row is ignored.
- Invoice numbers of an account are 1, 2, 3 … without a gap: the number and the invoice are stored in one commit.
- The amount comes from the terms the purchase carries, never from a price list.
- A line holds its own derivation, and an invoice's total is the sum of its rounded lines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from contracts.cycles import cycle_containing
from contracts.events import AddOnPurchased, Terms
from contracts.invoices import BilledDays, InvoiceIssued, InvoiceKind, InvoiceLine, Period, ProrationRule
from contracts.payload import Value
from services.billing.proration import amount, days_in_words, share_to_end
from services.runtime.decision import Accepted, Cause, Decision, Document, Ignored, Message, Row, State


class ActiveSubscription(Value):
    """What an account pays for from its first billed day on, as agreed at the purchase."""

    subscription_id: str
    effective_date: date
    terms: Terms


class BillingAccount(Document):
    """An account as billing knows it. `subscriptions` is by add-on id, so the catalog bounds it."""

    next_number: int = 1
    subscriptions: Mapping[str, ActiveSubscription] = {}


class InvoiceRow(Row):
    """An issued invoice, as published: row `invoice:<n>`, n counting 1, 2, 3 … in the account."""

    invoice: InvoiceIssued


class SubscriptionRow(Row):
    """The invoice that billed a subscription's purchase: row `subscription:<subscription id>`."""

    invoice_number: str


_ROW_TYPES: Mapping[str, type[Row]] = {"invoice": InvoiceRow, "subscription": SubscriptionRow}


@dataclass(frozen=True, slots=True)
class BillingDecider:
    """Billing's decisions. `rule` is the deployment's way to count a part of a cycle; each line records it.

    `payment_terms_days`: an invoice is due so many days after the first billed day, as a local date.
    """

    document = BillingAccount
    row_types = _ROW_TYPES

    rule: ProrationRule = ProrationRule.DAY
    payment_terms_days: int = 0

    def initial(self) -> BillingAccount:
        """Return an account that was never invoiced."""
        return BillingAccount()

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the row that says whether a purchase was billed before; nothing else needs one."""
        return (_subscription_row(message.subscription_id),) if isinstance(message, AddOnPurchased) else ()

    def decide(self, state: State[BillingAccount], message: Message, cause: Cause, now: datetime) -> Decision:
        """Bill a purchase with one invoice issued `now`; ignore one that has its invoice, and everything else."""
        if not isinstance(message, AddOnPurchased):
            return Ignored(f"{cause.type} is not billed")
        billed: SubscriptionRow | None = state.row(_subscription_row(message.subscription_id))
        if billed is not None:
            return Ignored(f"subscription {message.subscription_id} was billed by {billed.invoice_number}")
        line = self._line(message)
        invoice = InvoiceIssued(
            account_id=message.account_id,
            invoice_number=f"{message.account_id}-{state.document.next_number:06d}",
            kind=InvoiceKind.IMMEDIATE,
            issued_at=now,
            due_date=message.effective_date + timedelta(days=self.payment_terms_days),
            currency=line.amount.currency,
            lines=(line,),
            total=line.amount,
        )
        return Accepted((invoice,))

    def evolve(self, state: State[BillingAccount], message: Message) -> State[BillingAccount]:
        """Remember the subscription of a purchase; count and keep an invoice."""
        match message:
            case AddOnPurchased():
                active = ActiveSubscription(
                    subscription_id=message.subscription_id, effective_date=message.effective_date, terms=message.terms
                )
                return state.with_document(subscriptions={**state.document.subscriptions, message.add_on: active})
            case InvoiceIssued():
                return _with_invoice(state, message)
        return state

    def _line(self, purchase: AddOnPurchased) -> InvoiceLine:
        terms, first_day = purchase.terms, purchase.effective_date
        cycle = cycle_containing(terms.cycle_anchor, terms.frequency, first_day)
        share = share_to_end(self.rule, terms, cycle, first_day, purchase.purchased_at)
        days = BilledDays(billed=(cycle.end - first_day).days, in_cycle=cycle.days)
        period = Period(from_=first_day, to=cycle.end)
        return InvoiceLine(
            subscription_id=purchase.subscription_id,
            add_on=purchase.add_on,
            description=_description(purchase.add_on, period, days, terms.licenses.total),
            period=period,
            quantity=terms.licenses,
            unit_price=terms.unit_price,
            days=days,
            share=share,
            price_version=terms.price_version,
            rule=self.rule,
            timezone=terms.timezone,
            amount=amount(terms.unit_price, terms.licenses.total, share),
        )


def _subscription_row(subscription_id: str) -> str:
    return f"subscription:{subscription_id}"


def _with_invoice(state: State[BillingAccount], invoice: InvoiceIssued) -> State[BillingAccount]:
    number = state.document.next_number
    state = state.with_document(next_number=number + 1).with_row(f"invoice:{number}", InvoiceRow(invoice=invoice))
    billed = SubscriptionRow(invoice_number=invoice.invoice_number)
    for line in invoice.lines if invoice.kind is InvoiceKind.IMMEDIATE else ():
        state = state.with_row(_subscription_row(line.subscription_id), billed)
    return state


def _description(add_on: str, period: Period, days: BilledDays, seats: int) -> str:
    counted = f"{days.billed} of {days.in_cycle} days" if seats else "no seats to charge for"
    return f"{add_on}, {days_in_words(period.from_, period.to)}, {counted}"
