"""A subscription as billing knows it: which terms are in force when, what is paid, and when the next charge is due.

What stays true (`tests/billing/`):
- `paid_until` only moves with the line that charges the days up to it, and the next charge begins there. So no local
  day is charged twice or left out, whatever is delivered again.
- A change heard late leaves paid what it would have found paid in time (`charged_otherwise_from`), as far as is kept.
- What is kept of a subscription does not grow with its seats, its changes or its age: `PERIODS_KEPT` bounds it.
"""

from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, Self

from contracts.accounts import Licenses
from contracts.cycles import local_date, local_midnight
from contracts.events import AddOnPurchased, SubscriptionModified, Terms
from contracts.invoices import InvoiceLine
from contracts.offers import Coverage
from contracts.payload import Value

PERIODS_KEPT: Final = 24
"""How many paid periods a late event reaches back into: two years of months."""
_ONE_DAY: Final = timedelta(days=1)


class AgreedTerms(Value):
    """Terms that are in force from the local date `first` on."""

    first: date
    terms: Terms


class PaidPeriod(NamedTuple):
    """Local dates [first, end) that are charged for `seats`, the highest quantity wanted in them, by `charges` lines.

    Which lines those are is in the rows `charge:<subscription>:<first>:<0, 1, 2 …>`.
    """

    first: date
    end: date
    seats: int
    charges: int = 1

    @classmethod
    def of(cls, line: InvoiceLine) -> Self:
        """Begin a period with the line that charges its days."""
        return cls(line.period.from_, line.period.to, line.quantity.total)

    def with_more(self, line: InvoiceLine) -> Self:
        """Take the seats of a line as paid beside those of the period, where its days are of it."""
        if not self.first <= line.period.from_ < self.end:
            return self
        return self._replace(seats=self.seats + line.quantity.total, charges=self.charges + 1)


class ActiveSubscription(Value):
    """What an account pays for from its first billed day on.

    `agreed` are the terms in force since the first of `periods`, and those announced, by date; their licenses do not
    count: `licenses` are what a renewal charges now, changed on `licenses_from`. `periods` are the last ones paid, at
    most `PERIODS_KEPT`; `ends_on` is the first day without it. `free_from` is the first day that no earlier one of
    its add-on covers, `base_plan_from` where the account's base plan, if none runs, begins with it.
    """

    subscription_id: str
    effective_date: date
    licenses: Licenses
    licenses_from: date
    agreed: tuple[AgreedTerms, ...]
    paid_until: date
    periods: tuple[PaidPeriod, ...] = ()
    ends_on: date | None = None
    free_from: date | None = None
    base_plan_from: date | None = None

    def terms_on(self, day: date) -> Terms:
        """Return the terms in force on a day; before the first, the first."""
        in_force = self.agreed[0]
        for each in self.agreed:
            if each.first <= day:
                in_force = each
        return in_force.terms

    def next_terms_from(self, day: date) -> date | None:
        """Return the first day after `day` on which other terms take over."""
        return next((each.first for each in self.agreed if each.first > day), None)

    def begins_at(self, day: date) -> datetime:
        """Return the instant at which a charge from `day` on is due: midnight in the zone of the day before."""
        return local_midnight(day, self.terms_on(day - _ONE_DAY).timezone)

    @property
    def renews_at(self) -> datetime | None:
        """The instant at which the next charge is due; None when it ends with what is paid."""
        if self.ends_on is not None and self.paid_until >= self.ends_on:
            return None
        return self.begins_at(self.paid_until)

    def period_of(self, day: date) -> PaidPeriod | None:
        """Return the paid period that a day is in; None where it is not paid, or so long ago that it is not kept."""
        return next((each for each in self.periods if each.first <= day < each.end), None)

    @property
    def coverage(self) -> Coverage:
        """The days it and earlier ones of its add-on cover."""
        return Coverage(self.effective_date, self.ends_on, self.free_from)

    @classmethod
    def of(cls, event: AddOnPurchased, before: "ActiveSubscription | None" = None) -> Self:
        """Begin a subscription that nothing is paid of; `before` is the add-on's last one."""
        return cls(
            subscription_id=event.subscription_id,
            effective_date=event.effective_date,
            licenses=event.terms.licenses,
            licenses_from=min(event.effective_date, local_date(event.purchased_at, event.terms.timezone)),
            agreed=(AgreedTerms(first=event.effective_date, terms=event.terms),),
            paid_until=event.effective_date,
            free_from=None if before is None else before.coverage.until,
        )

    def charged_otherwise_from(self, event: SubscriptionModified) -> date | None:
        """Return the first day that was charged otherwise than if the change had been heard of in time.

        None when there is none. A period is charged by the terms in force on its days, and for the seats wanted when it
        began; more seats than it was charged for are charged beside it, wherever it began.
        """
        for period in self.periods:
            if self.ends_on is not None and period.first >= self.ends_on:
                break
            if period.end > event.terms_from and not is_same_but_seats(self.terms_on(period.first), event.terms):
                return max(period.first, event.terms_from)
            if period.seats > event.licenses.total and event.modified_at < self.begins_at(period.first):
                return period.first
        return None

    def paid_only_until(self, day: date) -> Self:
        """Take the days from `day` on as not paid: they were given back, to be charged anew."""
        periods = tuple(each._replace(end=min(each.end, day)) for each in self.periods if each.first < day)
        return self.model_copy(update={"periods": periods, "paid_until": day})

    def changed(self, event: SubscriptionModified) -> Self:
        """Take new seats at once and new terms from their day on; they replace those that were to begin then.

        What was charged otherwise meanwhile counts as not paid.
        """
        wrong_from = self.charged_otherwise_from(event)
        if wrong_from is not None:
            return self.paid_only_until(wrong_from).changed(event)
        agreed = tuple(each for each in self.agreed if each.first < event.terms_from)
        if not (agreed and is_same_but_seats(agreed[-1].terms, event.terms)):
            agreed = (*agreed, AgreedTerms(first=event.terms_from, terms=event.terms))
        changes = {"licenses": event.licenses, "licenses_from": event.licenses_from, "agreed": agreed}
        return self.model_copy(update=changes)

    def ended(self, ends_on: date) -> Self:
        """End; what ends already may only end earlier."""
        return self.model_copy(update={"ends_on": min(ends_on, self.ends_on or ends_on)})

    def charged(self, line: InvoiceLine) -> Self:
        """Take the days of a line as paid, as the next period; what was agreed before the first kept is history."""
        periods = (*self.periods, PaidPeriod.of(line))[-PERIODS_KEPT:]
        first = periods[0].first
        begun = max((each.first for each in self.agreed if each.first <= first), default=first)
        changes = {
            "paid_until": line.period.to,
            "periods": periods,
            "agreed": tuple(each for each in self.agreed if each.first >= begun),
        }
        return self.model_copy(update=changes)

    def charged_for_more(self, line: InvoiceLine) -> Self:
        """Take the seats of a line as paid beside those of its period."""
        return self.model_copy(update={"periods": tuple(each.with_more(line) for each in self.periods)})


def is_same_but_seats(terms: Terms, others: Terms) -> bool:
    """Tell whether two terms charge the same for a seat, over the same cycles."""
    return terms == others or terms.model_copy(update={"licenses": others.licenses}) == others
