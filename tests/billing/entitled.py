"""What entitlements would say of one account's subscriptions: consistent events for any wish at any moment."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from contracts.accounts import Licenses
from contracts.backoffice import Staff
from contracts.cycles import cycle_containing, local_date
from contracts.events import AddOnPurchased, Person, SubscriptionCanceled, SubscriptionModified, Terms
from tests.billing.scenario import ACCOUNT

STAFF = Staff(staff_id="stella", reason="asked by the customer")


@dataclass
class Entitled:
    """One subscription as entitlements keeps it: all terms by the day they take over, and its end."""

    add_on: str
    subscription_id: str
    agreed: list[tuple[date, Terms]]
    ends_on: date | None = None
    licenses: Licenses = field(default_factory=lambda: Licenses(standard=0))

    @classmethod
    def buy(
        cls, add_on: str, subscription_id: str, terms: Terms, now: datetime, effective: date | None = None
    ) -> "tuple[Entitled, AddOnPurchased]":
        """Begin a subscription now, or with another first billed day."""
        first = effective or local_date(now, terms.timezone)
        event = AddOnPurchased(
            account_id=ACCOUNT,
            add_on=add_on,
            subscription_id=subscription_id,
            purchased_by=Person(user_id="olivia", role="owner"),
            purchased_at=now,
            effective_date=first,
            terms=terms,
            origin="quote" if effective else "self_service",
        )
        return cls(add_on, subscription_id, [(first, terms)], None, terms.licenses), event

    def in_force(self, now: datetime) -> tuple[date, Terms]:
        """Return the terms in force, and since when."""
        current = self.agreed[0]
        for each in self.agreed[1:]:
            if local_date(now, current[1].timezone) >= each[0]:
                current = each
        return current

    def today(self, now: datetime) -> date:
        """Return the local date."""
        return local_date(now, self.in_force(now)[1].timezone)

    def period_end(self, now: datetime) -> date:
        """Return the end of the current period."""
        since, terms = self.in_force(now)
        return cycle_containing(terms.cycle_anchor, terms.frequency, max(since, self.today(now))).end

    def is_over(self, now: datetime) -> bool:
        """Tell whether the account has it no more."""
        return self.ends_on is not None and self.today(now) >= self.ends_on

    def modify(self, now: datetime, licenses: Licenses | None = None, **terms: Any) -> SubscriptionModified:
        """Change the seats today, and terms with the next period."""
        self.licenses = licenses or self.licenses
        since, in_force = self.in_force(now)
        announced = self.agreed[-1] if self.agreed[-1][0] > since else None
        first = announced[0] if announced else self.period_end(now)
        changed = (announced[1] if announced else in_force).model_copy(update={**terms, "licenses": self.licenses})
        self.agreed = [each for each in self.agreed if each[0] < first] + [(first, changed)]
        return SubscriptionModified(
            account_id=ACCOUNT,
            add_on=self.add_on,
            subscription_id=self.subscription_id,
            modified_at=now,
            licenses=self.licenses,
            licenses_from=self.today(now),
            terms=changed,
            terms_from=first,
            cause="back_office",
            by=STAFF,
        )

    def cancel(self, now: datetime, *, at_once: bool) -> SubscriptionCanceled:
        """End it today, or with the current period."""
        ends_on = self.today(now) if at_once else self.period_end(now)
        self.ends_on = min(ends_on, self.ends_on or ends_on)
        return SubscriptionCanceled(
            account_id=ACCOUNT,
            add_on=self.add_on,
            subscription_id=self.subscription_id,
            canceled_at=now,
            effective_date=self.ends_on,
            cause="back_office",
            by=STAFF,
        )
