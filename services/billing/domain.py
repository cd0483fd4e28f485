"""What billing decides: it charges what entitlements says an account has, and gives back what the back office says.

    AddOnPurchased        -> InvoiceIssued (immediate), through the end of the period that contains the first billed day
    timer `renewal`       -> InvoiceIssued (renewal) for what begins at that midnight
    SubscriptionModified  -> InvoiceIssued (adjustment) for seats that no paid period has; fewer wait for the next one
                             heard late: InvoiceIssued (credit) for what was charged otherwise, which is charged anew
    SubscriptionCanceled  -> InvoiceIssued (credit) for paid days that are not used
    IssueCredit           -> InvoiceIssued (credit), or a refusal
    MemberUpdated         -> nothing; the role says who may see what is charged
    MemberErased          -> nothing; who was erased sees nothing any more, and what was charged stays
    AccountUpdated        -> InvoiceIssued (renewal) for base plan that is outstanding, where it is billed otherwise now
    anything else         -> Ignored

What stays true:
- Cycles that began before an event happened are charged before it, with the seats of their time, in the same decision.
- An event heard after cycles that began behind it were charged comes to the same money as if heard before them.
- A subscription's purchase is billed once (its row names the invoice), and each day of it once (`paid_until`).
- Invoice numbers of an account are 1, 2, 3 … without a gap: the number and the invoice are stored in one commit.
- Amounts come from the terms that events carry, never from a price list; every line holds its own derivation.
- No invoice gives back more than it charged.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.backoffice import IssueCredit
from contracts.events import AddOnPurchased, MemberErased, SubscriptionCanceled, SubscriptionModified
from contracts.invoices import InvoiceIssued, InvoiceKind, InvoiceLine, ProrationRule
from services.billing import account, directory
from services.billing.account import (
    RENEWAL,
    BillingAccount,
    ChargeRow,
    InvoiceRow,
    SubscriptionRow,
    charge_row,
    invoice_row,
    subscription_row,
)
from services.billing.charges import Charging
from services.billing.credits import (
    Crediting,
    charged_otherwise,
    credited_rows,
    decide_credit,
    rows_to_credit,
    unused_from,
)
from services.billing.directory import MemberRow
from services.runtime.decision import Accepted, Cause, Decision, Ignored, Message, NeedsRows, Row, State, TimerDue

Known = State[BillingAccount]
_ROW_TYPES: Mapping[str, type[Row]] = {
    "charge": ChargeRow,
    "invoice": InvoiceRow,
    "member": MemberRow,
    "subscription": SubscriptionRow,
}


@dataclass(frozen=True, slots=True)
class BillingDecider:
    """Billing's decisions. `rule` is the deployment's way to count a part of a cycle; each line records it.

    `payment_terms_days`: a charge is due so many days after its first day, or the day it is issued where that is later;
    local dates.
    """

    document = BillingAccount
    row_types = _ROW_TYPES

    rule: ProrationRule = ProrationRule.DAY
    payment_terms_days: int = 0

    def initial(self) -> BillingAccount:
        """Return an account that was never invoiced."""
        return BillingAccount()

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the row of a purchase, and those of the invoices that are credited; nothing else needs one."""
        match message:
            case AddOnPurchased():
                return (subscription_row(message.subscription_id),)
            case IssueCredit():
                number = account.number_of(message.invoice_number, message.account_id)
                return () if number is None else (invoice_row(number),)
            case InvoiceIssued():
                return credited_rows(message)
            case MemberUpdated() | MemberErased():
                return (directory.member_row(message.user_id),)
        return ()

    def decide(self, state: Known, message: Message, cause: Cause, now: datetime) -> Decision:
        """Charge, credit or refuse; what is issued is issued `now`."""
        match message:
            case AddOnPurchased() | SubscriptionModified() | SubscriptionCanceled():
                return self._decide_event(state, message, now)
            case TimerDue(name=name) if name == RENEWAL:
                return self._decide_renewal(state, message, now)
            case IssueCredit():
                (name,) = self.rows(message) or ("",)
                return decide_credit(state.document, message, state.row(name) if name else None, now)
            case MemberUpdated() | MemberErased():
                return directory.decide(state, message)
            case AccountUpdated():
                return self._decide_account(state.document, message, now)
        return Ignored(f"{cause.type} is not billed")

    def evolve(self, state: Known, message: Message) -> Known:
        """Remember a fact or an event; count and keep an invoice."""
        if isinstance(message, AccountUpdated | MemberUpdated | MemberErased):
            return _with_fact(state, message)
        if isinstance(message, InvoiceIssued):
            return _with_rows(state, message)._replace(document=account.with_invoice(state.document, message))
        document = _with_change(state.document, message)
        return state if document is state.document else state._replace(document=document)

    def _decide_event(
        self, state: Known, event: AddOnPurchased | SubscriptionModified | SubscriptionCanceled, now: datetime
    ) -> Decision:
        match event:
            case AddOnPurchased():
                return self._decide_purchase(state, event, now)
            case SubscriptionModified():
                return self._decide_change(state, event, now)
            case SubscriptionCanceled():
                return self._decide_end(state, event, now)

    def _decide_account(self, document: BillingAccount, fact: AccountUpdated, now: datetime) -> Decision:
        if fact.revision <= document.account_revision:
            return Ignored(f"revision {fact.revision} is not newer than {document.account_revision}")
        if document.base is None or document.base.is_billed_by(fact):
            return Accepted()
        return Accepted(self._charging(fact.account_id, now).base_plan_until(document, now))

    def _decide_purchase(self, state: Known, event: AddOnPurchased, now: datetime) -> Decision:
        billed: SubscriptionRow | None = state.row(subscription_row(event.subscription_id))
        if billed is not None:
            return Ignored(f"subscription {event.subscription_id} was billed by {billed.invoice_number}")
        charging = self._charging(event.account_id, now)
        missed, document = charging.renewals_until(state.document, event.purchased_at)
        return Accepted((*missed, charging.purchase(document, event)))

    def _decide_renewal(self, state: Known, timer: TimerDue, now: datetime) -> Decision:
        document = account.retimed(state.document)
        due = document.timers.get(RENEWAL)
        if due is None:
            return Ignored("nothing is to be renewed")
        if due > timer.due:
            return Accepted()  # charged meanwhile: to ignore it would remove the timer of the next cycle
        return Accepted(self._charging(timer.account_id, now).renewals(document))

    def _decide_change(self, state: Known, event: SubscriptionModified, now: datetime) -> Decision:
        found = state.document.subscription(event.subscription_id)
        if found is None:
            return Ignored(f"subscription {event.subscription_id} is not known")
        if event.licenses_from < found[1].licenses_from:
            return Ignored(f"subscription {event.subscription_id} was changed later than this")
        wrong = charged_otherwise(state.document, event)
        names = rows_to_credit(wrong, state)
        if names:
            return NeedsRows(names)
        charging = self._charging(event.account_id, now)
        missed, _ = charging.renewals_until(state.document, event.modified_at)
        begun = min(now, found[1].begins_at(found[1].periods[-1].first)) if wrong else event.modified_at
        state = reduce(self.evolve, missed, self.evolve(state, event))
        given_back = Crediting(event.account_id, now, event.by).of_days(wrong, state, event.licenses_from)
        document = reduce(account.with_invoice, given_back, state.document)
        more = charging.adjustments(document, event)
        anew, _ = charging.renewals_until(reduce(account.with_invoice, more, document), begun)
        return Accepted((*missed, *given_back, *more, *anew))

    def _decide_end(self, state: Known, event: SubscriptionCanceled, now: datetime) -> Decision:
        found = state.document.subscription(event.subscription_id)
        if found is None:
            return Ignored(f"subscription {event.subscription_id} is not known")
        if found[1].ends_on is not None and found[1].ends_on <= event.effective_date:
            return Ignored(f"subscription {event.subscription_id} ends on {found[1].ends_on} already")
        missed, _ = self._charging(event.account_id, now).renewals_until(state.document, event.canceled_at)
        state = reduce(self.evolve, missed, self.evolve(state, event))
        unused = unused_from(state.document, event)
        names = rows_to_credit(unused, state)
        if names:
            return NeedsRows(names)
        crediting = Crediting(event.account_id, now, event.by)
        return Accepted((*missed, *crediting.of_days(unused, state, event.effective_date)))

    def _charging(self, account_id: str, now: datetime) -> Charging:
        return Charging(self.rule, self.payment_terms_days, account_id, now)


