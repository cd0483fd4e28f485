"""What an account has, and what happened to it, as its log says: for staff. Pure: from messages to what is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.erasure import member_of, without_member
from contracts.events import (
    AddOnGranted,
    AddOnPurchased,
    FeatureDeclined,
    FeatureRequested,
    MemberErased,
    QuoteDeclined,
    QuoteExpired,
    QuoteRequested,
    SubscriptionCanceled,
    SubscriptionModified,
    TrialEnded,
    TrialExtended,
    TrialStarted,
)
from contracts.payload import Payload, zone_of
from services.dashboard.history import Happened, happened
from services.dashboard.log import Entry

HISTORY_MAX = 200


@dataclass(slots=True)
class Subscription:
    """A subscription as last changed; `ends_on` is the first day without it."""

    id: str
    terms: Any
    origin: str
    since: date
    ends_on: date | None = None


@dataclass(slots=True)
class HeldAddOn:
    """What an account has of one add-on."""

    subscription: Subscription | None = None
    quote: QuoteRequested | None = None
    trial_ends_at: datetime | None = None
    granted_until: date | None = None
    requested_by: set[str] = field(default_factory=set)

    def end(self, today: date) -> None:
        """Let go of what is over on the account's local date: nothing is said in the log on that day."""
        if self.subscription is not None and _is_over(self.subscription.ends_on, today):
            self.subscription = None
        if _is_over(self.granted_until, today):
            self.granted_until = None


@dataclass(slots=True)
class Standing:
    """An account as its log says."""

    account: AccountUpdated | None = None
    members: dict[str, MemberUpdated] = field(default_factory=dict)
    add_ons: dict[str, HeldAddOn] = field(default_factory=dict)
    history: list[Happened] = field(default_factory=list)

    def held(self, add_on: str) -> HeldAddOn:
        """Return what it has of an add-on, nothing at first."""
        return self.add_ons.setdefault(add_on, HeldAddOn())


def _is_over(first_day_without: date | None, today: date) -> bool:
    return first_day_without is not None and first_day_without <= today


def standing_of(entries: Sequence[Entry], add_on_names: Mapping[str, str], now: datetime) -> Standing:
    """Fold an account's log as of `now`; its history is newest first, bounded, with names of people and add-ons.

    The log says for ever who erased members were; what is shown does not.
    """
    standing = Standing()
    erased = {said.user_id for entry in entries if isinstance(said := entry.envelope.data, MemberErased)}
    for entry in entries:
        data = entry.envelope.data
        if data is None:
            continue
        if member_of(data) in erased:
            data = without_member(data)
        _fold(standing, data)
        standing.history.append(happened(entry.written_at, data, standing.members, add_on_names))
    standing.history = standing.history[: -HISTORY_MAX - 1 : -1]
    zone = zone_of(standing.account.timezone) if standing.account is not None else None
    for held in standing.add_ons.values():
        held.end(now.astimezone(zone or UTC).date())
    return standing


def _fold(standing: Standing, said: Payload) -> None:
    match said:
        case AccountUpdated() | MemberUpdated():
            _learn(standing, said)
        case QuoteRequested():
            standing.held(said.add_on).quote = said
        case QuoteDeclined() | QuoteExpired():
            standing.held(said.add_on).quote = None
        case TrialStarted() | TrialExtended():
            standing.held(said.add_on).trial_ends_at = said.ends_at
        case TrialEnded():
            standing.held(said.add_on).trial_ends_at = None
        case AddOnGranted():
            standing.held(said.add_on).granted_until = said.until
        case FeatureRequested():
            standing.held(said.add_on).requested_by.add(said.requested_by.user_id)
        case FeatureDeclined():
            standing.held(said.add_on).requested_by.clear()
        case AddOnPurchased() | SubscriptionModified() | SubscriptionCanceled():
            _sell(standing.held(said.add_on), said)


def _learn(standing: Standing, said: AccountUpdated | MemberUpdated) -> None:
    if isinstance(said, AccountUpdated):
        known = standing.account
        standing.account = said if known is None or said.revision > known.revision else known
    else:
        member = standing.members.get(said.user_id)
        if member is None or said.revision > member.revision:
            standing.members[said.user_id] = said


def _sell(held: HeldAddOn, said: AddOnPurchased | SubscriptionModified | SubscriptionCanceled) -> None:
    if isinstance(said, AddOnPurchased):
        held.subscription = Subscription(said.subscription_id, said.terms, said.origin, said.effective_date)
        held.quote = None
        held.requested_by.clear()
    else:
        _change(held.subscription, said)


def _change(subscription: Subscription | None, said: SubscriptionModified | SubscriptionCanceled) -> None:
    if subscription is None or subscription.id != said.subscription_id:
        return
    if isinstance(said, SubscriptionCanceled):
        subscription.ends_on = said.effective_date
    else:
        subscription.terms = said.terms.model_copy(update={"licenses": said.licenses})
