"""The store when its server forgets its functions, is full, too old, or loses a reply: on all servers."""

from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ResponseError

from services.runtime import functions
from services.runtime.cluster import everywhere
from services.runtime.errors import ConfigurationError
from services.runtime.keys import ShardKeys
from services.runtime.store import Store
from tests.runtime.stored import COMMITTED, CONFLICT, EVERYTHING, everything, one
from tests.runtime.toys import commit


async def test_lost_functions_are_loaded_again(store: Store, redis: Redis) -> None:
    """FUNCTION FLUSH between two calls is healed by the next call."""
    await store.commit(0, [commit(document=b"kept")])
    await redis.function_flush("SYNC")

    assert (await one(store)).document == b"kept"
    await redis.function_flush("SYNC")
    assert await store.commit(0, [commit(version=1)]) == [COMMITTED]


async def test_libraries_of_two_releases_live_side_by_side(
    store: Store, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another release's library has its own name and functions; each release keeps calling its own."""
    assert await store.commit(0, [commit()]) == [COMMITTED]
    with monkeypatch.context() as other:
        text = functions._TEXT + "-- another release\n"
        other.setattr(functions, "LIBRARY", "addonflow_other")
        other.setattr(functions, "_SOURCE", text.replace("VERSION", "other"))
        assert await store.commit(0, [commit(version=1)]) == [COMMITTED]

    assert await store.commit(0, [commit(version=2)]) == [COMMITTED]
    listed: Any = await redis.function_list()
    for entries in listed.values() if isinstance(listed, dict) else [listed]:  # of a cluster, by node
        libraries = {entry[b"library_name"] if isinstance(entry, dict) else entry[1] for entry in entries}
        assert {functions.LIBRARY.encode(), b"addonflow_other"} <= libraries
    await redis.function_delete("addonflow_other")


async def test_a_server_that_refuses_the_functions_stops_the_start(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that the server cannot compile is a ConfigurationError in one line, not something to wait for."""
    monkeypatch.setattr(functions, "LIBRARY", "addonflow_broken")
    monkeypatch.setattr(functions, "_SOURCE", "#!lua name=addonflow_broken\nthis is not Lua")

    with pytest.raises(ConfigurationError, match=r"^Redis 7\+ or Valkey is needed, [^\n]*$"):
        await functions.ensure_loaded(redis)


async def test_a_server_without_functions_stops_the_start() -> None:
    """A server older than functions (it does not know the command) is a ConfigurationError too."""

    class OldServer:
        async def function_list(self, **_: str) -> None:
            raise ResponseError("unknown command 'FUNCTION', with args beginning with: 'LIST'")

    with pytest.raises(ConfigurationError, match="Redis 7"):
        await functions.ensure_loaded(OldServer())  # type: ignore[arg-type]


async def test_out_of_memory_refuses_the_commit_whole(store: Store, redis: Redis, namespace: str) -> None:
    """A full server refuses a commit and writes nothing of it; with room again the same commit is written."""
    await store.commit(0, [commit(document=b"before")])
    before = await everything(redis, namespace)
    await everywhere(redis, "CONFIG SET", "maxmemory", "1000000")
    try:
        with pytest.raises(OutOfMemoryError):
            await store.commit(0, [commit(version=1, **EVERYTHING)])
    finally:
        await everywhere(redis, "CONFIG SET", "maxmemory", "0")

    assert await everything(redis, namespace) == before
    assert await store.commit(0, [commit(version=1, **EVERYTHING)]) == [COMMITTED]


async def test_repeating_a_call_whose_reply_was_lost_changes_nothing(
    store: Store, redis: Redis, namespace: str
) -> None:
    """The same call again is a conflict for everything in it, and nothing is written twice."""
    batch = [commit(**EVERYTHING), commit("globex", records=[b"event"])]
    await store.commit(0, batch)
    before = await everything(redis, namespace)

    assert await store.commit(0, batch) == [CONFLICT, CONFLICT]

    after = await everything(redis, namespace)
    inbox = ShardKeys(namespace, "toy", 0).inbox("acme", "command-").encode()
    assert after.keys() == before.keys()
    assert [(key, dump) for key, dump in after.items() if not key.startswith(inbox) and dump != before[key]] == []
