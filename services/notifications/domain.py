"""What notifications decides: who is told what, and when.

    FeatureRequested             -> the first notice to the Owners at once; later requests wait for the timer `digest`
    FeatureSnoozed               -> neither of both before a morning; then what gathered
    AddOnPurchased, TrialStarted,
    FeatureDeclined              -> timers `tell:<template>:<add-on>:<n>`, each telling a page of those who asked
    quotes, trials, cancellations
    and invoices                 -> their notice at once (`notices.py`)
    MemberErased                 -> nothing; who they were is forgotten (`erasure.py`)
    anything else                -> Ignored

What stays true (`tests/notifications/`):
- A notice without a reader is held, not lost, and goes out with the fact that names its reader.
- The timer `digest` is set exactly while an Owner is to be told news: to the next morning of the cadence after the
  oldest news, or to the end of a snooze.
- A message costs the same with 10 and with 10,000 members or requesters: it reads the Owners, the member it names
  and, when it is a page's timer, that page. An erasure reads all that is kept of what was said.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.catalog import Catalog
from contracts.erasure import member_of
from contracts.events import (
    AddOnPurchased,
    DigestChanged,
    FeatureDeclined,
    FeatureRequested,
    FeatureSnoozed,
    MemberErased,
    SubscriptionCanceled,
    TrialStarted,
)
from contracts.notices import NotificationRequested, Recipient, Template
from services.notifications import account, digest, directory, erasure, history, notices, schedule, timers
from services.notifications.account import (
    UTC,
    AskedRow,
    Known,
    Notice,
    NotifiedAccount,
    RequesterRow,
    asked_row,
    telling_about,
)
from services.notifications.directory import MemberRow, OwnersRow, member_row
from services.notifications.timers import TELL
from services.runtime.decision import Accepted, Cause, Decision, Ignored, Message, NeedsRows, Row, TimerDue

_DIGEST: Final = "digest"
_ROW_TYPES: Final[Mapping[str, type[Row]]] = MappingProxyType(
    {"member": MemberRow, "owners": OwnersRow, "asked": AskedRow, "requester": RequesterRow, "said": history.SaidRow}
)
_Addressed = tuple[Notice, tuple[Recipient, ...]]


@dataclass(frozen=True, slots=True)
class NotificationsDecider:
    """Notifications' decisions. `catalog` names add-ons.

    `digest_delay`, for demonstrations: a digest so long after the oldest news, and not in the morning.
    """

    document = NotifiedAccount
    row_types = _ROW_TYPES

    catalog: Catalog
    digest_delay: timedelta | None = None

    def initial(self) -> NotifiedAccount:
        """Return an account in which nobody is to be told anything."""
        return NotifiedAccount()

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the Owners for what may reach them, the page that a timer tells, and the row of whom a message names."""
        user_id = member_of(message)
        return self._reached(message) + (() if user_id is None else (member_row(user_id),))

    def _reached(self, message: Message) -> tuple[str, ...]:
        match message:
            case FeatureRequested():
                return ("owners", asked_row(message))
            case TimerDue(name=name) if name.startswith(TELL):
                return timers.page_rows(name)
            case AccountUpdated() | MemberUpdated() | MemberErased() | FeatureSnoozed() | DigestChanged() | TimerDue():
                return ("owners",)
            case _ if notices.has_notice(message):
                return ("owners",)
        return ()

    def decide(self, state: Known, message: Message, cause: Cause, now: datetime) -> Decision:
        """Emit every notice that the message makes due; ignore stale facts and what nobody is to be told of."""
        why = _unheeded(state, message)
        if why:
            return Ignored(why)
        match message:
            case TimerDue(name=name) if name.startswith(TELL):
                page = timers.page(state, name)
                return page if isinstance(page, NeedsRows) else _emit(state, [page], cause, now)
            case TimerDue():
                return _emit(state, self._digests(state, now), cause, now)
            case MemberErased():
                return erasure.decide(state, message)
        if not self._reached(message):
            return Accepted()  # it reaches nobody by itself; those who asked are told by timer, in pages
        return _emit(state, self._due(self.evolve(state, message), now), cause, now)

    def evolve(self, state: Known, message: Message) -> Known:
        """Remember what is to be told; a NotificationRequested takes out what it told."""
        message = erasure.heard(state, message)
        match message:
            case AccountUpdated() | MemberUpdated() | MemberErased():
                state = _with_fact(state, message)
            case FeatureRequested():
                state = timers.with_request(state, message)
            case FeatureDeclined() | FeatureSnoozed() | DigestChanged():
                state = self._with_wish(state, message)
            case AddOnPurchased() | SubscriptionCanceled():
                state = timers.with_purchase_or_end(state, message, self._naming(message.add_on))
                state = notices.with_notice(state, message, self.catalog)
            case TrialStarted():
                return timers.with_trial(state, message, self._naming(message.add_on))
            case TimerDue(name=name) if name.startswith(TELL):
                return timers.with_next_page(state, message)
            case NotificationRequested():
                state = account.without_told(state, Notice(template=Template(message.template), data=message.data))
                state = history.with_said(state, message)
            case _ if isinstance(message, notices.CHANGED):
                return notices.with_notice(state, message, self.catalog)
        return self._with_digest_timer(state)

    def _with_wish(self, state: Known, event: FeatureDeclined | FeatureSnoozed | DigestChanged) -> Known:
        """Remember what an Owner said about the requests of others."""
        match event:
            case FeatureDeclined():
                return timers.with_decline(state, event, self._naming(event.add_on))
            case FeatureSnoozed():
                return account.with_snooze(state, event)
        return account.with_cadence(state, event)

    def _with_digest_timer(self, state: Known) -> Known:
        """Set the timer to what the document asks for."""
        due = min(self._digests_due(state.document).values(), default=None) if state.document.has_owners else None
        if state.document.timers.get(_DIGEST) == due:
            return state
        others = {name: instant for name, instant in state.document.timers.items() if name != _DIGEST}
        return state.with_document(timers=others if due is None else {**others, _DIGEST: due})

    def _digests_due(self, document: NotifiedAccount) -> Mapping[str, datetime]:
        """Say by add-on when its news is to be told, in whole milliseconds; not where the cadence leaves it untold."""
        news = {add_on: each.news for add_on, each in document.requests.items() if each.news is not None}
        snoozed = {add_on: _snoozed_until(document, add_on) for add_on in news}
        due = {
            add_on: until
            for add_on, until in snoozed.items()
            if until is not None and (document.cadence != "never" or news[add_on].opener is not None)
        }
        others = [add_on for add_on, until in snoozed.items() if until is None]
        if others and document.cadence != "never":
            due |= dict.fromkeys(others, self._next_digest(document, min(news[add_on].since for add_on in others)))
        return due

    def _next_digest(self, document: NotifiedAccount, oldest: datetime) -> datetime:
        if self.digest_delay is not None:
            due = oldest + self.digest_delay
            return due - timedelta(microseconds=due.microsecond % 1_000)  # timers come due by the millisecond
        after = _counted_from(document, oldest)
        weekly = document.cadence == "weekly"
        return schedule.next_digest(after, "weekly" if weekly else "daily", document.timezone or UTC)

    def _due(self, state: Known, now: datetime) -> Iterator[_Addressed]:
        """Yield what waits for nothing but a reader: held notices, and first notices that are not snoozed."""
        document, owners = state.document, directory.owners(state)
        for held in document.held.values():
            yield notices.addressed(state, held)
        for add_on, aggregate in document.requests.items():
            if aggregate.news is not None and aggregate.news.opener is not None:
                until = _snoozed_until(document, add_on)
                if until is None or until <= now:
                    yield self._first_notice(add_on, aggregate.news.opener), owners

    def _digests(self, state: Known, now: datetime) -> Iterator[_Addressed]:
        """Yield what the timer tells: digests, or where no digests are wanted the first notices that were snoozed."""
        document, owners = state.document, directory.owners(state)
        due = self._digests_due(document)
        for add_on, aggregate in document.requests.items():
            # Set anew since the timer came due, news waits on; the timer then stays set.
            if add_on not in due or due[add_on] > now or aggregate.news is None:
                continue
            if document.cadence == "never" and aggregate.news.opener is not None:
                yield self._first_notice(add_on, aggregate.news.opener), owners
            else:
                said = self._naming(add_on) | digest.digest(aggregate)
                yield Notice(template=Template.FEATURE_REQUEST_DIGEST, data=said), owners

    def _first_notice(self, add_on: str, opener: digest.Request) -> Notice:
        said = self._naming(add_on) | digest.first_notice(opener)
        return Notice(template=Template.FEATURE_REQUEST_FIRST, data=said)

    def _naming(self, add_on: str) -> dict[str, Any]:
        return notices.naming(self.catalog, add_on)


