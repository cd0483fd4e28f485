"""Publishes the outbox: the only way a service's records reach Kafka.

Promises, each proven by `tests/runtime/test_relay.py` and `tests/chaos`:
- Nothing is published that is not committed, and everything committed is published, in the order of the commits.
- The cursor moves only after the broker has acknowledged; what is published twice is the same to the byte.
- When a broker's log ends below what it acknowledged, the log was lost: the whole retained outbox is published again.
- Records are forgotten only when they are both published and older than the retention.
"""

import asyncio
import logging
from collections import defaultdict
from datetime import timedelta

from aiokafka import TopicPartition

from services.runtime import metrics
from services.runtime.clock import Clock, to_milliseconds
from services.runtime.codec import unpack
from services.runtime.errors import Stopping
from services.runtime.kafka import LogEnds, Publisher
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import FIRST, Store

log = logging.getLogger("addonflow.relay")


class Relay:
    """Publishes the outboxes of the shards this process owns."""

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        log_ends: LogEnds,
        patience: Patience,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._log_ends = log_ends
        self._patience = patience
        self._clock = clock
        self._settings = settings
        self._positions: dict[int, tuple[str, dict[str, int]]] = {}
        self._woken: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    def wake(self, shard: int) -> None:
        """Say that records were added to the shard's outbox."""
        self._woken[shard].set()

    async def run(self, shard: int) -> None:
        """Publish the shard's outbox until cancelled or stopped."""
        self._positions.pop(shard, None)
        await self._patience.until_done("check Kafka's logs", lambda: self.check_log(shard))
        loop = asyncio.get_running_loop()
        check_seconds = self._settings.log_check_ms / 1_000
        next_check = loop.time() + check_seconds
        while not self._patience.stopping:
            self._woken[shard].clear()
            published = await self._patience.until_done("publish", lambda: self.publish_some(shard))
            if not published:
                await self._wait(shard)
            if loop.time() >= next_check:
                await self._patience.until_done("check Kafka's logs", lambda: self.check_log(shard))
                next_check = loop.time() + check_seconds

    async def _wait(self, shard: int) -> None:
        try:
            async with asyncio.timeout(self._settings.relay_poll_ms / 1_000):
                await self._woken[shard].wait()
        except TimeoutError:
            return

    async def drain(self, shard: int) -> None:
        """Publish what the shard's outbox still holds, once, at a graceful stop."""
        try:
            while await self.publish_some(shard):
                pass
        except Stopping:
            return

    async def publish_some(self, shard: int) -> bool:
        """Publish the next records of the shard's outbox; return whether there were any. Cost: O(records published)."""
        cursor, offsets = await self._position(shard)
        entries = await self._store.outbox(shard, cursor, self._settings.relay_records_max)
        if not entries:
            return False
        written = await self._publisher.publish(shard, [unpack(record) for _, record in entries])
        if any(each.first_offset <= offsets.get(topic, -1) for topic, each in written.items()):
            await self._publish_again(shard)
            return True
        last = {topic: each.last_batch_offset for topic, each in written.items()}
        if await self._store.advance_relay(shard, cursor, entries[-1][0], last, self._forget_before(cursor)):
            self._positions[shard] = (entries[-1][0], offsets | last)
        else:
            del self._positions[shard]  # another relay moved the cursor: look where it stands
        for topic, each in written.items():
            metrics.PUBLISHED.labels(topic).inc(each.records)
        return True

    async def _position(self, shard: int) -> tuple[str, dict[str, int]]:
        if shard not in self._positions:
            self._positions[shard] = await self._store.relay_position(shard)
        return self._positions[shard]

    def _forget_before(self, cursor: str) -> str:
        """Return the stream id before which records are both published and past the retention, or ''."""
        if cursor == FIRST:
            return ""
        retention = timedelta(hours=self._settings.outbox_retention_hours)
        kept_since = to_milliseconds(self._clock.now() - retention)
        return f"{min(kept_since, int(cursor.partition('-')[0]))}-0"

    async def check_log(self, shard: int) -> None:
        """Publish the retained outbox again when a log ends below what its broker acknowledged. Cost: one request."""
        _, offsets = await self._position(shard)
        if not offsets:
            return
        partitions = {TopicPartition(self._settings.namespace + topic, shard): topic for topic in offsets}
        ends = await self._log_ends.of(partitions)
        if any(ends[partition] <= offsets[topic] for partition, topic in partitions.items()):
            await self._publish_again(shard)

    async def _publish_again(self, shard: int) -> None:
        metrics.LOGS_LOST.inc()
        log.error("shard %d: Kafka's log ends below what it acknowledged; publishing the retained outbox again", shard)
        self._positions.pop(shard, None)
        await self._store.rewind_relay(shard)
