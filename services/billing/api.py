"""The doors of billing: what an add-on would cost, what was billed, what will be, and credits by the vendor's staff.

POST /v1/accounts/{account_id}/add-ons/{add_on}/preview    today's charge, the next bill, and a promise; Owners
GET  /v1/accounts/{account_id}/invoices                    newest first, in pages; Owners and staff, as all below
GET  /v1/accounts/{account_id}/invoices/{invoice_number}   one, each line explained
GET  …/invoices/{invoice_number}/document.html, .pdf       the same for people to keep
GET  /v1/accounts/{account_id}/upcoming-bill               what the next renewal charges as things stand
POST /v1/accounts/{account_id}/back-office/credits         staff's IssueCredit, answered at once
"""

import re
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field, TypeAdapter

from contracts import topics
from contracts.backoffice import IssueCredit
from contracts.catalog import Catalog
from contracts.payload import AccountId, AddOnId
from contracts.promises import PromiseKeys
from contracts.results import CreditAccepted, CreditRejected, Reason
from services.billing import documents, queries
from services.billing.account import BillingAccount, InvoiceRow, invoice_row, number_of
from services.billing.charges import Charging
from services.billing.directory import member_row, owner_refusal, refuse
from services.billing.domain import BillingDecider
from services.billing.preview import Preview, Previewing
from services.billing.printing import COST, Printing
from services.billing.queries import InvoicePage, Names, ShownInvoice, UpcomingBill
from services.runtime.authentication import Caller, Kind
from services.runtime.bodies import COMMAND_REFUSALS, CommandBody, IdempotencyKey
from services.runtime.decision import Rejected, State
from services.runtime.door import Door, own_account, staff_only
from services.runtime.problems import REFUSALS, HttpReason, Problem, refused, responses

_Number = Annotated[str, Field(min_length=1, max_length=200, description="a number as an invoice has it")]
InvoiceNumber = Annotated[_Number, Path()]
BeforeNumber = Annotated[_Number, Query()]
_ANSWERS: TypeAdapter[CreditAccepted | CreditRejected] = TypeAdapter(CreditAccepted | CreditRejected)
_CREDIT = CommandBody(IssueCredit, said=frozenset({"account_id", "staff_id"}))
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")
_KEPT_APART = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_NO_INVOICE = "This account has no such invoice."


class PdfResponse(Response):
    """The bytes of a PDF."""

    media_type = "application/pdf"


class Prices(NamedTuple):
    """What previews are made of beside an account: the price list, the keys of promises, and how long those hold."""

    catalog: Catalog
    keys: PromiseKeys
    promised_for: timedelta


class Invoices:
    """Reads invoices for who may see them: an Owner of the account, or the vendor's staff."""

    def __init__(self, door: Door[BillingAccount], names: Names) -> None:
        self._door = door
        self.names = names

    async def account(self, account_id: str, who: Caller, rows: tuple[str, ...] = ()) -> State[BillingAccount]:
        """Load an account for a caller who may see its invoices, with these rows. Problem 403 or 404."""
        if who.kind is Kind.STAFF:
            state = (await self._door.look(account_id, rows)).state
            refusal = None if _is_known(state) else refuse(Reason.ACCOUNT_UNKNOWN)
        else:
            own_account(account_id, who)
            state = (await self._door.look(account_id, (member_row(who.subject), *rows))).state
            refusal = owner_refusal(state, who.subject, account_known=_is_known(state))
        if refusal is not None:
            raise _problem(refusal)
        return state

    async def page(self, account_id: str, who: Caller, before: str | None, limit: int) -> InvoicePage:
        """Show a page. Cost: two calls to Redis, and as many rows as the page has invoices."""
        number = None if before is None else number_of(before, account_id)
        if before is not None and number is None:
            detail = "before: this is no invoice number of the account: take `next` of the page before."
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, HttpReason.REQUEST_INVALID, detail)
        names = queries.page_rows((await self.account(account_id, who)).document, number, limit)
        return queries.page((await self._door.look(account_id, names)).state, names)

    async def one(self, account_id: str, who: Caller, invoice_number: str) -> ShownInvoice:
        """Show an invoice. Problem 404 when the account has none of that number."""
        number = number_of(invoice_number, account_id)
        names = () if number is None else (invoice_row(number),)
        state = await self.account(account_id, who, names)
        row: InvoiceRow | None = state.row(names[0]) if names else None
        if row is None:
            raise refused(Reason.INVOICE_UNKNOWN, _NO_INVOICE)
        return queries.shown(row, self.names, to_staff=who.kind is Kind.STAFF)


