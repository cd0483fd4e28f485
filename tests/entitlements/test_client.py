"""The Python client: what it knows, for how long, and what it answers when the service does not."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.entitlements.client import Answer, EntitlementsClient
from services.runtime.authentication import PRODUCT_SCOPE
from tests.containers import free_port
from tests.entitlements.scenario import ADD_ON, account, member, purchase
from tests.entitlements.serving import ISSUER, Served, serving

TOKEN = ISSUER.token("dialer", None, scope=PRODUCT_SCOPE)
OPEN = frozenset({"aircall_ai"})
NOWHERE = f"http://127.0.0.1:{free_port()}"


@asynccontextmanager
async def asking(url: str, **options: Any) -> AsyncIterator[EntitlementsClient]:
    """Give a client that asks again at every check, unless told otherwise."""
    known: dict[str, Any] = {"fresh_seconds": 0, "pause_seconds": 0, "timeout_seconds": 5, "fail_open": OPEN} | options
    async with EntitlementsClient(url, known.pop("token", TOKEN), **known) as client:
        yield client


def watched(client: EntitlementsClient) -> list[httpx.Response]:
    """Return a list that grows by every answer the client gets."""
    answers: list[httpx.Response] = []

    async def note(response: httpx.Response) -> None:
        answers.append(response)

    client._http.event_hooks["response"].append(note)
    return answers


def answering(client: EntitlementsClient, answer: Callable[[httpx.Request], httpx.Response]) -> None:
    """Put a service of a test's own behind a client."""
    client._http = httpx.AsyncClient(base_url="http://service", transport=httpx.MockTransport(answer))


async def test_a_check_is_what_the_service_says(served: Served) -> None:
    """What was bought is entitled, what was not is not, and the answer is new."""
    await served.tell(purchase())
    async with asking(served.url) as client:
        bought, other = await client.check("acme", ADD_ON), await client.check("acme", "aircall_ai")
    assert (bought.entitled, other.entitled) == (True, False)
    assert bought.age_seconds is not None
    assert bought.age_seconds < 1


async def test_a_fresh_answer_costs_no_call(served: Served) -> None:
    """For as long as an answer is fresh it serves every add-on of the account, with its age."""
    async with asking(served.url, fresh_seconds=60) as client:
        answers = watched(client)
        for add_on in (ADD_ON, "assist", ADD_ON):
            assert not (await client.check("acme", add_on)).stale
        first = (await client.check("acme", ADD_ON)).age_seconds or 0
        await asyncio.sleep(0.02)
        assert ((await client.check("acme", ADD_ON)).age_seconds or 0) > first
    assert len(answers) == 1


async def test_an_old_answer_is_confirmed_by_its_tag(served: Served) -> None:
    """What is not fresh is asked for again; while it holds nothing is sent, and then what changed is."""
    async with asking(served.url) as client:
        answers = watched(client)
        await client.check("acme", ADD_ON)
        assert not (await client.check("acme", ADD_ON)).entitled
        await served.tell(purchase())
        assert (await client.check("acme", ADD_ON)).entitled
    assert [each.status_code for each in answers] == [200, 304, 200]


async def test_who_waits_together_asks_once(served: Served) -> None:
    """A hundred checks of an account at once are one request, and one that is cancelled spoils no other."""
    async with asking(served.url, fresh_seconds=60) as client:
        answers = watched(client)
        checks = [asyncio.create_task(client.check("acme", ADD_ON)) for _ in range(100)]
        await asyncio.sleep(0)
        checks[0].cancel()
        found = await asyncio.gather(*checks[1:])
    assert {each.stale for each in found} == {False}
    assert len(answers) == 1


async def test_a_service_that_stopped_leaves_what_was_known(
    embedded_valkey_url: str, own_namespace: str, tmp_path: Path
) -> None:
    """When the server is stopped, the last that was known good is given, stale and with its age."""
    async with serving(embedded_valkey_url, own_namespace, tmp_path) as served:
        await served.tell(account())
        async with asking(served.url) as client:
            before = await client.check("acme", "aircall_ai")
            await served.end()
            after = await client.check("acme", "aircall_ai")
            unknown = await client.check("globex", "aircall_ai")
    assert (before.entitled, after.entitled, after.stale) == (False, False, True)
    assert (after.age_seconds or 0) > (before.age_seconds or 0)
    assert unknown == Answer(entitled=True, age_seconds=None, stale=True)


