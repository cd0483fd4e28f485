"""Publishes the outbox: the only way a service's records reach Kafka.

Promises, each proven by `tests/runtime/test_relay.py` and `tests/chaos`:
- Nothing is published that is not committed, and everything committed is published, in the order of the commits.
- The cursor moves only after the broker has acknowledged; what is published twice is the same to the byte.
- The cursor is saved when the outbox is empty, and every `relay_save_ms` while it is not: to save it costs as much as
  to read the outbox, and one that is missed only has the last records published again.
- When a broker's log ends below what it acknowledged, the log was lost: the whole retained outbox is published again.
- Records are forgotten only when they are both published and older than the retention.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from aiokafka import TopicPartition

from services.runtime import metrics
from services.runtime.clock import Clock, machine_milliseconds, to_milliseconds
from services.runtime.codec import Outgoing, unpack
from services.runtime.errors import Stopping
from services.runtime.kafka import LogEnds, Publisher
from services.runtime.logs import fields
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import FIRST, Store
from services.runtime.tracing import Traces
from services.runtime.waking import Waking

log = logging.getLogger("addonflow.relay")


@dataclass(slots=True)
class _Position:
    """Where a shard's relay stands: `cursor` and `offsets` as acknowledged, `saved` and `unsaved` what Redis lacks."""

    cursor: str
    offsets: dict[str, int]
    saved: str
    unsaved: dict[str, int] = field(default_factory=dict)

    def move(self, cursor: str, offsets: dict[str, int]) -> None:
        """Go behind what was acknowledged last."""
        self.cursor = cursor
        self.offsets.update(offsets)
        self.unsaved.update(offsets)


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
        traces: Traces | None = None,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._log_ends = log_ends
        self._patience = patience
        self._clock = clock
        self._settings = settings
        self._traces = traces
        self._positions: dict[int, _Position] = {}
        self._waking = Waking()

    def wake(self, shard: int) -> None:
        """Say that records were added to the shard's outbox."""
        self._waking.wake(shard)

    async def run(self, shard: int) -> None:
        """Publish the shard's outbox until cancelled or stopped."""
        with self._store.recent.following(shard):
            await self._run(shard)

    async def _run(self, shard: int) -> None:
        self._positions.pop(shard, None)
        await self._patience.until_done("check Kafka's logs", lambda: self.check_log(shard))
        settings, loop = self._settings, asyncio.get_running_loop()
        next_check, next_save = loop.time() + settings.log_check_ms / 1_000, 0.0
        while not self._patience.stopping:
            self._waking.looking(shard)
            published = await self._patience.until_done("publish", lambda: self.publish_some(shard))
            if self._unsaved(shard) and loop.time() >= next_save:
                await self._patience.until_done("save the relay's cursor", lambda: self.save(shard))
                next_save = loop.time() + settings.relay_save_ms / 1_000
            if published < settings.relay_records_max:
                wait_ms = settings.relay_save_ms if self._unsaved(shard) else settings.relay_poll_ms
                await self._waking.wait(shard, wait_ms)
            if loop.time() >= next_check:
                await self._patience.until_done("check Kafka's logs", lambda: self.check_log(shard))
                next_check = loop.time() + settings.log_check_ms / 1_000

    def _unsaved(self, shard: int) -> bool:
        position = self._positions.get(shard)
        return position is not None and position.cursor != position.saved

    async def drain(self, shard: int) -> None:
        """Publish what the shard's outbox still holds, once, and save the cursor, at a graceful stop."""
        try:
            while await self.publish_some(shard):
                pass
            await self.save(shard)
        except Stopping:
            return

    async def publish_some(self, shard: int) -> int:
        """Publish the next entries of the shard's outbox; return how many there were. Cost: O(records published)."""
        position = await self._position(shard)
        entries = await self._store.outbox(shard, position.cursor, self._settings.relay_records_max)
        if not entries:
            return 0
        records = [unpack(record) for _, record in entries]
        written = await self._publisher.publish(shard, records)
        if any(each.first_offset <= position.offsets.get(topic, -1) for topic, each in written.items()):
            await self._publish_again(shard)
            return len(entries)
        position.move(entries[-1][0], {topic: each.last_batch_offset for topic, each in written.items()})
        for topic, each in written.items():
            metrics.PUBLISHED.labels(topic).inc(each.records)
        _measure(entries, records)
        if self._traces is not None:
            self._traces.published(entries, records)
        return len(entries)

    async def save(self, shard: int) -> None:
        """Save the cursor if it moved; when another relay moved it meanwhile, go on from where that one stands."""
        if not self._unsaved(shard):
            return
        position = self._positions[shard]
        cursor, unsaved = position.cursor, position.unsaved
        if await self._store.advance_relay(shard, position.saved, cursor, unsaved, self._forget_before(position.saved)):
            position.saved, position.unsaved = cursor, {}
        else:
            del self._positions[shard]

    async def cursor(self, shard: int) -> str:
        """Return the entry of the shard's outbox that was acknowledged last, here or before."""
        position = self._positions.get(shard)
        return position.cursor if position is not None else (await self._store.relay_position(shard))[0]

    async def _position(self, shard: int) -> _Position:
        if shard not in self._positions:
            cursor, offsets = await self._store.relay_position(shard)
            self._positions[shard] = _Position(cursor, offsets, cursor)
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
        offsets = (await self._position(shard)).offsets
        if not offsets:
            return
        partitions = {TopicPartition(self._settings.namespace + topic, shard): topic for topic in offsets}
        ends = await self._log_ends.of(partitions)
        if any(ends[partition] <= offsets[topic] for partition, topic in partitions.items()):
            await self._publish_again(shard)

    async def _publish_again(self, shard: int) -> None:
        metrics.LOGS_LOST.inc()
        log.error(
            "Kafka's log ends below what it acknowledged; publishing the retained outbox again",
            extra=fields(shard=shard),
        )
        self._positions.pop(shard, None)
        await self._store.rewind_relay(shard)


def _measure(entries: Sequence[tuple[str, bytes]], records: Sequence[Outgoing]) -> None:
    """Measure how long records waited. Cost: 0.2 µs each."""
    now_ms = machine_milliseconds()
    waited = Counter([(entry_id, record.topic) for (entry_id, _), record in zip(entries, records, strict=True)])
    for (entry_id, topic), number in waited.items():
        committed_ms = int(entry_id.partition("-")[0])
        metrics.PUBLISH_LATENCY.observe(topic.name, (now_ms - committed_ms) / 1_000, number)