def doors(prices: Prices) -> Callable[[Door[BillingAccount]], APIRouter]:
    """Return what makes the operations of billing, with previews by these prices."""

    def make(door: Door[BillingAccount]) -> APIRouter:
        router = APIRouter(prefix="/v1/accounts/{account_id}", responses=responses(401, 403, 404, 422, 429, 503))
        invoices = Invoices(door, {each: add_on.name for each, add_on in prices.catalog.add_ons.items()})
        _add_reading(router, door, invoices)
        _add_charging(router, door, invoices, prices)
        return router

    return make


def _add_reading(router: APIRouter, door: Door[BillingAccount], invoices: Invoices) -> None:
    caller = Depends(door.caller)
    printing = Printing()

    @router.get("/invoices", response_model_exclude_none=True)
    async def invoice_page(
        account_id: AccountId,
        who: Annotated[Caller, caller],
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        before: BeforeNumber | None = None,
    ) -> InvoicePage:
        """Show the account's invoices, newest first; `before` is `next` of the page before."""
        return await invoices.page(account_id, who, before, limit)

    @router.get("/invoices/{invoice_number}", response_model_exclude_none=True)
    async def invoice(
        account_id: AccountId, invoice_number: InvoiceNumber, who: Annotated[Caller, caller]
    ) -> ShownInvoice:
        """Show an invoice as it was issued, each line with how its amount comes about."""
        return await invoices.one(account_id, who, invoice_number)

    @router.get("/invoices/{invoice_number}/document.html", response_class=HTMLResponse)
    async def invoice_page_for_people(
        account_id: AccountId, invoice_number: InvoiceNumber, who: Annotated[Caller, caller]
    ) -> HTMLResponse:
        """Show an invoice as a page that needs nothing else."""
        shown = await invoices.one(account_id, who, invoice_number)
        return HTMLResponse(documents.page(shown), headers=_KEPT_APART)

    @router.get("/invoices/{invoice_number}/document.pdf", response_class=PdfResponse)
    async def invoice_pdf(
        account_id: AccountId, invoice_number: InvoiceNumber, who: Annotated[Caller, caller]
    ) -> PdfResponse:
        """Show an invoice as a PDF; the same invoice is the same bytes. It counts as 20 requests."""
        shown = await invoices.one(account_id, who, invoice_number)
        door.count(who, COST - 1)  # one is counted already
        content = await printing.pdf(shown)
        name = _NOT_IN_A_NAME.sub("_", shown.invoice_number)
        return PdfResponse(content, headers=_KEPT_APART | {"Content-Disposition": f'inline; filename="{name}.pdf"'})


def _add_charging(router: APIRouter, door: Door[BillingAccount], invoices: Invoices, prices: Prices) -> None:
    caller = Depends(door.caller)
    decider = door.decider
    if not isinstance(decider, BillingDecider):
        raise TypeError("these are the doors of billing")

    async def charging(account_id: str) -> Charging:
        return Charging(decider.rule, decider.payment_terms_days, account_id, await door.now())

    @router.post("/add-ons/{add_on}/preview", responses=responses(409), response_model_exclude_none=True)
    async def preview(account_id: AccountId, add_on: AddOnId, who: Annotated[Caller, caller]) -> Preview:
        """Show what the add-on would cost if it were bought now, and promise it for a while."""
        own_account(account_id, who)
        seen = await door.look(account_id, (member_row(who.subject),))
        previewing = Previewing(prices.catalog, await charging(account_id), prices.keys, prices.promised_for)
        shown = previewing.preview(seen.state, who.subject, add_on)
        if isinstance(shown, Rejected):
            raise _problem(shown)
        return shown

    @router.get("/upcoming-bill", response_model_exclude_none=True)
    async def upcoming_bill(account_id: AccountId, who: Annotated[Caller, caller]) -> UpcomingBill:
        """Show what the next renewal charges as things stand."""
        document = (await invoices.account(account_id, who)).document
        return queries.upcoming(document, await charging(account_id), invoices.names)

    @router.post(
        "/back-office/credits", responses=responses(*COMMAND_REFUSALS, *REFUSALS), openapi_extra=_CREDIT.described()
    )
    async def credit(
        account_id: AccountId, request: Request, idempotency_key: IdempotencyKey, who: Annotated[Caller, caller]
    ) -> CreditAccepted:
        """Give back an amount of an invoice; who acts is the token's subject."""
        staff_only(who)
        asked = await _CREDIT.read(request, account_id=account_id, staff_id=who.subject)
        answer = await door.ask(who, topics.BACKOFFICE, asked, idempotency_key, _ANSWERS, request)
        if isinstance(answer, CreditRejected):
            raise refused(answer.reason, answer.message, command_id=answer.command_id)
        return answer


def _is_known(state: State[BillingAccount]) -> bool:
    return state.document.facts is not None


def _problem(refusal: Rejected) -> Problem:
    return refused(refusal.reason, refusal.message, ask=refusal.ask)
