"""The base plan of an account: a schedule of its own beside those of the add-ons, up to which day it is paid.

While an add-on is renewed, every local day is charged once, a cycle at a time: the next charge begins where the last
ended, and is a part where the cycle's anchor or frequency changed. It begins with the first of its cycles that begins
after the first billed day of an add-on; a plan that is told of later joins at the account's next bill. A cycle is
charged where an add-on has its first day, and gives nothing back when the last add-on ends within it.

What stays true: where it begins with an add-on is settled by the cycle known when the add-on was heard of, and no later
fact measures that add-on again (`test_base_plan_cycles.py`).
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Self

from contracts.accounts import AccountUpdated, BasePlan, Billing, Licenses
from contracts.cycles import cycle_containing, local_date, local_midnight
from contracts.events import Terms
from contracts.invoices import InvoiceIssued, InvoiceLine
from contracts.payload import Value
from services.billing.schedule import PERIODS_KEPT, ActiveSubscription, PaidPeriod

Subscriptions = Collection[ActiveSubscription]


class BaseSchedule(Value):
    """What the base plan is billed by (`plan` is None while the account has none), and what is paid of it.

    `joins`: it waits for the account's next bill to begin.
    """

    revision: int
    billing: Billing
    timezone: str
    plan: BasePlan | None = None
    paid_until: date | None = None
    periods: tuple[PaidPeriod, ...] = ()
    joins: bool = False

    @classmethod
    def of(cls, fact: AccountUpdated) -> Self:
        """Begin with what a fact says."""
        return cls(revision=fact.revision, plan=fact.base_plan, billing=fact.billing, timezone=fact.timezone)

    def told(self, fact: AccountUpdated, *, joins: bool) -> Self:
        """Take a newer fact; what is paid stays."""
        paid = {"paid_until": self.paid_until, "periods": self.periods}
        return self.of(fact).model_copy(update={**paid, "joins": joins})

    def is_billed_by(self, fact: AccountUpdated) -> bool:
        """Tell whether a fact changes nothing of what is charged."""
        return (self.plan, self.billing, self.timezone) == (fact.base_plan, fact.billing, fact.timezone)

    def next_day(self, subscriptions: Subscriptions) -> date | None:
        """Return the first day of the next charge; None while there is none to come."""
        day = self.paid_until
        if self.plan is None or self.joins:
            return None
        if day is not None and is_covered(day, subscriptions):
            return day
        begins = sorted(self._beginning(each) for each in subscriptions if day is None or each.effective_date > day)
        return next((each for each in begins if is_covered(each, subscriptions)), None)

    def renews_at(self, subscriptions: Subscriptions) -> datetime | None:
        """Return the instant at which the next charge is due: midnight of the account."""
        day = self.next_day(subscriptions)
        return None if day is None else local_midnight(day, self.timezone)

    def cycle_end(self, day: date) -> date:
        """Return the end of the cycle that a day falls in."""
        return cycle_containing(self.billing.cycle_anchor, self.billing.frequency, day).end

    def settling(self, subscription: ActiveSubscription, others: Subscriptions) -> ActiveSubscription:
        """Settle where it begins with an add-on, for good: its next cycle, not before where it begins with others."""
        if subscription.base_plan_from is not None:
            return subscription
        before = (each for each in others if each.effective_date <= subscription.effective_date)
        begins = max(self._beginning(each) for each in (subscription, *before))
        return subscription.model_copy(update={"base_plan_from": begins})

    def joins_on(self, day: date, now: datetime) -> bool:
        """Tell whether a bill of what begins on `day`, issued `now`, is where a plan that waits for it begins."""
        cycle = cycle_containing(self.billing.cycle_anchor, self.billing.frequency, day)
        is_free = self.paid_until is None or self.paid_until <= day
        return self.joins and cycle.start == day and is_free and local_date(now, self.timezone) <= day

    def terms(self, plan: BasePlan) -> Terms:
        """Return the plan as terms of one seat."""
        return Terms(
            price_version=f"account:{self.revision}",
            unit_price=plan.amount,
            frequency=self.billing.frequency,
            licenses=Licenses(standard=1),
            currency=plan.amount.currency,
            timezone=self.timezone,
            cycle_anchor=self.billing.cycle_anchor,
        )

    def charged(self, line: InvoiceLine) -> Self:
        """Take the days of a line as paid."""
        periods = (*self.periods, PaidPeriod.of(line))[-PERIODS_KEPT:]
        return self.model_copy(update={"periods": periods, "paid_until": line.period.to, "joins": False})

    def given_back(self, line: InvoiceLine) -> Self:
        """Take the period that a line credits as not paid; a line of no days credits none."""
        first = line.period.from_
        if not line.days.billed or all(each.first != first for each in self.periods):
            return self
        paid_until = first if self.periods[-1].first == first else self.paid_until
        periods = tuple(each for each in self.periods if each.first != first)
        return self.model_copy(update={"periods": periods, "paid_until": paid_until})

    def billed_beside(self, invoice: InvoiceIssued) -> Self:
        """Begin, where it waits for a bill, with the first cycle that begins after this one was issued."""
        if not self.joins:
            return self
        begins = self.cycle_end(local_date(invoice.issued_at, self.timezone))
        return self.model_copy(update={"joins": False, "paid_until": max(begins, self.paid_until or begins)})

    def _beginning(self, subscription: ActiveSubscription) -> date:
        return subscription.base_plan_from or self.cycle_end(subscription.effective_date)

    def unneeded(self, since: date, subscriptions: Subscriptions) -> tuple[PaidPeriod, ...]:
        """Return the paid periods from a day on whose first day no add-on has."""
        periods = (each for each in self.periods if each.first >= since)
        return tuple(each for each in periods if not is_covered(each.first, subscriptions))


def is_covered(day: date, subscriptions: Subscriptions) -> bool:
    """Tell whether an account has an add-on on a day."""
    return any(each.effective_date <= day and (each.ends_on is None or day < each.ends_on) for each in subscriptions)
