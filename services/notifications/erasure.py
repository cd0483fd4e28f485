"""Forgetting who a member was, wherever they stand in what is kept: what they asked for counts on, by their id alone.

What stays true (`tests/notifications/test_erasure.py`):
- Once a member is erased, nothing that is kept or said has their name, address or notes: not what gathers for a digest,
  what is held, what is still to be told to others, nor what was said before.
- An event from before that comes later is heard without them.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from contracts.erasure import member_of, without, without_member
from contracts.events import MemberErased, Person
from services.notifications import directory, history
from services.notifications.account import AskedRow, Held, Known, NotifiedAccount, Telling, asked_by_row
from services.notifications.digest import Aggregate, Request
from services.notifications.history import SaidRow
from services.runtime.decision import Accepted, Message, NeedsRows, Row, TimerDue

N = TypeVar("N", Held, Telling, SaidRow)
R = TypeVar("R", bound=Request | Person | None)


def decide(state: Known, event: MemberErased) -> Accepted | NeedsRows:
    """Take in that a member is erased; nobody is told."""
    missing = tuple(name for name in _rows(state.document, event.user_id) if name not in state.rows)
    return NeedsRows(missing) if missing else Accepted()


def _rows(document: NotifiedAccount, user_id: str) -> tuple[str, ...]:
    """Name the rows that may say who a member was, beside their own: what they asked for, and what was said."""
    asked = (asked_by_row(add_on, user_id) for add_on in document.requests)
    return (*asked, *history.kept_rows(document))


def heard(state: Known, message: Message) -> Message:
    """Return a message without what says who its member was, where they are erased; their row is loaded."""
    user_id = member_of(message)
    if isinstance(message, TimerDue) or user_id is None or not directory.is_erased(state, user_id):
        return message
    return without_member(message)


def with_erased(state: Known, event: MemberErased) -> Known:
    """Forget who a member was."""
    state = directory.with_erased(state, event)
    for name in _rows(state.document, event.user_id):
        row: Row | None = state.row(name)
        changed = _row_without(row, event.user_id)
        if changed != row:
            state = state.with_row(name, changed)
    changes = _document_without(state.document, event.user_id)
    return state.with_document(**changes) if changes else state


def _row_without(row: Row | None, user_id: str) -> Row | None:
    match row:
        case AskedRow():
            return row.model_copy(update={"request": without_member(row.request)})
        case SaidRow():
            return _notice_without(row, user_id)
    return row


def _document_without(document: NotifiedAccount, user_id: str) -> dict[str, Any]:
    """Return the fields of the document that said who a member was, without it."""
    after: dict[str, Mapping[str, Any]] = {
        "requests": {add_on: _requests_without(each, user_id) for add_on, each in document.requests.items()},
        "tellings": {key: _notice_without(each, user_id) for key, each in document.tellings.items()},
        "held": {key: _held_without(each, user_id) for key, each in document.held.items()},
    }
    return {name: value for name, value in after.items() if value != getattr(document, name)}


def _requests_without(aggregate: Aggregate, user_id: str) -> Aggregate:
    news = aggregate.news
    if news is not None:
        news = news.model_copy(update={"opener": _member_without(news.opener, user_id)})
    newest = tuple(_member_without(each, user_id) for each in aggregate.newest)
    return aggregate.model_copy(update={"newest": newest, "news": news})


def _member_without(member: R, user_id: str) -> R:
    return without_member(member) if member is not None and member.user_id == user_id else member


def _notice_without(notice: N, user_id: str) -> N:
    return notice.model_copy(update={"data": without(notice.data, user_id.__eq__)})


def _held_without(held: Held, user_id: str) -> Held:
    return _notice_without(held.model_copy(update={"person": _member_without(held.person, user_id)}), user_id)
