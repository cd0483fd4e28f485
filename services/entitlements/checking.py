"""The doors of checks: what an account may use, asked once or followed.

GET /v1/accounts/{account_id}/entitlements             every add-on
GET /v1/accounts/{account_id}/entitlements/{add_on}    one: the hot path
GET /v1/accounts/{account_id}/entitlements/changes     the first, now and whenever it changes (server-sent events)

May ask: every active member of the account whatever their role, products, and the vendor's staff.
"""

from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from contracts.catalog import Catalog
from contracts.payload import AccountId, AddOnId
from services.entitlements import checks
from services.entitlements.account import Entitlements
from services.entitlements.checks import Entitlement, ShownEntitlements
from services.runtime.authentication import Caller, Kind
from services.runtime.clock import SystemClock
from services.runtime.decision import Rejected
from services.runtime.direct import add_direct, answered, tag_of
from services.runtime.door import Door, Seen, own_account
from services.runtime.problems import refused, responses
from services.runtime.watching import Moment, Watching

EVENT = "entitlements"
_COME_AGAIN_MS = 1_000
LastEventId = Annotated[
    str | None, Header(description="The id of the last event the caller has: it is not sent again.")
]
Following = AsyncIterator[Moment[Entitlements]]


class AccountPath(BaseModel):
    """The path of an account."""

    account_id: AccountId


class AddOnPath(AccountPath):
    """The path of an add-on of an account."""

    add_on: AddOnId


async def look(door: Door[Entitlements], who: Caller, account_id: str) -> Seen[Entitlements]:
    """Return an account for a caller who may ask about it; Problem 403 or 404. Cost: one call to Redis."""
    member_id = None
    if who.kind is Kind.MEMBER:
        own_account(account_id, who)
        member_id = who.subject
    seen = await door.look(account_id, checks.rows_to_ask(member_id))
    refusal = checks.refusal(seen.state, member_id)
    if refusal is not None:
        raise refused(refusal.reason, refusal.message)
    return seen


def check_doors(door: Door[Entitlements], catalog: Catalog) -> APIRouter:
    """Return the operations of checks."""
    router = APIRouter(
        prefix="/v1/accounts/{account_id}/entitlements", responses=responses(401, 403, 404, 422, 429, 503)
    )

    async def entitlements(request: Request, path: AccountPath) -> Response:
        """Tell what the account may use now."""
        seen = await look(door, await door.caller(request), path.account_id)
        return answered(request, _json(checks.entitlements_of(seen.state, catalog, seen.version, await door.now())))

    async def entitlement(request: Request, path: AddOnPath) -> Response:
        """Tell whether the account may use an add-on now."""
        seen = await look(door, await door.caller(request), path.account_id)
        found = checks.entitlement_of(seen.state, catalog, path.add_on, seen.version, await door.now())
        if isinstance(found, Rejected):
            raise refused(found.reason, found.message)
        return answered(request, _json(found))

    _add_changes(router, door, catalog)  # before the add-on that could have its name
    add_direct(router, "GET", "", entitlements, reads=AccountPath, response_model=ShownEntitlements, conditional=True)
    add_direct(router, "GET", "/{add_on}", entitlement, reads=AddOnPath, response_model=Entitlement, conditional=True)
    return router


def _add_changes(router: APIRouter, door: Door[Entitlements], catalog: Catalog) -> None:
    def matters(seen: Seen[Entitlements], now: datetime) -> str | None:
        return None if checks.refusal(seen.state, None) else checks.usable_text(seen.state, catalog, now)

    watching = Watching(door, matters)

    async def following(
        account_id: AccountId, who: Annotated[Caller, Depends(door.caller)]
    ) -> AsyncIterator[Following]:
        """Say who may not follow before a stream begins, and let nobody follow for longer than the token lasts."""
        seen = await look(door, who, account_id)
        seconds = min(door.settings.stream_seconds_max, who.expires_at - SystemClock().now().timestamp())
        async with watching.follow(seen, who, seconds) as moments:
            yield moments

    @router.get("/changes", response_class=EventSourceResponse)
    async def changes(
        moments: Annotated[Following, Depends(following)], last_event_id: LastEventId = None
    ) -> AsyncIterable[ServerSentEvent]:
        """Tell what the account may use, now and at each change; the stream ends now and then: come again."""
        known = (last_event_id or "").rpartition("-")[2]
        async for seen, now in moments:
            digest = tag_of(checks.usable_text(seen.state, catalog, now).encode())
            if digest != known:
                shown = checks.entitlements_of(seen.state, catalog, seen.version, now)
                event_id = f"{seen.version}-{digest}"
                yield ServerSentEvent(raw_data=_json(shown).decode(), event=EVENT, id=event_id, retry=_COME_AGAIN_MS)
            known = ""


def _json(answer: BaseModel) -> bytes:
    return answer.model_dump_json(exclude_none=True).encode()
