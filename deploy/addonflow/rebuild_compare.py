"""Whether what a service has in Redis is what the log says: account by account, with the answers, timers and gaps.

A timer that comes later than its account's document says was put off after a failure, and is no difference. Values are
compared, not bytes.
"""

import json
from collections.abc import Container, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from services.runtime.clock import to_milliseconds
from services.runtime.decision import Decider
from services.runtime.keys import ShardKeys
from services.runtime.rebuilt import Rebuilt
from services.runtime.sequences import Sequences
from services.runtime.stored import NewerSchema, read
from services.runtime.telling import Difference

_SCANNED: Final = 1_000
_ROW: Final = "row:"


class LiveShard:
    """What a service keeps of one shard. Reads only."""

    def __init__(self, redis: Redis, namespace: str, service: str, shard: int, decider: Decider[Any]) -> None:
        self._redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._keys = ShardKeys(namespace, service, shard)
        self._decider = decider

    async def differences(self, accounts: Sequence[Rebuilt[Any]]) -> list[Difference]:
        """Compare accounts with what is stored of them. Cost: one round trip of O(what they hold)."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for account in accounts:
                self._ask(pipe, account)
            replies = iter(await pipe.execute())
        return [difference for account in accounts for difference in self._compare(account, replies)]

    def _ask(self, pipe: Any, account: Rebuilt[Any]) -> None:
        pipe.hgetall(self._keys.account(account.account_id))
        for name in account.document.timers:
            pipe.zscore(self._keys.timers, f"{name} {account.account_id}")
        for topic in account.sequences.applied:
            pipe.hget(self._keys.gaps, f"{topic} {account.account_id}")
        for command_id in account.marks:
            pipe.get(self._keys.inbox(account.account_id, command_id))

    def _compare(self, account: Rebuilt[Any], replies: Any) -> list[Difference]:
        said = self._compare_account(account, {name.decode(): text for name, text in next(replies).items()})
        for name, due in account.document.timers.items():
            score = next(replies)
            if score is None or int(score) < to_milliseconds(due):
                said.append(f"timer {name} is {'not set' if score is None else 'set earlier'}")
        for topic, applied in account.sequences.applied.items():
            if (next(replies) or b"").decode() != applied.missing_text():
                said.append(f"what is missing of {topic} is noted otherwise")
        for command_id, mark in account.marks.items():
            stored = next(replies)
            if stored is not None and json.loads(stored) != json.loads(mark.answer):
                said.append(f"the stored answer to {command_id} is another")
        return [Difference("stored otherwise", account.account_id, text) for text in said]

    def _compare_account(self, account: Rebuilt[Any], stored: dict[str, bytes]) -> list[str]:
        if bool(stored) != account.known:
            return ["it is stored, and not in the log" if stored else "it is in the log, and not stored"]
        if not stored:
            return []
        try:
            said = self._compare_state(account, stored)
        except NewerSchema as error:
            return [str(error)]
        sequences = Sequences.load(stored.get("sequences"))
        if sequences != account.sequences:
            said.append(f"sequences are {_counted(sequences)}, the log says {_counted(account.sequences)}")
        return said

    def _compare_state(self, account: Rebuilt[Any], stored: dict[str, bytes]) -> list[str]:
        said = []
        text = stored.get("document")
        document = read(self._decider.document, text) if text else self._decider.initial()
        if document != account.document:
            said.append(f"the document differs in {', '.join(_differing(document, account.document))}")
        rows = {
            name.removeprefix(_ROW): read(self._decider.row_types[name.removeprefix(_ROW).partition(":")[0]], text)
            for name, text in stored.items()
            if name.startswith(_ROW)
        }
        told = {name: row for name, row in account.rows.items() if row is not None}
        names = sorted(name for name in rows.keys() | told.keys() if rows.get(name) != told.get(name))
        if names:
            said.append(f"{len(names)} rows differ, first {names[0]}")
        return said

    async def strangers(self, known: Container[str]) -> list[Difference]:
        """Return the stored accounts that the log does not know. Cost: a scan of the keys of the server."""
        prefix, found = self._keys.account("").encode(), set()
        async for key in self._redis.scan_iter(match=self._keys.account("*"), count=_SCANNED):
            account_id = key.removeprefix(prefix).decode()
            if account_id not in known:
                found.add(account_id)
        text = "it is stored, and not in the log"
        return [Difference("stored otherwise", account_id, text) for account_id in sorted(found)]

    async def unpublished(self) -> list[Difference]:
        """Return a difference when the outbox holds what the log lacks."""
        cursor = await self._redis.hget(self._keys.relay, "cursor")
        waiting = await self._redis.xrange(self._keys.outbox, min=b"(" + (cursor or b"0-0"), count=1)
        if not waiting:
            return []
        text = f"the outbox of {self._keys.prefix.rstrip(':')} holds records that were not published: start the service"
        return [Difference("not published", "", text)]


def _differing(stored: Any, told: Any) -> list[str]:
    fields = type(told).model_fields
    return [name for name in fields if getattr(stored, name) != getattr(told, name)]


def _counted(sequences: Sequences) -> str:
    applied = {topic: seen.highest for topic, seen in sequences.applied.items()}
    return f"said {sequences.emitted}, read {applied}"
