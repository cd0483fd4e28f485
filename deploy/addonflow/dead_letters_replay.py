"""Deals with dead letters: publishes the original records again, or says that nothing is to come of them.

A letter is replayed to the topic and partition it came from: the same key, bytes and headers, so its id is the same.
Its readers recognise what they have: a fact by its revision, a command by the answer they keep, an event by its
sequence; one that was missing fills its gap. The letter is marked once the broker has the record: a replay that is
interrupted between the two is done again, and recognised.

Left open, with the reason said, is what could not come to a good end:
- what this release cannot read either
- what was cut when it was set aside, and is not in its topic any more
- a command that another reader of its topic may have decided so long ago that it would not know it again
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition
from rich.console import Console
from rich.progress import Progress, TextColumn

from contracts.topics import READERS, Kind
from deploy.addonflow import connections
from deploy.addonflow.dead_letters import REPLAYED, Choice, Letter, Settled, mark, read_letters
from deploy.addonflow.history import logs
from services.runtime.codec import Unreadable, decode
from services.runtime.settings import Settings

CONNECT_SECONDS: Final = 5
_AT_ONCE: Final = 200
_FETCH_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Doing:
    """What is to be done: `settled` becomes the mark. `again`: also to letters that were dealt with."""

    settled: Settled
    limit: int
    dry_run: bool = False
    again: bool = False

    @property
    def replays(self) -> bool:
        """Whether records are published, or letters only marked."""
        return self.settled.outcome == REPLAYED


@dataclass(slots=True)
class Outcome:
    """What came of it: how many letters, why others were left open, how many had been dealt with before."""

    done: int = 0
    settled_before: int = 0
    left: Counter[str] = field(default_factory=Counter)
    more: bool = False


class _Dealing:
    """One run over the chosen letters."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer, consumer: Any, doing: Doing) -> None:
        self._settings = settings
        self._producer = producer
        self._consumer = consumer
        self._doing = doing
        self.outcome = Outcome()

    async def taken(self, found: AsyncIterator[tuple[Letter, Settled | None]]) -> AsyncIterator[list[Letter]]:
        """Yield the letters to be dealt with, some at a time, and no more than the limit."""
        page: list[Letter] = []
        async for letter, settled in found:
            taken = await self._take(letter, settled)
            if taken is None:
                continue
            if self.outcome.done + len(page) == self._doing.limit:
                self.outcome.more = True
                break
            page.append(taken)
            if len(page) == _AT_ONCE:
                yield page
                page = []
        if page:
            yield page

    async def _take(self, letter: Letter, settled: Settled | None) -> Letter | None:
        """Return the letter with its whole record if it is to be dealt with, else note why not."""
        if settled is not None and not self._doing.again:
            self.outcome.settled_before += 1
            return None
        if not self._doing.replays:
            return letter
        if letter.truncated_from is not None:
            letter = await self._whole(letter)
        why = obstacle(letter, self._settings, self._doing.settled.at, settled)
        if why is not None:
            self.outcome.left[why] += 1
            return None
        return letter

    async def _whole(self, letter: Letter) -> Letter:
        """Return a letter with its record as it still is in its topic; the letter itself when it is not there."""
        partition = TopicPartition(self._settings.namespace + letter.topic.name, letter.place[1])
        begin = (await self._consumer.beginning_offsets([partition]))[partition]
        end = (await self._consumer.end_offsets([partition]))[partition]
        if not begin <= letter.origin_offset < end:
            return letter
        self._consumer.assign([partition])
        self._consumer.seek(partition, letter.origin_offset)
        found = await self._consumer.getmany(partition, timeout_ms=_FETCH_MS, max_records=1)
        for record in found.get(partition, []):
            if record.offset == letter.origin_offset and (record.value or b"").startswith(letter.original.value or b""):
                return letter.with_whole(record)
        return letter

    async def settle(self, letters: Sequence[Letter]) -> None:
        """Publish the records, then the marks; each is awaited. Nothing for a dry run."""
        self.outcome.done += len(letters)
        if self._doing.dry_run:
            return
        if self._doing.replays:
            await self._send(
                (
                    letter.topic.name,
                    letter.place[1],
                    letter.original.key,
                    letter.original.value,
                    letter.original.headers,
                )
                for letter in letters
            )
        await self._send((*letter.place, *mark(letter, self._doing.settled)) for letter in letters)

    async def _send(self, records: Any) -> None:
        acknowledged = [
            await self._producer.send(
                self._settings.namespace + name, value, key=key, partition=partition, headers=list(headers)
            )
            for name, partition, key, value, headers in records
        ]
        for each in acknowledged:
            await each


def obstacle(letter: Letter, settings: Settings, now: datetime, settled: Settled | None = None) -> str | None:
    """Say why replaying a letter would come to nothing good; None when it may be replayed."""
    if letter.truncated_from is not None:
        return "it was cut when it was set aside, and its topic does not hold it any more"
    read = decode(letter.original, letter.topic, settings.value_bytes_max)
    if isinstance(read, Unreadable):
        return f"this release cannot read it either: {read.reason}"
    if letter.topic.kind is not Kind.COMMANDS:
        return None
    kept = timedelta(hours=settings.inbox_retention_hours)
    others = [service for service, topics in READERS.items() if letter.topic in topics and service != letter.service]
    if others and now - letter.written_at >= kept:
        return f"{' and '.join(others)} may have decided it, too long ago to know it again: send it anew, with a new id"
    if settled is not None and settled.outcome == REPLAYED and now - settled.at >= kept:
        return "it was replayed before, too long ago to be known again: send it anew, with a new id"
    return None


async def deal(settings: Settings, choice: Choice, doing: Doing, console: Console) -> Outcome:
    """Replay or drop the chosen letters, at most `limit`; return what came of it.

    Cost: reading the dead letters; two records for each that is replayed, one for each that is dropped.
    """
    async with (
        logs(settings, CONNECT_SECONDS) as log,
        connections.producer(settings, CONNECT_SECONDS) as producer,
        connections.consumer(settings, CONNECT_SECONDS) as consumer,
    ):
        dealing = _Dealing(settings, producer, consumer, doing)
        bar = Progress(
            TextColumn("{task.description} {task.completed}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        with bar:
            task = bar.add_task(doing.settled.outcome)
            async with aclosing(read_letters(log, settings.partitions, choice)) as found:
                async for letters in dealing.taken(found):
                    for letter in letters if doing.dry_run else ():
                        console.print(
                            f"  {letter.id} {letter.seen.type} {letter.reason}", markup=False, highlight=False
                        )
                    await dealing.settle(letters)
                    bar.advance(task, len(letters))
        return dealing.outcome
