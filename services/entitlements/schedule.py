"""When what holds of an add-on: a subscription's terms and periods, a trial, a quote, a grant. Nothing reads a clock.

Terms T in force from the local date F: the period of day D is T's billing cycle with D in it, cut at the front by F.
Terms that are announced take over on their first day, by the date alone: no message and no timer does it.

What stays true (`tests/entitlements/test_subscriptions.py`):
- Terms but for the seats never change a day before the first day that was announced for them.
- The days on which a subscription's changes are decided never go back, whatever the clock or the zone does.
- A trial goes on until it ends or until a subscription agreed meanwhile begins, whichever is earlier.
"""

from datetime import date, datetime, timedelta
from typing import NamedTuple

from contracts.catalog import AddOn, Catalog
from contracts.cycles import cycle_containing, local_date, local_midnight
from contracts.events import AddOnPurchased, Person, SubscriptionCanceled, SubscriptionModified, Terms
from contracts.offers import Coverage
from contracts.payload import Value


def notice_at(add_on: AddOn, ends_at: datetime, decided_at: datetime) -> datetime:
    """Return when to say that a trial ends soon; its end itself where that has passed or nobody is to be told."""
    due = ends_at - timedelta(days=add_on.trial_notice_days)
    return due if due > decided_at else ends_at


def expires_at(catalog: Catalog, requested_at: datetime) -> datetime:
    """Return the first moment at which a quote is open no more."""
    return requested_at + timedelta(days=catalog.quote_valid_days)


class Present(NamedTuple):
    """A subscription on local date `day`: the terms in force, and the new ones (or None) from `next_from` on.

    `next_from` is the first day of the next period.
    """

    terms: Terms
    terms_from: date
    day: date
    next_terms: Terms | None
    next_from: date

    @property
    def coming(self) -> Terms:
        """The terms of the next period."""
        return self.next_terms or self.terms


class Subscription(Value):
    """What was agreed: `terms` in force from `terms_from` on, and those announced for `next_from`.

    `licenses_from` is the day the latest change or the end was decided; the seats of all terms are those since then.
    `ends_on` is the first local day without the add-on; where it is that of the first with it, no day was covered.
    `begins_at` is its first moment where that lay ahead as it was sold, and None again once it is canceled before.
    `free_from` is the first day that no earlier subscription of the add-on covers.
    """

    id: str
    begins_on: date
    begins_at: datetime | None = None
    terms: Terms
    terms_from: date
    licenses_from: date
    next_terms: Terms | None = None
    next_from: date | None = None
    follows_account: bool = True
    ends_on: date | None = None
    free_from: date | None = None

    @classmethod
    def of(cls, event: AddOnPurchased, before: "Subscription | None" = None) -> "Subscription":
        """Begin a subscription on its first billed day; `before` is the add-on's last one."""
        day = event.effective_date
        begins_at = local_midnight(day, event.terms.timezone)
        return cls(
            id=event.subscription_id,
            begins_on=day,
            begins_at=begins_at if begins_at > event.purchased_at else None,
            terms=event.terms,
            terms_from=day,
            licenses_from=day,
            free_from=before.covered_until if before is not None else None,
        )

    def at(self, now: datetime) -> Present:
        """Return what holds at an instant: before the first day what will hold then."""
        return self._on(local_date(now, self.terms.timezone), now)

    def _on(self, today: date, now: datetime | None = None) -> Present:
        day = max(today, self.terms_from, self.licenses_from)
        if self.next_terms is None or self.next_from is None:
            return _present(self.terms, self.terms_from, day)
        if day < self.next_from:
            return Present(self.terms, self.terms_from, day, self.next_terms, self.next_from)
        if now is not None:
            # A zone further west may not have reached the day yet on which its terms take over.
            day = max(self.next_from, self.licenses_from, local_date(now, self.next_terms.timezone))
        return _present(self.next_terms, self.next_from, day)

    def modified(self, event: SubscriptionModified) -> "Subscription":
        """Take new seats at once and new terms from their day on; they replace what was announced."""
        present = self._on(event.licenses_from)
        terms = present.terms.model_copy(update={"licenses": event.licenses})
        announced = event.terms if event.terms != terms else None
        return Subscription(
            id=self.id,
            begins_on=self.begins_on,
            begins_at=self.begins_at,
            terms=terms,
            terms_from=present.terms_from,
            licenses_from=event.licenses_from,
            next_terms=announced,
            next_from=event.terms_from if announced else None,
            follows_account=event.follows_account,
            ends_on=self.ends_on,
            free_from=self.free_from,
        )

    def ended(self, event: SubscriptionCanceled) -> "Subscription":
        """End; the day on which that was decided is one no later change goes behind."""
        day, begins_at = self.at(event.canceled_at).day, self.begins_at
        if begins_at is not None and event.canceled_at < begins_at and event.effective_date <= self.begins_on:
            begins_at = None
        changes = {"ends_on": event.effective_date, "licenses_from": day, "begins_at": begins_at}
        return self.model_copy(update=changes)

    def last_end(self, now: datetime) -> date:
        """Return the first day without it where it ends with what has begun: the end of the period.

        It is the first day itself while that is ahead, so that nothing is used and nothing stays paid.
        """
        present = self.at(now)
        lies_ahead = present.day == self.begins_on > local_date(now, self.terms.timezone)
        return self.begins_on if lies_ahead else present.next_from

    @property
    def coverage(self) -> Coverage:
        """The days it and earlier ones cover."""
        return Coverage(self.begins_on, self.ends_on, self.free_from)

    @property
    def covered_until(self) -> date | None:
        """The first day that neither it nor an earlier one covers; None where no day is covered, or it has no end."""
        return self.coverage.until

    def has_begun(self, day: date) -> bool:
        """Whether its first billed day has come on the local date `day`."""
        return day >= self.begins_on

    def has_ended(self, day: date) -> bool:
        """Whether neither it nor an earlier one covers the local date `day` or a later one."""
        return self.coverage.is_over(day)


