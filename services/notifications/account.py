"""What notifications remembers of an account, and how each message changes that.

What stays true (`tests/notifications/`):
- What is to be told stays here until a notification has told it: news in `requests`, other notices in `held`.
- The requesters of an add-on are numbered 1, 2, 3 … without a gap, and a timer `tell:<template>:<add-on>:<n>` is the
  only place that says from which number on they are still to be told.
- The document's size does not depend on how many members or requesters there are; those are rows.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from contracts.accounts import AccountManager, MemberUpdated
from contracts.events import AddOnPurchased, FeatureRequested, TrialStarted
from contracts.identity import Role
from contracts.notices import Recipient, Template
from contracts.payload import Value
from services.notifications import digest
from services.runtime.decision import Document, Row, State, TimerDue

DIGEST: Final = "digest"
TELL: Final = "tell:"
PAGE_SIZE: Final = 50
_SUBJECT_FIELD: Final = {Template.QUOTE_REQUESTED: "quote_id", Template.PURCHASE_RECEIPT: "invoice_number"}


class Notice(Value):
    """What a notification says, in plain data."""

    template: Template
    data: dict[str, Any]

    @property
    def subject(self) -> str:
        """What it is about: an add-on, a quote or an invoice."""
        return str(self.data[_SUBJECT_FIELD.get(self.template, "add_on")])


class Telling(Value):
    """The requesters 1 … `upto` of an add-on hear `data`: that `actor` bought it, or tries it, since `at`."""

    actor: str
    at: datetime
    upto: int
    data: dict[str, Any]


class NotifiedAccount(Document):
    """An account as notifications knows it; `account_revision` is -1 until the account's first fact.

    `requests` is by add-on, `tellings` by template and add-on, so the catalog bounds both. `held` is by template and
    subject; only Owners buy and ask for quotes, so what is held is what the last Owners did before they left.
    """

    account_revision: int = -1
    account_name: str | None = None
    account_manager: AccountManager | None = None
    has_owners: bool = False
    requests: Mapping[str, digest.Aggregate] = {}
    tellings: Mapping[str, Telling] = {}
    held: Mapping[str, Notice] = {}


class MemberRow(Row):
    """A member at `revision`: row `member:<user id>`; kept after removal, so that older facts stay stale."""

    revision: int
    role: str
    active: bool
    name: str | None = None
    email: str | None = None


class OwnersRow(Row):
    """The active Owners by user id: row `owners`. They are few: every notice to them names them all."""

    owners: Mapping[str, Recipient] = {}


class AskedRow(Row):
    """A member's latest request for an add-on: row `asked:<add-on>:<user id>`."""

    request: digest.Request


class RequesterRow(Row):
    """The n-th member who asked for an add-on, n counting 1, 2, 3 …: row `requester:<add-on>:<n>`."""

    user_id: str


Known = State[NotifiedAccount]


def member_row(user_id: str) -> str:
    """Name the row of a member."""
    return f"member:{user_id}"


def asked_row(event: FeatureRequested) -> str:
    """Name the row that says whether this member asked for this add-on before."""
    return f"asked:{_escaped(event.add_on)}:{event.requested_by.user_id}"


def page_rows(timer: str, upto: int | None = None) -> tuple[str, ...]:
    """Name the requester rows of the page that a `tell` timer is about, none above the number `upto`."""
    _, _, add_on, first = timer.split(":")
    end = int(first) + PAGE_SIZE
    return tuple(f"requester:{add_on}:{n}" for n in range(int(first), end if upto is None else min(end, upto + 1)))


def telling_of(state: Known, timer: str) -> tuple[Template, Telling]:
    """Return what a `tell` timer tells."""
    _, template, add_on, _ = timer.split(":")
    return Template(template), state.document.tellings[f"{template}:{add_on}"]


def _telling_key(template: Template, add_on: str) -> str:
    return f"{template}:{_escaped(add_on)}"


def _escaped(add_on: str) -> str:
    # An add-on's id may be any text, but the parts of a name end at a colon, and the names of timers hold no space.
    return quote(add_on, safe="")


def with_member(state: Known, fact: MemberUpdated) -> Known:
    """Keep a member, and keep them among the Owners exactly while they are an active one."""
    active = fact.status == "active"
    member = MemberRow(revision=fact.revision, role=fact.role, active=active, name=fact.name, email=fact.email)
    state = state.with_row(member_row(fact.user_id), member)
    row: OwnersRow | None = state.row("owners")
    before = row.owners if row else {}
    owners = {user_id: owner for user_id, owner in before.items() if user_id != fact.user_id}
    if active and fact.role == Role.OWNER:
        owners[fact.user_id] = Recipient(user_id=fact.user_id, email=fact.email, name=fact.name)
    if owners == before:
        return state
    return state.with_row("owners", OwnersRow(owners=owners)).with_document(has_owners=bool(owners))


