"""Who is in an account, and who of them are its Owners: whom a notice can reach.

What stays true (`tests/notifications/test_erasure.py`):
- An erased member is nobody's reader, and nothing here says who they were, whatever facts come later.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from contracts.accounts import MemberUpdated
from contracts.erasure import without_member
from contracts.events import MemberErased
from contracts.identity import Role
from contracts.notices import Recipient
from services.runtime.decision import Row, State

Known = State[Any]


class MemberRow(Row):
    """A member at `revision`: row `member:<user id>`; kept after removal, so that older facts stay stale.

    So is an erased one, without name and address, and never active again: `revision` is -1 until their first fact.
    """

    revision: int
    role: str
    active: bool
    name: str | None = None
    email: str | None = None
    erased_at: datetime | None = None


class OwnersRow(Row):
    """The active Owners by user id: row `owners`. They are few: every notice to them names them all."""

    owners: Mapping[str, Recipient] = {}


def member_row(user_id: str) -> str:
    """Name the row of a member."""
    return f"member:{user_id}"


def with_member(state: Known, fact: MemberUpdated) -> Known:
    """Keep a member, and keep them among the Owners exactly while they are an active one."""
    before: MemberRow | None = state.row(member_row(fact.user_id))
    erased_at = before.erased_at if before is not None else None
    if erased_at is not None:
        fact = without_member(fact)
    member = MemberRow(
        revision=fact.revision,
        role=fact.role,
        active=fact.status == "active" and erased_at is None,
        name=fact.name,
        email=fact.email,
        erased_at=erased_at,
    )
    is_owner = member.active and fact.role == Role.OWNER
    owner = Recipient(user_id=fact.user_id, email=fact.email, name=fact.name) if is_owner else None
    return _with_owner(state.with_row(member_row(fact.user_id), member), fact.user_id, owner)


def with_erased(state: Known, event: MemberErased) -> Known:
    """Keep of a member what tells a stale fact, and that they are erased."""
    before: MemberRow | None = state.row(member_row(event.user_id))
    revision, role = (before.revision, before.role) if before is not None else (-1, "")
    erased = MemberRow(revision=revision, role=role, active=False, erased_at=event.erased_at)
    return _with_owner(state.with_row(member_row(event.user_id), erased), event.user_id, None)


def _with_owner(state: Known, user_id: str, owner: Recipient | None) -> Known:
    row: OwnersRow | None = state.row("owners")
    before = row.owners if row else {}
    owners = {each: known for each, known in before.items() if each != user_id}
    if owner is not None:
        owners[user_id] = owner
    if owners == before:
        return state
    return state.with_row("owners", OwnersRow(owners=owners)).with_document(has_owners=bool(owners))


def is_erased(state: Known, user_id: str) -> bool:
    """Whether a member is erased, as far as their row is loaded."""
    name = member_row(user_id)
    row: Any = state.written.get(name) or state.rows.get(name)
    return row is not None and row.erased_at is not None


def reader(state: Known, user_id: str, name: str | None = None) -> Recipient | None:
    """Address a member whose row is loaded; None when they were removed.

    A member whose fact is still to come goes by id, and by `name` where it is known from elsewhere.
    """
    row: MemberRow | None = state.row(member_row(user_id))
    if row is None:
        return Recipient(user_id=user_id, name=name)
    return Recipient(user_id=user_id, email=row.email, name=row.name or name) if row.active else None


def owners(state: Known) -> tuple[Recipient, ...]:
    """Address the Owners, whose row is loaded."""
    row: OwnersRow | None = state.row("owners")
    return tuple(row.owners.values()) if row else ()