async def test_what_was_known_good_wins_over_policy(served: Served) -> None:
    """An add-on that fails closed stays open for who had it, and one that fails open closed for who had it not."""
    await served.tell(purchase())
    async with asking(served.url) as client:
        await client.check("acme", ADD_ON)
        await served.end()
        assert [(await client.check("acme", add_on)).entitled for add_on in (ADD_ON, "aircall_ai")] == [True, False]


@pytest.mark.parametrize(("add_on", "entitled"), [("aircall_ai", True), (ADD_ON, False)])
async def test_policy_decides_when_nothing_is_known(add_on: str, entitled: bool) -> None:
    """Where nobody ever answered, an add-on fails open only if it is said to."""
    async with asking(NOWHERE) as client:
        assert await client.check("acme", add_on) == Answer(entitled, None, stale=True)


async def test_what_is_too_old_is_known_no_more(served: Served) -> None:
    """Behind `stale_seconds_max` the policy decides, whatever was known."""
    async with asking(served.url, stale_seconds_max=60) as client:
        assert not (await client.check("acme", "aircall_ai")).entitled
        await served.end()
        client._known["acme"].at -= 61
        assert await client.check("acme", "aircall_ai") == Answer(entitled=True, age_seconds=None, stale=True)


@pytest.mark.parametrize("proxy", [None, 404, 502])
async def test_a_service_that_is_away_is_left_alone(proxy: int | None) -> None:
    """After a failure, or a proxy's answer, no account is asked about for a while: checks then cost no waiting."""
    async with asking(NOWHERE, pause_seconds=60) as client:
        asked = 0

        def refuse(_: httpx.Request) -> httpx.Response:
            nonlocal asked
            asked += 1
            if proxy is None:
                raise httpx.ConnectError("away")
            return httpx.Response(proxy, text="no upstream")

        answering(client, refuse)
        for account_id in ("acme", "globex", "acme"):
            assert (await client.check(account_id, ADD_ON)).stale
    assert asked == 1


@pytest.mark.parametrize("pause_seconds", [5, 0.05])
async def test_a_service_that_hangs_costs_the_time_that_was_given(pause_seconds: float) -> None:
    """A server that says nothing, or a little now and then, is given up after `timeout_seconds`."""

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            for number in range(100):
                await asyncio.sleep(pause_seconds)
                writer.write(b"HTTP/1.1 200 OK\r\n" if number == 0 else b"x: y\r\n")
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with asking(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", timeout_seconds=0.1) as client:
        started = asyncio.get_running_loop().time()
        assert (await client.check("acme", ADD_ON)).stale
        assert asyncio.get_running_loop().time() - started < 2
    server.close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(401, json={"reason": "token_invalid"}),
        httpx.Response(404, text="not here"),
        httpx.Response(302, headers={"Location": "http://elsewhere"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"entitlements": 7}),
        httpx.Response(200, json={"entitlements": [{"add_on": ADD_ON, "entitled": "perhaps"}]}),
        httpx.Response(304),
    ],
    ids=["500", "401", "a proxy's 404", "302", "html", "no list", "no boolean", "304 without a tag"],
)
async def test_what_is_no_answer_changes_nothing(answer: httpx.Response) -> None:
    """An error, a proxy's page or nonsense is not taken for an answer: what was known stays, with its age."""
    good = httpx.Response(200, json={"entitlements": [{"add_on": ADD_ON, "entitled": True, "new_field": 1}]})
    async with asking(NOWHERE) as client:
        answering(client, lambda _: answer)
        assert await client.check("acme", "aircall_ai") == Answer(entitled=True, age_seconds=None, stale=True)
        answering(client, lambda _: good)
        assert (await client.check("acme", ADD_ON)).entitled
        answering(client, lambda _: answer)
        if answer.status_code != 304:
            later = await client.check("acme", ADD_ON)
            assert (later.entitled, later.stale) == (True, True)