def with_request(state: Known, event: FeatureRequested) -> Known:
    """Count a request, and give a member who asks for the first time the next number.

    A request made before a purchase but delivered after it is history, not news; its member is still told.
    """
    add_on, person = event.add_on, event.requested_by
    request = digest.Request(
        user_id=person.user_id, role=person.role, name=person.name, note=event.note, requested_at=event.requested_at
    )
    asked: AskedRow | None = state.row(asked_row(event))
    earlier = asked.request if asked else None
    bought = state.document.tellings.get(_telling_key(Template.REQUESTED_ADD_ON_PURCHASED, add_on))
    is_news = bought is None or request.requested_at >= bought.at
    aggregate = digest.add(state.document.requests.get(add_on), request, earlier, is_news=is_news)
    state = _with_aggregate(state, add_on, aggregate)
    state = state.with_row(asked_row(event), AskedRow(request=digest.latest(earlier, request)))
    if earlier is not None:
        return state
    number = aggregate.people
    state = state.with_row(f"requester:{_escaped(add_on)}:{number}", RequesterRow(user_id=person.user_id))
    for template in (Template.REQUESTED_ADD_ON_PURCHASED, Template.REQUESTED_ADD_ON_TRIAL_STARTED):
        state = _with_late_requester(state, _telling_key(template, add_on), number, request.requested_at)
    return state


def _with_aggregate(state: Known, add_on: str, aggregate: digest.Aggregate) -> Known:
    return state.with_document(requests={**state.document.requests, add_on: aggregate})


def _with_late_requester(state: Known, key: str, number: int, requested_at: datetime) -> Known:
    telling = state.document.tellings.get(key)
    if telling is None or requested_at >= telling.at:
        return state
    longer = telling.model_copy(update={"upto": number})
    state = state.with_document(tellings={**state.document.tellings, key: longer})
    under_way = any(name.startswith(f"{TELL}{key}:") for name in state.document.timers)
    return state if under_way else _with_page(state, key, number, requested_at)


def with_purchase(state: Known, event: AddOnPurchased, naming: dict[str, Any]) -> Known:
    """Drop what nobody needs to be told any more, and begin to tell who asked. The counts stay as history."""
    aggregate = state.document.requests.get(event.add_on)
    if aggregate is not None:
        state = _with_aggregate(state, event.add_on, digest.after_purchase(aggregate, event.purchased_at))
    telling = Telling(
        actor=event.purchased_by.user_id,
        at=event.purchased_at,
        upto=aggregate.people if aggregate else 0,
        data=naming | event.model_dump(mode="json", include={"purchased_by", "purchased_at", "effective_date"}),
    )
    return _with_telling(state, _telling_key(Template.REQUESTED_ADD_ON_PURCHASED, event.add_on), telling)


def with_trial(state: Known, event: TrialStarted, naming: dict[str, Any]) -> Known:
    """Begin to tell who asked; their requests stay news, as a trial ends."""
    aggregate = state.document.requests.get(event.add_on)
    telling = Telling(
        actor=event.started_by.user_id,
        at=event.started_at,
        upto=aggregate.people if aggregate else 0,
        data=naming | event.model_dump(mode="json", include={"started_by", "started_at", "ends_at"}),
    )
    return _with_telling(state, _telling_key(Template.REQUESTED_ADD_ON_TRIAL_STARTED, event.add_on), telling)


def _with_telling(state: Known, key: str, telling: Telling) -> Known:
    return _with_page(state.with_document(tellings={**state.document.tellings, key: telling}), key, 1, telling.at)


def with_next_page(state: Known, timer: TimerDue) -> Known:
    """Replace a `tell` timer by that of the next page, if there is one."""
    _, template, add_on, first = timer.name.split(":")
    return _with_page(state, f"{template}:{add_on}", int(first) + PAGE_SIZE, timer.due)


def _with_page(state: Known, key: str, first: int, due: datetime) -> Known:
    own = f"{TELL}{key}:"
    timers = {name: instant for name, instant in state.document.timers.items() if not name.startswith(own)}
    if first <= state.document.tellings[key].upto:
        timers[f"{own}{first}"] = due
    return state.with_document(timers=timers)


def with_held(state: Known, notice: Notice) -> Known:
    """Keep a notice until it was sent."""
    return state.with_document(held={**state.document.held, _held_key(notice): notice})


def without_told(state: Known, notice: Notice) -> Known:
    """Take out what a notification told."""
    match notice.template:
        case Template.FEATURE_REQUEST_FIRST:
            return _with_aggregate(
                state, notice.subject, digest.after_first_notice(state.document.requests[notice.subject])
            )
        case Template.FEATURE_REQUEST_DIGEST:
            return _with_aggregate(state, notice.subject, digest.after_digest(state.document.requests[notice.subject]))
        case Template.QUOTE_REQUESTED | Template.PURCHASE_RECEIPT:
            rest = {key: held for key, held in state.document.held.items() if key != _held_key(notice)}
            return state.with_document(held=rest)
    return state


def _held_key(notice: Notice) -> str:
    return f"{notice.template}:{notice.subject}"
