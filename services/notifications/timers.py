"""Those who asked for an add-on are told what became of it by timers, a page of PAGE_SIZE of them after another.

What stays true (`tests/notifications/test_telling.py`):
- A timer `tell:<template>:<add-on>:<n>` is the only place that says from which number on they are still to be told.
- A page reads its requesters, then what else it needs of them; it costs the same however many asked.
- Nobody is told of a purchase before what was bought is there.
"""

from datetime import datetime
from typing import Any, Final

from contracts.cycles import local_date
from contracts.events import AddOnPurchased, FeatureDeclined, FeatureRequested, SubscriptionCanceled, TrialStarted
from contracts.notices import Recipient, Template
from services.notifications import account, digest, schedule
from services.notifications.account import (
    TELLINGS,
    AskedRow,
    Known,
    Notice,
    RequesterRow,
    Telling,
    asked_row,
    telling_key,
    with_aggregate,
)
from services.notifications.directory import member_row, reader
from services.runtime.decision import NeedsRows, TimerDue

TELL: Final = "tell:"
PAGE_SIZE: Final = 50


def page_rows(timer: str, upto: int | None = None) -> tuple[str, ...]:
    """Name the requester rows of the page that a `tell` timer is about, none above the number `upto`."""
    _, _, add_on, first = timer.split(":")
    end = int(first) + PAGE_SIZE
    return tuple(f"requester:{add_on}:{n}" for n in range(int(first), end if upto is None else min(end, upto + 1)))


def page(state: Known, timer: str) -> tuple[Notice, tuple[Recipient, ...]] | NeedsRows:
    """Address a page of those who asked, except who did it, who was removed, and who was answered before."""
    template, telling = _telling_of(state, timer)
    rows: list[RequesterRow | None] = [state.row(name) for name in page_rows(timer, telling.upto)]
    user_ids = [row.user_id for row in rows if row is not None and row.user_id != telling.actor]
    wanted = [member_row(user_id) for user_id in user_ids]
    if telling.since is not None:
        wanted += [_asked_row(timer, user_id) for user_id in user_ids]
    missing = tuple(name for name in wanted if name not in state.rows)
    if missing:
        return NeedsRows(missing)
    readers = (reader(state, user_id) for user_id in user_ids if _is_open(state, timer, user_id, telling.since))
    return Notice(template=template, data=telling.data), tuple(each for each in readers if each is not None)


def _is_open(state: Known, timer: str, user_id: str, since: datetime | None) -> bool:
    if since is None:
        return True
    asked: AskedRow | None = state.row(_asked_row(timer, user_id))
    return asked is not None and asked.is_open(since)


def _telling_of(state: Known, timer: str) -> tuple[Template, Telling]:
    _, template, add_on, _ = timer.split(":")
    return Template(template), state.document.tellings[f"{template}:{add_on}"]


def _asked_row(timer: str, user_id: str) -> str:
    return f"asked:{timer.split(':')[2]}:{user_id}"


def with_request(state: Known, event: FeatureRequested) -> Known:
    """Count a request; who asks for the first time but asked before a purchase, a trial or a refusal hears of it."""
    is_first = state.row(asked_row(event)) is None
    state = account.with_request(state, event)
    if not is_first:
        return state
    number = state.document.requests[event.add_on].people
    for template in TELLINGS:
        state = _with_late_requester(state, telling_key(template, event.add_on), number, event.requested_at)
    return state


def _with_late_requester(state: Known, key: str, number: int, requested_at: datetime) -> Known:
    telling = state.document.tellings.get(key)
    if telling is None or requested_at >= telling.at:
        return state
    longer = telling.model_copy(update={"upto": number})
    state = state.with_document(tellings={**state.document.tellings, key: longer})
    return state if _under_way(state, key) else _with_page(state, key, number, requested_at)


def _under_way(state: Known, key: str) -> bool:
    return any(name.startswith(f"{TELL}{key}:") for name in state.document.timers)


def with_purchase_or_end(state: Known, event: AddOnPurchased | SubscriptionCanceled, naming: dict[str, Any]) -> Known:
    """Begin to tell who asked of a purchase; call it off where it was canceled before anything of it began."""
    if isinstance(event, SubscriptionCanceled):
        return _without_purchase(state, event)
    return _with_purchase(state, event, naming)


