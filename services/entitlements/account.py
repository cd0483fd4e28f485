"""What entitlements remembers of an account, and how facts and events change that.

What stays true (`tests/entitlements/`):
- What happens to an add-on happens by its events alone: neither a command, a timer nor an account's fact changes it.
- The timers are those of the add-ons' states, so that whatever ends a trial or closes a quote calls its timers off.
- Events say all that the state needs: what the catalog says today changes nothing of what was.
- The document does not grow with members and requests; those are rows.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.backoffice import Staff
from contracts.catalog import Catalog
from contracts.events import (
    AddOnGranted,
    AddOnPurchased,
    FeatureDeclined,
    FeatureRequested,
    Person,
    QuoteDeclined,
    QuoteExpired,
    QuoteRequested,
    SubscriptionCanceled,
    SubscriptionModified,
    TrialEnded,
    TrialEndingSoon,
    TrialExtended,
    TrialStarted,
)
from contracts.offers import AccountFacts
from services.entitlements.policy import Situation
from services.entitlements.schedule import AddOnState, Quote, Subscription, Trial, expires_at, notice_at
from services.runtime.decision import Document, Message, Row, State

TRIAL_NOTICE: Final = "trial_notice"
TRIAL_END: Final = "trial_end"
QUOTE_END: Final = "quote_end"


class Entitlements(Document):
    """An account: its facts (None: not known yet) and what it has of each add-on. The catalog bounds `add_ons`."""

    account: AccountFacts | None = None
    add_ons: Mapping[str, AddOnState] = {}


class Member(Row):
    """A member as of `revision`: row `member:<user id>`. A removed member stays, to know a stale revision by.

    So does an erased one, without name and address, and removed for ever: `revision` is -1 until their first fact.
    """

    revision: int
    role: str
    status: Literal["active", "removed"]
    name: str | None = None
    email: str | None = None
    erased_at: datetime | None = None


class FeatureRequest(Row):
    """A member asked for an add-on: row `request:<add-on>:<user id>`. It is open while its round is the add-on's."""

    requested_at: datetime
    round: int


Known = State[Entitlements]
ROW_TYPES: Final[Mapping[str, type[Row]]] = MappingProxyType({"member": Member, "request": FeatureRequest})
UNTOUCHED: Final = AddOnState()


def member_row(user_id: str) -> str:
    """Name the row of a member."""
    return f"member:{user_id}"


def request_row(add_on: str, user_id: str) -> str:
    """Name the row that says whether a member has requested an add-on."""
    return f"request:{add_on}:{user_id}"


def rows_of(user_id: str, add_on: str = "") -> tuple[str, ...]:
    """Name the rows that say what a member may do with an add-on, or who they are."""
    return (member_row(user_id), request_row(add_on, user_id)) if add_on else (member_row(user_id),)


def situation_of(state: Known, catalog: Catalog, user_id: str, add_on: str, now: datetime) -> Situation:
    """Return the member before the add-on ("": none); `rows_of(user_id, add_on)` must be loaded."""
    member: Member | None = state.row(member_row(user_id))
    request: FeatureRequest | None = state.row(request_row(add_on, user_id)) if add_on else None
    has = state.document.add_ons.get(add_on, UNTOUCHED)
    return Situation(
        catalog=catalog,
        account=state.document.account,
        role=member.role if member is not None and member.status == "active" else None,
        add_on_id=add_on,
        has=has,
        requested=request is not None and request.round == has.requests_round,
        now=now,
    )


def person(state: Known, user_id: str) -> Person:
    """Return a member as the directory knows them; the row must be loaded and exist."""
    member: Member = state.row(member_row(user_id))
    return Person(user_id=user_id, role=member.role, name=member.name)


def add_on_of(state: Known, subscription_id: str) -> str | None:
    """Return the add-on of a subscription, the latest of that add-on; a few comparisons, as the catalog bounds them."""
    add_ons = state.document.add_ons.items()
    return next(
        (add_on for add_on, has in add_ons if has.subscription and has.subscription.id == subscription_id), None
    )


def trial_ended(
    account_id: str,
    add_on: str,
    trial: Trial,
    ended_at: datetime,
    reason: Literal["expired", "purchased", "back_office"],
    by: Staff | None = None,
) -> TrialEnded:
    """Say that the trial of an add-on is over."""
    return TrialEnded(
        account_id=account_id, add_on=add_on, ended_at=ended_at, reason=reason, started_by=trial.started_by, by=by
    )


def ending_trial(state: Known, purchased: AddOnPurchased) -> tuple[TrialEnded | AddOnPurchased, ...]:
    """Return a purchase behind the end of the trial that runs at its moment, if one does.

    A trial goes on beside a purchase that begins later, and ends by its timer.
    """
    add_on, at = purchased.add_on, purchased.purchased_at
    trial = _has(state, add_on).running_trial(at)
    if trial is None or Subscription.of(purchased).begins_at is not None:
        return (purchased,)
    return trial_ended(state.account_id, add_on, trial, at, "purchased", purchased.by), purchased


def quote_expired(state: Known, add_on: str) -> tuple[QuoteExpired, ...]:
    """Say that the quote for an add-on expired, at the instant it did; nothing when there is none."""
    quote = _has(state, add_on).quote
    if quote is None:
        return ()
    expired = QuoteExpired(
        account_id=state.account_id,
        add_on=add_on,
        quote_id=quote.id,
        requested_by=quote.requested_by,
        expired_at=quote.expires_at,
    )
    return (expired,)


