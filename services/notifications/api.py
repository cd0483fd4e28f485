"""The doors of notifications: what a team asks for, for its Owners, and what the caller was told.

GET /v1/accounts/{account_id}/feature-requests             every add-on's requests, added up; Owners
GET /v1/accounts/{account_id}/feature-requests/{add_on}    who asked, in pages; Owners
GET /v1/accounts/{account_id}/notifications                the caller's own, newest first

Snoozing, declining and the cadence are commands of entitlements.
"""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from contracts.payload import AccountId, AddOnId
from contracts.results import Reason
from services.notifications import queries
from services.notifications.account import Known, NotifiedAccount
from services.notifications.directory import MemberRow, member_row
from services.notifications.domain import NotificationsDecider
from services.notifications.history import HISTORY_MAX, SaidRow, said_row
from services.notifications.queries import NotificationPage, PeoplePage, ShownFeatures
from services.runtime.authentication import Caller
from services.runtime.door import Door, own_account
from services.runtime.problems import refused, responses

_ROWS_AT_ONCE = 100
_NUMBER_MAX = 2**53
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[int, Query(ge=0, le=_NUMBER_MAX, description="`next` of the page before")]
Before = Annotated[int, Query(ge=1, le=_NUMBER_MAX, description="`next` of the page before")]


class Reading:
    """Reads an account for one of its members."""

    def __init__(self, door: Door[NotifiedAccount]) -> None:
        self._door = door

    async def account(self, account_id: str, who: Caller, *, owners_only: bool) -> Known:
        """Load an account for a caller who may see it. Problem 403 or 404."""
        own_account(account_id, who)
        state = (await self._door.look(account_id, (member_row(who.subject),))).state
        refusal = queries.refusal(state, who.subject, owners_only=owners_only)
        if refusal is not None:
            raise refused(refusal.reason, refusal.message, ask=refusal.ask)
        return state

    async def rows(self, account_id: str, names: tuple[str, ...]) -> Known:
        """Load rows of an account."""
        return (await self._door.look(account_id, names)).state

    async def said(self, account_id: str, who: Caller, before: int | None, limit: int) -> NotificationPage:
        """Show what the caller was told. Cost: the rows up to the last of the page, HISTORY_MAX at most."""
        state = await self.account(account_id, who, owners_only=False)
        member: MemberRow = state.row(member_row(who.subject))
        numbers = iter(queries.said_numbers(state.document, before))
        found: list[SaidRow] = []
        while len(found) <= limit and (some := tuple(islice(numbers, _ROWS_AT_ONCE))):
            loaded = await self.rows(account_id, tuple(said_row(number) for number in some))
            found += queries.said_to(loaded, some, who.subject, member.role)
        return queries.notifications(account_id, found, limit)


def doors(door: Door[NotifiedAccount]) -> APIRouter:
    """Return the operations of notifications."""
    router = APIRouter(prefix="/v1/accounts/{account_id}", responses=responses(401, 403, 404, 422, 429, 503))
    caller = Depends(door.caller)
    decider = door.decider
    if not isinstance(decider, NotificationsDecider):
        raise TypeError("these are the doors of notifications")
    catalog, reading = decider.catalog, Reading(door)

    @router.get("/feature-requests", response_model_exclude_none=True)
    async def feature_requests(account_id: AccountId, who: Annotated[Caller, caller]) -> ShownFeatures:
        """Show an Owner what the team asks for, and how often the Owners hear of it."""
        state = await reading.account(account_id, who, owners_only=True)
        return queries.features(state, catalog, await door.now())

    @router.get("/feature-requests/{add_on}", response_model_exclude_none=True)
    async def requesters(
        account_id: AccountId, add_on: AddOnId, who: Annotated[Caller, caller], limit: Limit = 50, after: After = 0
    ) -> PeoplePage:
        """Show an Owner everybody who ever asked for an add-on, first come first."""
        state = await reading.account(account_id, who, owners_only=True)
        if add_on not in catalog.add_ons and add_on not in state.document.requests:
            raise refused(Reason.ADD_ON_UNKNOWN, "There is no such add-on: choose one of those in the Plan tab.")
        names = queries.people_rows(state.document, add_on, after, limit)
        names = queries.asked_rows(await reading.rows(account_id, names), add_on, names)
        return queries.people(await reading.rows(account_id, names), catalog, add_on, after, names)

    @router.get(
        "/notifications",
        response_model_exclude_none=True,
        description=f"Show what the caller was told, newest first, of the newest {HISTORY_MAX} of the account.",
    )
    async def notifications(
        account_id: AccountId, who: Annotated[Caller, caller], limit: Limit = 20, before: Before | None = None
    ) -> NotificationPage:
        return await reading.said(account_id, who, before, limit)

    return router
