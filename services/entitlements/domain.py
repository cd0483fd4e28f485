"""What entitlements decides and remembers: who an account's members are, and what it has of each add-on.

    AccountUpdated, MemberUpdated   `facts`: remembered when newer; subscriptions follow their account
    members' commands               `commands`: answered by the policy
    the back office's commands      `backoffice`, EraseMember `erasure`
    TimerDue                        `timers`: trials and quotes run out
    anything else                -> Ignored

What stays true (`tests/entitlements/`):
- A member's role comes from the directory only; nothing in a command states it.
- A command that is refused changes nothing, and is told what the same member could do instead.
- A message costs the document and at most two rows, whatever the number of members and requests.
- What happens to an add-on happens by its events alone: a command itself evolves nothing.
- An add-on has at most one subscription on any local day, and no local day belongs to two.
- Nothing that is kept or said later tells who an erased member was.
"""

from dataclasses import dataclass
from datetime import datetime

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.backoffice import EraseMember, StaffCommand
from contracts.catalog import Catalog
from contracts.commands import (
    BackOfficeAttempt,
    ChangeDigest,
    DeclineFeature,
    MemberCommand,
    PurchaseAddOn,
    RequestFeature,
    RequestQuote,
    SnoozeFeature,
    StartTrial,
    UserCommand,
)
from contracts.events import MemberErased
from contracts.payload import Payload
from contracts.promises import NO_KEYS, PromiseKeys
from contracts.results import Action, CommandAccepted, CommandRejected
from services.entitlements import account, backoffice, commands, erasure, facts, policy, timers
from services.entitlements.account import Entitlements, rows_of
from services.runtime.decision import Accepted, Cause, Decision, Ignored, Message, Rejected, State, TimerDue

_NOBODY = "unknown"


@dataclass(frozen=True, slots=True)
class EntitlementsDecider:
    """Entitlements' decisions, by the rules of `policy` and the prices of `catalog`; `promises` verifies billing's."""

    document = Entitlements
    row_types = account.ROW_TYPES

    catalog: Catalog
    promises: PromiseKeys = NO_KEYS

    def initial(self) -> Entitlements:
        """Return an account nobody has said anything about."""
        return Entitlements()

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the member, and for a command about an add-on whether that member has requested it before."""
        match message:
            case UserCommand():
                return rows_of(message.user_id, message.add_on)
            case MemberCommand() | MemberUpdated() | EraseMember() | MemberErased():
                return rows_of(message.user_id)
        return ()

    def decide(self, state: State[Entitlements], message: Message, cause: Cause, now: datetime) -> Decision:
        """Say what a command, a fact or a timer comes to; ignore everything else. `now` is in UTC."""
        match message:
            case PurchaseAddOn() | RequestQuote() | StartTrial() | RequestFeature():
                return commands.decide(state, message, cause, self.catalog, self.promises, now)
            case AccountUpdated() | MemberUpdated():
                return facts.decide(state, message, self.catalog, now)
            case DeclineFeature() | SnoozeFeature() | ChangeDigest() | BackOfficeAttempt():
                return commands.decide_other(state, message, self.catalog, now)
            case StaffCommand():
                return self._decide_order(state, message, cause, now)
            case TimerDue():
                return timers.decide(state, message, cause, self.catalog, now)
        return Ignored(f"{cause.type} is of no concern to entitlements")

    def _decide_order(self, state: State[Entitlements], order: StaffCommand, cause: Cause, now: datetime) -> Decision:
        if isinstance(order, EraseMember):
            return erasure.decide(state, order, now)
        return backoffice.decide(state, order, cause, self.catalog, now)

    def evolve(self, state: State[Entitlements], message: Message) -> State[Entitlements]:
        """Remember a fact, or what an event did to an add-on."""
        match message:
            case AccountUpdated() | MemberUpdated():
                return account.with_fact(state, message)
            case MemberCommand() | StaffCommand():
                return state
            case MemberErased():
                return erasure.with_erased(state, message)
        return account.with_event(state, message, self.catalog)

    def open_actions(self, state: State[Entitlements], user_id: str, add_on: str, now: datetime) -> tuple[Action, ...]:
        """Return what this member could do with the add-on now; `rows_of(user_id, add_on)` must be loaded."""
        return policy.open_actions(account.situation_of(state, self.catalog, user_id, add_on, now))


def answer(
    command: Payload, cause: Cause, decision: Accepted | Rejected, event_ids: tuple[str, ...]
) -> CommandAccepted | CommandRejected:
    """Build the one answer to a command, to the member or the staff who sent it; TypeError when it is none."""
    match command:
        case MemberCommand():
            user_id = command.user_id
        case StaffCommand():
            user_id = command.staff_id
        case BackOfficeAttempt():
            user_id = command.user_id or _NOBODY
        case _:
            raise TypeError(f"{cause.type} is no command: nobody waits for its answer")
    if isinstance(decision, Accepted):
        return CommandAccepted(
            account_id=command.account_id,
            command_id=cause.id,
            command_type=cause.type,
            user_id=user_id,
            request_digest=cause.request_digest,
            events=event_ids,
        )
    return CommandRejected(
        account_id=command.account_id,
        command_id=cause.id,
        command_type=cause.type,
        user_id=user_id,
        request_digest=cause.request_digest,
        reason=decision.reason,
        message=decision.message,
        allowed_instead=decision.allowed_instead,
        ask=decision.ask,
    )
