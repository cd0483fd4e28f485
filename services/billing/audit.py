"""Checks what billing issued for an account against what entitlements said, by other means than billing decides by.

It looks at the finished log only: for each subscription it lays the charges, less what was given back, out over the
days and asks whether every day is charged once, for the seats and at the terms of its time. When billing heard of a
change does not matter: what it then charged otherwise must have been given back and charged anew. So a mistake in how
billing gets there shows here, and so does an event that came too late to be made good.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from contracts.cycles import cycle_containing, local_midnight
from contracts.events import AddOnPurchased, SubscriptionCanceled, SubscriptionModified, Terms
from contracts.invoices import BASE_PLAN, InvoiceIssued, InvoiceKind, InvoiceLine, ProrationRule
from contracts.payload import Payload
from services.billing.audit_base_plan import base_plan_sentences, facts_of, span_of
from services.billing.ledger import Charge, Finding, charges_of
from services.billing.proration import recompute

_ONE_DAY = timedelta(days=1)
_CYCLES = (InvoiceKind.IMMEDIATE, InvoiceKind.RENEWAL)


class Subscription(NamedTuple):
    """What entitlements said of a subscription, in order."""

    purchase: AddOnPurchased
    changes: list[SubscriptionModified]
    ends: list[SubscriptionCanceled]

    @property
    def ends_on(self) -> date:
        """The first day without it; the last of all days while it goes on."""
        return min((each.effective_date for each in self.ends), default=date.max)

    def seats_in(self, begins: datetime, day: date) -> int:
        """Return the seats to be paid on a day of a period that began at an instant: the most wanted since."""
        seats = self.purchase.terms.licenses.total
        for change in self.changes:
            if change.modified_at < begins:
                seats = change.licenses.total
            elif change.licenses_from <= day:
                seats = max(seats, change.licenses.total)
        return seats

    def begins_at(self, day: date) -> datetime:
        """Return the instant at which a charge from a day on is due."""
        return local_midnight(day, self.terms_on(day - _ONE_DAY).timezone)

    def terms_on(self, day: date) -> Terms:
        """Return the terms in force on a day, by the last word on it."""
        terms = self.purchase.terms
        for change in self.changes:
            if change.terms_from <= day:
                terms = change.terms
        return terms


def audit(
    account_id: str, events: Sequence[Payload], invoices: Sequence[InvoiceIssued], now: datetime
) -> list[Finding]:
    """Check an account's invoices, all and in order, against its events (those that are not billed may be among them).

    The account's facts among them are what its base plan is checked by: those that stand before a purchase were told
    before it. `now`: every cycle that has begun by then must be charged. Cost: the number of events, times that of the
    subscriptions, and of lines, times the charges of one period.
    """
    subscriptions, findings = _subscriptions(events)
    charged, of_credits = charges_of(invoices)
    findings += _numbers(account_id, invoices)
    for invoice in invoices:
        findings += [Finding(invoice.invoice_number, sentence) for sentence in _invoice(invoice)]
    findings += of_credits
    spans = [span_of(each.purchase, each.ends_on, events) for each in subscriptions.values()]
    of_base_plan = base_plan_sentences(charged.pop(BASE_PLAN, []), spans, facts_of(events), now)
    findings += [Finding(BASE_PLAN, sentence) for sentence in of_base_plan]
    for subscription_id in charged:
        if subscription_id not in subscriptions:
            findings.append(Finding(subscription_id, "is charged, but was never bought"))
    for subscription_id, subscription in subscriptions.items():
        sentences = _subscription(subscription, charged.get(subscription_id, []), now)
        findings += [Finding(subscription_id, sentence) for sentence in sentences]
    return findings


def _subscriptions(events: Iterable[Payload]) -> tuple[dict[str, Subscription], list[Finding]]:
    known: dict[str, Subscription] = {}
    findings: list[Finding] = []
    for event in events:
        match event:
            case AddOnPurchased(subscription_id=name) if name in known:
                findings.append(Finding(name, "was bought twice"))
            case AddOnPurchased(subscription_id=name):
                known[name] = Subscription(event, [], [])
            case SubscriptionModified(subscription_id=name) | SubscriptionCanceled(subscription_id=name):
                if name not in known:
                    findings.append(Finding(name, "is changed or ended, but was never bought"))
                elif isinstance(event, SubscriptionCanceled):
                    known[name].ends.append(event)
                elif not known[name].changes or event.licenses_from >= known[name].changes[-1].licenses_from:
                    known[name].changes.append(event)
    return known, findings


def _numbers(account_id: str, invoices: Sequence[InvoiceIssued]) -> Iterator[Finding]:
    for count, invoice in enumerate(invoices, 1):
        expected = f"{account_id}-{count:06d}"
        if (invoice.invoice_number, invoice.account_id) != (expected, account_id):
            yield Finding(invoice.invoice_number, f"stands where {expected} belongs: numbers have a gap or an order")


def _invoice(invoice: InvoiceIssued) -> Iterator[str]:
    if not invoice.lines:
        yield "has no lines"
    if {invoice.currency, invoice.total.currency} | {line.amount.currency for line in invoice.lines} != {
        invoice.currency
    }:
        yield "has more than one currency"
    if sum(line.amount.amount_minor for line in invoice.lines) != invoice.total.amount_minor:
        yield f"adds up to something else than {invoice.total}"
    for line in invoice.lines:
        yield from _line(invoice, line)


def _line(invoice: InvoiceIssued, line: InvoiceLine) -> Iterator[str]:
    name, is_credit = line.subscription_id, invoice.kind is InvoiceKind.CREDIT
    if recompute(line) != line.amount:
        yield f"the line of {name} says {line.amount}, but comes to {recompute(line)}"
    gives, takes = line.amount.amount_minor < 0, line.amount.amount_minor > 0
    if (line.credits is not None) is not is_credit or (takes if is_credit else gives):
        yield f"the line of {name} is none of an invoice of kind {invoice.kind}"
    days, counted = (line.period.to - line.period.from_).days, line.days.billed
    if counted not in ({days, 0} if is_credit else {days}) or not days > 0 or counted > line.days.in_cycle:
        yield f"the line of {name} counts {counted} of {line.days.in_cycle} days for a period of {days}"
    share = (line.share.numerator, line.share.denominator)
    whole = is_credit and share == (1, 1)
    if line.rule is ProrationRule.DAY and share != (counted, line.days.in_cycle) and not whole:
        yield f"the line of {name} charges {share[0]}/{share[1]}, but counts {counted} days"


def _subscription(subscription: Subscription, charges: Sequence[Charge], now: datetime) -> Iterator[str]:
    cycles = [each for each in charges if each.invoice.kind in _CYCLES]
    purchases = sum(each.invoice.kind is InvoiceKind.IMMEDIATE for each in cycles)
    if purchases != 1:
        yield f"has {purchases} immediate lines for its purchase"
    if not cycles:
        return
    if cycles[0].invoice.kind is not InvoiceKind.IMMEDIATE:
        yield "is renewed before its purchase is charged"
    yield from _promised(subscription.purchase, cycles[0])
    for each in charges:
        yield from each.wrong_credits()
        if each.keeps_from(subscription.ends_on):
            number, until = each.invoice.invoice_number, each.until
            yield f"ended on {subscription.ends_on}, but {number} charges it until {until}"
    used = sorted((each for each in cycles if each.until > each.first), key=lambda each: each.first)
    used = [each for each in used if each.first < subscription.ends_on]
    yield from _days(subscription, used, now)
    more = [each for each in charges if each.invoice.kind is InvoiceKind.ADJUSTMENT]
    for cycle in used:
        beside = [each for each in more if cycle.covers(each.first) and each.until > each.first]
        yield from _terms(subscription, cycle, beside)
        yield from _seats(subscription, cycle, beside)


def _promised(purchase: AddOnPurchased, charge: Charge) -> Iterator[str]:
    """Say where a purchase with a price promise is not charged what was promised, to the unit."""
    if purchase.promised is not None and charge.line.amount != purchase.promised.amount:
        yield f"is charged {charge.line.amount} for its purchase, but {purchase.promised.amount} was promised"


def _days(subscription: Subscription, cycles: Sequence[Charge], now: datetime) -> Iterator[str]:
    """Each day from the first on is charged once, by the purchase and then by renewals, as long as it lasts."""
    paid_until = subscription.purchase.effective_date
    for cycle in cycles:
        if cycle is cycles[0] and cycle.first != paid_until:
            yield f"is charged from {cycle.first} on, but begins on {paid_until}"
        elif cycle.first != paid_until:
            wrong = "charged twice" if cycle.first < paid_until else "left out"
            yield f"has days {wrong} between {min(cycle.first, paid_until)} and {max(cycle.first, paid_until)}"
        paid_until = cycle.until
    if cycles and paid_until < min(subscription.ends_on, cycles[-1].line.period.to):
        yield f"has days from {paid_until} on given back, but was used until {subscription.ends_on}"
        return
    zones = {subscription.terms_on(day).timezone for day in (paid_until, paid_until - _ONE_DAY)}
    if paid_until < subscription.ends_on and max(local_midnight(paid_until, zone) for zone in zones) <= now:
        yield f"is not renewed since {paid_until}"


def _terms(subscription: Subscription, cycle: Charge, more: Iterable[Charge]) -> Iterator[str]:
    """Charges are by the terms of their time, and end where the cycle, the terms or the subscription do."""
    line, first, end = cycle.line, cycle.first, cycle.until
    charged = (line.unit_price, line.price_version, line.timezone, line.days.in_cycle)
    terms = subscription.terms_on(first)
    whole = cycle_containing(terms.cycle_anchor, terms.frequency, first)
    if charged != (terms.unit_price, terms.price_version, terms.timezone, whole.days) or end > whole.end:
        yield f"is charged from {first} to {end} by terms that were not in force"
        return
    ends = {whole.end, *(each.terms_from for each in subscription.changes)}
    if end not in ends | {each.effective_date for each in subscription.ends}:
        yield f"is charged from {first} to {end}, where nothing ends"
    for each in more:
        other = each.line
        if charged != (other.unit_price, other.price_version, other.timezone, other.days.in_cycle):
            yield f"has more seats from {each.first} on at other terms than its cycle"


def _seats(subscription: Subscription, cycle: Charge, more: Sequence[Charge]) -> Iterator[str]:
    """On each day the most seats wanted since the period began are paid, no fewer and no more."""
    first, end = cycle.first, min(cycle.until, subscription.ends_on)
    begins = subscription.begins_at(first)
    changed = {each.licenses_from for each in subscription.changes}
    for day in sorted({first, *(each for each in changed if first < each < end)}):
        wanted = subscription.seats_in(begins, day)
        paid = cycle.line.quantity.total + sum(each.line.quantity.total for each in more if each.covers(day))
        if paid < wanted:
            yield f"has {wanted} seats on {day}, but {paid} are charged"
        if paid > wanted:
            yield f"is charged for {paid} seats from {day} on, more than it had"
