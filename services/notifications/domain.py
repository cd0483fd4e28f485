"""What notifications decides: who is told what, and when.

    FeatureRequested             -> the first notice to the Owners at once; later requests wait for the timer `digest`
    AddOnPurchased, TrialStarted -> timers `tell:<template>:<add-on>:<n>`, each telling a page of those who asked
    QuoteRequested               -> the account manager, or the Owners where no account manager can be reached
    InvoiceIssued (immediate)    -> a receipt to the Owners
    anything else                -> Ignored

What stays true (`tests/notifications/`):
- A notice without a reader is held, not lost, and goes out with the fact that names its reader.
- The timer `digest` is set exactly while there is news and an Owner, to the oldest news plus the delay.
- A message costs the same with 10 and with 10,000 members or requesters: it reads the Owners, the member it is about
  and, when it is a page's timer, that page.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.catalog import Catalog
from contracts.events import AddOnPurchased, FeatureRequested, QuoteRequested, TrialStarted
from contracts.identity import derive_id
from contracts.invoices import InvoiceIssued, InvoiceKind
from contracts.notices import NotificationRequested, Recipient, Template
from services.notifications import account, digest
from services.notifications.account import (
    DIGEST,
    TELL,
    AskedRow,
    Known,
    MemberRow,
    Notice,
    NotifiedAccount,
    OwnersRow,
    RequesterRow,
    member_row,
)
from services.runtime.decision import Accepted, Cause, Decision, Ignored, Message, NeedsRows, Row, TimerDue

_ROW_TYPES: Final[Mapping[str, type[Row]]] = MappingProxyType(
    {"member": MemberRow, "owners": OwnersRow, "asked": AskedRow, "requester": RequesterRow}
)
_Addressed = tuple[Notice, tuple[Recipient, ...]]


@dataclass(frozen=True, slots=True)
class NotificationsDecider:
    """Notifications' decisions. `catalog` names add-ons; `digest_delay` is how long news waits for its digest."""

    document = NotifiedAccount
    row_types = _ROW_TYPES

    catalog: Catalog
    digest_delay: timedelta = timedelta(hours=24)

    def initial(self) -> NotifiedAccount:
        """Return an account in which nobody is to be told anything."""
        return NotifiedAccount()

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the Owners for what may reach them, the row of whom a message is about, the page that a timer tells."""
        match message:
            case MemberUpdated(user_id=user_id):
                return ("owners", member_row(user_id))
            case FeatureRequested():
                return ("owners", account.asked_row(message))
            case AccountUpdated() | QuoteRequested() | InvoiceIssued():
                return ("owners",)
            case TimerDue(name=name):
                return account.page_rows(name) if name.startswith(TELL) else ("owners",)
        return ()

    def decide(self, state: Known, message: Message, cause: Cause, now: datetime) -> Decision:
        """Emit every notice that the message makes due; ignore stale facts and what nobody is to be told of."""
        why = _unheeded(state, message)
        if why:
            return Ignored(why)
        match message:
            case AccountUpdated() | MemberUpdated() | FeatureRequested() | QuoteRequested() | InvoiceIssued():
                return _emit(state, self._due(self.evolve(state, message)), cause, now)
            case AddOnPurchased() | TrialStarted():
                return Accepted()  # those who asked are told by timer, in pages
            case TimerDue(name=name) if name.startswith(TELL):
                return _tell(state, name, cause, now)
            case TimerDue():
                # Set anew since it came due, it must wait; to ignore it would remove it.
                waiting = state.document.timers[DIGEST] > now
                return Accepted() if waiting else _emit(state, self._digests(state), cause, now)
        return Ignored(f"nobody is told of {cause.type}")

    def evolve(self, state: Known, message: Message) -> Known:
        """Remember what is to be told; a NotificationRequested takes out what it told."""
        match message:
            case AccountUpdated(revision=revision, name=name, account_manager=manager):
                return state.with_document(account_revision=revision, account_name=name, account_manager=manager)
            case MemberUpdated():
                state = account.with_member(state, message)
            case FeatureRequested():
                state = account.with_request(state, message)
            case QuoteRequested():
                return account.with_held(state, self._quote(message))
            case InvoiceIssued():
                return account.with_held(state, self._receipt(message))
            case AddOnPurchased():
                state = account.with_purchase(state, message, self._naming(message.add_on))
            case TrialStarted():
                return account.with_trial(state, message, self._naming(message.add_on))
            case TimerDue(name=name) if name.startswith(TELL):
                return account.with_next_page(state, message)
            case NotificationRequested():
                state = account.without_told(state, Notice(template=message.template, data=message.data))
        return self._with_digest_timer(state)

    def _with_digest_timer(self, state: Known) -> Known:
        """Set the timer to what the document asks for, in whole milliseconds, as timers come due by those."""
        document = state.document
        oldest = min((each.news.since for each in document.requests.values() if each.news), default=None)
        due = None
        if oldest is not None and document.has_owners:
            due = oldest + self.digest_delay
            due -= timedelta(microseconds=due.microsecond % 1_000)
        if document.timers.get(DIGEST) == due:
            return state
        others = {name: instant for name, instant in document.timers.items() if name != DIGEST}
        return state.with_document(timers=others if due is None else {**others, DIGEST: due})

    def _due(self, state: Known) -> Iterator[_Addressed]:
        """Yield what waits for nothing but a reader: held notices and first notices."""
        document, owners = state.document, _owners(state)
        for held in document.held.values():
            yield (
                _addressed_quote(document, held, owners)
                if held.template is Template.QUOTE_REQUESTED
                else (held, owners)
            )
        for add_on, aggregate in document.requests.items():
            if aggregate.news is not None and aggregate.news.opener is not None:
                said = self._naming(add_on) | digest.first_notice(aggregate.news.opener)
                yield Notice(template=Template.FEATURE_REQUEST_FIRST, data=said), owners

    def _digests(self, state: Known) -> Iterator[_Addressed]:
        owners = _owners(state)
        for add_on, aggregate in state.document.requests.items():
            if aggregate.news is not None:
                said = self._naming(add_on) | digest.digest(aggregate)
                yield Notice(template=Template.FEATURE_REQUEST_DIGEST, data=said), owners

    def _naming(self, add_on: str) -> dict[str, Any]:
        known = self.catalog.add_ons.get(add_on)
        return {"add_on": add_on, "add_on_name": known.name if known else add_on}

    def _quote(self, event: QuoteRequested) -> Notice:
        said = event.model_dump(mode="json", exclude={"account_id"}) | self._naming(event.add_on)
        return Notice(template=Template.QUOTE_REQUESTED, data=said)

    def _receipt(self, invoice: InvoiceIssued) -> Notice:
        said = invoice.model_dump(mode="json", exclude={"account_id", "kind"})
        said["lines"] = [line | self._naming(line["add_on"]) for line in said["lines"]]
        return Notice(template=Template.PURCHASE_RECEIPT, data=said)


def _emit(state: Known, addressed: Iterable[_Addressed], cause: Cause, now: datetime) -> Accepted:
    """Accept, with the notices that somebody reads; the others stay in the document."""
    return Accepted(
        tuple(
            NotificationRequested(
                account_id=state.account_id,
                notification_id=derive_id(state.account_id, cause.id, f"{notice.template}:{notice.subject}"),
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
    """Say why a message of a type we read changes nothing; None when it may."""
    match message:
        case AccountUpdated(revision=revision) if revision <= state.document.account_revision:
            return f"account revision {revision} is stale"
        case MemberUpdated(user_id=user_id, revision=revision):
            known: MemberRow | None = state.row(member_row(user_id))
            return f"revision {revision} of {user_id} is stale" if known and revision <= known.revision else None
        case InvoiceIssued(kind=kind) if kind is not InvoiceKind.IMMEDIATE:
            return f"an invoice of kind {kind} is not the receipt of a purchase"
        case TimerDue(name=name) if name not in state.document.timers:
            return f"timer {name} was called off"
    return None


def _owners(state: Known) -> tuple[Recipient, ...]:
    row: OwnersRow | None = state.row("owners")
    return tuple(row.owners.values()) if row else ()


def _addressed_quote(document: NotifiedAccount, held: Notice, owners: tuple[Recipient, ...]) -> _Addressed:
    """Address a quote: to nobody while the account is unknown, as its first fact may still name an account manager."""
    manager = document.account_manager
    recipients = owners if document.account_revision >= 0 else ()
    if manager is not None and manager.email is not None:
        recipients = (Recipient(email=manager.email, name=manager.name),)
    said = {
        "account_name": document.account_name,
        "account_manager": manager.name if manager else None,
        "addressed_to": "owners" if recipients is owners else "account_manager",
    }
    return Notice(template=held.template, data=held.data | said), recipients


def _tell(state: Known, timer: str, cause: Cause, now: datetime) -> Decision:
    """Tell a page of those who asked, except who did it and who was removed."""
    template, telling = account.telling_of(state, timer)
    page: list[RequesterRow | None] = [state.row(name) for name in account.page_rows(timer, telling.upto)]
    user_ids = [row.user_id for row in page if row is not None and row.user_id != telling.actor]
    missing = tuple(name for name in map(member_row, user_ids) if name not in state.rows)
    if missing:
        return NeedsRows(missing)
    readers = tuple(_readers(state, user_ids))
    return _emit(state, [(Notice(template=template, data=telling.data), readers)], cause, now)


def _readers(state: Known, user_ids: list[str]) -> Iterator[Recipient]:
    for user_id in user_ids:
        member: MemberRow | None = state.row(member_row(user_id))
        if member is None:
            yield Recipient(user_id=user_id)  # the fact about them is still to come
        elif member.active:
            yield Recipient(user_id=user_id, email=member.email, name=member.name)
