"""One request as the pages see it: who it is, in which locale, and how a page is made for them.

    @page(Kind.MEMBER)
    async def plan(visit: Visit) -> Response: ...

A page for members sends strangers to the sign-in, and takes a form only when it was made for the same session.
"""

import functools
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.dashboard.cards import Link, discoveries_of
from services.dashboard.client import Refused, Trouble, attempt
from services.dashboard.commands import FormError
from services.dashboard.locales import Formats, formats_for, isolated
from services.dashboard.parts import Dashboard
from services.dashboard.sessions import Session, is_form_of
from services.dashboard.shapes import AddOns
from services.runtime.authentication import Caller, Kind
from services.runtime.problems import HttpReason, Problem

_HERE = Path(__file__).parent
_FIELDS_MAX = 40
_ADDRESS_CHARACTERS_MAX = 300
ENVIRONMENT = Environment(
    autoescape=True,
    undefined=StrictUndefined,
    loader=FileSystemLoader(_HERE / "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters["isolated"] = isolated
ENVIRONMENT.tests["trouble"] = lambda each: isinstance(each, Trouble)
ENVIRONMENT.tests["refused"] = lambda each: isinstance(each, Refused)
Handler = Callable[["Visit"], Awaitable[Response]]


class Visit:
    """One request of somebody. `form` is a POST's, empty else; `wrong` is why it was not sent.

    `resumed` says that the form was made for the same person in another session: it is shown again, and not sent.
    """

    def __init__(self, request: Request, desk: Dashboard, session: Session | None, caller: Caller | None) -> None:
        self.request = request
        self.desk = desk
        self.session = session or desk.sessions.new()
        self.is_new = session is None
        self.caller = caller
        self.form: dict[str, str] = {}
        self.wrong: FormError | None = None
        self.resumed = False
        self.mark = desk.changes.mark(caller.account_id) if caller and caller.account_id else ""
        person = None
        if desk.demo is not None and caller is not None:
            person = desk.demo.find(caller.account_id, caller.subject)
        self.person = person
        self.formats: Formats = formats_for(request.headers.get("accept-language", ""), person and person.locale)

    @property
    def who(self) -> Caller:
        """Who it is, on a page that strangers do not see."""
        if self.caller is None:
            raise LookupError("nobody has signed in")
        return self.caller

    @property
    def account_name(self) -> str:
        """What the member's account is called, as far as that is known here."""
        return (self.desk.demo.name_of(self.account_id) if self.desk.demo is not None else "") or self.account_id

    @property
    def is_staff(self) -> bool:
        """Whether it is the vendor's staff."""
        return self.caller is not None and self.caller.kind is Kind.STAFF

    @property
    def is_part(self) -> bool:
        """Whether an open page asks for a part of itself, by htmx, instead of a browser for a page."""
        return self.request.headers.get("hx-request") == "true"

    @property
    def is_of_this_session(self) -> bool:
        """Whether the page that asks was made for the session that the browser has now."""
        return not self.is_new and self.query("of") == self.session.name

    @property
    def token(self) -> str:
        """The token of who it is."""
        return self.session.token or ""

    @property
    def csrf(self) -> str:
        """What every form carries: the session's secret, and whom it was made for."""
        if self.caller is None:
            return self.session.csrf
        return f"{self.session.csrf}.{self.desk.sessions.mark_of(self.caller.account_id, self.caller.subject)}"

    @property
    def address(self) -> str:
        """The path and the query of the request."""
        return self.request.url.path + (f"?{self.request.url.query}" if self.request.url.query else "")

    @property
    def form_status(self) -> int:
        """The status of a form that is shown, the first time or again."""
        return HTTPStatus.OK if self.wrong is None else HTTPStatus.UNPROCESSABLE_ENTITY

    @property
    def account_id(self) -> str:
        """The account of a member."""
        return self.who.account_id or ""

    def query(self, name: str) -> str:
        """Return a parameter of the address, bounded."""
        return self.request.query_params.get(name, "")[:_ADDRESS_CHARACTERS_MAX]

    def part(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])[:_ADDRESS_CHARACTERS_MAX]

    def places(self, shown: object) -> list[tuple[str, str]]:
        """Return where the navigation leads: Owners to everything, others to the plan."""
        if self.is_staff:
            return [("/back-office", "Accounts")]
        owner = not isinstance(shown, AddOns) or shown.role == "owner"
        both = [("/requests", "Team requests"), ("/invoices", "Invoices")]
        return [("/plan", "Plan"), *(both if owner and not isinstance(shown, Refused) else [])]

    def discoveries(self, shown: object) -> tuple[tuple[str, Link], ...]:
        """Return the sidebar's entries into the flow; none where it is not known what the member may do."""
        return discoveries_of(shown) if isinstance(shown, AddOns) else ()

    async def add_ons(self) -> AddOns | Trouble | Refused:
        """Ask what the member may do, or what stands in its place; from then on the pages have the account's days."""
        shown = await attempt(self.desk.client.add_ons(self.account_id, self.token))
        if isinstance(shown, AddOns):
            self.formats = self.formats.at(shown.timezone)
        return shown

    def page(self, template: str, status: int = HTTPStatus.OK, **said: Any) -> Response:
        """Return a page. Every page knows who is there, and in which locale."""
        context = {
            "visit": self,
            "formats": self.formats,
            "csrf": self.csrf,
            "path": self.request.url.path,
            "wrong": self.wrong,
            "demo": self.desk.demo,
            "shown": None,
            "live": None,
            **said,
        }
        return HTMLResponse(ENVIRONMENT.get_template(template).render(context), status)

    def live_page(
        self, template: str, shown: AddOns | Trouble | Refused, status: int = HTTPStatus.OK, **said: Any
    ) -> Response:
        """Return a page that looks again when something of the account changes after `visit.mark`."""
        live = f"/live?seen={self.mark}&of={self.session.name}"
        return self.page(template, status, shown=shown, live=live, **said)

    def message(self, status: int, title: str, text: str) -> Response:
        """Return a page that says one thing; a page that asked for a part of itself is loaded anew and becomes it."""
        return load_anew() if self.is_part else self.page("message.html", status, title=title, text=text)


def ask_who(visit: Visit, status: int, said: str | None, wanted: str, kept: str = "") -> Response:
    """Return the sign-in, which leads on to `wanted`; `kept` are the fields of a form that waits for it."""
    response = visit.page("sign_in.html", status, said=said, wanted=wanted, kept=kept)
    if visit.is_new:
        visit.desk.sessions.write(response, visit.session)  # the one page with forms for strangers
    return response


def go(to: str) -> Response:
    """Send a browser on, by GET, to an address of ours."""
    return RedirectResponse(to, HTTPStatus.SEE_OTHER)


def load_anew() -> Response:
    """Have htmx load the whole page again, for who the browser is now."""
    return Response(headers={"HX-Refresh": "true"})


def own_path(address: str) -> str:
    """Return an address when it is a path of ours, else the beginning: nobody is sent elsewhere."""
    parts = urlsplit(address)
    plain = address.startswith("/") and not address.startswith(("//", "/\\")) and "\\" not in address
    return address if plain and not parts.scheme and not parts.netloc and address.isprintable() else "/"


def stranger(request: Request) -> Visit:
    """Return a visit of nobody that leaves the browser's session as it is."""
    desk: Dashboard = request.app.state.dashboard
    return Visit(request, desk, desk.sessions.read(request.cookies.get(desk.sessions.cookie)), None)


async def visit_of(request: Request) -> tuple[Visit, str | None]:
    """Tell who a request is from, and where somebody was signed in who no longer is, why."""
    visit = stranger(request)
    desk, session = visit.desk, visit.session
    if session.token is None:
        return visit, None
    try:
        caller = await desk.authentication.caller(f"Bearer {session.token}")
        if session.demo and desk.demo is None:
            return Visit(request, desk, session._replace(token=None), None), "The demonstration has ended."
        desk.allowance.take(f"{caller.kind} {caller.account_id or ''} {caller.subject}")
    except Problem as problem:
        if problem.reason not in {HttpReason.TOKEN_INVALID, HttpReason.TOKEN_MISSING}:
            raise
        return visit, problem.detail
    return Visit(request, desk, session, caller), None


def page(kind: Kind | None) -> Callable[[Handler], Callable[[Request], Awaitable[Response]]]:
    """Make a handler a page for members, for staff, or (None) for anybody."""

    def make(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        @functools.wraps(handler)
        async def handled(request: Request) -> Response:
            visit, ended = await visit_of(request)
            if request.method == "POST":
                visit.form = await _form(request)
                refusal = _refusal(visit, kind)
                if refusal is not None:
                    return refusal
            if kind is not None and visit.is_part and not _is_still_there(visit, kind):
                return load_anew()
            if kind is not None and visit.caller is None:
                return go(_sign_in(visit, ended))
            if kind is not None and visit.who.kind is not kind:
                return visit.message(HTTPStatus.FORBIDDEN, "Not for you", _NOT_FOR[kind])
            return await handler(visit)

        return handled

    return make


def _is_still_there(visit: Visit, kind: Kind) -> bool:
    """Whether whoever an open page was made for is who asks for a part of it now."""
    named = "of" in visit.request.query_params
    return visit.caller is not None and visit.caller.kind is kind and (visit.is_of_this_session or not named)


_NOT_FOR: Mapping[Kind, str] = {
    Kind.MEMBER: "This page is for members of an account: you are signed in as staff.",
    Kind.STAFF: "This page is for the vendor’s staff.",
}


def _refusal(visit: Visit, kind: Kind | None) -> Response | None:
    """Refuse a form that was made for somebody else; what the same person entered in another session is kept."""
    csrf = visit.form.get("csrf", "")
    if is_form_of(None if visit.is_new else visit.session, csrf) and (kind is None or visit.caller is not None):
        visit.resumed = visit.form.pop("resumed", "") != ""
        return None
    if kind is not None and visit.caller is None and "." in csrf:
        said = "Your session has ended, and nothing was sent. What you entered is kept: sign in again to go on with it."
        return ask_who(visit, HTTPStatus.UNAUTHORIZED, said, visit.address, urlencode(visit.form))
    if kind is not None and visit.caller is not None:
        visit.resumed = visit.desk.sessions.is_made_for(csrf, visit.caller.account_id, visit.caller.subject)
    if visit.resumed:
        return None
    text = "This form was made for another session, and had no effect: go back, reload it and try again."
    return visit.message(HTTPStatus.FORBIDDEN, "Please try again", text)


def _sign_in(visit: Visit, ended: str | None) -> str:
    path = visit.address
    wanted = path if visit.request.method == "GET" and len(path) <= _ADDRESS_CHARACTERS_MAX else "/"
    return f"/sign-in?next={quote(wanted, safe='')}{'&ended=1' if ended else ''}"


async def _form(request: Request) -> dict[str, str]:
    """Read a plain form; the body's size is bounded before. What is no form has no fields."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return {}
    return fields_of(await request.body())


def fields_of(body: bytes) -> dict[str, str]:
    """Return the fields of a form, of nothing where it is none. A line end is one character, as `maxlength` counts."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        return {}
    return {name: text.replace("\r\n", "\n") for name, text in pairs}
