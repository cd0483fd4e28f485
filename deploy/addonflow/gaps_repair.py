"""Fills gaps: publishes exactly the missing records again, from where they can still be had.

    the writer's outbox ─▶ else its topic, where the reader passed them over ─▶ else they are lost, which is said

A record that the reader itself has set aside is a dead letter: it is replayed by its own command, which marks it. One
that this release cannot read would only be set aside again. One that waits in the outbox is about to be published.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from redis.asyncio import Redis

from contracts.topics import Topic
from deploy.addonflow.dead_letters import Choice, Letter, read_letters
from deploy.addonflow.gaps import Gap, merged
from deploy.addonflow.history import Logs
from deploy.addonflow.ranges import Ranges, count, holds, ranges_of, without
from deploy.addonflow.retained import Outbox, Published, publish_again
from services.runtime.sequences import ranges_text
from services.runtime.settings import Settings

_Wanted = dict[tuple[Topic, str], Ranges]


@dataclass(slots=True)
class Repaired:
    """What was published again from outbox and log, and sentences about what was not."""

    from_outbox: int = 0
    from_log: int = 0
    left: list[str] = field(default_factory=list)

    @property
    def published(self) -> int:
        """How many records were published."""
        return self.from_outbox + self.from_log


@dataclass
class Repair:
    """One run. Without a producer it only looks."""

    redis: Redis
    log: Logs
    producer: Any
    settings: Settings
    now: datetime
    repaired: Repaired = field(default_factory=Repaired)

    async def shard(self, shard: int, gaps: Sequence[Gap]) -> None:
        """Fill the gaps of a shard. Cost: its writers' outboxes, then the topics of what is not in them."""
        wanted = merged(gaps)
        for reader in sorted({gap.reader for gap in gaps}):
            await self._leave_letters(shard, reader, gaps, wanted)
        for service in sorted({topic.writer for topic, _ in wanted}):
            await self._from_outbox(shard, Outbox(self.redis, self.settings, service), wanted)
        for topic in {topic for (topic, _), ranges in wanted.items() if ranges}:
            await self._from_log(shard, topic, wanted)
        for (topic, account_id), ranges in wanted.items():
            if ranges:
                self._leave(topic, account_id, ranges, "are neither retained nor in the topic: they are lost")

    async def _leave_letters(self, shard: int, reader: str, gaps: Sequence[Gap], wanted: _Wanted) -> None:
        mine = merged(gap for gap in gaps if gap.reader == reader)
        choice = Choice(now=self.now, service=reader)
        async with aclosing(read_letters(self.log, self.settings.partitions, choice, (shard,))) as letters:
            async for letter, settled in letters:
                key = (letter.topic, letter.seen.account_id)
                if settled is None and key in mine and holds(mine[key], letter.seen.sequence or 0):
                    self._leave_letter(letter, letter.seen.sequence or 0, wanted)

    def _leave_letter(self, letter: Letter, sequence: int, wanted: _Wanted) -> None:
        topic, account_id = letter.topic, letter.seen.account_id
        if holds(wanted[topic, account_id], sequence):
            wanted[topic, account_id] = without(wanted[topic, account_id], [(sequence, sequence)])
            text = f"was set aside by {letter.service}: `addonflow dead-letters replay {letter.id}`"
            self._leave(topic, account_id, [(sequence, sequence)], text)

    async def _from_outbox(self, shard: int, outbox: Outbox, wanted: _Wanted) -> None:
        async with aclosing(outbox.published(shard)) as pages:
            async for page in pages:
                self.repaired.from_outbox += await self._publish(shard, page, wanted)
        waiting: defaultdict[tuple[Topic, str], list[int]] = defaultdict(list)
        for each in await outbox.waiting(shard):
            key = (each.topic, each.account_id)
            if key in wanted and holds(wanted[key], each.sequence):
                waiting[key].append(each.sequence)
        for (topic, account_id), sequences in waiting.items():
            ranges = ranges_of(sequences)
            wanted[topic, account_id] = without(wanted[topic, account_id], ranges)
            self._leave(topic, account_id, ranges, "are about to be published for the first time")

    async def _from_log(self, shard: int, topic: Topic, wanted: _Wanted) -> None:
        place = (topic.name, shard)
        async for batch in self.log.read(place, *(await self.log.bounds([place]))[place]):
            page = [_published(record, topic) for record in batch]
            self.repaired.from_log += await self._publish(shard, page, wanted)

    async def _publish(self, shard: int, page: Sequence[Published], wanted: _Wanted) -> int:
        found = []
        for each in page:
            key = (each.topic, each.account_id)
            if each.sequence and key in wanted and holds(wanted[key], each.sequence):
                wanted[key] = without(wanted[key], [(each.sequence, each.sequence)])
                found.append(each)
        if found and self.producer is not None:
            await publish_again(self.producer, self.settings, shard, found)
        return len(found)

    def _leave(self, topic: Topic, account_id: str, ranges: Ranges, why: str) -> None:
        number = f"{count(ranges)} record{'' if count(ranges) == 1 else 's'}"
        self.repaired.left.append(f"{topic.name} of {account_id}: {ranges_text(ranges)} ({number}) {why}")


def _published(record: Any, topic: Topic) -> Published:
    sequence = next((text or b"" for name, text in record.headers if name == "ce_sequence"), b"")
    account_id = (record.key or b"").decode(errors="replace")
    number = int(sequence) if sequence.isdigit() else 0
    return Published(topic, account_id, number, record.value, tuple(record.headers))
