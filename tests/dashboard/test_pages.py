"""The pages over HTTP: who is let in, which forms count, and what every answer says to a browser."""

import asyncio
import re
from html import unescape
from pathlib import Path

import pytest

from contracts.accounts import MemberUpdated
from contracts.results import CommandAccepted
from services.dashboard.commands import new_id, sent_as
from services.runtime.allowance import Allowance
from services.runtime.authentication import PRODUCT_SCOPE, STAFF_SCOPE, Authentication
from tests.dashboard.desk import NOWHERE, browsing, desk_of, sign_in, token_of

MEMBER = {"sub": "olivia", "account_id": "acme"}
MEMBER_PAGES = ["/plan", "/subscribe", "/subscribe/x", "/requests", "/invoices", "/invoices/x", "/answers/x"]
STAFF_PAGES = ["/back-office", "/back-office/account?id=acme", "/back-office/order?id=acme&order=grant"]


@pytest.mark.parametrize("path", [*MEMBER_PAGES, *STAFF_PAGES])
async def test_strangers_are_asked_who_they_are(tmp_path: Path, path: str) -> None:
    """No page but the sign-in is shown to a stranger, who comes back to it afterwards."""
    async with browsing(desk_of(tmp_path)) as client:
        answer = await client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in?next=")


async def test_a_token_opens_the_plan_and_a_service_away_is_said(tmp_path: Path) -> None:
    """A member's token signs in; with entitlements away the page says so, with 503 and the navigation."""
    async with browsing(desk_of(tmp_path)) as client:
        signed_in = await sign_in(client, token_of(tmp_path, **MEMBER))
        assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/")
        page = await client.get("/plan")
    assert page.status_code == 503
    assert "a service does not answer" in page.text
    assert 'aria-label="Main"' in page.text


@pytest.mark.parametrize("token", ["", "nonsense", "a.b.c", "x" * 3_000])
async def test_a_token_that_is_none_is_refused(tmp_path: Path, token: str) -> None:
    """What is no token of this deployment's is refused in a sentence, and nobody is signed in."""
    async with browsing(desk_of(tmp_path)) as client:
        answer = await sign_in(client, token)
        assert answer.status_code in {401, 422}
        assert (await client.get("/plan")).status_code == 303


async def test_a_product_is_nobody_who_clicks(tmp_path: Path) -> None:
    """A product's token opens no page."""
    async with browsing(desk_of(tmp_path)) as client:
        assert (await sign_in(client, token_of(tmp_path, sub="p", scope=PRODUCT_SCOPE))).status_code == 403


async def test_staff_and_members_are_kept_apart(tmp_path: Path) -> None:
    """Staff see no member's page, members no page of staff: 403, and a sentence."""
    async with browsing(desk_of(tmp_path)) as client:
        await sign_in(client, token_of(tmp_path, **MEMBER))
        for path in STAFF_PAGES:
            assert (await client.get(path)).status_code == 403
        await sign_in(client, token_of(tmp_path, sub="mara", scope=STAFF_SCOPE))
        for path in MEMBER_PAGES:
            assert (await client.get(path)).status_code == 403


async def test_the_role_switcher_is_the_demonstrations_alone(tmp_path: Path) -> None:
    """Without a development key nobody can be somebody else, and the page says nothing of it."""
    async with browsing(desk_of(tmp_path)) as client:
        page = await client.get("/sign-in")
        csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        assert "/sign-in/as" not in page.text
        answer = await client.post("/sign-in/as", data={"csrf": csrf, "who": "staff"})
    assert answer.status_code == 404


async def test_a_demonstration_knows_only_its_people(tmp_path: Path) -> None:
    """Whoever the facts tell of can be chosen, and nobody else; a session of it ends with it."""
    desk = desk_of(tmp_path, demo=True)
    assert desk.demo is not None
    fact = MemberUpdated(account_id="acme", revision=1, user_id="olivia", role="owner", status="active")
    desk.demo.learn(fact)
    async with browsing(desk) as client:
        csrf = (await client.get("/sign-in")).text.partition('name="csrf" value="')[2].partition('"')[0]
        assert (await client.post("/sign-in/as", data={"csrf": csrf, "who": "acme eve"})).status_code == 422
        assert (await client.post("/sign-in/as", data={"csrf": csrf, "who": "acme olivia"})).status_code == 303
        cookies = dict(client.cookies)
    async with browsing(desk_of(tmp_path)) as later:
        later.cookies.update(cookies)
        assert (await later.get("/plan")).status_code == 303


