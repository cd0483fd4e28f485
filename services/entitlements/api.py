"""The doors of entitlements: what a member may do, their commands, the vendor's staff's, and what an account may use.

GET  /v1/accounts/{account_id}/add-ons                the caller's view of every add-on
POST /v1/accounts/{account_id}/commands               a member's command, answered at once
POST /v1/accounts/{account_id}/back-office/commands   staff's, likewise

Beside them those of checks (`checking.py`) and of OpenFeature (`ofrep.py`).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import TypeAdapter

from contracts import topics
from contracts.backoffice import IssueCredit
from contracts.payload import AccountId
from contracts.results import CommandAccepted, CommandRejected
from services.entitlements.account import Entitlements
from services.entitlements.checking import check_doors
from services.entitlements.domain import EntitlementsDecider
from services.entitlements.ofrep import flag_doors
from services.entitlements.queries import ShownAddOns, add_ons_of, rows_of_member
from services.runtime.authentication import Caller
from services.runtime.bodies import COMMAND_REFUSALS, CommandBody, IdempotencyKey
from services.runtime.decision import Rejected
from services.runtime.door import Door, own_account, staff_only
from services.runtime.problems import REFUSALS, refused, responses

_ANSWERS: TypeAdapter[CommandAccepted | CommandRejected] = TypeAdapter(CommandAccepted | CommandRejected)
_COMMANDS = CommandBody(*topics.COMMANDS.payloads, said=frozenset({"account_id", "user_id"}))
_STAFF_COMMANDS = CommandBody(
    *(payload for payload in topics.BACKOFFICE.payloads if payload is not IssueCredit),
    said=frozenset({"account_id", "staff_id"}),
)


def doors(door: Door[Entitlements]) -> APIRouter:
    """Return the operations of entitlements."""
    router = APIRouter(prefix="/v1/accounts/{account_id}", responses=responses(401, 403, 422, 429, 503))
    caller = Depends(door.caller)
    decider = door.decider
    if not isinstance(decider, EntitlementsDecider):
        raise TypeError("these are the doors of entitlements")
    catalog = decider.catalog

    @router.get("/add-ons", responses=responses(404), response_model_exclude_none=True)
    async def add_ons(account_id: AccountId, who: Annotated[Caller, caller]) -> ShownAddOns:
        """Show every add-on with the actions open to the caller, and why the others are not."""
        own_account(account_id, who)
        seen = await door.look(account_id, rows_of_member(catalog, who.subject))
        shown = add_ons_of(seen.state, catalog, who.subject, await door.now())
        if isinstance(shown, Rejected):
            raise refused(shown.reason, shown.message, ask=shown.ask)
        return shown

    @router.post("/commands", responses=responses(*COMMAND_REFUSALS, *REFUSALS), openapi_extra=_COMMANDS.described())
    async def command(
        account_id: AccountId, request: Request, idempotency_key: IdempotencyKey, who: Annotated[Caller, caller]
    ) -> CommandAccepted:
        """Decide a member's command now; its events reach Kafka in the order they were decided."""
        own_account(account_id, who)
        asked = await _COMMANDS.read(request, account_id=account_id, user_id=who.subject)
        return _accepted(await door.ask(who, topics.COMMANDS, asked, idempotency_key, _ANSWERS, request))

    @router.post(
        "/back-office/commands",
        responses=responses(*COMMAND_REFUSALS, *REFUSALS),
        openapi_extra=_STAFF_COMMANDS.described(),
    )
    async def staff_command(
        account_id: AccountId, request: Request, idempotency_key: IdempotencyKey, who: Annotated[Caller, caller]
    ) -> CommandAccepted:
        """Decide a command of the vendor's staff now; who acts is the token's subject."""
        staff_only(who)
        asked = await _STAFF_COMMANDS.read(request, account_id=account_id, staff_id=who.subject)
        return _accepted(await door.ask(who, topics.BACKOFFICE, asked, idempotency_key, _ANSWERS, request))

    router.routes[:0] = check_doors(door, catalog).routes + flag_doors(door, catalog).routes  # asked most, found first
    return router


def _accepted(answer: CommandAccepted | CommandRejected) -> CommandAccepted:
    """Return an acceptance; raise the problem that a refusal is."""
    if isinstance(answer, CommandAccepted):
        return answer
    raise refused(
        answer.reason,
        answer.message,
        command_id=answer.command_id,
        allowed_instead=answer.allowed_instead,
        ask=answer.ask,
    )
