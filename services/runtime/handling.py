"""The one path every message takes, for every service.

    batch ─▶ decode ─▶ per shard: load ─▶ decide ─▶ evolve ─▶ commit ─▶ (the caller moves the offset)
               └─ unreadable ─▶ dead letter

Promises, each proven by `tests/runtime/test_handling.py` and `tests/chaos`:
- A message has one effect however often it is delivered, in whatever order, by however many processes.
- `handle_records` returns only when everything about the batch is durable; it never gives up on trouble and never
  raises for what a record contains. Only `Stopping` (nothing acknowledged) and defects leave it.
- A batch costs one load and one commit per shard, whatever the number of its messages or the size of its accounts.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from typing import Generic

from contracts.topics import Topic
from services.runtime import metrics
from services.runtime.clock import Clock
from services.runtime.codec import Record, Unreadable, decode
from services.runtime.committing import Committing, Failure
from services.runtime.dead_letters import DeadLetter, DeadLetters
from services.runtime.decision import D
from services.runtime.delivery import Delivery
from services.runtime.errors import ConflictsExhausted, Stopping
from services.runtime.keys import shard_of
from services.runtime.logs import fields
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.turns import Turns

log = logging.getLogger("addonflow.handling")
_LANES = 4
_LANE_DELIVERIES_MIN = 100
_CONTENDED_SECONDS = 0.05
_LETTERS_AT_ONCE = 100


class Handling(Generic[D]):
    """Handles batches of one service. `wake` is called with a shard when records were added to its outbox."""

    def __init__(
        self,
        *,
        committing: Committing[D],
        topics: Sequence[Topic],
        dead_letters: DeadLetters,
        patience: Patience,
        clock: Clock,
        settings: Settings,
        wake: Callable[[int], None],
    ) -> None:
        self._committing = committing
        self._topics = {settings.namespace + topic.name: topic for topic in topics}
        self._dead_letters = dead_letters
        self._patience = patience
        self._clock = clock
        self._settings = settings
        self._wake = wake
        self._reading = asyncio.Lock()
        self._gave_up = False
        self._last: dict[tuple[int, int], asyncio.Task[None]] = {}
        self._turns = Turns(self._commit)

    async def handle_records(self, records: Sequence[Record], whole: Container[tuple[str, int]] = frozenset()) -> None:
        """Handle a batch of Kafka records of any topics and partitions; facts of an account go before its commands.

        `whole`: the (topic, partition)s whose logs have their beginning, so that a first sequence above 1 is a gap.
        Several calls may be under way: they start in the order of the calls, and an account's messages keep it.
        """
        with metrics.BATCH_SECONDS.time():
            async with self._reading:
                shards = await self._read_in_turn(records, whole)
                works = [work for shard, deliveries in shards.items() for work in self._start(shard, deliveries)]
            await asyncio.gather(*works)

    async def _read_in_turn(
        self, records: Sequence[Record], whole: Container[tuple[str, int]]
    ) -> dict[int, list[Delivery]]:
        if self._gave_up:  # a batch that overtook one would make its sequences look like the start of a trimmed log
            raise Stopping
        try:
            return await self._read(records, whole)
        except BaseException:
            self._gave_up = True
            raise

    async def _read(self, records: Sequence[Record], whole: Container[tuple[str, int]]) -> dict[int, list[Delivery]]:
        shards: defaultdict[int, list[Delivery]] = defaultdict(list)
        letters: list[DeadLetter] = []
        for record in records:
            topic = self._topics[record.topic]
            read = decode(record, topic, self._settings.value_bytes_max)
            if isinstance(read, Unreadable):
                letters.append(DeadLetter(record, topic, read))
                continue
            shard = shard_of(read.account_id, self._settings.partitions)
            if shard != record.partition:
                self._misrouted(record, shard)
            trimmed = (record.topic, record.partition) not in whole
            shards[shard].append(Delivery.of(read, topic, record, trimmed=trimmed))
        await self._set_all_aside(letters)
        for deliveries in shards.values():
            deliveries.sort(key=lambda delivery: not delivery.is_fact)
        return shards

    async def handle_request(self, shard: int, delivery: Delivery) -> None:
        """Decide a command that came over HTTP, in its account's turn.

        It takes no lane, where it would wait for as long as Redis is away: an account may change meanwhile, and the
        version check has it decided again. Raises what Redis raises, ConflictsExhausted, Crowded, Stopping.
        """
        if self._patience.stopping:
            raise Stopping
        await self._turns.take(shard, delivery)
        self._wake(shard)

    async def handle_timers(self, shard: int, due: Sequence[tuple[str, str, int]]) -> None:
        """Handle due timers of one shard, each an account id, a name and the instant in ms since the epoch."""
        works = self._start(shard, [Delivery.of_timer(*timer) for timer in due])
        await asyncio.wait(works)  # a cancelled feed leaves them be: what stands behind them in a lane needs their end
        for work in works:
            work.result()

    def _start(self, shard: int, deliveries: list[Delivery]) -> list["asyncio.Task[None]"]:
        """Start deciding deliveries in their lanes, each behind what was started there before.

        Many are split by account: while one lane waits for Redis another is decided. Few take all lanes at once.
        """
        if len(deliveries) < _LANES * _LANE_DELIVERIES_MIN:
            return [self._start_in(shard, range(_LANES), deliveries)]
        lanes: list[list[Delivery]] = [[] for _ in range(_LANES)]
        for delivery in deliveries:
            lanes[hash(delivery.account_id) % _LANES].append(delivery)
        return [self._start_in(shard, (number,), lane) for number, lane in enumerate(lanes) if lane]

    def _start_in(self, shard: int, lanes: Sequence[int], deliveries: list[Delivery]) -> "asyncio.Task[None]":
        before = {self._last[shard, lane] for lane in lanes if (shard, lane) in self._last}
        task = asyncio.create_task(self._work(before, shard, deliveries))
        self._last.update(((shard, lane), task) for lane in lanes)
        return task

    async def _work(self, before: set["asyncio.Task[None]"], shard: int, deliveries: list[Delivery]) -> None:
        if before:
            await asyncio.wait(before)
            if any(task.cancelled() or task.exception() for task in before):
                raise Stopping  # what came before was given up, so nothing behind it may overtake it
        failures = await self._settle(shard, deliveries)
        self._wake(shard)
        await self._set_all_aside(
            [
                DeadLetter(
                    failure.delivery.origin, failure.delivery.topic, Unreadable("handler_failed", failure.detail)
                )
                for failure in failures
                if failure.delivery.topic is not None
            ]
        )

    async def _settle(self, shard: int, deliveries: Sequence[Delivery]) -> list[Failure]:
        """Have deliveries decided, however long Redis is away, and however often others change their accounts."""
        while True:
            try:
                return await self._patience.until_done("reach Redis", lambda: self._commit(shard, deliveries))
            except ConflictsExhausted as error:
                log.warning("trying again: %s", error)
                await self._patience.pause(_CONTENDED_SECONDS)

    async def _commit(self, shard: int, deliveries: Sequence[Delivery]) -> list[Failure]:
        await self._clock.refresh()
        return await self._committing.run(shard, deliveries)

    async def _set_all_aside(self, letters: Sequence[DeadLetter]) -> None:
        """Write dead letters, some beside each other: a flood of them costs few round trips."""
        for first in range(0, len(letters), _LETTERS_AT_ONCE):
            await asyncio.gather(*map(self._set_aside, letters[first : first + _LETTERS_AT_ONCE]))

    async def _set_aside(self, letter: DeadLetter) -> None:
        await self._patience.until_done("write a dead letter", lambda: self._dead_letters.put(letter))

    def _misrouted(self, record: Record, shard: int) -> None:
        metrics.MISROUTED.labels(self._topics[record.topic].name).inc()
        log.warning(
            "a record is in another partition than its account's: its key is not the account id, or its sender does "
            "not partition by murmur2 (librdkafka: partitioner=murmur2_random)",
            extra=fields(topic=record.topic, partition=record.partition, offset=record.offset, shard=shard),
        )