@pytest.mark.parametrize("csrf", [None, "", "x"])
async def test_a_form_without_the_sessions_secret_has_no_effect(tmp_path: Path, csrf: str | None) -> None:
    """A form that no page of this session made is refused with 403."""
    async with browsing(desk_of(tmp_path)) as client:
        await sign_in(client, token_of(tmp_path, **MEMBER))
        data = {"type": "StartTrial"} | ({"csrf": csrf} if csrf is not None else {})
        assert (await client.post("/try/x", data=data)).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
async def test_another_sites_form_has_no_effect(tmp_path: Path, headers: dict[str, str]) -> None:
    """A form that a browser says is another site's is refused before anybody looks at it."""
    async with browsing(desk_of(tmp_path)) as client:
        answer = await client.post("/sign-out", headers=headers)
    assert answer.status_code == 403
    assert "another site" in answer.text


async def test_only_our_own_hosts_are_served(tmp_path: Path) -> None:
    """A name that merely resolves to this machine is refused; health is asked by any name."""
    async with browsing(desk_of(tmp_path), "http://rebound.example") as client:
        assert (await client.get("/sign-in")).status_code == 421
        assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize("host", ["[", "[::1", "127.0.0.1:8080]", "", "[x]"])
async def test_what_is_no_host_is_none_of_ours(tmp_path: Path, host: str) -> None:
    """A host that cannot be read is refused like another's, and so is a form that says it comes from there."""
    async with browsing(desk_of(tmp_path)) as client:
        assert (await client.get("/sign-in", headers={"host": host})).status_code == 421
        assert (await client.post("/sign-out", headers={"origin": f"http://{host}"})).status_code == 403


async def test_an_answer_is_about_the_add_on_that_was_asked_for(tmp_path: Path) -> None:
    """An address of an answer that names another add-on has no answer: nobody is told of what did not happen."""
    desk, form_id = desk_of(tmp_path), new_id()
    command_id = sent_as(form_id, "acme", "olivia", "aircall_ai")
    said = CommandAccepted(
        account_id="acme", command_id=command_id, command_type="addons.PurchaseAddOn.v1", user_id="olivia", events=()
    )
    desk.answers.take(said)

    async def nothing(*_: str) -> None:
        return None

    desk.log.answer = nothing  # type: ignore[assignment, method-assign]
    async with browsing(desk) as client:
        await sign_in(client, token_of(tmp_path, **MEMBER))
        pages = [await client.get(f"/answers/{form_id}?add_on={each}") for each in ("aircall_ai", "analytics_plus", "")]
    assert ["is yours" in page.text for page in pages] == [True, False, False]
    assert ["No answer yet" in page.text for page in pages] == [False, True, True]


@pytest.mark.parametrize("path", ["/sign-in", "/nothing-here", "/plan", "/static/dashboard.css", "/live"])
async def test_every_answer_forbids_code_from_elsewhere(tmp_path: Path, path: str) -> None:
    """Every answer says that only our own files run, and that no frame may hold it; pages are kept by no cache."""
    async with browsing(desk_of(tmp_path)) as client:
        headers = (await client.get(path)).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == ("public, max-age=3600" if path.startswith("/static") else "no-store")


@pytest.mark.parametrize("status", [429, 503])
async def test_a_page_that_cannot_be_shown_leaves_the_session(tmp_path: Path, status: int) -> None:
    """A rate limit and a key set that cannot be had are said, set no cookie, and sign nobody out."""
    desk = desk_of(tmp_path)
    async with browsing(desk) as client:
        await sign_in(client, token_of(tmp_path, **MEMBER))
        if status == 429:
            desk.allowance = Allowance(1)
            assert (await client.get("/nothing-here")).status_code == 404  # the last that is allowed
        else:
            desk.authentication = Authentication(desk.settings.model_copy(update={"token_jwks": f"{NOWHERE}/keys"}))
        refused = await client.get("/plan")
        desk.allowance, desk.authentication = Allowance(60_000), Authentication(desk.settings)
        again = await client.get("/plan")
    assert refused.status_code == status
    assert "set-cookie" not in refused.headers
    assert 'aria-label="Main"' in again.text


