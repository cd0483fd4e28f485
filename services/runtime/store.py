"""The state of every account of a service, in Redis, behind two atomic calls: load and commit.

Promises (each proven over real Valkey and Redis by `tests/runtime/test_store.py`):
- A commit writes document, rows, sequences, inbox marks, outbox records, timers and gaps together or not at all.
- A commit on a version that is no longer current, or with a command that was answered before, writes nothing and says
  so: who loads again finds the version and the answer that are there.
- Repeating a call whose reply was lost changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgpack
from redis.asyncio import BlockingConnectionPool, Redis

from services.runtime import functions
from services.runtime.cluster import ClusterClient
from services.runtime.connecting import redis_client
from services.runtime.gathering import Gathering
from services.runtime.keys import ShardKeys
from services.runtime.recent import Recent
from services.runtime.settings import Settings

FIRST = "0-0"
"""The cursor before the first record of an outbox."""
_ENTRIES_PER_READ = 200
_REDIS_CONNECTIONS_MAX = 32
_CLUSTER_CONNECTIONS_MAX = 1_024  # to each node; one more would be an error, not a wait: more than are ever needed
_VERSIONS_PER_CALL = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to load of one account."""

    account_id: str
    command_ids: Sequence[str]
    rows: Sequence[str]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is stored of one account; version 0 and None where nothing is. `answers` and `rows` are as asked for."""

    version: int
    sequences: bytes | None
    document: bytes | None
    rows: Sequence[bytes | None]
    answers: Sequence[bytes | None]


@dataclass(slots=True)
class Commit:
    """One change of one account. Empty `sequences` leave the account unwritten: an unknown one stays unknown.

    Flat lists: `rows` name and JSON (empty: deleted), `inbox` command id and answer, `timers` name and due in ms (-1:
    removed), `gaps` topic and what is missing (empty: nothing).
    """

    account_id: str
    expected_version: int
    sequences: bytes = b""
    document: bytes = b""
    rows: Sequence[str | bytes] = ()
    inbox: Sequence[str | bytes] = ()
    records: Sequence[bytes] = ()
    timers: Sequence[str | int] = ()
    gaps: Sequence[str] = ()

    def packed(self) -> tuple[Any, ...]:
        """Return the positional form that `functions.lua` documents."""
        return (
            self.account_id,
            self.expected_version,
            self.sequences,
            self.document,
            self.rows,
            self.inbox,
            self.records,
            self.timers,
            self.gaps,
        )


class Pending(NamedTuple):
    """What a shard holds and what of it waits.

    `unpublished`: 0, or 1 for one or more entries behind `cursor`, the oldest from `oldest_ms`. `first_timer`: name and
    instant in ms of the earliest timer due, else None.
    """

    entries: int
    cursor: str
    unpublished: int
    oldest_ms: int
    timers_due: int
    first_timer: tuple[bytes, int] | None
    gaps: int


def _pack(value: Any) -> bytes:
    # Valkey's cmsgpack knows no bin type, so bytes travel as strings.
    return msgpack.packb(value, use_bin_type=False)  # type: ignore[no-any-return]


def _found(values: list[Any]) -> list[bytes | None]:
    return [value or None for value in values]


class Store:
    """One service's shards. `shard` is an account's partition number; all accounts of a call belong to it."""

    def __init__(self, redis: Redis, namespace: str, service: str, partitions: int, inbox_retention_ms: int) -> None:
        self._redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._reads = Gathering(redis)
        self._keys = [ShardKeys(namespace, service, shard) for shard in range(partitions)]
        self._inbox_retention_ms = inbox_retention_ms
        self.recent = Recent()

    async def load(self, shard: int, wanted: Sequence[Wanted]) -> list[Loaded]:
        """Load accounts in one call, in the order asked for. Cost: O(accounts + rows named)."""
        packed = _pack([(want.account_id, want.command_ids, want.rows) for want in wanted])
        reply = await functions.call(self._redis, "load", self._keys[shard].outbox, packed)
        return [
            Loaded(int(version), sequences or None, document or None, _found(rows), _found(answers))
            for answers, (version, sequences, document, *rows) in msgpack.unpackb(reply, raw=True)
        ]

    async def look(self, shard: int, account_id: str, rows: Sequence[str]) -> Loaded:
        """Load one account to be shown, not changed. One hash, read at one moment: no function is needed for it.

        Cost: O(rows named); one call, which others' looks may share.
        """
        fields = ("version", "document", *(f"row:{name}" for name in rows))
        version, document, *found = await self._reads.hmget(self._keys[shard].account(account_id), fields)
        return Loaded(int(version or 0), None, document or None, _found(found), ())

    async def versions(self, accounts: Sequence[tuple[int, str]]) -> list[int]:
        """Return the versions of accounts, each (shard, account id). Cost: O(accounts), one round trip a thousand."""
        versions: list[int] = []
        for first in range(0, len(accounts), _VERSIONS_PER_CALL):
            pipe = self._redis.pipeline(transaction=False)
            for shard, account_id in accounts[first : first + _VERSIONS_PER_CALL]:
                pipe.hget(self._keys[shard].account(account_id), "version")
            versions += [int(version or 0) for version in await pipe.execute()]
        return versions

    async def commit(self, shard: int, commits: Sequence[Commit]) -> list[bool]:
        """Write commits in one call; return of each whether it was written. False is a conflict: load and decide again.

        Several of one account follow each other's versions. Cost: O(commits + rows changed + commands + records).
        """
        packed = _pack([commit.packed() for commit in commits])
        verdicts, before, last = await functions.call(
            self._redis, "commit", self._keys[shard].outbox, self._inbox_retention_ms, packed
        )
        written = [verdict == 1 for verdict in verdicts]
        if last != before:
            self.recent.add(
                shard,
                before.decode(),
                last.decode(),
                [record for commit, done in zip(commits, written, strict=True) if done for record in commit.records],
            )
        return written

    async def due_timers(self, shard: int, now_ms: int, limit: int) -> list[tuple[str, str, int]]:
        """Return (account id, timer name, due in ms) of at most `limit` due timers, earliest first.

        Cost: O(log timers + limit).
        """
        members = await self._redis.zrangebyscore(
            self._keys[shard].timers, "-inf", now_ms, start=0, num=limit, withscores=True
        )
        split = ((*member.decode().rsplit(" ", 1), int(due)) for member, due in members)
        return [(account_id, name, due) for name, account_id, due in split]

    async def outbox(self, shard: int, after: str, limit: int) -> list[tuple[str, bytes]]:
        """Return (stream id, record) of the entries behind `after`, in the order of the commits.

        Whole entries, until there are `limit` records or more; none only when nothing is left. What comes beyond the
        limit is bounded by what one read asks for. What this store added itself just now is not read back (`recent`):
        its records all have the id of the last entry that their commits made.
        """
        records = self.recent.take(shard, after, limit)
        if records:
            return records
        while len(records) < limit:
            count = min(limit - len(records), _ENTRIES_PER_READ)
            entries = await self._redis.xrange(self._keys[shard].outbox, min=f"({after}", count=count)
            for entry_id, fields in entries:
                after = entry_id.decode()
                records += [(after, record) for record in fields.values()]
            if len(entries) < count:
                break
        self.recent.forget_before(shard, after)
        return records

    async def relay_position(self, shard: int) -> tuple[str, dict[str, int]]:
        """Return the relay's cursor, and per topic the first offset of the last batch a broker acknowledged."""
        stored = await self._redis.hgetall(self._keys[shard].relay)
        offsets = {
            name.decode().removeprefix("offset:"): int(offset)
            for name, offset in stored.items()
            if name.startswith(b"offset:")
        }
        return stored.get(b"cursor", FIRST.encode()).decode(), offsets

    async def advance_relay(
        self, shard: int, seen: str, cursor: str, offsets: dict[str, int], trim_before: str = ""
    ) -> bool:
        """Move the cursor from `seen` to `cursor`; False when another relay moved it meanwhile."""
        flat = [part for topic, offset in offsets.items() for part in (topic, offset)]
        return bool(
            await functions.call(self._redis, "advance", self._keys[shard].outbox, seen, cursor, trim_before, *flat)
        )

    async def rewind_relay(self, shard: int) -> None:
        """Have the whole retained outbox published again."""
        await functions.call(self._redis, "rewind", self._keys[shard].outbox)

    async def pending(self, cursors: Mapping[int, str], now_ms: int) -> dict[int, Pending]:
        """Return what waits in shards, each with the entry of its outbox published last.

        Cost: O(log timers) for a shard, one round trip for all.
        """
        pipe = self._redis.pipeline(transaction=False)
        for shard, cursor in cursors.items():
            keys = self._keys[shard]
            pipe.xlen(keys.outbox)
            pipe.xrange(keys.outbox, min=f"({cursor}", count=1)
            pipe.zcount(keys.timers, "-inf", now_ms)
            pipe.zrangebyscore(keys.timers, "-inf", now_ms, start=0, num=1, withscores=True)
            pipe.hlen(keys.gaps)
        replies = iter(await pipe.execute())
        found = {}
        for shard, cursor in cursors.items():
            entries, oldest, due, first, gaps = (next(replies) for _ in range(5))
            oldest_ms = int(oldest[0][0].partition(b"-")[0]) if oldest else 0
            first_timer = (first[0][0], int(first[0][1])) if first else None
            found[shard] = Pending(int(entries), cursor, len(oldest), oldest_ms, int(due), first_timer, int(gaps))
        return found

    async def count_outbox(self, shard: int, after: str, limit: int) -> int:
        """Count the entries of the shard's outbox behind `after`, to a limit. Cost: reads them."""
        return len(await self._redis.xrange(self._keys[shard].outbox, min=f"({after}", count=limit))

    async def outbox_length(self, shard: int) -> int:
        """Count the entries the shard's outbox retains."""
        return int(await self._redis.xlen(self._keys[shard].outbox))

    async def has_spoken(self, shard: int) -> bool:
        """Whether anything was ever said, or known to be said, of the shard's accounts."""
        return bool(await self._redis.exists(self._keys[shard].outbox, self._keys[shard].relay))

    async def gaps(self, shard: int) -> dict[str, str]:
        """Return the missing sequences of the shard: "<topic> <account>" to "4-5,9"."""
        stored = await self._redis.hgetall(self._keys[shard].gaps)
        return {name.decode(): missing.decode() for name, missing in stored.items()}


def connect_redis(settings: Settings) -> Redis:
    """Return a client for the configured Redis, or Redis Cluster; no connection is made before the first call."""
    if settings.redis_cluster:
        return ClusterClient.from_url(  # type: ignore[return-value]  # does all that is asked of a Redis here
            settings.redis_url,
            **redis_client(settings),
            max_connections=_CLUSTER_CONNECTIONS_MAX,
            socket_timeout=settings.redis_timeout_seconds,
            socket_connect_timeout=settings.redis_timeout_seconds,
        )
    pool = BlockingConnectionPool.from_url(
        settings.redis_url,
        **redis_client(settings),
        max_connections=_REDIS_CONNECTIONS_MAX,
        timeout=settings.redis_timeout_seconds,
        socket_timeout=settings.redis_timeout_seconds,
        socket_connect_timeout=settings.redis_timeout_seconds,
    )
    return Redis.from_pool(pool)
