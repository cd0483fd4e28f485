"""How somebody gets in and out: with a token of the company's own sign-in, or in a demonstration by choosing a role."""

from http import HTTPStatus

from starlette.responses import Response

from services.dashboard.sessions import TOKEN_CHARACTERS_MAX
from services.dashboard.visits import Visit, ask_who, fields_of, go, own_path, page
from services.runtime.authentication import Kind
from services.runtime.problems import Problem


@page(None)
async def home(visit: Visit) -> Response:
    """Send everybody where they belong."""
    if visit.caller is None:
        return go("/sign-in")
    return go("/back-office" if visit.caller.kind is Kind.STAFF else "/plan")


@page(None)
async def sign_in(visit: Visit) -> Response:
    """Ask who it is; a token in a form is looked at here and nowhere kept but in the session."""
    if visit.request.method == "GET":
        ended = "Your session has ended: sign in again." if visit.query("ended") else None
        return _asked(visit, HTTPStatus.OK, ended)
    token = visit.form.get("token", "").strip()
    if not token:
        return _asked(visit, HTTPStatus.UNPROCESSABLE_ENTITY, "Paste a token: the field is empty.")
    if len(token) > TOKEN_CHARACTERS_MAX:
        said = f"This token is too long for a session: at most {TOKEN_CHARACTERS_MAX} characters fit."
        return _asked(visit, HTTPStatus.UNPROCESSABLE_ENTITY, said)
    try:
        caller = await visit.desk.authentication.caller(f"Bearer {token}")
    except Problem as problem:
        return _asked(visit, problem.status, problem.detail)
    if caller.kind is Kind.PRODUCT:
        return _asked(visit, HTTPStatus.FORBIDDEN, "This token is a product’s: people sign in with their own.")
    return await _signed_in(visit, token)


def _asked(visit: Visit, status: int, said: str | None) -> Response:
    wanted = visit.form.get("next") or visit.query("next")
    return ask_who(visit, status, said, own_path(wanted) if wanted else "/", visit.form.get("kept", ""))


async def _signed_in(visit: Visit, token: str, *, demo: bool = False) -> Response:
    """Give the browser its session and lead on; what the same person had entered before is kept for them."""
    sessions = visit.desk.sessions
    session = sessions.new(token, demo=demo)
    caller = await visit.desk.authentication.caller(f"Bearer {token}")
    wanted, kept = own_path(visit.form.get("next", "")), fields_of(visit.form.get("kept", "").encode())
    if sessions.is_made_for(kept.get("csrf", ""), caller.account_id, caller.subject):
        fields = {name: text for name, text in kept.items() if name not in {"csrf", "resumed"}}
        response = Visit(visit.request, visit.desk, session, caller).page("kept.html", fields=fields, action=wanted)
    else:
        response = go("/" if kept else wanted)
    sessions.write(response, session)
    return response


@page(None)
async def be_somebody(visit: Visit) -> Response:
    """Let a demonstration's visitor be whom they chose; where it is none, there is no such page."""
    demo = visit.desk.demo
    if demo is None:
        return visit.message(HTTPStatus.NOT_FOUND, "Not found", "There is no such page.")
    if visit.form.get("who") == "staff":
        return await _signed_in(visit, demo.token_of_staff(), demo=True)
    account_id, _, user_id = visit.form.get("who", "").partition(" ")
    if demo.find(account_id, user_id) is None:
        return _asked(visit, HTTPStatus.UNPROCESSABLE_ENTITY, "Nobody of that name is known yet.")
    return await _signed_in(visit, demo.token_of_member(account_id, user_id), demo=True)


@page(None)
async def sign_out(visit: Visit) -> Response:
    """Forget who it was."""
    response = go("/sign-in")
    visit.desk.sessions.forget(response)
    return response