def _present(terms: Terms, terms_from: date, day: date) -> Present:
    return Present(terms, terms_from, day, None, cycle_containing(terms.cycle_anchor, terms.frequency, day).end)


class Trial(Value):
    """A trial, running or over: `ends_at` is its first moment without access, `notice_at` when that is to be told."""

    started_by: Person
    started_at: datetime
    ends_at: datetime
    notice_at: datetime | None = None
    ended_at: datetime | None = None


class Quote(Value):
    """A quote that waits for its answer: `expires_at` is its first moment without."""

    id: str
    requested_by: Person
    expires_at: datetime


class AddOnState(Value):
    """What an account has of one add-on.

    `subscription` stays after its end, until the next. `trial` stays for ever: once one has started it counts as used,
    whatever becomes of it. `requests_open` counts the feature requests of the round `requests_round`; a purchase or a
    refusal ends a round.
    """

    subscription: Subscription | None = None
    trial: Trial | None = None
    quote: Quote | None = None
    granted_until: date | None = None
    requests_open: int = 0
    requests_round: int = 0

    def is_purchased(self, today: date) -> bool:
        """Whether the account has a subscription, or will have, on its local date `today`."""
        return self.subscription is not None and not self.subscription.has_ended(today)

    def is_granted(self, today: date) -> bool:
        """Whether the add-on is free of charge on the account's local date `today`."""
        return self.granted_until is not None and today < self.granted_until

    @property
    def replaces_trial_at(self) -> datetime | None:
        """When the subscription begins that was agreed during the trial; None where the trial ends by itself before."""
        begins_at = self.subscription.begins_at if self.subscription is not None else None
        if self.trial is None or begins_at is None:
            return None
        return begins_at if self.trial.started_at < begins_at <= self.trial.ends_at else None

    @property
    def open_trial(self) -> Trial | None:
        """The trial whose end was not told yet; it ends with the beginning of the subscription at the latest."""
        if self.trial is None or self.trial.ended_at is not None:
            return None
        replaced_at = self.replaces_trial_at
        return self.trial if replaced_at is None else self.trial.model_copy(update={"ends_at": replaced_at})

    def running_trial(self, now: datetime) -> Trial | None:
        """Return the trial that gives access now."""
        trial = self.open_trial
        return trial if trial is not None and now < trial.ends_at else None

    def open_quote(self, now: datetime) -> Quote | None:
        """Return the quote that can still be answered now."""
        return self.quote if self.quote is not None and now < self.quote.expires_at else None
