"""What was entered in a form is never lost: not where it cannot be sent as it is, and not where a session has ended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response

from contracts.payload import Payload
from services.dashboard.commands import new_id
from services.dashboard.parts import Dashboard
from services.dashboard.sessions import Session
from services.dashboard.shapes import AddOns, Preview, Promise
from services.runtime.authentication import STAFF_SCOPE
from tests.dashboard.desk import browsing, csrf_of, desk_of, expired_token_of, sign_in, token_of
from tests.dashboard.shown import NOW, action, add_on, preview

MEMBER = {"sub": "olivia", "account_id": "acme"}
NOTE = "Für die <Nacht>schicht"
ZONE = "Pacific/Kiritimati"  # 14 hours ahead
LONG = "x" * 1_001
WRONG = {
    "/request/analytics_plus": {"type": "RequestFeature", "add_on": "analytics_plus", "note": LONG},
    "/subscribe/analytics_plus/confirm": {"type": "PurchaseAddOn", "add_on": "analytics_plus"},
    "/requests/decline?add_on=analytics_plus": {"type": "DeclineFeature", "add_on": "analytics_plus", "note": LONG},
    "/requests/snooze?add_on=analytics_plus": {"type": "SnoozeFeature", "add_on": "analytics_plus", "until": "soon"},
    "/requests/digest": {"type": "ChangeDigest", "cadence": "hourly"},
}


@asynccontextmanager
async def at_work(folder: Path) -> AsyncIterator[tuple[Dashboard, httpx.AsyncClient, list[Payload]]]:
    """Give a dashboard where Olivia, an Owner, is signed in and may do everything; and the list of what is sent."""
    desk, sent = desk_of(folder), list[Payload]()

    async def add_ons(account_id: str, _: str) -> AddOns:
        open_one = add_on(action("subscribe_now"), action("request_feature"))
        return AddOns(account_id=account_id, user_id="olivia", role="owner", timezone=ZONE, add_ons=(open_one,))

    async def ask(command: Payload, _: str) -> None:
        sent.append(command)

    desk.client.add_ons = add_ons  # type: ignore[assignment, method-assign]
    desk.ask = ask  # type: ignore[assignment, method-assign]
    async with browsing(desk) as client:
        await sign_in(client, token_of(folder, **MEMBER))
        yield desk, client, sent


def value_of(page: httpx.Response, name: str) -> str:
    """Return what a page's first field of a name holds."""
    return unescape(page.text.partition(f'name="{name}" value="')[2].partition('"')[0])


def end_session(desk: Dashboard, client: httpx.AsyncClient, token: str | None) -> None:
    """End the browser's session: its cookie is gone, or holds a token that has expired."""
    client.cookies.clear()
    if token is not None:
        response = Response()
        desk.sessions.write(response, Session("secret", token))
        client.cookies.set(desk.sessions.cookie, response.headers["set-cookie"].partition("=")[2].partition(";")[0])


@pytest.mark.parametrize("path", WRONG)
async def test_a_form_that_is_wrong_is_shown_again(tmp_path: Path, path: str) -> None:
    """A form that cannot be sent comes back with what was entered and a sentence at the field; nothing is sent."""
    async with at_work(tmp_path) as (_, client, sent):
        page = await client.get(path, follow_redirects=True)
        form = {"csrf": csrf_of(page), "command_id": new_id()} | WRONG[path]
        answer = await client.post(page.request.url, data=form)
    assert (answer.status_code, sent) == (422, [])
    assert answer.text.count('aria-invalid="true"') == answer.text.count('class="wrong" id="') == 1
    for name in ("note", "until"):
        assert WRONG[path].get(name, "") in answer.text


async def test_a_form_of_staff_that_is_wrong_is_shown_again(tmp_path: Path) -> None:
    """What staff entered beside a figure that is none is still there, and so is the figure."""
    form = {"order": "activate", "id": "acme", "add_on": "analytics_plus", "price": "a lot", "currency": "EUR"}
    form |= {"standard": "9", "frequency": "annual", "effective_date": "2027-02-01", "reason": NOTE}
    async with at_work(tmp_path) as (_, client, sent):
        await sign_in(client, token_of(tmp_path, sub="mara", scope=STAFF_SCOPE))
        page = await client.get(
            "/back-office/order?id=acme&order=activate&add_on=analytics_plus", follow_redirects=True
        )
        form |= {"csrf": csrf_of(page), "command_id": new_id()}
        answer = await client.post(page.request.url, data=form)
    said = unescape(answer.text)
    assert (answer.status_code, sent) == (422, [])
    assert 'aria-describedby="price-hint price-wrong" aria-invalid="true"' in said
    assert "a lot EUR is no amount" in said
    for kept in ("a lot", "EUR", "9", "2027-02-01"):
        assert f'value="{kept}"' in said
    assert 'value="annual" selected' in said
    assert f">{NOTE}</textarea>" in said


