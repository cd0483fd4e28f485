"""What was said to whom: the newest HISTORY_MAX notifications of an account, in a ring of rows.

A notification is a row, whose number within the account says which; the one HISTORY_MAX before it had the same row. So
an account's history costs one row a notification, never grows, and needs no cleaning up.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from contracts.erasure import without
from contracts.notices import NotificationRequested
from services.notifications import directory
from services.notifications.account import Known, NotifiedAccount
from services.runtime.decision import Row

HISTORY_MAX: Final = 500


class SaidRow(Row):
    """The account's n-th notification, counting from 1: row `said:<n modulo HISTORY_MAX>`."""

    number: int
    notification_id: str
    template: str
    requested_at: datetime
    user_ids: tuple[str, ...]
    data: Mapping[str, Any]


def said_row(number: int) -> str:
    """Name the row of the account's n-th notification."""
    return f"said:{number % HISTORY_MAX}"


def kept_rows(document: NotifiedAccount) -> Iterator[str]:
    """Name the rows of all notifications that are kept."""
    last = document.notifications
    return (said_row(number) for number in range(max(last - HISTORY_MAX, 0) + 1, last + 1))


def with_said(state: Known, said: NotificationRequested) -> Known:
    """Keep a notification, in the place of the oldest; one from before without whom is erased by now."""
    number = state.document.notifications + 1
    row = SaidRow(
        number=number,
        notification_id=said.notification_id,
        template=said.template,
        requested_at=said.requested_at,
        user_ids=tuple(each.user_id for each in said.recipients if each.user_id is not None),
        data=without(said.data, partial(directory.is_erased, state)),
    )
    return state.with_row(said_row(number), row).with_document(notifications=number)
