"""Streams while Redis loses what it had, and while one look at an account overtakes another."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.runtime.decision import Message
from tests.entitlements.scenario import account, member, purchase, trial
from tests.entitlements.serving import Served
from tests.entitlements.streams import SECONDS, streamed


@asynccontextmanager
async def held(served: Served, method: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    """Hold the next answer of a method of the store for as long as the block lasts; the value is set as it is held."""
    reached, released = asyncio.Event(), asyncio.Event()
    real = getattr(served.door.store, method)

    async def holding(*arguments: Any) -> Any:
        found = await real(*arguments)
        if not reached.is_set():
            reached.set()
            await released.wait()
        return found

    monkeypatch.setattr(served.door.store, method, holding)
    try:
        async with asyncio.timeout(SECONDS):
            yield reached
    finally:
        released.set()


async def lose(served: Served) -> None:
    """Lose all that is stored of acme."""
    store = served.door.store
    await store._redis.delete(*(keys.account("acme") for keys in store._keys))


async def test_an_account_that_is_lost_ends_its_streams_and_no_other(served: Served) -> None:
    """When Redis loses an account its streams end, untold, and who comes again hears that nobody knows the account."""
    theirs = {"account_id": "globex"}
    await served.tell(purchase(), *(each.model_copy(update=theirs) for each in (account(), member("owner"))))
    async with streamed(served) as stream, streamed(served) as second, streamed(served, "globex") as other:
        for each in (stream, second, other):
            await each.event()
        await lose(served)
        assert await stream.ended()
        assert await second.ended()
        assert (await served.get("/entitlements/changes")).json()["reason"] == "account_unknown"
        await served.tell(purchase().model_copy(update=theirs))
        assert await other.accesses() == ["active", "none", "none"]
    await served.tell(account())
    async with streamed(served) as again:
        assert await again.accesses() == ["none", "none", "none"]


@pytest.mark.parametrize(
    "told", [[account()], [member("owner", revision=each) for each in range(2, 20)]], ids=["account", "members alone"]
)
async def test_an_account_that_is_not_whole_again_ends_its_streams(
    served: Served, monkeypatch: pytest.MonkeyPatch, told: list[Message]
) -> None:
    """What Redis has again of an account, an earlier version or members alone, is no change: its callers come again."""
    await served.tell(purchase())
    async with streamed(served) as stream:
        await stream.event()
        async with held(served, "versions", monkeypatch) as looking:
            await looking.wait()
            await lose(served)
            await served.tell(*told)
        assert await stream.ended()


async def test_a_look_that_was_overtaken_is_not_told(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a poll saw is not told any more once a new follower saw a later version: no stream goes back."""
    async with streamed(served) as stream:
        await stream.event()
        async with held(served, "look", monkeypatch) as looking:
            await served.tell(trial("owner"))
            await looking.wait()
            await served.tell(purchase())
            async with streamed(served) as second:
                assert (await second.accesses())[0] == "active"
                assert (await stream.accesses())[0] == "active"
        await served.tell(trial("owner", "assist"))
        assert await stream.accesses() == ["active", "none", "trial"]


async def test_time_does_not_go_back_either(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new follower sees what time has changed since the last poll, and a poll begun before it undoes nothing."""
    await served.tell(trial("owner"))
    async with streamed(served) as stream:
        await stream.event()
        async with held(served, "versions", monkeypatch) as looking:
            await looking.wait()
            served.advance(days=15)
            async with streamed(served) as second:
                assert (await second.accesses())[0] == "none"
                assert (await stream.accesses())[0] == "none"
        await served.tell(trial("owner", "assist"))
        assert await stream.accesses() == ["none", "none", "trial"]