async def test_a_page_of_another_session_is_loaded_anew(tmp_path: Path) -> None:
    """An open page that asks for a part of itself is loaded anew where it was another session's, or nobody's now."""
    async with browsing(desk_of(tmp_path)) as client, asyncio.timeout(20):
        await sign_in(client, token_of(tmp_path, **MEMBER))
        of = (await client.get("/plan")).text.partition("/live?seen=")[2].partition("of=")[2].partition('"')[0]
        part = {"HX-Request": "true"}
        asked = [await client.get(f"/plan?of={of}", headers=part)]
        await sign_in(client, token_of(tmp_path, sub="sam", account_id="other"))
        asked += [await client.get(f"/plan?of={of}", headers=part), await client.get(f"/live?of={of}", headers=part)]
        client.cookies.clear()
        asked += [await client.get(f"/plan?of={of}", headers=part), await client.get(f"/live?of={of}", headers=part)]
    assert [each.headers.get("hx-refresh") for each in asked] == [None, "true", None, "true", None]
    assert [each.text for each in asked if "event-stream" in each.headers.get("content-type", "")] == 2 * [
        "event: session-ended\ndata: -\n\n"
    ]


async def test_where_streams_are_full_browsers_wait(tmp_path: Path) -> None:
    """A member with too many streams is answered 503, after which browsers wait ever longer."""
    desk = desk_of(tmp_path, streams_each_max=1)
    async with browsing(desk) as client, asyncio.timeout(10):  # a stream would go on for an hour
        await sign_in(client, token_of(tmp_path, **MEMBER))
        plan = unescape((await client.get("/plan")).text)
        live = "/live?" + plan.partition("/live?")[2].partition('"')[0]
        following = desk.changes.follow("acme", "olivia", "old", 60)
        await anext(following)
        answer = await client.get(live)
        await following.aclose()  # type: ignore[attr-defined]
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_over_https_cookies_go_over_nothing_else(tmp_path: Path) -> None:
    """With a public address of https the session's cookie is for it alone."""
    desk = desk_of(tmp_path, public_url="https://plan.example")
    async with browsing(desk, "https://plan.example") as client:
        cookie = (await client.get("/sign-in")).headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert "Secure" in cookie


async def test_a_large_form_is_refused(tmp_path: Path) -> None:
    """A body beyond the limit is refused unread."""
    async with browsing(desk_of(tmp_path)) as client:
        assert (await client.post("/sign-in", data={"token": "x" * 100_000})).status_code == 413


@pytest.mark.parametrize("path", ["/subscribe/x/confirm", "/request/x", "/requests/decline?add_on=x"])
async def test_a_forms_address_holds_its_command(tmp_path: Path, path: str) -> None:
    """A form is shown at an address that names its command, so that a reload is a form of the same one."""
    async with browsing(desk_of(tmp_path)) as client:
        await sign_in(client, token_of(tmp_path, **MEMBER))
        first = await client.get(path)
        second = await client.get(first.headers["location"])
    assert first.status_code == 303
    assert "command=dashboard-" in first.headers["location"]
    assert second.status_code != 303


async def test_who_waits_for_an_answer_looks_ever_more_seldom_and_not_for_ever(tmp_path: Path) -> None:
    """An address without an answer is asked a few times within about a minute; then only its reader asks again."""
    desk = desk_of(tmp_path)

    async def nothing(*_: str) -> None:
        return None

    desk.find_answer = nothing  # type: ignore[assignment, method-assign]
    waits, address = [], f"/answers/dashboard-{'0' * 32}?add_on=analytics_plus"
    async with browsing(desk) as client:
        await sign_in(client, token_of(tmp_path, **MEMBER))
        while True:
            page = await client.get(address)
            after = re.search(r'hx-get="([^"]+)"[^>]* hx-trigger="load delay:(\d+)s"', page.text)
            if after is None:
                break
            address = unescape(after[1])
            waits.append(int(after[2]))
            assert "It has been taken" not in page.text
    assert waits == sorted(waits)
    assert 40 <= sum(waits) <= 90
    assert f'/answers/dashboard-{"0" * 32}?add_on=analytics_plus">Look again' in page.text
    assert "what was never sent has no answer" in page.text