@pytest.mark.parametrize("expired", [True, False], ids=["token expired", "cookie gone"])
async def test_what_was_entered_outlives_a_session(tmp_path: Path, *, expired: bool) -> None:
    """A form that is sent after its session has ended waits for the sign-in, is shown again, and then goes out."""
    async with at_work(tmp_path) as (desk, client, sent):
        page = await client.get("/request/analytics_plus", follow_redirects=True)
        form = {"csrf": csrf_of(page), "type": "RequestFeature", "add_on": "analytics_plus", "note": NOTE}
        form |= {"command_id": value_of(page, "command_id"), "caller": "any name", "resumed": "yes"}
        end_session(desk, client, expired_token_of(tmp_path, **MEMBER) if expired else None)
        asked = await client.post(page.request.url, data=form)
        assert asked.status_code == 401
        asking = {name: value_of(asked, name) for name in ("csrf", "next", "kept")}
        kept = await client.post("/sign-in", data=asking | {"token": token_of(tmp_path, **MEMBER)})
        assert NOTE in unescape(kept.text)
        form |= {"csrf": csrf_of(kept), "resumed": value_of(kept, "resumed"), "note": value_of(kept, "note")}
        shown = await client.post(asking["next"], data=form)
        assert f">{NOTE}</textarea>" in unescape(shown.text)
        assert sent == []
        del form["resumed"]
        assert (await client.post(asking["next"], data=form)).status_code == 303
    assert [(each.ce_type, getattr(each, "note", None)) for each in sent] == [("addons.RequestFeature.v1", NOTE)]


async def test_what_was_entered_is_kept_for_nobody_else(tmp_path: Path) -> None:
    """Whoever else signs in where a form waits does not see it."""
    async with at_work(tmp_path) as (desk, client, sent):
        page = await client.get("/request/analytics_plus", follow_redirects=True)
        end_session(desk, client, None)
        asked = await client.post(page.request.url, data={"csrf": csrf_of(page), "note": NOTE})
        asking = {name: value_of(asked, name) for name in ("csrf", "next", "kept")}
        others = await client.post(
            "/sign-in", data=asking | {"token": token_of(tmp_path, sub="sam", account_id="acme")}
        )
    assert (others.status_code, others.headers["location"], sent) == (303, "/", [])


async def test_a_form_of_an_earlier_session_is_shown_again(tmp_path: Path) -> None:
    """Who signed in anew meanwhile sends an old form: it is not sent, but shown again; another's form is refused."""
    async with at_work(tmp_path) as (_, client, sent):
        page = await client.get("/request/analytics_plus", follow_redirects=True)
        form = {"csrf": csrf_of(page), "type": "RequestFeature", "add_on": "analytics_plus", "note": NOTE}
        form["command_id"] = value_of(page, "command_id")
        await sign_in(client, token_of(tmp_path, **MEMBER))
        again = await client.post(page.request.url, data=form)
        await sign_in(client, token_of(tmp_path, sub="sam", account_id="acme"))
        of_another = await client.post(page.request.url, data=form)
    assert sent == []
    assert f">{NOTE}</textarea>" in unescape(again.text)
    assert "Nothing was sent yet" in again.text
    assert of_another.status_code == 403


async def test_the_days_of_a_form_are_the_accounts(tmp_path: Path) -> None:
    """Requests can be snoozed from the account's own day on, and a promise ends at an instant by its clocks."""
    async with at_work(tmp_path) as (desk, client, _):
        desk.clock.now = lambda: NOW  # type: ignore[method-assign]
        snooze = await client.get("/requests/snooze?add_on=analytics_plus", follow_redirects=True)

        async def promised(*_: str) -> Preview:
            return preview(promise=Promise(token="p", expires_at=NOW + timedelta(minutes=15)))

        desk.client.preview = promised  # type: ignore[assignment, method-assign]
        confirm = await client.get("/subscribe/analytics_plus/confirm", follow_redirects=True)
    assert 'min="2026-10-01"' in snooze.text
    assert "until Oct 1, 2026, 12:15\u202fAM GMT+14:00" in unescape(confirm.text)