def _with_purchase(state: Known, event: AddOnPurchased, naming: dict[str, Any]) -> Known:
    """Drop what nobody needs to be told any more, and begin to tell who asked. The counts stay as history."""
    aggregate = state.document.requests.get(event.add_on)
    if aggregate is not None:
        state = with_aggregate(state, event.add_on, digest.after_purchase(aggregate, event.purchased_at))
    telling = Telling(
        actor=event.purchased_by.user_id,
        at=event.purchased_at,
        upto=aggregate.people if aggregate else 0,
        data=naming | event.model_dump(mode="json", include={"purchased_by", "purchased_at", "effective_date"}),
        since=_since(state, Template.REQUESTED_ADD_ON_PURCHASED, event.add_on, event.purchased_at),
    )
    key = telling_key(Template.REQUESTED_ADD_ON_PURCHASED, event.add_on)
    return _with_telling(state, key, telling, _first_morning(event))


def _first_morning(event: AddOnPurchased) -> datetime:
    """Return the morning of the first day of what was bought, where that is still ahead, else when it was bought."""
    zone = event.terms.timezone
    if event.effective_date <= local_date(event.purchased_at, zone):
        return event.purchased_at
    return schedule.morning(event.effective_date, zone)


def _without_purchase(state: Known, event: SubscriptionCanceled) -> Known:
    """Call off the telling of a purchase that never began."""
    key = telling_key(Template.REQUESTED_ADD_ON_PURCHASED, event.add_on)
    telling = state.document.tellings.get(key)
    if telling is None or event.effective_date.isoformat() > telling.data["effective_date"]:
        return state
    return _without_page(state, key)


def with_trial(state: Known, event: TrialStarted, naming: dict[str, Any]) -> Known:
    """Begin to tell who asked; their requests stay news, as a trial ends."""
    aggregate = state.document.requests.get(event.add_on)
    telling = Telling(
        actor=event.started_by.user_id,
        at=event.started_at,
        upto=aggregate.people if aggregate else 0,
        data=naming | event.model_dump(mode="json", include={"started_by", "started_at", "ends_at"}),
        since=_since(state, Template.REQUESTED_ADD_ON_TRIAL_STARTED, event.add_on, event.started_at),
    )
    return _with_telling(state, telling_key(Template.REQUESTED_ADD_ON_TRIAL_STARTED, event.add_on), telling)


def with_decline(state: Known, event: FeatureDeclined, naming: dict[str, Any]) -> Known:
    """Drop the news, and begin to tell whoever asked since requests were last answered."""
    key = telling_key(Template.FEATURE_DECLINED, event.add_on)
    aggregate = state.document.requests.get(event.add_on)
    if aggregate is not None:
        state = with_aggregate(state, event.add_on, digest.after_decline(aggregate, event.declined_at))
    telling = Telling(
        actor=event.declined_by.user_id,
        at=event.declined_at,
        upto=aggregate.people if aggregate else 0,
        data=naming | event.model_dump(mode="json", include={"declined_by", "declined_at", "note"}),
        since=_since(state, Template.FEATURE_DECLINED, event.add_on, event.declined_at),
    )
    return _with_telling(state, key, telling)


def _since(state: Known, template: Template, add_on: str, at: datetime) -> datetime | None:
    """Return since when requests are open; those who were not told yet of what this replaces are told of this."""
    key = telling_key(template, add_on)
    if _under_way(state, key):
        return state.document.tellings[key].since
    return account.answered_at(state.document, add_on, by=at)


def _with_telling(state: Known, key: str, telling: Telling, due: datetime | None = None) -> Known:
    state = state.with_document(tellings={**state.document.tellings, key: telling})
    return _with_page(state, key, 1, due or telling.at)


def with_next_page(state: Known, timer: TimerDue) -> Known:
    """Replace a `tell` timer by that of the next page, if there is one."""
    _, template, add_on, first = timer.name.split(":")
    return _with_page(state, f"{template}:{add_on}", int(first) + PAGE_SIZE, timer.due)


def _with_page(state: Known, key: str, first: int, due: datetime) -> Known:
    state = _without_page(state, key)
    if first > state.document.tellings[key].upto:
        return state
    return state.with_document(timers={**state.document.timers, f"{TELL}{key}:{first}": due})


def _without_page(state: Known, key: str) -> Known:
    own = f"{TELL}{key}:"
    timers = {name: instant for name, instant in state.document.timers.items() if not name.startswith(own)}
    return state.with_document(timers=timers)