async def test_an_account_that_the_service_does_not_know_is_left_to_policy(served: Served) -> None:
    """An account nobody told of is not answered for, and is not asked about again at each check."""
    async with asking(served.url, fresh_seconds=60, pause_seconds=60) as client:
        answers = watched(client)
        found = [await client.check("nobody", add_on) for add_on in ("aircall_ai", ADD_ON)]
        assert not (await client.check("acme", ADD_ON)).stale
    assert [each.entitled for each in found] == [True, False]
    assert [each.status_code for each in answers] == [404, 200]


async def test_retry_after_is_heeded() -> None:
    """A service that says when to come again is asked no sooner, but within a minute whatever it says."""
    asked = 0

    def busy(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        return httpx.Response(429, headers={"Retry-After": "99999"})

    async with asking(NOWHERE) as client:
        answering(client, busy)
        for _ in range(3):
            await client.check("acme", ADD_ON)
        assert asked == 1
        assert client._paused_until - asyncio.get_running_loop().time() <= 60


async def test_what_is_kept_is_bounded(served: Served) -> None:
    """Of more accounts than may be kept, those that were not asked about longest are forgotten."""
    async with asking(served.url, fresh_seconds=60, accounts_max=2) as client:
        for account_id in ("acme", "nobody", "acme", "globex"):
            await client.check(account_id, ADD_ON)
        assert list(client._known) == ["acme", "globex"]


async def test_a_token_may_be_renewed(served: Served) -> None:
    """What gives the token is asked for each request; when it fails a check still has an answer."""
    tokens = iter([TOKEN])
    async with asking(served.url, token=lambda: next(tokens)) as client:
        assert not (await client.check("acme", ADD_ON)).entitled
        assert (await client.check("acme", ADD_ON)).stale


@pytest.mark.parametrize("account_id", ["a?b#c%2F;:@&=+$,", "...", "\\\\x"])
async def test_an_account_id_is_one_part_of_the_path(served: Served, account_id: str) -> None:
    """Whatever stands in an id that an account can have, that account is asked about and no other."""
    theirs = {"account_id": account_id}
    await served.tell(*(each.model_copy(update=theirs) for each in (account(), member("owner"), purchase())))
    async with asking(served.url) as client:
        assert (await client.check(account_id, ADD_ON)).entitled
        assert not (await client.check("acme", ADD_ON)).entitled


@pytest.mark.parametrize("account_id", ["two words", "acme/entitlements/x?", "..", "", "é", "\ud800", "x" * 100_000])
async def test_an_id_that_no_account_has_is_not_asked_about(served: Served, account_id: str) -> None:
    """What can be no account's id is left to policy, costs no call, and says nothing about the service."""
    async with asking(served.url, pause_seconds=60) as client:
        answers = watched(client)
        assert await client.check(account_id, "aircall_ai") == Answer(True, None, stale=True)
        assert (await client.check("acme", ADD_ON)).age_seconds is not None
    assert [each.status_code for each in answers] == [200]


async def test_a_refused_account_is_refused_alone(served: Served) -> None:
    """A token that may not ask about one account has an answer for its own, which nobody waits for."""
    async with asking(served.url, token=ISSUER.token("owner", "acme"), pause_seconds=60) as client:
        assert await client.check("globex", ADD_ON) == Answer(False, None, stale=True)
        assert (await client.check("acme", ADD_ON)).age_seconds is not None


@pytest.mark.parametrize("status", [403, 404, 422])
async def test_what_the_service_refuses_is_said_of_that_account_alone(status: int) -> None:
    """A problem of the service's own about one account changes no other's checks, and is not asked for at each."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if "refused" in request.url.path:
            return httpx.Response(status, json={"type": "urn:addonflow:problem:whatever"})
        return httpx.Response(200, json={"entitlements": [{"add_on": ADD_ON, "entitled": True}]})

    async with asking(NOWHERE, fresh_seconds=60, pause_seconds=60) as client:
        answering(client, answer)
        assert await client.check("refused", "aircall_ai") == Answer(True, None, stale=True)
        assert await client.check("refused", ADD_ON) == Answer(False, None, stale=True)
        assert (await client.check("acme", ADD_ON))[::2] == (True, False)
    assert len(asked) == 2
