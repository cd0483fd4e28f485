"""Reads that go together: each has its own answer, whatever happens to the others."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from services.runtime.gathering import Gathering
from services.runtime.store import Commit, Store


def counted(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the size of each call the gathering makes."""
    sizes: list[int] = []
    call = Gathering._call

    async def counting(self: Gathering, reads: Any) -> Any:
        sizes.append(len(reads))
        return await call(self, reads)

    monkeypatch.setattr(Gathering, "_call", counting)
    return sizes


async def test_each_read_has_its_own_answer(embedded_redis: Redis, namespace: str) -> None:
    """However many are asked at once, and across calls, each gets the fields of its own hash."""
    gathering = Gathering(embedded_redis)
    for number in range(450):
        await embedded_redis.hset(f"{namespace}{number}", "n", number)
    reads = (gathering.hmget(f"{namespace}{number}", ("n", "none")) for number in range(450))
    assert await asyncio.gather(*reads) == [[str(number).encode(), None] for number in range(450)]


async def test_reads_that_come_meanwhile_go_together(
    embedded_redis: Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a call is under way what is asked for waits, and is one call; a call has at most 200 reads."""
    sizes = counted(embedded_redis, monkeypatch)
    gathering = Gathering(embedded_redis)
    first = asyncio.create_task(gathering.hmget(f"{namespace}a", ("n",)))
    while not sizes:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)
    await asyncio.gather(first, *(gathering.hmget(f"{namespace}a", ("n",)) for _ in range(250)))
    assert sizes == [1, 200, 50]


async def test_a_read_that_fails_fails_alone(embedded_redis: Redis, namespace: str) -> None:
    """A key of another type is an error of whoever asked for it, and of nobody else."""
    gathering = Gathering(embedded_redis)
    await embedded_redis.set(f"{namespace}text", "x")
    await embedded_redis.hset(f"{namespace}hash", "n", "1")
    keys = [f"{namespace}{name}" for name in ("hash", "text", "hash")]
    found = await asyncio.gather(*(gathering.hmget(key, ("n",)) for key in keys), return_exceptions=True)
    assert (found[0], found[2]) == ([b"1"], [b"1"])
    assert isinstance(found[1], ResponseError)


async def test_everybody_is_told_that_redis_is_away() -> None:
    """Without Redis every read fails, also later ones, and none waits for ever."""
    gathering = Gathering(Redis(port=1, retry=Retry(NoBackoff(), 0)))
    for _ in range(2):
        found = await asyncio.gather(*(gathering.hmget("a", ("n",)) for _ in range(5)), return_exceptions=True)
        assert [type(each) for each in found] == [RedisConnectionError] * 5


async def test_a_reader_that_is_cancelled_spoils_no_other(embedded_redis: Redis, namespace: str) -> None:
    """Who gives up before the answer leaves the others theirs."""
    gathering = Gathering(embedded_redis)
    await embedded_redis.hset(f"{namespace}a", "n", "1")
    reads = [asyncio.create_task(gathering.hmget(f"{namespace}a", ("n",))) for _ in range(3)]
    await asyncio.sleep(0)
    reads[0].cancel()
    assert await asyncio.gather(*reads[1:]) == [[b"1"], [b"1"]]
    assert await gathering.hmget(f"{namespace}a", ("n",)) == [b"1"]


async def test_what_is_shown_is_what_was_committed(embedded_store: Store) -> None:
    """A look has version, document and the rows named, as `load` has them; an unknown account is version 0."""
    await embedded_store.commit(1, [Commit("acme", 0, b"\x92\x80\x80", b"{}", rows=("member:olga", b"[1]"))])
    seen = await embedded_store.look(1, "acme", ("member:olga", "member:sam"))
    assert (seen.version, seen.document, seen.rows) == (1, b"{}", [b"[1]", None])
    unknown = await embedded_store.look(1, "globex", ())
    assert (unknown.version, unknown.document) == (0, None)
    assert await embedded_store.versions([(1, "acme"), (1, "globex"), (2, "acme")]) == [1, 0, 0]
