"""The dashboard process: pages over HTTP, commands to Kafka, and what it hears there."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from services.dashboard import asking, bills, live, orders, plan, signing_in, staff, team
from services.dashboard.figures import REGISTRY, Counting
from services.dashboard.guard import Guard
from services.dashboard.parts import Dashboard
from services.dashboard.settings import DashboardSettings
from services.dashboard.visits import stranger, visit_of
from services.runtime.errors import TROUBLE, ConfigurationError, Stopping
from services.runtime.gate import BodyGate
from services.runtime.logs import configure, refuse
from services.runtime.problems import Problem
from services.runtime.production import load_settings
from services.runtime.server import config_of
from services.runtime.settings import Settings
from services.runtime.watched import watched

log = logging.getLogger("addonflow.dashboard")
EXIT_CONFIGURATION = 78
_STATIC = Path(__file__).parent / "static"


class _Static(StaticFiles):
    """Files of ours that browsers may keep for a while."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response


def routes(desk: Dashboard) -> list[Route | Mount]:
    """Return every page."""
    both = ["GET", "POST"]
    return [
        *watched(desk.health, REGISTRY),
        Mount("/static", _Static(directory=_STATIC)),
        Route("/", signing_in.home),
        Route("/sign-in", signing_in.sign_in, methods=both),
        Route("/sign-in/as", signing_in.be_somebody, methods=["POST"]),
        Route("/sign-out", signing_in.sign_out, methods=["POST"]),
        Route("/live", live.live),
        Route("/plan", plan.plan),
        Route("/subscribe", asking.choose),
        Route("/subscribe/{add_on}", asking.price),
        Route("/subscribe/{add_on}/confirm", asking.confirm, methods=both),
        Route("/quote/{add_on}", asking.ask, methods=both),
        Route("/try/{add_on}", asking.ask, methods=both),
        Route("/request/{add_on}", asking.ask, methods=both),
        Route("/answers/{form_id}", orders.answer),
        Route("/requests", team.requests),
        Route("/requests/{what}", team.decide, methods=both),
        Route("/invoices", bills.invoices),
        Route("/invoices/{number:path}/document.pdf", bills.document),
        Route("/invoices/{number:path}", bills.invoice),
        Route("/back-office", staff.find),
        Route("/back-office/account", staff.account),
        Route("/back-office/order", staff.order, methods=both),
        Route("/back-office/answer", staff.answer),
    ]


async def _failed(request: Request, error: Exception) -> Response:
    """Answer what went wrong with a page of its own."""
    status, headers, text = HTTPStatus.INTERNAL_SERVER_ERROR, None, "Something went wrong here, and its log says what."
    if isinstance(error, HTTPException):
        status, headers = HTTPStatus(error.status_code), error.headers
        text = "There is no such page." if status is HTTPStatus.NOT_FOUND else f"{status.description or status.phrase}."
    elif isinstance(error, Problem):
        status, headers, text = HTTPStatus(error.status), error.headers, error.detail
    else:
        log.error("a page met a defect", exc_info=error)
    visit = stranger(request)
    if not isinstance(error, Problem):  # who was refused is not asked for again: it would cost them another request
        with suppress(Problem):
            visit, _ = await visit_of(request)
    if visit.is_part:  # the open page stays as it is, and asks again with the next change
        return Response(status_code=status, headers={**(headers or {}), "HX-Reswap": "none"})
    response = visit.message(status, status.phrase, text)
    response.headers.update(dict(headers or {}))
    return response


def application(desk: Dashboard, fail: asyncio.Event | None = None) -> Starlette:
    """Return the application; its lifespan connects the desk. `fail` is set when it cannot be as it is set up."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        starting = asyncio.create_task(_start(desk, fail))
        yield
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        with suppress(*TROUBLE):
            await desk.stop()

    made = Starlette(
        routes=routes(desk),
        lifespan=lifespan,
        middleware=[
            Middleware(Counting),
            Middleware(Guard, hosts=desk.own.hosts),
            Middleware(BodyGate, bytes_max=desk.settings.request_bytes_max, seconds=desk.settings.request_body_seconds),
        ],
        exception_handlers={HTTPException: _failed, Problem: _failed, Exception: _failed},
    )
    made.state.dashboard = desk
    return made


async def _start(desk: Dashboard, fail: asyncio.Event | None) -> None:
    try:
        await desk.start()
    except ConfigurationError as error:
        refuse("dashboard", error)
        if fail is not None:
            fail.set()
    except Stopping:
        return


class _Server(uvicorn.Server):
    """Ends the streams of open pages first, and by a signal as an operator does: with 0."""

    def __init__(self, config: uvicorn.Config, desk: Dashboard) -> None:
        super().__init__(config)
        self._desk = desk

    def end(self) -> None:
        """Stop serving."""
        self.should_exit = True
        self._desk.changes.stop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's own
        self.end()


async def _serve(desk: Dashboard, settings: Settings) -> int:
    fail = asyncio.Event()
    server = _Server(config_of(application(desk, fail), settings), desk)

    async def end_when_failed() -> None:
        await fail.wait()
        server.end()

    watching = asyncio.create_task(end_when_failed())
    await server.serve()
    watching.cancel()
    return EXIT_CONFIGURATION if fail.is_set() else 0


def main() -> int:
    """Run the dashboard from the environment; return the exit code (78 and one line for a misconfiguration)."""
    try:
        settings = load_settings(redis=False)
        configure(settings.log_level, settings.log_format, "dashboard", outcomes=False)
        desk_settings = DashboardSettings.load()
        desk_settings.refuse_in_production(settings)
        return asyncio.run(_run(settings, desk_settings))
    except (ConfigurationError, ValueError) as error:
        refuse("dashboard", error)
        return EXIT_CONFIGURATION


async def _run(settings: Settings, own: DashboardSettings) -> int:
    return await _serve(Dashboard(settings, own), settings)
