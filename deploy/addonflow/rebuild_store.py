"""Where a rebuilt shard is kept until it takes the place of the one that is there: beside it, in the same slot.

    {service.p}:rebuild:account:<id>, {service.p}:rebuild:inbox:<…> …   as functions.lua has them, with that prefix

Every call is bounded: accounts in pages, keys by SCAN.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from redis.asyncio import Redis

from deploy.addonflow.scanning import key_pages
from services.runtime.clock import to_milliseconds
from services.runtime.codec import to_json
from services.runtime.inputs import Place
from services.runtime.keys import ShardKeys
from services.runtime.rebuilt import Rebuilt

FRESH: Final = "rebuild:"
_RECORDS_PER_ENTRY: Final = 16  # as functions.lua writes them
_PAGE: Final = 500


def _paged(entries: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(entries)
    while page := list(islice(rest, _PAGE)):
        yield page


class FreshShard:
    """One shard of a service, being rebuilt. `kept_ms`: how long the answer to a command is kept."""

    def __init__(self, redis: Redis, namespace: str, service: str, shard: int, kept_ms: int) -> None:
        self._redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._keys = ShardKeys(namespace, service, shard)
        self._fresh = self._keys.prefix + FRESH
        self._kept_ms = kept_ms

    def _renewed(self, key: str) -> str:
        return self._fresh + key.removeprefix(self._keys.prefix)

    async def is_there(self) -> bool:
        """Whether anything of the shard is stored, besides what is being rebuilt."""
        async for keys in self._scan(fresh=False):
            if keys:
                return True
        return False

    async def clear(self) -> None:
        """Forget what an earlier rebuild left. Cost: a scan of the keys of the server."""
        async for keys in self._scan(fresh=True):
            if keys:
                await self._redis.unlink(*keys)

    async def write(self, accounts: Iterable[Rebuilt[Any]], now_ms: int) -> int:
        """Write accounts, and the answers that would still be kept `now_ms`; return how many accounts are known."""
        known = 0
        async with self._redis.pipeline(transaction=False) as pipe:
            for account in accounts:
                if account.known:
                    known += 1
                    self._write_account(pipe, account)
                for command_id, mark in account.marks.items():
                    left_ms = mark.written_ms + self._kept_ms - now_ms
                    if left_ms > 0:
                        self._write_mark(pipe, account.account_id, command_id, mark.answer, left_ms)
                for first in range(0, len(account.unpublished), _RECORDS_PER_ENTRY):
                    some = account.unpublished[first : first + _RECORDS_PER_ENTRY]
                    entry = {str(number): record for number, record in enumerate(some, 1)}
                    pipe.xadd(self._renewed(self._keys.outbox), entry)
            await pipe.execute()
        return known

    def _write_account(self, pipe: Any, account: Rebuilt[Any]) -> None:
        fields: dict[str, bytes | int] = {
            "version": max(1, account.steps),
            "sequences": account.sequences.dump(),
            "document": to_json(account.document),
        }
        fields |= {f"row:{name}": to_json(row) for name, row in account.rows.items() if row is not None}
        pipe.hset(self._renewed(self._keys.account(account.account_id)), mapping=fields)
        timers = {f"{name} {account.account_id}": to_milliseconds(due) for name, due in account.document.timers.items()}
        if timers:
            pipe.zadd(self._renewed(self._keys.timers), timers)
        gaps = {
            f"{topic} {account.account_id}": applied.missing_text()
            for topic, applied in account.sequences.applied.items()
            if applied.missing
        }
        if gaps:
            pipe.hset(self._renewed(self._keys.gaps), mapping=gaps)

    def _write_mark(self, pipe: Any, account_id: str, command_id: str, answer: bytes, left_ms: int) -> None:
        pipe.set(
            self._renewed(self._keys.inbox(account_id, command_id)), answer, px=max(1, min(left_ms, self._kept_ms))
        )

    async def write_marks_from(self, accounts: Iterable[Rebuilt[Any]], resume: dict[Place, int]) -> None:
        """Write the answers to commands that will be delivered again, however old they are."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for account in accounts:
                for command_id, mark in account.marks.items():
                    if mark.offset >= resume.get(mark.place, 0):
                        self._write_mark(pipe, account.account_id, command_id, mark.answer, self._kept_ms)
            await pipe.execute()

    async def write_outbox(self, entries: Iterable[tuple[bytes, list[bytes]]], relay: dict[bytes, bytes]) -> None:
        """Write an outbox as it was kept, and its relay's place in it, before anything is added to it.

        What was published meanwhile is published again, to the byte; all of it where the logs were lost.
        """
        for some in _paged(entries):
            async with self._redis.pipeline(transaction=False) as pipe:
                for entry_id, records in some:
                    fields = {str(number): record for number, record in enumerate(records, 1)}
                    pipe.xadd(self._renewed(self._keys.outbox), fields, id=entry_id)
                await pipe.execute()
        if relay:
            await self._redis.hset(self._renewed(self._keys.relay), mapping=relay)

    async def write_relay(self, ends: dict[str, int]) -> None:
        """Have the relay know where the logs end, so that it publishes nothing again and notices one that is lost."""
        offsets = {f"offset:{topic}": end - 1 for topic, end in ends.items() if end > 0}
        if offsets:
            await self._redis.hset(self._renewed(self._keys.relay), mapping=offsets)

    async def switch(self) -> tuple[int, int]:
        """Put the rebuilt keys in the place of what is there; return how many were removed and how many put there.

        Not atomic as a whole: no process of the service may run. Interrupted, a rebuild from the start puts it right,
        if it does not compare what is left here with the log.
        """
        removed = renamed = 0
        async for keys in self._scan(fresh=False):
            if keys:
                removed += await self._redis.unlink(*keys)
        async for keys in self._scan(fresh=True):
            async with self._redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    new = self._keys.prefix.encode() + key.removeprefix(self._fresh.encode())
                    pipe.execute_command("RENAME", key, new)  # for a cluster redis-py has no `rename`
                for outcome in await pipe.execute(raise_on_error=False):
                    if not isinstance(outcome, Exception):
                        renamed += 1
                    elif "no such key" not in str(outcome):  # a scan may name a key twice
                        raise outcome
        return removed, renamed

    async def _scan(self, *, fresh: bool) -> AsyncIterator[Sequence[bytes]]:
        """Yield the shard's keys, rebuilt or not, page by page; a key may come twice."""
        prefix = self._fresh.encode()
        async for page in key_pages(self._redis, (self._fresh if fresh else self._keys.prefix) + "*"):
            yield [key for key in page if fresh or not key.startswith(prefix)]
