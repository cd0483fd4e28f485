"""The stream of what an account may use: what is sent, when, and how it ends."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from fastapi import routing
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from services.runtime.authentication import PRODUCT_SCOPE
from services.runtime.clock import SystemClock
from tests.entitlements.scenario import account, member, purchase, request, trial
from tests.entitlements.serving import ISSUER, PRODUCT, STAFF_MEMBER, Served, member_token, serving
from tests.entitlements.streams import SECONDS, Stream, streamed
from tests.tokens import bearer


async def test_a_stream_begins_with_what_holds(served: Served) -> None:
    """The first event is the very document that the check gives, with an id that begins with its version."""
    await served.tell(purchase())
    document = (await served.get("/entitlements")).json()
    async with streamed(served) as stream:
        event = await stream.event()
        assert stream.response.headers["content-type"].startswith("text/event-stream")
    assert (event["event"], json.loads(event["data"])) == ("entitlements", document)
    assert event["id"].startswith(f"{document['version']}-")


async def test_each_change_is_sent(served: Served) -> None:
    """A purchase and a trial are told as they happen."""
    async with streamed(served) as stream:
        assert await stream.accesses() == ["none", "none", "none"]
        await served.tell(purchase())
        assert await stream.accesses() == ["active", "none", "none"]
        await served.tell(trial("owner", "assist"))
        assert await stream.accesses() == ["active", "none", "trial"]


async def test_what_time_alone_changes_is_sent(served: Served) -> None:
    """The end of a trial is told though nothing was stored."""
    await served.tell(trial("owner"))
    async with streamed(served) as stream:
        assert (await stream.accesses())[0] == "trial"
        served.advance(days=15)
        assert (await stream.accesses())[0] == "none"


async def test_what_matters_to_nobody_is_not_sent(served: Served) -> None:
    """A feature request, a member and another name change the account, and nothing that it may use."""
    async with streamed(served) as stream:
        await stream.event()
        await served.tell(request(), member("admin", revision=2), account(2, name="Acme Inc."))
        served.advance(hours=5)
        assert await stream.silent()


async def test_a_day_of_a_trial_is_not_a_change(served: Served) -> None:
    """Days that pass are in `until`; a stream does not tick."""
    await served.tell(trial("owner"))
    async with streamed(served) as stream:
        await stream.event()
        served.advance(days=3)
        assert await stream.silent()


async def test_who_comes_again_is_not_told_what_they_have(served: Served) -> None:
    """With the id of the last event nothing is sent until it would be something else."""
    async with streamed(served) as stream:
        last = (await stream.event())["id"]
    await served.tell(request())
    async with streamed(served, **{"Last-Event-ID": last}) as stream:
        await served.tell(purchase())
        assert await stream.accesses() == ["active", "none", "none"]


async def test_who_comes_again_is_told_of_a_return_to_what_they_had(served: Served) -> None:
    """Only the first event may be what the caller has: what was left and is back is a change like any other."""
    async with streamed(served) as stream:
        last = (await stream.event())["id"]
    async with streamed(served, **{"Last-Event-ID": last}) as stream:
        await served.tell(trial("owner"))
        assert (await stream.accesses())[0] == "trial"
        served.advance(days=15)
        assert (await stream.accesses())[0] == "none"


async def test_who_comes_again_late_is_told_at_once(served: Served) -> None:
    """What changed between two streams is the first event of the second, also what changed by time alone."""
    await served.tell(trial("owner"))
    async with streamed(served) as stream:
        last = (await stream.event())["id"]
    served.advance(days=15)
    async with streamed(served, **{"Last-Event-ID": last}) as stream:
        assert (await stream.accesses())[0] == "none"


@pytest.mark.parametrize("last", ["", "7", "x-y-z", "0" * 4_000])
async def test_an_id_that_is_none_is_ignored(served: Served, last: str) -> None:
    """Whatever stands in Last-Event-ID, a stream begins."""
    async with streamed(served, **{"Last-Event-ID": last}) as stream:
        assert await stream.accesses() == ["none", "none", "none"]


async def test_a_quiet_stream_is_kept_alive(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment is sent while nothing happens, so that proxies keep the connection."""
    monkeypatch.setattr(routing, "_PING_INTERVAL", 0.05)
    async with streamed(served) as stream:
        await stream.event()
        assert await stream.block() == {"comment": "ping"}


async def test_a_member_follows_their_account(served: Served) -> None:
    """A member of any role may follow, an agent too."""
    async with streamed(served, **member_token("agent")) as stream:
        assert await stream.accesses() == ["none", "none", "none"]


# ---------------------------------------------------------------------------------------------------- how streams end


async def test_streams_end_with_the_process(served: Served) -> None:
    """A process that stops ends its streams properly, at once, and waits for none."""
    async with streamed(served) as one, streamed(served, **member_token()) as other:
        await one.event()
        await other.event()
        started = asyncio.get_running_loop().time()
        ending = asyncio.create_task(served.end())
        assert await one.ended()
        assert await other.ended()
    await ending
    assert asyncio.get_running_loop().time() - started < 1.5


async def test_a_stream_ends_after_its_time(embedded_valkey_url: str, own_namespace: str, tmp_path: Path) -> None:
    """A stream lasts `stream_seconds_max`, so that who may follow is asked again now and then."""
    async with serving(embedded_valkey_url, own_namespace, tmp_path, stream_seconds_max=1) as served:
        await served.tell(account())
        async with streamed(served) as stream:
            await stream.event()
            assert await stream.ended()


