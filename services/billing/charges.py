"""What an account is charged for: a purchase at once, every cycle in full, and more seats within one.

    purchase     from the first billed day to the end of the period that contains it
    renewal      from the first day not paid for to the end of the cycle it falls in, or to the day other terms take
                 over or the subscription ends: full, unless it begins or ends within a cycle
                 the base plan likewise, by its own cycle, while an add-on is renewed
    adjustment   seats above the highest quantity paid in a period, from their first day to its end

A charge begins where the last ended. So however anchor, frequency and zone change, and however late a change or a
timer comes, no local day is charged twice or left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import reduce

from contracts.accounts import Licenses
from contracts.cycles import cycle_containing, local_date
from contracts.events import AddOnPurchased, SubscriptionModified, Terms
from contracts.invoices import (
    BASE_PLAN,
    BilledDays,
    InvoiceIssued,
    InvoiceKind,
    InvoiceLine,
    Period,
    ProrationRule,
)
from services.billing.account import RENEWAL, BillingAccount, issue, issue_each, retimed, with_invoice
from services.billing.proration import amount, days_in_words, seats_in_words, share_between
from services.billing.schedule import ActiveSubscription


@dataclass(frozen=True, slots=True)
class Charging:
    """How the charges of one decision are made: counted by `rule`, payable after so many days, issued `now`."""

    rule: ProrationRule
    payment_terms_days: int
    account_id: str
    now: datetime

    def purchase(self, account: BillingAccount, event: AddOnPurchased) -> InvoiceIssued:
        """Charge a purchase through the end of the period that contains its first billed day.

        One with a price promise is counted as it was promised: from that moment, by that rule.
        """
        terms, first, promised = event.terms, event.effective_date, event.promised
        if promised is not None and promised.rule != self.rule:
            return replace(self, rule=ProrationRule(promised.rule)).purchase(account, event)
        period = Period(from_=first, to=cycle_containing(terms.cycle_anchor, terms.frequency, first).end)
        moment = event.purchased_at if promised is None else promised.promised_at
        line = self._line(event.subscription_id, event.add_on, terms, period, terms.licenses, moment=moment)
        return self._invoice(account, InvoiceKind.IMMEDIATE, (line,), first)

    def renewals_until(
        self, account: BillingAccount, instant: datetime
    ) -> tuple[tuple[InvoiceIssued, ...], BillingAccount]:
        """Charge every cycle that has begun by `instant`, in order; return the account after it too.

        Cost: the cycles that were missed.
        """
        issued: tuple[InvoiceIssued, ...] = ()
        account = retimed(account)
        while RENEWAL in account.timers and account.timers[RENEWAL] <= instant:
            begun = self.renewals(account)
            issued += begun
            account = reduce(with_invoice, begun, account)
        return issued, account

    def renewals(self, account: BillingAccount) -> tuple[InvoiceIssued, ...]:
        """Charge what begins at the instant of the timer: an invoice for each local day and currency that is due.

        There is more than one only where subscriptions differ in currency, or in zones a whole day apart.
        """
        instant, base = account.timers[RENEWAL], account.base
        due: dict[tuple[date, str], list[tuple[str, ActiveSubscription]]] = {}
        for add_on, subscription in sorted(account.subscriptions.items()):
            if subscription.renews_at == instant:
                first = subscription.paid_until
                currency = subscription.terms_on(first).unit_price.currency
                due.setdefault((first, currency), []).append((add_on, subscription))
        base_day = base.next_day(account.subscriptions.values()) if base is not None else None
        if base_day and base and base.plan and base.renews_at(account.subscriptions.values()) == instant:
            due.setdefault((base_day, base.plan.amount.currency), [])
        issued: list[InvoiceIssued] = []
        for (first, currency), subscriptions in sorted(due.items()):
            account = reduce(with_invoice, issued[-1:], account)
            lines = [*self._base_plan(account, first, currency)]
            lines += [self._renewal(add_on, subscription) for add_on, subscription in subscriptions]
            issued.append(self._invoice(account, InvoiceKind.RENEWAL, lines, first))
        return tuple(issued)

    def base_plan_until(self, account: BillingAccount, instant: datetime) -> tuple[InvoiceIssued, ...]:
        """Charge the base plan's cycles that have begun by `instant`, alone: what it is billed by is to change."""
        issued: list[InvoiceIssued] = []
        while account.base is not None and account.base.plan is not None:
            subscriptions = account.subscriptions.values()
            day, due = account.base.next_day(subscriptions), account.base.renews_at(subscriptions)
            if day is None or due is None or due > instant:
                break
            lines = tuple(self._base_plan(account, day, account.base.plan.amount.currency))
            issued.append(self._invoice(account, InvoiceKind.RENEWAL, lines, day))
            account = with_invoice(account, issued[-1])
        return tuple(issued)

    def adjustments(self, account: BillingAccount, event: SubscriptionModified) -> tuple[InvoiceIssued, ...]:
        """Charge seats that were not paid for, in every paid period that they are wanted in: an invoice a currency."""
        found = account.subscription(event.subscription_id)
        if found is None:
            return ()
        add_on, subscription = found
        lines: list[InvoiceLine] = []
        for paid in subscription.periods:
            more = event.licenses.total - paid.seats
            period = Period(
                from_=max(paid.first, event.licenses_from), to=min(paid.end, subscription.ends_on or paid.end)
            )
            if more > 0 and period.from_ < period.to:
                line = self._line(
                    event.subscription_id,
                    add_on,
                    subscription.terms_on(paid.first),
                    period,
                    Licenses(standard=more),
                    moment=event.modified_at,
                    label=f"{add_on}, {seats_in_words(more, more=True)}",
                )
                lines.append(line)

        def invoice(before: BillingAccount, each: list[InvoiceLine]) -> InvoiceIssued:
            return self._invoice(before, InvoiceKind.ADJUSTMENT, each, each[0].period.from_)

        return issue_each(account, lines, invoice)

    def _renewal(self, add_on: str, subscription: ActiveSubscription) -> InvoiceLine:
        first = subscription.paid_until
        terms = subscription.terms_on(first)
        ends = (
            cycle_containing(terms.cycle_anchor, terms.frequency, first).end,
            subscription.next_terms_from(first),
            subscription.ends_on,
        )
        period = Period(from_=first, to=min(each for each in ends if each is not None))
        return self._line(subscription.subscription_id, add_on, terms, period, subscription.licenses)

    def _base_plan(self, account: BillingAccount, day: date, currency: str) -> Iterable[InvoiceLine]:
        """Charge the base plan from a day on, where its next charge begins there in this currency."""
        base = account.base
        if base is None or base.plan is None or base.plan.amount.currency != currency:
            return
        if day == base.next_day(account.subscriptions.values()) or base.joins_on(day, self.now):
            period, label = Period(from_=day, to=base.cycle_end(day)), base.plan.description
            yield self._line(BASE_PLAN, BASE_PLAN, base.terms(base.plan), period, Licenses(standard=1), label=label)

    def _line(
        self,
        subscription_id: str,
        add_on: str,
        terms: Terms,
        period: Period,
        quantity: Licenses,
        *,
        moment: datetime | None = None,
        label: str = "",
    ) -> InvoiceLine:
        first, end = period.from_, period.to
        cycle = cycle_containing(terms.cycle_anchor, terms.frequency, first)
        share = share_between(self.rule, terms, cycle, (first, end), moment)
        days = BilledDays(billed=(end - first).days, in_cycle=cycle.days)
        counted = f"{days.billed} of {days.in_cycle} days" if quantity.total else "no seats to charge for"
        return InvoiceLine(
            subscription_id=subscription_id,
            add_on=add_on,
            description=f"{label or add_on}, {days_in_words(first, end)}, {counted}",
            period=period,
            quantity=quantity,
            unit_price=terms.unit_price,
            days=days,
            share=share,
            price_version=terms.price_version,
            rule=self.rule,
            timezone=terms.timezone,
            amount=amount(terms.unit_price, quantity.total, share),
        )

    def _invoice(
        self, account: BillingAccount, kind: InvoiceKind, lines: Sequence[InvoiceLine], first: date
    ) -> InvoiceIssued:
        issued_on = local_date(self.now, lines[0].timezone)
        due_date = max(first, issued_on) + timedelta(days=self.payment_terms_days)
        return issue(account, self.account_id, kind, lines, self.now, due_date)
