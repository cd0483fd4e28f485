"""What may be asked of notifications: what a team wants, added up for its Owners, and what a member was told."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from contracts.catalog import Catalog
from contracts.commands import Cadence
from contracts.cycles import local_date
from contracts.identity import Role
from contracts.notices import Template
from contracts.payload import AccountId, AddOnId, UserId
from contracts.results import Ask, Reason
from services.notifications import digest, schedule, trend
from services.notifications.account import (
    UTC,
    AskedRow,
    Known,
    NotifiedAccount,
    RequesterRow,
    answered_at,
    asked_by_row,
    requester_row,
)
from services.notifications.directory import MemberRow, member_row
from services.notifications.history import HISTORY_MAX, SaidRow, said_row
from services.runtime.decision import Rejected

_FOR_OWNERS: Final = frozenset(
    {
        Template.PURCHASE_RECEIPT,
        Template.INVOICE,
        Template.FEATURE_REQUEST_FIRST,
        Template.FEATURE_REQUEST_DIGEST,
        Template.QUOTE_REQUESTED,
    }
)
"""What has prices, or the names and words of others: it is for whoever is an Owner at the moment of reading."""
_NO_ACCESS: Final = "Your role has no access to add-ons: ask an Owner of your account."
_SENTENCES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.ACCOUNT_UNKNOWN: "This account is not known here yet: try again in a few minutes.",
        Reason.MEMBER_UNKNOWN: "You are not a member of this account: ask one of its Owners to add you.",
        Reason.ROLE_NOT_PERMITTED: "Only an Owner sees what others ask for: ask an Owner of your account.",
    }
)
_MEMBERS: Final = frozenset({Role.OWNER, Role.ADMIN, Role.SUPERVISOR})


class ShownRequest(BaseModel):
    """A member's latest request, with the role they had then."""

    user_id: UserId
    name: str | None = None
    role: str
    requested_at: datetime
    note: str | None = None


class ShownDay(BaseModel):
    """How many requests came on a local day of the account."""

    day: date
    requests: int


class ShownFeature(BaseModel):
    """What a team wants of one add-on: `people` counts members, `requests` also those who asked again."""

    add_on: AddOnId
    name: str
    people: int
    requests: int
    open: Annotated[int, Field(description="requests since `answered_at`")]
    answered_at: Annotated[
        datetime | None, Field(description="when a purchase or a refusal last answered the requests made so far")
    ] = None
    roles: dict[str, int]
    first_at: datetime
    last_at: datetime
    snoozed_until: Annotated[date | None, Field(description="Owners hear nothing of it before this local day")] = None
    newest: tuple[ShownRequest, ...]
    trend: Annotated[tuple[ShownDay, ...], Field(description="the last 30 days that had any, oldest first")]


class ShownFeatures(BaseModel):
    """What a team wants, by add-on, and how often its Owners hear of it."""

    account_id: AccountId
    cadence: Cadence
    feature_requests: tuple[ShownFeature, ...]


class PeoplePage(BaseModel):
    """Some of those who ever asked for an add-on, first come first; `next` is the `after` of the following page."""

    account_id: AccountId
    add_on: AddOnId
    name: str
    people: Annotated[int, Field(description="how many there are in all")]
    requests: tuple[ShownRequest, ...]
    next: int | None = None


class ShownNotification(BaseModel):
    """What a member was told: a template, and the data that fills it."""

    notification_id: str
    template: str
    requested_at: datetime
    data: dict[str, Any]


class NotificationPage(BaseModel):
    """Some of what the caller was told, newest first; `next` is the `before` of the following page."""

    account_id: AccountId
    notifications: tuple[ShownNotification, ...]
    next: int | None = None


def refusal(state: Known, user_id: str, *, owners_only: bool) -> Rejected | None:
    """Return why a member is shown nothing, or None; their row is loaded."""
    member: MemberRow | None = state.row(member_row(user_id))
    if state.document.account_revision < 0:
        return Rejected(Reason.ACCOUNT_UNKNOWN, _SENTENCES[Reason.ACCOUNT_UNKNOWN])
    if member is None or not member.active:
        return Rejected(Reason.MEMBER_UNKNOWN, _SENTENCES[Reason.MEMBER_UNKNOWN], ask=Ask.OWNER)
    if member.role not in _MEMBERS:
        return Rejected(Reason.ROLE_NOT_PERMITTED, _NO_ACCESS, ask=Ask.OWNER)
    if owners_only and member.role != Role.OWNER:
        return Rejected(Reason.ROLE_NOT_PERMITTED, _SENTENCES[Reason.ROLE_NOT_PERMITTED], ask=Ask.OWNER)
    return None


