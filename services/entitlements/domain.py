"""What entitlements decides and remembers: who an account's members are, and which add-ons it has, tries or wants.

    AccountUpdated, MemberUpdated -> remembered when the revision is newer, else Ignored
    PurchaseAddOn   -> [TrialEnded (purchased)], AddOnPurchased
    RequestQuote    -> QuoteRequested
    StartTrial      -> TrialStarted
    RequestFeature  -> FeatureRequested
    anything else   -> Ignored

What stays true:
- A member's role comes from the directory only; nothing in a command states it.
- A command that is refused changes nothing, and is told what the same member could do instead.
- A command costs the document and two rows, whatever the number of members and requests.
- What happens to an add-on happens by its events alone: a command itself evolves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.catalog import Catalog
from contracts.commands import Command, PurchaseAddOn, RequestFeature, RequestQuote, StartTrial, UserCommand
from contracts.events import AddOnPurchased, FeatureRequested, Person, QuoteRequested, TrialEnded, TrialStarted
from contracts.identity import derive_id
from contracts.payload import Payload
from contracts.results import Action, CommandAccepted, CommandRejected
from services.entitlements import policy
from services.entitlements.offers import AccountFacts, local_date, terms_of
from services.entitlements.policy import AddOnState, Situation
from services.runtime.decision import (
    Accepted,
    Cause,
    Decision,
    Document,
    Ignored,
    Message,
    Rejected,
    Row,
    State,
)


class Entitlements(Document):
    """An account: its facts (None: not known yet) and what it has of each add-on. The catalog bounds `add_ons`."""

    account: AccountFacts | None = None
    add_ons: Mapping[str, AddOnState] = {}


class Member(Row):
    """A member as of `revision`: row `member:<user id>`. A removed member stays, to know a stale revision by."""

    revision: int
    role: str
    status: Literal["active", "removed"]
    name: str | None = None
    email: str | None = None


class FeatureRequest(Row):
    """A member asked for an add-on: row `request:<add-on>:<user id>`."""

    requested_at: datetime


_ACTIONS: Final[Mapping[type[Payload], Action]] = MappingProxyType(
    {
        PurchaseAddOn: Action.SUBSCRIBE_NOW,
        RequestQuote: Action.REQUEST_QUOTE,
        StartTrial: Action.TRY_FOR_FREE,
        RequestFeature: Action.REQUEST_FEATURE,
    }
)
_ROW_TYPES: Mapping[str, type[Row]] = {"member": Member, "request": FeatureRequest}
_UNTOUCHED: Final = AddOnState()


@dataclass(frozen=True, slots=True)
class EntitlementsDecider:
    """Entitlements' decisions, by the rules of `policy` and the prices of `catalog`."""

    document = Entitlements
    row_types = _ROW_TYPES

    catalog: Catalog

    def initial(self) -> Entitlements:
        """Return an account nobody has said anything about."""
        return Entitlements()

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the member, and for a command whether that member has requested the add-on before."""
        if isinstance(message, UserCommand):
            return rows_of(message.user_id, message.add_on)
        return (_member_row(message.user_id),) if isinstance(message, MemberUpdated) else ()

    def decide(self, state: State[Entitlements], message: Message, cause: Cause, now: datetime) -> Decision:
        """Answer a command by the policy, take a newer fact, ignore everything else. `now` is in UTC."""
        match message:
            case PurchaseAddOn() | RequestQuote() | StartTrial() | RequestFeature():
                return self._decide_command(state, message, cause, now)
            case AccountUpdated():
                known = state.document.account
                return _newer(message.revision, known.revision if known is not None else None)
            case MemberUpdated():
                member: Member | None = state.row(_member_row(message.user_id))
                return _newer(message.revision, member.revision if member is not None else None)
        return Ignored(f"{cause.type} is of no concern to entitlements")

    def evolve(self, state: State[Entitlements], message: Message) -> State[Entitlements]:
        """Remember a fact, or what an event did to an add-on."""
        match message:
            case AccountUpdated():
                state = state.with_document(account=AccountFacts.of(message))
            case MemberUpdated():
                state = state.with_row(_member_row(message.user_id), _member(message))
            case AddOnPurchased():
                state = _with_add_on(state, message.add_on, subscription_id=message.subscription_id, quote_id=None)
            case TrialEnded():
                state = _with_add_on(state, message.add_on, trial_ended_at=message.ended_at)
            case QuoteRequested():
                state = _with_add_on(state, message.add_on, quote_id=message.quote_id)
            case TrialStarted():
                started = {"trial_started_at": message.started_at, "trial_ends_at": message.ends_at}
                state = _with_add_on(state, message.add_on, **started)
            case FeatureRequested():
                name = _request_row(message.add_on, message.requested_by.user_id)
                state = state.with_row(name, FeatureRequest(requested_at=message.requested_at))
        return state

    def open_actions(self, state: State[Entitlements], user_id: str, add_on: str, now: datetime) -> tuple[Action, ...]:
        """Return what this member could do with the add-on now; `rows_of(user_id, add_on)` must be loaded."""
        return policy.open_actions(self._situation(state, user_id, add_on, now))

    def _situation(self, state: State[Entitlements], user_id: str, add_on: str, now: datetime) -> Situation:
        member: Member | None = state.row(_member_row(user_id))
        return Situation(
            catalog=self.catalog,
            account=state.document.account,
            role=member.role if member is not None and member.status == "active" else None,
            add_on_id=add_on,
            has=state.document.add_ons.get(add_on, _UNTOUCHED),
            requested=state.row(_request_row(add_on, user_id)) is not None,
            now=now,
        )

    def _decide_command(self, state: State[Entitlements], command: Command, cause: Cause, now: datetime) -> Decision:
        situation = self._situation(state, command.user_id, command.add_on, now)
        action = _ACTIONS[type(command)]
        expected, promise = None, None
        if isinstance(command, PurchaseAddOn):
            expected, promise = command.expected, command.price_promise
        reason = policy.refusal(situation, action, expected=expected, promise=promise)
        if reason is not None:
            return Rejected(
                reason,
                policy.sentence(situation, action, reason, expected=expected),
                policy.open_actions(situation),
                policy.whom_to_ask(reason, situation.role),
            )
        member: Member = state.row(_member_row(command.user_id))
        person = Person(user_id=command.user_id, role=member.role, name=member.name)
        return Accepted(_effects(command, situation, person, cause))


def rows_of(user_id: str, add_on: str) -> tuple[str, str]:
    """Name the rows that say what a member may do with an add-on."""
    return _member_row(user_id), _request_row(add_on, user_id)


def answer(
    command: Payload, cause: Cause, decision: Accepted | Rejected, event_ids: tuple[str, ...]
) -> CommandAccepted | CommandRejected:
    """Build the one answer to a command; TypeError when the payload is none."""
    if not isinstance(command, UserCommand):
        raise TypeError(f"{cause.type} is no command: nobody waits for its answer")
    if isinstance(decision, Accepted):
        return CommandAccepted(
            account_id=command.account_id,
            command_id=cause.id,
            command_type=cause.type,
            user_id=command.user_id,
            events=event_ids,
        )
    return CommandRejected(
        account_id=command.account_id,
        command_id=cause.id,
        command_type=cause.type,
        user_id=command.user_id,
        reason=decision.reason,
        message=decision.message,
        allowed_instead=decision.allowed_instead,
        ask=decision.ask,
    )


def _newer(revision: int, known: int | None) -> Decision:
    if known is not None and revision <= known:
        return Ignored(f"revision {revision} is not newer than {known}")
    return Accepted()


def _effects(command: Command, situation: Situation, person: Person, cause: Cause) -> tuple[Payload, ...]:
    match command:
        case PurchaseAddOn():
            return _purchase(command, situation, person, cause)
        case RequestQuote():
            quote = QuoteRequested(
                account_id=command.account_id,
                add_on=command.add_on,
                quote_id=derive_id(command.account_id, cause.id, "quote"),
                requested_by=person,
                requested_at=situation.now,
                licenses=situation.known_account.licenses,
                note=command.note,
            )
            return (quote,)
        case StartTrial():
            return (_trial(command, situation, person),)
        case RequestFeature():
            request = FeatureRequested(
                account_id=command.account_id,
                add_on=command.add_on,
                requested_by=person,
                requested_at=situation.now,
                note=command.note,
            )
            return (request,)


def _trial(command: StartTrial, situation: Situation, person: Person) -> TrialStarted:
    # Days of 24 hours from the moment it starts: neither a zone nor daylight saving makes a trial longer or shorter.
    return TrialStarted(
        account_id=command.account_id,
        add_on=command.add_on,
        started_by=person,
        started_at=situation.now,
        ends_at=situation.now + timedelta(days=situation.known_add_on.trial_days),
    )


def _purchase(command: PurchaseAddOn, situation: Situation, person: Person, cause: Cause) -> tuple[Payload, ...]:
    account, now = situation.known_account, situation.now
    purchased = AddOnPurchased(
        account_id=command.account_id,
        add_on=command.add_on,
        subscription_id=derive_id(command.account_id, cause.id, "subscription"),
        purchased_by=person,
        purchased_at=now,
        effective_date=local_date(account, now),
        terms=terms_of(account, situation.list_price),
        origin="self_service",
    )
    if not situation.has.trial_is_active(now):
        return (purchased,)
    ended = TrialEnded(account_id=command.account_id, add_on=command.add_on, ended_at=now, reason="purchased")
    return ended, purchased


def _member(fact: MemberUpdated) -> Member:
    return Member(revision=fact.revision, role=fact.role, status=fact.status, name=fact.name, email=fact.email)


def _with_add_on(state: State[Entitlements], add_on: str, **changes: Any) -> State[Entitlements]:
    add_ons = state.document.add_ons
    changed = AddOnState(**{**add_ons.get(add_on, _UNTOUCHED).__dict__, **changes})
    return state.with_document(add_ons={**add_ons, add_on: changed})


def _member_row(user_id: str) -> str:
    return f"member:{user_id}"


def _request_row(add_on: str, user_id: str) -> str:
    return f"request:{add_on}:{user_id}"