def _with_fact(state: Known, fact: AccountUpdated | MemberUpdated | MemberErased) -> Known:
    match fact:
        case MemberUpdated():
            return directory.with_member(state, fact)
        case MemberErased():
            return directory.with_erased(state, fact)
    return state._replace(document=account.with_account(state.document, fact))


def _with_change(document: BillingAccount, message: Message) -> BillingAccount:
    match message:
        case AddOnPurchased():
            return account.with_purchase(document, message)
        case SubscriptionModified():
            return account.with_change(document, message)
        case SubscriptionCanceled():
            return account.with_end(document, message)
        case TimerDue():
            return account.retimed(document)
    return document


def _with_rows(state: Known, invoice: InvoiceIssued) -> Known:
    """Keep an invoice, where each of its charges is found, and what its credits leave of others."""
    number = state.document.next_number
    state = state.with_row(invoice_row(number), InvoiceRow(invoice=invoice, billed_to=state.document.name))
    for index, line in enumerate(invoice.lines):
        if line.credits is not None:
            name = invoice_row(account.number_of(line.credits, invoice.account_id) or 0)
            row: InvoiceRow = state.row(name)
            state = state.with_row(name, row.credited_by(line))
            continue
        if invoice.kind is InvoiceKind.IMMEDIATE:
            billed = SubscriptionRow(invoice_number=invoice.invoice_number)
            state = state.with_row(subscription_row(line.subscription_id), billed)
        name = _charge_of(state.document, invoice.kind, line)
        state = state.with_row(name, ChargeRow(invoice=number, line=index))
    return state


def _charge_of(document: BillingAccount, kind: InvoiceKind, line: InvoiceLine) -> str:
    """Name the row of a charge: the first of its period, or the next of one that was charged already."""
    first = line.period.from_
    found = document.subscription(line.subscription_id)
    period = found[1].period_of(first) if found and kind is InvoiceKind.ADJUSTMENT else None
    if period is None:
        return charge_row(line.subscription_id, first, 0)
    return charge_row(line.subscription_id, period.first, period.charges)
