"""Checks what billing issued for an account against what entitlements said, by other means than billing decides by.

It looks at the finished log only: for each subscription it lays the charges out over the days and asks whether every
day is charged once, for the seats and at the terms of its time, and given back where it was not used. So a mistake in
how billing gets there shows here.

Lenience is where the log cannot tell: a change that billing heard of late, after a cycle had been charged, may find
that cycle (and the one before it) charged by what was agreed until then.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from contracts.cycles import cycle_containing, local_midnight
from contracts.events import AddOnPurchased, SubscriptionCanceled, SubscriptionModified, Terms
from contracts.invoices import BASE_PLAN, InvoiceIssued, InvoiceKind, InvoiceLine, Period, ProrationRule, Share
from contracts.payload import Payload
from services.billing.proration import amount, recompute

_ONE_DAY = timedelta(days=1)
Charged = tuple[str, str]
"""What is credited: an invoice, by its number, and a subscription that it charges."""
_CYCLES = (InvoiceKind.IMMEDIATE, InvoiceKind.RENEWAL)


class Finding(NamedTuple):
    """Something that is not as it should be: where (an invoice, a subscription, or the account), and what."""

    place: str
    sentence: str


class Billed(NamedTuple):
    """A line and the invoice it is on."""

    invoice: InvoiceIssued
    line: InvoiceLine


class Subscription(NamedTuple):
    """What entitlements said of a subscription, in order."""

    purchase: AddOnPurchased
    changes: list[SubscriptionModified]
    ends: list[SubscriptionCanceled]

    @property
    def ends_on(self) -> date:
        """The first day without it; the last of all days while it goes on."""
        return min((each.effective_date for each in self.ends), default=date.max)

    def seats_on(self, day: date) -> int:
        """Return the seats wanted on a day, by the last word on it."""
        seats = self.purchase.terms.licenses.total
        for change in self.changes:
            if change.licenses_from <= day:
                seats = change.licenses.total
        return seats

    def seats_within(self, first: date, end: date) -> set[int]:
        """Return all the seats that were wanted at some time of [first, end), the eve of `first` included."""
        seats = {each.licenses.total for each in self.changes if first <= each.licenses_from < end}
        bought = {self.purchase.terms.licenses.total} if first <= self.purchase.effective_date else set()
        return seats | bought | {self.seats_on(first - _ONE_DAY)}

    def terms_on(self, day: date) -> Terms:
        """Return the terms in force on a day, by the last word on it."""
        terms = self.purchase.terms
        for change in self.changes:
            if change.terms_from <= day:
                terms = change.terms
        return terms


def audit(
    account_id: str, events: Iterable[Payload], invoices: Sequence[InvoiceIssued], now: datetime
) -> list[Finding]:
    """Check an account's invoices, all and in order, against its events (those that are not billed may be among them).

    `now`: every cycle that has begun by then must be charged. Cost: the number of events and lines, times the charges
    of one period.
    """
    subscriptions, findings = _subscriptions(events)
    charged: defaultdict[str, list[Billed]] = defaultdict(list)
    for invoice in invoices:
        for line in invoice.lines:
            charged[line.subscription_id].append(Billed(invoice, line))
    findings += _numbers(account_id, invoices)
    for invoice in invoices:
        findings += [Finding(invoice.invoice_number, sentence) for sentence in _invoice(invoice)]
    rest, of_credits = _credits(invoices)
    findings += of_credits
    for subscription_id, billed in charged.items():
        if subscription_id == BASE_PLAN:
            findings += [Finding(BASE_PLAN, sentence) for sentence in _base_plan(billed)]
        elif subscription_id not in subscriptions:
            findings.append(Finding(subscription_id, "is charged, but was never bought"))
    for subscription_id, subscription in subscriptions.items():
        sentences = _subscription(subscription, charged.get(subscription_id, []), rest, now)
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


def _credits(invoices: Sequence[InvoiceIssued]) -> tuple[dict[Charged, int], list[Finding]]:
    """Return what is left of each charge after all that was given back, in minor units."""
    rest: dict[Charged, int] = {}
    findings: list[Finding] = []
    currencies = {each.invoice_number: each.currency for each in invoices}
    for invoice in invoices:
        for line in invoice.lines:
            if line.credits is None:
                charge = (invoice.invoice_number, line.subscription_id)
                rest[charge] = rest.get(charge, 0) + line.amount.amount_minor
                continue
            charge = (line.credits, line.subscription_id)
            if charge not in rest or currencies[line.credits] != invoice.currency:
                sentence = f"gives back from {line.credits}, which charged no such"
                findings.append(Finding(invoice.invoice_number, sentence))
                continue
            rest[charge] += line.amount.amount_minor
            if rest[charge] < 0:
                findings.append(Finding(line.credits, f"gave back more than it charged for {line.subscription_id}"))
    return rest, findings


def _base_plan(billed: Sequence[Billed]) -> Iterator[str]:
    charges = [line for invoice, line in billed if invoice.kind is not InvoiceKind.CREDIT]
    for one, next_one in pairwise(sorted(charges, key=lambda line: line.period.from_)):
        if next_one.period.from_ < one.period.to:
            yield f"is billed twice on {next_one.period.from_}"
    for line in charges:
        if line.quantity.total != 1 or line.days.billed != line.days.in_cycle:
            yield f"is not billed once and in full on {line.period.from_}"


def _subscription(
    subscription: Subscription, billed: Sequence[Billed], rest: Mapping[Charged, int], now: datetime
) -> Iterator[str]:
    cycles = [each for each in billed if each.invoice.kind in _CYCLES]
    purchases = sum(each.invoice.kind is InvoiceKind.IMMEDIATE for each in cycles)
    if purchases != 1:
        yield f"has {purchases} immediate lines for its purchase"
    if not cycles:
        return
    if cycles[0].invoice.kind is not InvoiceKind.IMMEDIATE:
        yield "is renewed before its purchase is charged"
    yield from _days(subscription, [each.line.period for each in cycles], now)
    # What starts in the future may be changed before it begins, and is paid by then.
    eve = min(subscription.purchase.effective_date, *(each.licenses_from for each in subscription.changes), date.max)
    for cycle in cycles:
        more = [
            each.line
            for each in billed
            if each.invoice.kind is InvoiceKind.ADJUSTMENT
            and cycle.line.period.from_ <= each.line.period.from_ < cycle.line.period.to
        ]
        yield from _terms(subscription, cycle.line, more, eve)
        yield from _seats(subscription, cycle.line, more, eve)
        eve = cycle.line.period.from_
    yield from _unused(subscription, billed, rest)


def _days(subscription: Subscription, periods: Sequence[Period], now: datetime) -> Iterator[str]:
    """Each day from the first on is charged once, by the purchase and then by renewals, as long as it lasts."""
    if periods[0].from_ != subscription.purchase.effective_date:
        yield f"is charged from {periods[0].from_} on, but begins on {subscription.purchase.effective_date}"
    for one, following in pairwise(periods):
        if one.to != following.from_:
            wrong = "charged twice" if following.from_ < one.to else "left out"
            yield f"has days {wrong} between {min(one.to, following.from_)} and {max(one.to, following.from_)}"
    paid_until = periods[-1].to
    zones = {subscription.terms_on(day).timezone for day in (paid_until, paid_until - _ONE_DAY, periods[-1].from_)}
    if paid_until < subscription.ends_on and max(local_midnight(paid_until, zone) for zone in zones) <= now:
        yield f"is not renewed since {paid_until}"


def _terms(subscription: Subscription, line: InvoiceLine, more: Iterable[InvoiceLine], eve: date) -> Iterator[str]:
    """Charges are by the terms of their time, or of the cycle before where billing heard late of them."""
    first, end = line.period.from_, line.period.to
    charged = (line.unit_price, line.price_version, line.timezone, line.days.in_cycle)
    for terms in (subscription.terms_on(first), subscription.terms_on(eve)):
        cycle = cycle_containing(terms.cycle_anchor, terms.frequency, first)
        if charged == (terms.unit_price, terms.price_version, terms.timezone, cycle.days) and end <= cycle.end:
            cuts = {cycle.end, *(each.terms_from for each in subscription.changes)}
            cuts |= {each.effective_date for each in subscription.ends}
            if end not in cuts:
                yield f"is charged from {first} to {end}, where nothing ends"
            break
    else:
        yield f"is charged from {first} to {end} by terms that were not in force"
    for each in more:
        if charged != (each.unit_price, each.price_version, each.timezone, each.days.in_cycle):
            yield f"has more seats from {each.period.from_} on at other terms than its cycle"


def _seats(subscription: Subscription, line: InvoiceLine, more: Sequence[InvoiceLine], eve: date) -> Iterator[str]:
    """All seats wanted on a day are paid, and no more than ever were since the cycle before began."""
    first, end = line.period.from_, min(line.period.to, subscription.ends_on)
    days = {first, *(each.licenses_from for each in subscription.changes if first < each.licenses_from < end)}
    for day in sorted(days if first < end else ()):
        paid = line.quantity.total + sum(each.quantity.total for each in more if each.period.from_ <= day)
        if paid < subscription.seats_on(day):
            yield f"has {subscription.seats_on(day)} seats on {day}, but {paid} are charged"
    paid = line.quantity.total + sum(each.quantity.total for each in more)
    if paid > max(subscription.seats_within(eve, line.period.to)):
        yield f"is charged for {paid} seats from {first} on, more than it had"
    if line.quantity.total not in subscription.seats_within(eve, first + _ONE_DAY):
        yield f"is charged for {line.quantity.total} seats from {first} on, which it did not have then"


def _unused(subscription: Subscription, billed: Sequence[Billed], rest: Mapping[Charged, int]) -> Iterator[str]:
    """Of every charge the days from the end on are given back, and no others, as far as there is something to give."""
    given_back = [each.line for each in billed if each.line.credits is not None and each.line.days.billed]
    for invoice, line in billed:
        if line.credits is not None:
            continue
        period, paid = line.period, line.amount.amount_minor
        credited = [
            each
            for each in given_back
            if each.credits == invoice.invoice_number and period.from_ <= each.period.from_ < period.to
        ]
        days = (period.to - period.from_).days
        until = period.to
        for each in credited:  # each ends where the one before began
            capped = (each.share.numerator, each.share.denominator) == (1, 1)
            if each.period.to != until or (
                not capped and (-each.unit_price.amount_minor, each.days.in_cycle) != (paid, days)
            ):
                yield f"has {each.amount} given back for {each.period.from_} to {each.period.to}, which was not charged"
            until = each.period.from_
        begins = max(period.from_, subscription.ends_on)
        if until < min(begins, period.to):
            yield f"has days from {until} on given back, but was used until {subscription.ends_on}"
        left = Share(numerator=max((until - begins).days, 0), denominator=days)
        is_all = (
            not rest.get((invoice.invoice_number, line.subscription_id))
            or -sum(each.amount.amount_minor for each in credited) == paid
        )
        if amount(line.amount, 1, left).amount_minor and not is_all:
            yield f"ended on {subscription.ends_on}, but {invoice.invoice_number} charges it until {until}"
