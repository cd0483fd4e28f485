"""What notifications remembers of an account, and how each message changes that.

What stays true (`tests/notifications/`):
- What is to be told stays here until a notification has told it: news in `requests`, other notices in `held`. Only
  of invoices that no Owner reads are the oldest forgotten, beyond HELD_INVOICES_MAX.
- The requesters of an add-on are numbered 1, 2, 3 … without a gap.
- The document's size does not depend on how many members or requesters there are; those are rows.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import quote

from contracts.accounts import AccountManager
from contracts.commands import Cadence
from contracts.cycles import local_date
from contracts.events import DigestChanged, FeatureRequested, FeatureSnoozed, Person
from contracts.notices import Template
from contracts.payload import Value
from services.notifications import digest, trend
from services.runtime.decision import Document, Row, State

HELD_INVOICES_MAX: Final = 50
UTC: Final = "UTC"
"""The zone of an account that no fact has named one of."""
_INVOICES: Final = frozenset({Template.PURCHASE_RECEIPT, Template.INVOICE})
_ANSWERS: Final = (Template.REQUESTED_ADD_ON_PURCHASED, Template.FEATURE_DECLINED)
TELLINGS: Final = (*_ANSWERS, Template.REQUESTED_ADD_ON_TRIAL_STARTED)


class Notice(Value):
    """What a notification says, in plain data."""

    template: Template
    data: dict[str, Any]

    @property
    def subject(self) -> str:
        """What it is about: an add-on, a quote or an invoice."""
        if self.template in _INVOICES:
            return str(self.data["invoice_number"])
        return str(self.data["quote_id" if self.template is Template.QUOTE_REQUESTED else "add_on"])

    @property
    def key(self) -> str:
        """Where it is held: an invoice has a place of its own, of others the newest about an add-on is the true one."""
        about = self.subject if self.template in _INVOICES else self.data["add_on"]
        return f"{self.template}:{about}"


class Held(Notice):
    """A notice that waits for its readers: the Owners if `to_owners`, and `person` until they were told."""

    person: Person | None = None
    to_owners: bool = True


class Telling(Value):
    """The requesters 1 … `upto` of an add-on hear `data`: what `actor` did `at` that moment.

    `since` is when requests were answered before: only those made after that are still open. None: never.
    """

    actor: str
    at: datetime
    upto: int
    data: dict[str, Any]
    since: datetime | None = None


class Snooze(Value):
    """The Owners hear nothing of the requests for an add-on before 09:00 of the local date `until`, as said `at`."""

    until: date
    at: datetime


class NotifiedAccount(Document):
    """An account as notifications knows it; `account_revision` is -1 until the account's first fact.

    `timezone` is None until a fact names one. `requests`, `trends` and `snoozes` are by add-on, `tellings` and `held`
    by template and add-on, so the catalog bounds them all, but for held invoices: HELD_INVOICES_MAX. `notifications`
    counts all that was ever said.
    """

    account_revision: int = -1
    account_name: str | None = None
    account_manager: AccountManager | None = None
    timezone: str | None = None
    has_owners: bool = False
    cadence: Cadence = "daily"
    cadence_since: datetime | None = None
    requests: Mapping[str, digest.Aggregate] = {}
    trends: Mapping[str, trend.Trend] = {}
    snoozes: Mapping[str, Snooze] = {}
    tellings: Mapping[str, Telling] = {}
    held: Mapping[str, Held] = {}
    notifications: int = 0


class AskedRow(Row):
    """A member's latest request for an add-on: row `asked:<add-on>:<user id>`.

    `follows` is the answer it came after, of which its own moment does not tell, as both have the same.
    """

    request: digest.Request
    follows: datetime | None = None

    def is_open(self, since: datetime | None) -> bool:
        """Whether it was made after the answer of that moment, None: no answer."""
        return since is None or self.request.requested_at > since or self.follows == since


class RequesterRow(Row):
    """The n-th member who asked for an add-on, n counting 1, 2, 3 …: row `requester:<add-on>:<n>`."""

    user_id: str


Known = State[NotifiedAccount]


def asked_row(event: FeatureRequested) -> str:
    """Name the row that says whether this member asked for this add-on before."""
    return asked_by_row(event.add_on, event.requested_by.user_id)


def asked_by_row(add_on: str, user_id: str) -> str:
    """Name the row of a member's latest request for an add-on."""
    return f"asked:{_escaped(add_on)}:{user_id}"


def requester_row(add_on: str, number: int) -> str:
    """Name the row of the n-th member who asked for an add-on."""
    return f"requester:{_escaped(add_on)}:{number}"


