"""What readers are missing of the streams they read, and where it can still be had.

Two kinds of gap exist. One between records is noted by the reader as soon as it sees what comes behind it. One at the
end is noted by nobody: the last records of an account were passed over, and nothing came behind. It shows only by
holding what the writer has said against what the reader has applied, while the reader has nothing left to read.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from redis.asyncio import Redis

from contracts.topics import BY_NAME, READERS, Kind, Topic
from deploy.addonflow.history import Logs
from deploy.addonflow.ranges import Ranges, read_ranges, without
from deploy.addonflow.rebuild_group import read_up_to
from deploy.addonflow.scanning import PAGE, key_pages
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.sequences import Applied, Sequences
from services.runtime.settings import Settings


class Gap(NamedTuple):
    """What one service is missing of an account on one topic. `at_end`: it is behind all that the service has."""

    reader: str
    topic: Topic
    account_id: str
    missing: Ranges
    at_end: bool = False


def streams_of(reader: str) -> list[Topic]:
    """Return the streams a service reads."""
    return [topic for topic in READERS[reader] if topic.kind is Kind.STREAM]


@dataclass
class Gaps:
    """Looks for the gaps of a deployment, shard by shard. Changes nothing."""

    redis: Redis
    log: Logs
    settings: Settings
    unjudged: list[str] = field(default_factory=list)

    async def noted(self, shard: int, readers: Iterable[str], account_id: str | None) -> AsyncIterator[Gap]:
        """Yield what readers have noted. Cost: one call a reader."""
        redis: Any = self.redis
        for reader in readers:
            keys = ShardKeys(self.settings.namespace, reader, shard)
            for name, text in sorted((await redis.hgetall(keys.gaps)).items()):
                topic, _, account = name.decode().partition(" ")
                if account_id in (None, account) and topic in BY_NAME:
                    yield Gap(reader, BY_NAME[topic], account, read_ranges(text.decode()))

    async def at_end(self, shard: int, readers: Iterable[str], account_id: str | None) -> AsyncIterator[Gap]:
        """Yield what was passed over at the end of streams. Cost: two reads for each account, reader and stream.

        Where a reader or a relay is still under way nothing can be told, which is noted in `unjudged`.
        """
        for reader in readers:
            for topic in streams_of(reader):
                said = {each: count async for each, count in self._said(shard, topic, account_id)}
                if not said:
                    continue
                if await self._is_under_way(shard, reader, topic):
                    self.unjudged.append(f"{reader} has still to read of {topic.name} partition {shard}")
                    continue
                for account, applied in (await self._applied(shard, reader, topic, list(said))).items():
                    highest = applied.highest if applied else 0
                    if said[account] > highest:
                        yield Gap(reader, topic, account, [(highest + 1, said[account])], at_end=True)

    async def _said(self, shard: int, topic: Topic, account_id: str | None) -> AsyncIterator[tuple[str, int]]:
        """Yield accounts with how many records of a topic their writer has said, itself published or not."""
        redis: Any = self.redis
        prefix = ShardKeys(self.settings.namespace, topic.writer, shard).account("")
        if account_id is not None:
            found = [(prefix + account_id).encode()]
            for key, stored in zip(found, [await redis.hget(found[0], "sequences")], strict=True):
                yield key.decode().removeprefix(prefix), Sequences.load(stored).emitted.get(topic.name, 0)
            return
        async for keys in key_pages(redis, prefix + "*"):
            async with redis.pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.hget(key, "sequences")
                for key, stored in zip(keys, await pipe.execute(), strict=True):
                    yield key.decode().removeprefix(prefix), Sequences.load(stored).emitted.get(topic.name, 0)

    async def _is_under_way(self, shard: int, reader: str, topic: Topic) -> bool:
        redis: Any = self.redis
        writer = ShardKeys(self.settings.namespace, topic.writer, shard)
        cursor = await redis.hget(writer.relay, "cursor") or b"0-0"
        if await redis.xrange(writer.outbox, min=b"(" + cursor, count=1):
            return True
        place = (topic.name, shard)
        begin, end = (await self.log.bounds([place]))[place]
        partition: TopicPartition = self.log.partition(place)
        marks = await read_up_to(self.log.admin, self.settings, reader, [partition])
        return begin < end and marks.get(partition, 0) < end

    async def _applied(self, shard: int, reader: str, topic: Topic, accounts: list[str]) -> dict[str, Applied | None]:
        redis: Any = self.redis
        keys = ShardKeys(self.settings.namespace, reader, shard)
        found: dict[str, Applied | None] = {}
        for first in range(0, len(accounts), PAGE):
            page = accounts[first : first + PAGE]
            async with redis.pipeline(transaction=False) as pipe:
                for account in page:
                    pipe.hget(keys.account(account), "sequences")
                for account, stored in zip(page, await pipe.execute(), strict=True):
                    found[account] = Sequences.load(stored).applied.get(topic.name)
        return found

    def shards(self, account_id: str | None) -> Iterable[int]:
        """Return the shards to look at: the account's, or all."""
        if account_id is not None:
            return [shard_of(account_id, self.settings.partitions)]
        return range(self.settings.partitions)


def merged(gaps: Iterable[Gap]) -> dict[tuple[Topic, str], Ranges]:
    """Return what is missing to any reader, by topic and account."""
    found: dict[tuple[Topic, str], Ranges] = {}
    for gap in gaps:
        known = found.setdefault((gap.topic, gap.account_id), [])
        known += without(gap.missing, known)
    return found