async def test_a_stream_ends_with_its_token(served: Served) -> None:
    """Nobody follows for longer than the token lasts."""
    soon = int(SystemClock().now().timestamp()) + 1
    async with streamed(served, **bearer(ISSUER.token("dialer", None, scope=PRODUCT_SCOPE, exp=soon))) as stream:
        await stream.event()
        assert await stream.ended()


async def test_streams_are_bounded(embedded_valkey_url: str, own_namespace: str, tmp_path: Path) -> None:
    """One stream too many is refused with 503 and when to come again; as one ends there is room."""
    async with serving(embedded_valkey_url, own_namespace, tmp_path, streams_max=2) as served:
        await served.tell(account())
        async with streamed(served) as one, streamed(served):
            await one.event()
            refused = await served.get("/entitlements/changes")
            assert (refused.status_code, refused.json()["reason"]) == (503, "unavailable")
            assert refused.headers["retry-after"] == "1"
        async with asyncio.timeout(SECONDS):
            while (await _status(served)) != 200:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)


async def test_one_caller_does_not_take_all_streams(
    embedded_valkey_url: str, own_namespace: str, tmp_path: Path
) -> None:
    """A member may have a few streams, a product or one of staff more; beyond it is 429, and the others have theirs."""
    bounds = {"streams_per_member_max": 1, "streams_per_caller_max": 2}
    streams: list[Stream] = []
    async with serving(embedded_valkey_url, own_namespace, tmp_path, **bounds) as served, AsyncExitStack() as open_:
        await served.tell(account(), *(member(role) for role in ("agent", "owner")))
        for headers, most in ((member_token("agent"), 1), (PRODUCT, 2), (STAFF_MEMBER, 2), (member_token(), 1)):
            for _ in range(most):
                streams.append(await open_.enter_async_context(streamed(served, **headers)))
                await streams[-1].event()
            refused = await served.get("/entitlements/changes", headers)
            assert (refused.status_code, refused.json()["reason"]) == (429, "too_many_requests")
            assert refused.headers["retry-after"] == "10"
        longer = int(SystemClock().now().timestamp()) + 7_200
        renewed = await served.get("/entitlements/changes", bearer(ISSUER.token("agent", "acme", exp=longer)))
        assert renewed.status_code == 429
        await open_.aclose()
        async with asyncio.timeout(SECONDS):
            while (await _status(served, member_token("agent"))) != 200:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)


async def _status(served: Served, headers: dict[str, str] = PRODUCT) -> int:
    async with served.client.stream("GET", "/v1/accounts/acme/entitlements/changes", headers=headers) as response:
        return response.status_code


# --------------------------------------------------------------------------------------------------- what streams cost


async def test_a_poll_costs_one_call_however_many_follow(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams of one account are one account in the one read of a poll, and no stream has a connection of its own."""
    asked: list[list[str]] = []
    versions = served.door.store.versions

    async def counting(accounts: list[tuple[int, str]]) -> list[int]:
        asked.append([account_id for _, account_id in accounts])
        return await versions(accounts)

    monkeypatch.setattr(served.door.store, "versions", counting)
    async with streamed(served) as one, streamed(served) as other, streamed(served) as third:
        for stream in (one, other, third):
            await stream.event()
        asked.clear()
        async with asyncio.timeout(SECONDS):
            while len(asked) < 3:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        assert asked[:3] == [["acme"]] * 3


async def test_nothing_is_polled_for_nobody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the last stream ends, the process looks for changes no more; with the next one it does again."""
    async with streamed(served) as stream:
        await stream.event()
    polls = 0
    versions = served.door.store.versions

    async def counting(accounts: list[tuple[int, str]]) -> list[int]:
        nonlocal polls
        polls += 1
        return await versions(accounts)

    await asyncio.sleep(0.1)
    monkeypatch.setattr(served.door.store, "versions", counting)
    await asyncio.sleep(0.1)
    assert polls == 0
    async with streamed(served) as stream:
        await stream.event()
        await served.tell(purchase())
        assert await stream.accesses() == ["active", "none", "none"]


async def test_streams_outlive_an_absence_of_redis(served: Served) -> None:
    """While Redis is away streams stay open and time goes on; what was missed is told when it is back."""
    await served.tell(trial("owner"))
    redis = served.door.store._redis
    async with streamed(served) as stream:
        await stream.event()
        served.door.store._redis = Redis(port=1, retry=Retry(NoBackoff(), 0))
        served.advance(days=15)
        assert (await stream.accesses())[0] == "none"
        served.door.store._redis = redis
        await served.tell(purchase())
        assert (await stream.accesses())[0] == "active"


async def test_a_defect_ends_streams_and_not_the_next(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no rule covers ends the streams, whose callers come again, and is no end of following."""

    async def broken(_: object) -> list[int]:
        raise ValueError("a defect")

    async with streamed(served) as stream:
        await stream.event()
        with monkeypatch.context() as patched:
            patched.setattr(served.door.store, "versions", broken)
            assert await stream.ended()
    async with streamed(served) as stream:
        await stream.event()
        await served.tell(purchase())
        assert (await stream.accesses())[0] == "active"