def telling_about(document: NotifiedAccount, template: Template, add_on: str) -> Telling | None:
    """Return what those who asked for an add-on were last told by a template, or are being told."""
    return document.tellings.get(telling_key(template, add_on))


def answered_at(document: NotifiedAccount, add_on: str, by: datetime | None = None) -> datetime | None:
    """Return when the requests for an add-on were last answered, not later than `by`; None where they never were.

    A purchase and a refusal answer the requests made so far, as they end a round of them in entitlements.
    """
    moments: list[datetime] = []
    for template in _ANSWERS:
        answer = telling_about(document, template, add_on)
        if answer is not None:
            known = answer.at if by is None or answer.at <= by else answer.since
            moments += [known] if known is not None and (by is None or known <= by) else []
    return max(moments, default=None)


def telling_key(template: Template, add_on: str) -> str:
    """Name a telling, in the document and in its timers."""
    return f"{template}:{_escaped(add_on)}"


def _escaped(add_on: str) -> str:
    # An add-on's id may be any text, but the parts of a name end at a colon, and the names of timers hold no space.
    return quote(add_on, safe="")


def with_request(state: Known, event: FeatureRequested) -> Known:
    """Count a request, and give a member who asks for the first time the next number.

    A request made before a purchase or a refusal but delivered after it is history, not news; its member is still told.
    """
    add_on, person = event.add_on, event.requested_by
    request = digest.Request(
        user_id=person.user_id, role=person.role, name=person.name, note=event.note, requested_at=event.requested_at
    )
    asked: AskedRow | None = state.row(asked_row(event))
    earlier = asked.request if asked else None
    answered = answered_at(state.document, add_on)
    is_news = answered is None or request.requested_at >= answered
    aggregate = digest.add(state.document.requests.get(add_on), request, earlier, is_news=is_news)
    state = with_aggregate(state, add_on, aggregate)
    latest = digest.latest(earlier, request)
    follows = answered if latest.requested_at == answered else None
    if asked is not None and asked.request.requested_at == latest.requested_at:
        follows = asked.follows
    state = state.with_row(asked_row(event), AskedRow(request=latest, follows=follows))
    day = local_date(request.requested_at, state.document.timezone or UTC)
    counted = trend.add(state.document.trends.get(add_on), day)
    state = state.with_document(trends={**state.document.trends, add_on: counted})
    if earlier is not None:
        return state
    return state.with_row(requester_row(add_on, aggregate.people), RequesterRow(user_id=person.user_id))


def with_aggregate(state: Known, add_on: str, aggregate: digest.Aggregate) -> Known:
    """Keep how the requests for an add-on add up."""
    return state.with_document(requests={**state.document.requests, add_on: aggregate})


def with_snooze(state: Known, event: FeatureSnoozed) -> Known:
    """Keep quiet about the requests for an add-on."""
    snooze = Snooze(until=event.until, at=event.snoozed_at)
    return state.with_document(snoozes={**state.document.snoozes, event.add_on: snooze})


def with_cadence(state: Known, event: DigestChanged) -> Known:
    """Remember how often the Owners want a digest, and since when."""
    return state.with_document(cadence=event.cadence, cadence_since=event.changed_at)


def with_held(state: Known, notice: Held) -> Known:
    """Keep a notice until it was sent, and of invoices the newest HELD_INVOICES_MAX."""
    held = {**state.document.held, notice.key: notice}
    invoices = [key for key, each in held.items() if each.template in _INVOICES]
    for key in invoices[:-HELD_INVOICES_MAX]:
        del held[key]
    return state.with_document(held=held)


def without_held(state: Known, add_on: str, *templates: Template) -> Known:
    """Drop what is no longer true of an add-on."""
    held = state.document.held
    kept = {
        key: each for key, each in held.items() if each.template not in templates or each.data.get("add_on") != add_on
    }
    return state if len(kept) == len(held) else state.with_document(held=kept)


def without_told(state: Known, notice: Notice) -> Known:
    """Take out what a notification told."""
    match notice.template:
        case Template.FEATURE_REQUEST_FIRST:
            aggregate = digest.after_first_notice(state.document.requests[notice.subject])
            return with_aggregate(state, notice.subject, aggregate)
        case Template.FEATURE_REQUEST_DIGEST:
            return with_aggregate(state, notice.subject, digest.after_digest(state.document.requests[notice.subject]))
        case template if template in TELLINGS:
            return state
    held = dict(state.document.held)
    told = held.pop(notice.key, None)
    if told is not None and told.person is not None and told.to_owners and not state.document.has_owners:
        held[notice.key] = told.model_copy(update={"person": None})  # the person was told, the Owners are to come
    return state.with_document(held=held)
