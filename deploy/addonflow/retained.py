"""What the outboxes of the services still hold: every record as it was, and will be, published.

Only what the relay has published is read here. The rest is the relay's to publish, in its order.

Cost: the retained outbox of one shard, page by page: a stream knows no accounts.
"""

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis

from contracts.topics import TOPICS, Topic
from services.runtime.clock import to_milliseconds
from services.runtime.codec import Header, Outgoing, unpack
from services.runtime.sequences import Sequences
from services.runtime.settings import Settings
from services.runtime.store import FIRST, Store, Wanted

_PAGE: Final = 1_000


class Published(NamedTuple):
    """A record of an account as it is on the wire. `sequence` is 0 where it has none."""

    topic: Topic
    account_id: str
    sequence: int
    value: bytes
    headers: "tuple[Header, ...]"


def published_of(record: Outgoing) -> Published:
    """Read what of an outbox's record tells where it belongs."""
    sequence = next((int(text or 0) for name, text in record.headers if name == "ce_sequence"), 0)
    return Published(record.topic, record.key.decode(), sequence, record.value, tuple(record.headers))


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)


class Outbox:
    """One service's outboxes, read from outside."""

    def __init__(self, redis: Redis, settings: Settings, service: str) -> None:
        self._store = Store(redis, settings.namespace, service, settings.partitions, 1)
        self.service = service
        self.topics = [topic for topic in TOPICS if topic.writer == service]

    async def published(self, shard: int, since: datetime | None = None) -> AsyncGenerator[list[Published], None]:
        """Yield what is retained of a shard and was published, in order; from the commits of an instant on."""
        cursor, _ = await self._store.relay_position(shard)
        after = FIRST if since is None else f"{max(0, to_milliseconds(since) - 1)}-{2**63 - 1}"
        while entries := await self._store.outbox(shard, after, _PAGE):
            after = entries[-1][0]
            page = [record for entry_id, record in entries if _order(entry_id) <= _order(cursor)]
            if page:
                yield [published_of(unpack(record)) for record in page]
            if len(page) < len(entries):
                return

    async def waiting(self, shard: int) -> list[Published]:
        """Return what the relay has still to publish, at most some pages of it."""
        cursor, _ = await self._store.relay_position(shard)
        return [published_of(unpack(record)) for _, record in await self._store.outbox(shard, cursor, _PAGE)]

    async def sequences(self, shard: int, account_id: str) -> Sequences:
        """Return what the service knows to have said and read of an account."""
        [loaded] = await self._store.load(shard, [Wanted(account_id, (), ())])
        return Sequences.load(loaded.sequences)

    async def gaps(self, shard: int) -> dict[str, str]:
        """Return what is noted as missing in a shard: "<topic> <account>" to "4-5,9"."""
        return await self._store.gaps(shard)


async def publish_again(producer: Any, settings: Settings, shard: int, records: list[Published]) -> None:
    """Publish records as they were, in the partition of their account; returns when all are acknowledged."""
    acknowledged = [
        await producer.send(
            settings.namespace + each.topic.name,
            each.value,
            key=each.account_id.encode(),
            partition=shard,
            headers=list(each.headers),
        )
        for each in records
    ]
    for each in acknowledged:
        await each