_HEEDED: Final = (
    *(AccountUpdated, MemberUpdated, MemberErased, FeatureRequested, FeatureDeclined, FeatureSnoozed, DigestChanged),
    TrialStarted,
    *notices.CHANGED,
    TimerDue,
)


def _with_fact(state: Known, fact: AccountUpdated | MemberUpdated | MemberErased) -> Known:
    match fact:
        case MemberUpdated():
            return directory.with_member(state, fact)
        case MemberErased():
            return erasure.with_erased(state, fact)
    return state.with_document(
        account_revision=fact.revision,
        account_name=fact.name,
        account_manager=fact.account_manager,
        timezone=fact.timezone,
    )


def _snoozed_until(document: NotifiedAccount, add_on: str) -> datetime | None:
    """Return when the news of an add-on may be told; None where no snooze decides that.

    It was over when the news began, or when the Owners chose how often they want digests.
    """
    snooze, aggregate = document.snoozes.get(add_on), document.requests[add_on]
    if snooze is None or aggregate.news is None:
        return None
    until = schedule.morning(snooze.until, document.timezone or UTC)
    return until if _counted_from(document, aggregate.news.since) < until else None


def _counted_from(document: NotifiedAccount, since: datetime) -> datetime:
    """Return from when on news counts: since it began, or since the Owners last chose how often they want digests."""
    return since if document.cadence_since is None else max(since, document.cadence_since)