def with_fact(state: Known, fact: AccountUpdated | MemberUpdated) -> Known:
    """Remember an account or a member, whose row is loaded, as of a newer revision; of an erased one the role alone."""
    if isinstance(fact, AccountUpdated):
        return state.with_document(account=AccountFacts.of(fact))
    before: Member | None = state.row(member_row(fact.user_id))
    after = Member(revision=fact.revision, role=fact.role, status=fact.status, name=fact.name, email=fact.email)
    if before is not None and before.erased_at is not None:
        after = Member(revision=fact.revision, role=fact.role, status="removed", erased_at=before.erased_at)
    return state.with_row(member_row(fact.user_id), after)


def with_event(state: Known, event: Message, catalog: Catalog) -> Known:
    """Remember what an event did to an add-on; `catalog` says what events from before they said so leave out."""
    changes: Mapping[str, Any]
    match event:
        case FeatureRequested() | FeatureDeclined():
            return _with_requests(state, event)
        case TrialStarted() | TrialExtended() | TrialEndingSoon() | TrialEnded():
            changes = {"trial": _trial_after(_has(state, event.add_on).trial, event, catalog)}
        case QuoteRequested() | QuoteDeclined() | QuoteExpired():
            changes = {"quote": _quote_of(event, catalog)}
        case AddOnPurchased() | SubscriptionModified() | SubscriptionCanceled():
            changes = _of_subscription(_has(state, event.add_on), event)
        case AddOnGranted():
            changes = {"granted_until": event.until}
        case _:
            return state
    return _with_add_on(state, event.add_on, **changes)


def _trial_after(
    trial: Trial | None, event: TrialStarted | TrialExtended | TrialEndingSoon | TrialEnded, catalog: Catalog
) -> Trial | None:
    if isinstance(event, TrialStarted):
        notice = _notice_after(event, event.started_at, catalog)
        return Trial(started_by=event.started_by, started_at=event.started_at, ends_at=event.ends_at, notice_at=notice)
    changes: dict[str, datetime | None]
    match event:
        case TrialExtended():
            notice = _notice_after(event, event.extended_at, catalog)
            changes = {"ends_at": event.ends_at, "notice_at": notice}
        case TrialEndingSoon():
            changes = {"notice_at": None}
        case TrialEnded():
            changes = {"ended_at": event.ended_at, "notice_at": None}
    return trial and trial.model_copy(update=changes)


def _notice_after(event: TrialStarted | TrialExtended, decided_at: datetime, catalog: Catalog) -> datetime | None:
    """Return when to say that a trial ends soon, None where nobody is to be told."""
    due, known = event.notice_at, catalog.add_ons.get(event.add_on)
    if due is None and known is not None:  # an event from before it said so
        due = notice_at(known, event.ends_at, decided_at)
    return due if due is not None and due < event.ends_at else None


def _quote_of(event: QuoteRequested | QuoteDeclined | QuoteExpired, catalog: Catalog) -> Quote | None:
    if not isinstance(event, QuoteRequested):
        return None
    until = event.expires_at or expires_at(catalog, event.requested_at)  # an event from before it said so
    return Quote(id=event.quote_id, requested_by=event.requested_by, expires_at=until)


def _with_requests(state: Known, event: FeatureRequested | FeatureDeclined) -> Known:
    has = _has(state, event.add_on)
    if isinstance(event, FeatureDeclined):
        return _with_state_of(state, event.add_on, has.model_copy(update=_requests_answered(has)))
    request = FeatureRequest(requested_at=event.requested_at, round=has.requests_round)
    state = state.with_row(request_row(event.add_on, event.requested_by.user_id), request)
    return _with_state_of(state, event.add_on, has.model_copy(update={"requests_open": has.requests_open + 1}))


def _requests_answered(has: AddOnState) -> dict[str, int]:
    return {"requests_open": 0, "requests_round": has.requests_round + 1}


def _of_subscription(
    has: AddOnState, event: AddOnPurchased | SubscriptionModified | SubscriptionCanceled
) -> Mapping[str, Any]:
    subscription = has.subscription
    match event:
        case AddOnPurchased():
            return {"subscription": Subscription.of(event, subscription), "quote": None, **_requests_answered(has)}
        case SubscriptionModified():
            return {"subscription": subscription and subscription.modified(event)}
        case SubscriptionCanceled():
            return {"subscription": subscription and subscription.ended(event)}


def _has(state: Known, add_on: str) -> AddOnState:
    return state.document.add_ons.get(add_on, UNTOUCHED)


def _with_add_on(state: Known, add_on: str, **changes: Any) -> Known:
    changed = _has(state, add_on).model_copy(update=changes)
    state = _with_state_of(state, add_on, changed)
    own = _timers(add_on, changed)
    before = state.document.timers
    if all(before.get(name) == due for name, due in own.items()):
        return state
    timers = {name: due for name, due in before.items() if name not in own}
    return state.with_document(timers=timers | {name: due for name, due in own.items() if due is not None})


def _with_state_of(state: Known, add_on: str, changed: AddOnState) -> Known:
    return state.with_document(add_ons={**state.document.add_ons, add_on: changed})


def _timers(add_on: str, has: AddOnState) -> dict[str, datetime | None]:
    """Return the timers of an add-on by name, None for one that must not be set."""
    trial, quote = has.open_trial, has.quote
    lapses = trial is not None and has.replaces_trial_at is None
    return {
        f"{TRIAL_NOTICE}:{add_on}": _whole_milliseconds(trial.notice_at) if trial and lapses else None,
        f"{TRIAL_END}:{add_on}": _whole_milliseconds(trial.ends_at) if trial else None,
        f"{QUOTE_END}:{add_on}": _whole_milliseconds(quote.expires_at) if quote else None,
    }


def _whole_milliseconds(instant: datetime | None) -> datetime | None:
    """Round down to what a timer comes due by."""
    return instant and instant.replace(microsecond=instant.microsecond // 1_000 * 1_000)
