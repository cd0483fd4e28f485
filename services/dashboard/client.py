"""How the services are asked over HTTP: one typed call for each question a page has.

A service that does not answer never takes a page with it: `attempt` turns that into a value (`Trouble`) that the page
says plainly. What a service refuses is `Refused`, with its sentence for people.
"""

import logging
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from services.dashboard.settings import DashboardSettings
from services.dashboard.shapes import (
    AddOns,
    Entitlements,
    FeatureRequests,
    Invoices,
    Preview,
    ShownInvoice,
    UpcomingBill,
)

log = logging.getLogger("addonflow.dashboard.client")
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
_CONNECTIONS_MAX = 100
_INVOICES_PER_PAGE = 20
_DOCUMENT_BYTES_MAX = 8_388_608
_NO_SUCH_DOOR = "not_found"


class Trouble(NamedTuple):
    """A service that did not answer, and what people are told of it."""

    service: str

    @property
    def sentence(self) -> str:
        """Return one sentence for people."""
        what = _WHAT[self.service]
        return f"{what} cannot be shown right now, because a service does not answer. Everything else works."


_WHAT = {
    "entitlements": "Your add-ons",
    "billing": "Prices and invoices of your account",
    "notifications": "Your team’s requests",
}


class Refused(NamedTuple):
    """What a service refused: its status, reason code and sentence."""

    status: int
    reason: str
    message: str
    ask: str | None


class Away(Exception):  # noqa: N818 - named for what the service is
    """A service did not answer, or not in its form."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.trouble = Trouble(service)


class RefusedError(Exception):
    """A service refused what was asked."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.status} {refused.reason}")
        self.refused = refused


async def attempt(answer: Awaitable[T]) -> T | Trouble | Refused:
    """Return the answer, or what stands in its place on a page."""
    try:
        return await answer
    except Away as error:
        return error.trouble
    except RefusedError as error:
        return error.refused


class Client:
    """Asks entitlements, billing and notifications with a caller's own token."""

    def __init__(self, settings: DashboardSettings) -> None:
        self._urls = {
            "entitlements": settings.entitlements_url,
            "billing": settings.billing_url,
            "notifications": settings.notifications_url,
        }
        self._http = httpx.AsyncClient(
            timeout=settings.request_seconds,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=_CONNECTIONS_MAX),
            trust_env=False,  # a proxy of the machine's would see members' tokens
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def add_ons(self, account_id: str, token: str) -> AddOns:
        """Ask what a member may do with every add-on."""
        return await self._ask(AddOns, "entitlements", f"{_account(account_id)}/add-ons", token)

    async def entitlements(self, account_id: str, token: str) -> Entitlements:
        """Ask what an account may use; staff may, too."""
        return await self._ask(Entitlements, "entitlements", f"{_account(account_id)}/entitlements", token)

    async def preview(self, account_id: str, add_on: str, token: str) -> Preview:
        """Ask what a purchase made now would cost, with a promise of it."""
        path = f"{_account(account_id)}/add-ons/{quote(add_on, safe='')}/preview"
        return await self._ask(Preview, "billing", path, token, method="POST")

    async def invoices(self, account_id: str, token: str, before: str | None = None) -> Invoices:
        """Ask for a page of invoices, newest first."""
        query = {"limit": str(_INVOICES_PER_PAGE)} | ({"before": before} if before else {})
        return await self._ask(Invoices, "billing", f"{_account(account_id)}/invoices", token, query)

    async def invoice(self, account_id: str, number: str, token: str) -> ShownInvoice:
        """Ask for one invoice with its derivation."""
        path = f"{_account(account_id)}/invoices/{quote(number, safe='')}"
        return await self._ask(ShownInvoice, "billing", path, token)

    async def invoice_document(self, account_id: str, number: str, token: str) -> bytes:
        """Ask for the PDF of an invoice."""
        path = f"{_account(account_id)}/invoices/{quote(number, safe='')}/document.pdf"
        response = await self._answer("billing", path, token, {}, "GET")
        if len(response.content) > _DOCUMENT_BYTES_MAX or not response.content.startswith(b"%PDF-"):
            raise Away("billing")
        return response.content

    async def upcoming_bill(self, account_id: str, token: str) -> UpcomingBill:
        """Ask what the next renewal would charge."""
        return await self._ask(UpcomingBill, "billing", f"{_account(account_id)}/upcoming-bill", token)

    async def feature_requests(self, account_id: str, token: str) -> FeatureRequests:
        """Ask what a team asks its Owners for."""
        return await self._ask(FeatureRequests, "notifications", f"{_account(account_id)}/feature-requests", token)

    async def _ask(
        self,
        shape: type[M],
        service: str,
        path: str,
        token: str,
        query: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> M:
        response = await self._answer(service, path, token, query or {}, method)
        try:
            return shape.model_validate_json(response.content)
        except ValidationError as error:
            log.warning("%s answered %s in no form that is known: %s", service, path, error.errors()[0]["loc"])
            raise Away(service) from error

    async def _answer(
        self, service: str, path: str, token: str, query: Mapping[str, str], method: str
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        try:
            response = await self._http.request(method, self._urls[service] + path, params=query, headers=headers)
        except httpx.HTTPError as error:
            log.warning("%s does not answer %s: %s: %s", service, path, type(error).__name__, error)
            raise Away(service) from error
        if response.is_success:
            return response
        raise _failure(service, response)


def _account(account_id: str) -> str:
    return f"/v1/accounts/{quote(account_id, safe='')}"


def _failure(service: str, response: httpx.Response) -> Exception:
    """Return what an answer without success is: a refusal that can be told, or a service that cannot serve."""
    try:
        problem: Any = response.json()
    except ValueError:
        problem = None
    known = isinstance(problem, dict) and isinstance(problem.get("reason"), str)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or not known:
        log.warning("%s answered %d", service, response.status_code)
        return Away(service)
    if problem["reason"] == _NO_SUCH_DOOR:  # an older service; what is unknown of an account has a reason of its own
        return Away(service)
    ask = problem.get("ask")
    detail = str(problem.get("detail", ""))
    return RefusedError(Refused(response.status_code, problem["reason"], detail, str(ask) if ask else None))
