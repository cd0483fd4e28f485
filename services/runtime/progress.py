"""Looks at what should make progress in a process, every `log_check_ms`, for its health and its gauges.

| what | waits | its place |
|---|---|---|
| a partition that is read | records behind the last one handed out | the offset it is read from next |
| the batches under way | how many | how many are done |
| a shard's relay | outbox entries not published | the entry it has published last |
| a shard's timers | those due, when all but a batch of the shard's records is read | the earliest of them |

What waits in the same place at every look stands still. Timers wait for what must be heard before them, which is no
standstill of theirs (`hearing.py`). Cost of a look: a request to Kafka, and five commands for each shard in one round
trip to Redis, whatever is stored; one more, of at most 1,000 entries, for a shard whose relay is over a second behind.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from services.runtime import metrics
from services.runtime.clock import Clock, machine_milliseconds, to_milliseconds
from services.runtime.health import Health, Waiting
from services.runtime.kafka import LogEnds
from services.runtime.patience import Patience
from services.runtime.relay import Relay
from services.runtime.settings import Settings
from services.runtime.shards import Shards
from services.runtime.store import Pending, Store
from services.runtime.subscription import Subscription

_TICK_SECONDS = 0.25
_LAG_COUNTED_MS = 1_000
_LAG_ENTRIES_MAX = 1_000


class Reads(Protocol):
    """Where a process is in what it reads."""

    subscription: Subscription
    shards: Shards


class Progress:
    """Watches one process."""

    def __init__(
        self,
        reads: Reads,
        store: Store,
        relay: Relay,
        log_ends: LogEnds,
        clock: Clock,
        health: Health,
        patience: Patience,
        settings: Settings,
    ) -> None:
        self._reads = reads
        self._store = store
        self._relay = relay
        self._log_ends = log_ends
        self._clock = clock
        self._health = health
        self._patience = patience
        self._settings = settings
        self._late_seconds = 0.0
        self._unread: dict[TopicPartition, Waiting] = {}

    async def watch(self) -> None:
        """Look at intervals until the process stops; where one server is away, the other is looked at all the same."""
        await asyncio.gather(
            self._at_intervals(self.look_at_kafka), self._at_intervals(self.look_at_redis), self.tick()
        )

    async def _at_intervals(self, look: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._patience.pause(self._settings.log_check_ms / 1_000)
            await look()

    async def tick(self) -> None:
        """Feel how late the event loop is until the process stops. Cost: 20 µs, four times a second."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TICK_SECONDS
            await self._patience.pause(_TICK_SECONDS)
            self._late_seconds = max(self._late_seconds, loop.time() - due)

    async def look_at_kafka(self) -> None:
        """Look once at what is read: set the gauges, and tell health what waits."""
        metrics.LOOP_LAG.set(self._late_seconds)
        self._late_seconds = 0.0
        self._unread = await self._patience.until_done("reach Kafka", self._partitions)
        pipeline = self._reads.subscription.pipeline
        waiting = {f"partition {each.partition} of {each.topic}": lag for each, lag in self._unread.items()}
        waiting["batches under way"] = Waiting(pipeline.under_way, pipeline.done)
        self._health.looked("Kafka", waiting)

    async def look_at_redis(self) -> None:
        """Look once at what is to be published and fed: set the gauges, and tell health what waits."""
        waiting = {}
        for shard, waits in (await self._patience.until_done("reach Redis", self._pending)).items():
            waiting[f"relay of shard {shard}"] = Waiting(waits.unpublished, waits.cursor)
            unread = sum(lag.number for each, lag in self._unread.items() if each.partition == shard)
            if unread <= self._settings.batch_records_max:
                waiting[f"timers of shard {shard}"] = Waiting(waits.timers_due, waits.first_timer)
        self._health.looked("Redis", waiting)

    async def _partitions(self) -> dict[TopicPartition, Waiting]:
        consumer = self._reads.subscription.consumer
        found: dict[TopicPartition, Waiting] = {}
        assigned = consumer.assignment() if consumer is not None else ()
        ends = await self._log_ends.of(assigned) if assigned else {}
        for each, end in ends.items():
            with suppress(IllegalStateError):  # the group gave it to another process meanwhile
                position = await consumer.position(each)
                found[each] = Waiting(max(0, end - position), position)
        metrics.CONSUMER_LAG.clear()
        for each, lag in found.items():
            topic = each.topic.removeprefix(self._settings.namespace)
            metrics.CONSUMER_LAG.labels(topic, each.partition).set(lag.number)
        return found

    async def _pending(self) -> dict[int, Pending]:
        await self._clock.refresh()
        now_ms = to_milliseconds(self._clock.now())
        cursors = {shard: await self._relay.cursor(shard) for shard in self._reads.shards.owned}
        pending = await self._store.pending(cursors, now_ms)
        behind = [
            shard
            for shard, waits in pending.items()
            if waits.unpublished and machine_milliseconds() - waits.oldest_ms > _LAG_COUNTED_MS
        ]
        for shard in behind:
            entries = await self._store.count_outbox(shard, cursors[shard], _LAG_ENTRIES_MAX)
            pending[shard] = pending[shard]._replace(unpublished=entries)
        _show(pending, now_ms)
        return pending


def _show(pending: Mapping[int, Pending], now_ms: int) -> None:
    """Set the gauges of the shards that are owned, and of no others."""
    gauges: tuple[Any, ...] = metrics.BY_SHARD
    for gauge in gauges:
        gauge.clear()
    for shard, waits in pending.items():
        age_ms = machine_milliseconds() - waits.oldest_ms if waits.unpublished else 0
        overdue_ms = now_ms - waits.first_timer[1] if waits.first_timer else 0
        metrics.OUTBOX.labels(shard).set(waits.entries)
        metrics.RELAY_LAG.labels(shard).set(waits.unpublished)
        metrics.RELAY_LAG_SECONDS.labels(shard).set(max(0, age_ms) / 1_000)
        metrics.TIMERS_OVERDUE.labels(shard).set(waits.timers_due)
        metrics.TIMERS_OVERDUE_SECONDS.labels(shard).set(max(0, overdue_ms) / 1_000)
        metrics.GAPS_OPEN.labels(shard).set(waits.gaps)
