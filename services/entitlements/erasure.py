"""Forgetting who a removed member was: what the command comes to, and what is left of them.

    EraseMember  -> MemberErased

The member's row stays, without name and address: whatever fact comes later, in whatever order, brings neither back, and
whoever it says they are, they are a member no more. What they started or asked for goes on, by their id.
"""

from datetime import datetime
from typing import Any

from contracts.backoffice import EraseMember
from contracts.erasure import without_member
from contracts.events import MemberErased
from contracts.results import Reason
from services.entitlements.account import Known, Member, member_row
from services.entitlements.schedule import AddOnState
from services.runtime.decision import Accepted, Rejected


def decide(state: Known, command: EraseMember, now: datetime) -> Accepted | Rejected:
    """Answer staff who want a member erased, whose row is loaded. `now` is in UTC."""
    member: Member | None = state.row(member_row(command.user_id))
    if state.document.account is None:
        return Rejected(Reason.ACCOUNT_UNKNOWN, f"No fact has told of the account {state.account_id} yet.")
    if member is None:
        return Rejected(Reason.MEMBER_UNKNOWN, "No fact has told of such a member: look up their id.")
    if member.erased_at is not None:
        return _not_allowed(f"The member was erased on {member.erased_at:%Y-%m-%d}: nothing is left to erase.")
    if member.status == "active":
        return _not_allowed("The member is still active: remove them in the account system first.")
    erased = MemberErased(account_id=command.account_id, user_id=command.user_id, erased_at=now, by=command.staff)
    return Accepted((erased,))


def _not_allowed(sentence: str) -> Rejected:
    return Rejected(Reason.CHANGE_NOT_ALLOWED, sentence)


def with_erased(state: Known, event: MemberErased) -> Known:
    """Keep of a member what tells a stale fact, and that they are erased; their row is loaded."""
    known: Member | None = state.row(member_row(event.user_id))
    revision, role = (known.revision, known.role) if known is not None else (-1, "")
    erased = Member(revision=revision, role=role, status="removed", erased_at=event.erased_at)
    state = state.with_row(member_row(event.user_id), erased)
    add_ons = state.document.add_ons
    changed = {add_on: _without(has, event.user_id) for add_on, has in add_ons.items()}
    return state if changed == add_ons else state.with_document(add_ons=changed)


def _without(has: AddOnState, user_id: str) -> AddOnState:
    changes: dict[str, Any] = {}
    if has.trial is not None and has.trial.started_by.user_id == user_id:
        changes["trial"] = has.trial.model_copy(update={"started_by": without_member(has.trial.started_by)})
    if has.quote is not None and has.quote.requested_by.user_id == user_id:
        changes["quote"] = has.quote.model_copy(update={"requested_by": without_member(has.quote.requested_by)})
    return has.model_copy(update=changes)