def features(state: Known, catalog: Catalog, now: datetime) -> ShownFeatures:
    """Show everything that was ever asked for. Cost: the document, which the catalog bounds."""
    document = state.document
    return ShownFeatures(
        account_id=state.account_id,
        cadence=document.cadence,
        feature_requests=tuple(
            _feature(document, catalog, add_on, aggregate, now)
            for add_on, aggregate in sorted(document.requests.items())
        ),
    )


def _feature(
    document: NotifiedAccount, catalog: Catalog, add_on: str, aggregate: digest.Aggregate, now: datetime
) -> ShownFeature:
    zone = document.timezone or UTC
    counted, snooze = document.trends.get(add_on, trend.Trend()), document.snoozes.get(add_on)
    snoozed = snooze is not None and schedule.morning(snooze.until, zone) > now
    return ShownFeature(
        add_on=add_on,
        name=name_of(catalog, add_on),
        people=aggregate.people,
        requests=counted.requests,
        open=aggregate.open_requests,
        answered_at=answered_at(document, add_on),
        roles=dict(aggregate.roles),
        first_at=aggregate.first_requested_at,
        last_at=aggregate.last_requested_at,
        snoozed_until=snooze.until if snooze is not None and snoozed else None,
        newest=tuple(_request(each) for each in aggregate.newest),
        trend=tuple(
            ShownDay(day=day, requests=count) for day, count in trend.until(counted, local_date(now, zone)).items()
        ),
    )


def _request(request: digest.Request) -> ShownRequest:
    return ShownRequest(**request.__dict__)


def name_of(catalog: Catalog, add_on: str) -> str:
    """Return what an add-on is called; one that the catalog does not have goes by its id."""
    known = catalog.add_ons.get(add_on)
    return known.name if known is not None else add_on


def people_rows(document: NotifiedAccount, add_on: str, after: int, limit: int) -> tuple[str, ...]:
    """Name the rows of the people numbered after `after`, as many as a page has."""
    aggregate = document.requests.get(add_on)
    people = aggregate.people if aggregate is not None else 0
    return tuple(requester_row(add_on, number) for number in range(after + 1, min(after + limit, people) + 1))


def asked_rows(state: Known, add_on: str, names: Sequence[str]) -> tuple[str, ...]:
    """Name the rows of what these people asked; theirs are loaded."""
    rows: list[RequesterRow | None] = [state.row(name) for name in names]
    return tuple(asked_by_row(add_on, row.user_id) for row in rows if row is not None)


def people(state: Known, catalog: Catalog, add_on: str, after: int, names: Sequence[str]) -> PeoplePage:
    """Show a page of people, whose `asked_rows` are loaded."""
    rows: list[AskedRow | None] = [state.row(name) for name in names]
    aggregate = state.document.requests.get(add_on)
    count, last = aggregate.people if aggregate is not None else 0, after + len(names)
    return PeoplePage(
        account_id=state.account_id,
        add_on=add_on,
        name=name_of(catalog, add_on),
        people=count,
        requests=tuple(_request(row.request) for row in rows if row is not None),
        next=last if last < count else None,
    )


def said_numbers(document: NotifiedAccount, before: int | None) -> range:
    """Return the numbers of the notifications that are kept, newest first, from below `before` on."""
    last = document.notifications if before is None else min(before - 1, document.notifications)
    return range(last, max(document.notifications - HISTORY_MAX, 0), -1)


def said_to(state: Known, numbers: Sequence[int], user_id: str, role: str) -> Iterator[SaidRow]:
    """Yield what of these notifications was said to a member; what is for Owners only to one who is an Owner now."""
    for number in numbers:
        row: SaidRow | None = state.row(said_row(number))
        # One that was overwritten meanwhile has another number.
        if row is None or row.number != number or user_id not in row.user_ids:
            continue
        if role == Role.OWNER or row.template not in _FOR_OWNERS:
            yield row


def notifications(account_id: str, found: Sequence[SaidRow], limit: int) -> NotificationPage:
    """Show the first `limit` of what was found."""
    return NotificationPage(
        account_id=account_id,
        notifications=tuple(
            ShownNotification(
                notification_id=row.notification_id,
                template=row.template,
                requested_at=row.requested_at,
                data=dict(row.data),
            )
            for row in found[:limit]
        ),
        next=found[limit - 1].number if len(found) > limit else None,
    )
