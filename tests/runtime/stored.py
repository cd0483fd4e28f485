"""What a store holds, read back: for the store's suites."""

from typing import Any

from redis.asyncio import Redis

from contracts import topics
from services.runtime.store import FIRST, Loaded, Store, Wanted

COMMITTED, CONFLICT = True, False
NOTHING = Loaded(0, None, None, [], [])
EVERYTHING: dict[str, Any] = {
    "document": b'{"count":1}',
    "rows": ["person:ann", b'{"count":1}', "person:bob", b'{"count":2}'],
    "inbox": ["command-1", b'{"accepted":true}', "command-2", b'{"accepted":false}'],
    "records": [b"first", b"second \xff\x00"],
    "timers": ["alarm", 1_000],
    "gaps": [topics.EVENTS.name, "2-3"],
}


async def one(store: Store, account_id: str = "acme", *rows: str, command: str = "") -> Loaded:
    """Load one account with rows and the answer to a command."""
    (loaded,) = await store.load(0, [Wanted(account_id, [command] if command else [], rows)])
    return loaded


async def records(store: Store, shard: int = 0) -> list[bytes]:
    """Read the whole outbox of a shard."""
    return [entry for _, entry in await store.outbox(shard, FIRST, 10_000)]


async def everything(redis: Redis, namespace: str) -> dict[bytes, bytes]:
    """Read every key of a namespace, whatever its type, in the server's own serialisation."""
    keys = [key async for key in redis.scan_iter(match=f"*{namespace}*", count=1_000)]
    return {key: await redis.dump(key) or b"" for key in keys}
