"""Who may see what an account is charged: its Owners. A role comes from here only, never from a token or a request.

A member is a row, so that a message about one costs the same however many there are. It says nothing of who they are.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from contracts.accounts import MemberUpdated
from contracts.events import MemberErased
from contracts.identity import Role
from contracts.results import Ask, Reason
from services.runtime.decision import Accepted, Ignored, Rejected, Row, State

_SENTENCES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.ACCOUNT_UNKNOWN: "This account is not known here yet: try again in a few minutes.",
        Reason.MEMBER_UNKNOWN: "You are not a member of this account: ask one of its Owners to add you.",
        Reason.ROLE_NOT_PERMITTED: "Only an Owner sees prices and invoices: ask an Owner of your account.",
    }
)


class MemberRow(Row):
    """A member at `revision`: row `member:<user id>`; kept after removal, so that older facts stay stale.

    An erased member is active never more, whatever facts say; `revision` is -1 until their first.
    """

    revision: int
    role: str
    active: bool
    erased_at: datetime | None = None


def member_row(user_id: str) -> str:
    """Name the row of a member."""
    return f"member:{user_id}"


def decide(state: State[Any], fact: MemberUpdated | MemberErased) -> Accepted | Ignored:
    """Take a newer fact about a member, whose row is loaded, or that they are erased."""
    if isinstance(fact, MemberErased):
        return Accepted()
    known: MemberRow | None = state.row(member_row(fact.user_id))
    if known is None or fact.revision > known.revision:
        return Accepted()
    return Ignored(f"revision {fact.revision} of {fact.user_id} is not newer than {known.revision}")


def with_member(state: State[Any], fact: MemberUpdated) -> State[Any]:
    """Keep a member, whose row is loaded."""
    known: MemberRow | None = state.row(member_row(fact.user_id))
    erased_at = known.erased_at if known is not None else None
    active = fact.status == "active" and erased_at is None
    row = MemberRow(revision=fact.revision, role=fact.role, active=active, erased_at=erased_at)
    return state.with_row(member_row(fact.user_id), row)


def with_erased(state: State[Any], event: MemberErased) -> State[Any]:
    """Keep that a member is erased; their row is loaded."""
    known: MemberRow | None = state.row(member_row(event.user_id))
    revision, role = (known.revision, known.role) if known is not None else (-1, "")
    row = MemberRow(revision=revision, role=role, active=False, erased_at=event.erased_at)
    return state.with_row(member_row(event.user_id), row)


def owner_refusal(state: State[Any], user_id: str, *, account_known: bool) -> Rejected | None:
    """Return why a member sees nothing of what is charged; None for an Owner. The member's row is loaded."""
    member: MemberRow | None = state.row(member_row(user_id))
    if not account_known:
        return refuse(Reason.ACCOUNT_UNKNOWN)
    if member is None or not member.active:
        return refuse(Reason.MEMBER_UNKNOWN, ask=Ask.OWNER)
    return None if member.role == Role.OWNER else refuse(Reason.ROLE_NOT_PERMITTED, ask=Ask.OWNER)


def refuse(reason: Reason, ask: Ask | None = None) -> Rejected:
    """Return a refusal with its sentence."""
    return Rejected(reason, _SENTENCES[reason], ask=ask)