def _emit(state: Known, addressed: Iterable[_Addressed], cause: Cause, now: datetime) -> Accepted:
    """Accept, with the notices that somebody reads; the others stay in the document."""
    return Accepted(
        tuple(
            NotificationRequested(
                account_id=state.account_id,
                notification_id=cause.id_of(f"{notice.template}:{notice.subject}", state.account_id, now),
                template=notice.template,
                requested_at=now,
                recipients=recipients,
                data=notice.data,
            )
            for notice, recipients in addressed
            if recipients
        )
    )


def _unheeded(state: Known, message: Message) -> str | None:
    """Say why a message changes nothing; None when it may."""
    document = state.document
    match message:
        case AccountUpdated(revision=revision) if revision <= document.account_revision:
            return f"account revision {revision} is stale"
        case MemberUpdated(user_id=user_id, revision=revision):
            known: MemberRow | None = state.row(member_row(user_id))
            return f"revision {revision} of {user_id} is stale" if known and revision <= known.revision else None
        case TimerDue(name=name) if name not in document.timers:
            return f"timer {name} was called off"
        case FeatureDeclined() | FeatureSnoozed() | DigestChanged():
            return "an Owner has spoken again since" if _is_overtaken(document, message) else None
    return None if isinstance(message, _HEEDED) else f"nobody is told of {type(message).__name__}"


def _is_overtaken(document: NotifiedAccount, event: FeatureDeclined | FeatureSnoozed | DigestChanged) -> bool:
    match event:
        case FeatureDeclined():
            declined = telling_about(document, Template.FEATURE_DECLINED, event.add_on)
            return declined is not None and event.declined_at <= declined.at
        case FeatureSnoozed():
            snooze = document.snoozes.get(event.add_on)
            return snooze is not None and event.snoozed_at < snooze.at
    return document.cadence_since is not None and event.changed_at < document.cadence_since
