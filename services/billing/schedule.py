"""A subscription as billing knows it: which terms are in force when, what is paid, and when the next charge is due.

What stays true (`tests/billing/`): `paid_until` only moves with the line that charges the days up to it, and the next
charge begins there. So no local day is charged twice or left out, whatever is delivered again.
"""

from datetime import date, datetime, timedelta
from typing import Final, Self

from contracts.accounts import Licenses
from contracts.cycles import local_date, local_midnight
from contracts.events import AddOnPurchased, SubscriptionModified, Terms
from contracts.invoices import InvoiceLine
from contracts.payload import Value

_PERIODS_KEPT: Final = 2  # a late change reaches into the current and the previous one
_ONE_DAY: Final = timedelta(days=1)


class AgreedTerms(Value):
    """Terms that are in force from the local date `first` on."""

    first: date
    terms: Terms


class Charge(Value):
    """Seats charged for the local dates [first, end) by one line of invoice `number` of the account.

    What it came to is in the invoice's row. Of it `credited` minor units were given back, for the days from
    `credited_from` on.
    """

    number: int
    first: date
    end: date
    seats: int
    credited: int = 0
    credited_from: date | None = None

    @property
    def used_to(self) -> date:
        """The end of the days that were not given back."""
        return self.end if self.credited_from is None else self.credited_from

    def credited_by(self, line: InvoiceLine) -> Self:
        """Take the last of its days as given back; a line of other days, or of none, leaves it alone."""
        first, end = line.period.from_, line.period.to
        if not line.days.billed or end != self.used_to or not self.first <= first < end:
            return self
        credited = self.credited - line.amount.amount_minor
        return self.model_copy(update={"credited": credited, "credited_from": first})


class PaidPeriod(Value):
    """Local dates [first, end) that were charged by `terms`: for a cycle's start or a purchase, and for more seats."""

    first: date
    end: date
    terms: Terms
    charges: tuple[Charge, ...]

    @property
    def seats(self) -> int:
        """The highest quantity paid: the charges of a period add up to it."""
        return sum(charge.seats for charge in self.charges)


class ActiveSubscription(Value):
    """What an account pays for from its first billed day on.

    `agreed` are the terms in force and those announced, by date; `licenses` are what a renewal charges now, changed on
    `licenses_from`; `periods` are the last two, with one charge for each time that more seats than ever in the period
    were wanted; `ends_on` is the first day without it.
    """

    subscription_id: str
    effective_date: date
    licenses: Licenses
    licenses_from: date
    agreed: tuple[AgreedTerms, ...]
    paid_until: date
    periods: tuple[PaidPeriod, ...] = ()
    ends_on: date | None = None

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

    @property
    def renews_at(self) -> datetime | None:
        """The instant at which the next charge is due; None when it ends with what is paid."""
        if self.ends_on is not None and self.paid_until >= self.ends_on:
            return None
        return local_midnight(self.paid_until, self.terms_on(self.paid_until - _ONE_DAY).timezone)

    @classmethod
    def of(cls, event: AddOnPurchased) -> Self:
        """Begin a subscription that nothing is paid of."""
        return cls(
            subscription_id=event.subscription_id,
            effective_date=event.effective_date,
            licenses=event.terms.licenses,
            licenses_from=min(event.effective_date, local_date(event.purchased_at, event.terms.timezone)),
            agreed=(AgreedTerms(first=event.effective_date, terms=event.terms),),
            paid_until=event.effective_date,
        )

    def changed(self, event: SubscriptionModified) -> Self:
        """Take new seats at once and new terms from their day on; they replace those that were to begin then."""
        agreed = [each for each in self.agreed if each.first < event.terms_from]
        agreed.append(AgreedTerms(first=event.terms_from, terms=event.terms))
        changes = {"licenses": event.licenses, "licenses_from": event.licenses_from, "agreed": tuple(agreed)}
        return self.model_copy(update=changes)

    def ended(self, ends_on: date) -> Self:
        """End; what ends already may only end earlier."""
        return self.model_copy(update={"ends_on": min(ends_on, self.ends_on or ends_on)})

    def charged(self, line: InvoiceLine, number: int) -> Self:
        """Take the days of a line as paid, as the next period."""
        first, end = line.period.from_, line.period.to
        charge = Charge(number=number, first=first, end=end, seats=line.quantity.total)
        period = PaidPeriod(first=first, end=end, terms=self.terms_on(first), charges=(charge,))
        # The next charge is due by the zone of the day before it; what was in force earlier is history.
        begun = max((each.first for each in self.agreed if each.first < end), default=end)
        changes = {
            "paid_until": end,
            "periods": (*self.periods, period)[-_PERIODS_KEPT:],
            "agreed": tuple(each for each in self.agreed if each.first >= begun),
        }
        return self.model_copy(update=changes)

    def charged_for_more(self, line: InvoiceLine, number: int) -> Self:
        """Take the seats of a line as paid beside those of its period."""
        first = line.period.from_
        charge = Charge(number=number, first=first, end=line.period.to, seats=line.quantity.total)
        periods = tuple(
            each.model_copy(update={"charges": (*each.charges, charge)}) if each.first <= first < each.end else each
            for each in self.periods
        )
        return self.model_copy(update={"periods": periods})

    def credited(self, line: InvoiceLine, number: int | None) -> Self:
        """Take the days of a line as given back, where it is of days, of what invoice `number` charged."""
        periods = tuple(
            period.model_copy(
                update={
                    "charges": tuple(
                        charge.credited_by(line) if charge.number == number else charge for charge in period.charges
                    )
                }
            )
            for period in self.periods
        )
        return self.model_copy(update={"periods": periods})
