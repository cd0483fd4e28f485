"""The dead letters of a deployment: what each service set aside, and what became of it.

A dead letter is dealt with by a mark: a record behind it in its own partition, with the header `dlq_settles` (the
letter's offset there) and a value that says what was done, by whom and why. Marks are only ever added, so letters and
what became of them are one log: nothing is removed, it survives Redis, and any number of operators may work at once.

A letter's id is its own place, `<dead-letter topic>/<partition>/<offset>`: two letters of one record are two letters.

Cost of reading: every dead-letter partition twice, first for its marks; memory: the marks of one partition.
"""

import json
from collections.abc import AsyncGenerator, Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord

from contracts.topics import READERS, Topic
from deploy.addonflow.history import Logs
from deploy.addonflow.messages import BadInput
from deploy.addonflow.records import Seen, see
from services.runtime.clock import from_milliseconds
from services.runtime.codec import Header
from services.runtime.inputs import Place

SETTLES: Final = "dlq_settles"
REPLAYED, DROPPED = "replayed", "dropped"
_FIRST_OF_OURS: Final = "dlq_reason"
_TRUNCATED: Final = "dlq_truncated_from_bytes"
_SOURCES: Final = {
    topic.dead_letters_of(service): (service, topic) for service, topics in READERS.items() for topic in topics
}


class Settled(NamedTuple):
    """What was done about a letter: `outcome` is "replayed" or "dropped"."""

    outcome: str
    by: str
    why: str
    at: datetime


@dataclass(frozen=True)
class Letter:
    """A record that `service` set aside. `original` is as it was, but for its place and time, which are the letter's.

    `origin_offset` is -1 where the letter does not tell; `truncated_from`: how many bytes the value had, if it was cut.
    """

    service: str
    topic: Topic
    place: Place
    offset: int
    original: "ConsumerRecord[Any, Any]"
    reason: str
    detail: str
    origin_offset: int
    truncated_from: int | None = None

    @property
    def id(self) -> str:
        """Where the letter is: topic/partition/offset."""
        return f"{self.place[0]}/{self.place[1]}/{self.offset}"

    @property
    def written_at(self) -> datetime:
        """When it was set aside, by the broker's log."""
        return from_milliseconds(max(0, int(self.original.timestamp)))

    @cached_property
    def seen(self) -> Seen:
        """The original as far as it can be read."""
        return see(self.original)

    def with_whole(self, record: "ConsumerRecord[Any, Any]") -> "Letter":
        """Return the letter with its record as its topic still has it; its place and time stay the letter's."""
        return replace(
            self, original=_with(self.original, record.value, record.headers, record.key), truncated_from=None
        )

    @property
    def accounts(self) -> tuple[str, str]:
        """The account that the record names, and its key: which may be another's, or neither an account."""
        return self.seen.account_id, (self.original.key or b"").decode(errors="replace")


def letter_of(record: "ConsumerRecord[Any, Any]", place: Place) -> Letter:
    """Read a dead letter. What stands behind the record's own headers tells of it; a sender's look-alikes do not."""
    service, topic = _SOURCES[place[0]]
    headers = list(record.headers)
    first = max((at for at, (name, _) in enumerate(headers) if name == _FIRST_OF_OURS), default=len(headers))
    about = {name: (text or b"").decode(errors="replace") for name, text in headers[first:]}
    truncated_from = None
    if first and headers[first - 1][0] == _TRUNCATED:
        first -= 1
        truncated_from = _number(headers[first][1])
    value = None if "dlq_tombstone" in about else record.value
    return Letter(
        service,
        topic,
        place,
        record.offset,
        _with(record, value, headers[:first], record.key),
        about.get(_FIRST_OF_OURS, "unknown"),
        about.get("dlq_detail", ""),
        _number(about.get("dlq_offset")),
        truncated_from,
    )


def _with(
    record: "ConsumerRecord[Any, Any]", value: bytes | None, headers: Sequence[Header], key: bytes | None
) -> "ConsumerRecord[Any, Any]":
    place = (record.topic, record.partition, record.offset, record.timestamp, record.timestamp_type)
    return ConsumerRecord(*place, key, value, None, -1, -1, tuple(headers))


def _number(text: bytes | str | None) -> int:
    try:
        return int(text or "-1")
    except ValueError:
        return -1


def mark(letter: Letter, settled: Settled) -> tuple[bytes, bytes, list[Header]]:
    """Return key, value and headers of the record that settles a letter."""
    said = {"outcome": settled.outcome, "by": settled.by, "why": settled.why, "at": settled.at.isoformat()}
    offset = str(letter.offset).encode()
    return offset, json.dumps(said).encode(), [("content-type", b"application/json"), (SETTLES, offset)]


def _settled(record: "ConsumerRecord[Any, Any]") -> tuple[int, Settled] | None:
    """Read a mark; None for a letter, whatever headers its record had."""
    headers = dict(record.headers)
    if SETTLES not in headers or _FIRST_OF_OURS in headers:
        return None
    try:
        said = json.loads(record.value or b"")
        settled = Settled(said["outcome"], said["by"], said["why"], datetime.fromisoformat(said["at"]))
    except (ValueError, KeyError, TypeError):  # what is no mark settles nothing, and is shown
        return None
    return _number(headers[SETTLES]), settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which letters: all that fit everything given. `topic`: a part of its name; ages are since it was set aside."""

    now: datetime
    ids: Sequence[str] = ()
    topic: str = ""
    service: str = ""
    reason: str = ""
    account: str = ""
    older_than: timedelta | None = None
    newer_than: timedelta | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing was given that chooses."""
        ages = (self.older_than, self.newer_than)
        return not (self.ids or self.topic or self.service or self.reason or self.account or any(ages))

    def places(self, partitions: int) -> list[Place]:
        """Return the dead-letter partitions that may hold such letters; BadInput for an id that is none."""
        named = {_place_of(each) for each in self.ids}
        return [
            (name, partition)
            for name, (service, topic) in _SOURCES.items()
            if self.topic in topic.name and self.service in ("", service)
            for partition in range(partitions)
            if not named or (name, partition) in named
        ]

    def takes(self, letter: Letter) -> bool:
        """Whether a letter fits."""
        age = self.now - letter.written_at
        return (
            (not self.ids or letter.id in self.ids)
            and self.reason in ("", letter.reason)
            and (not self.account or self.account in letter.accounts)
            and (self.older_than is None or age >= self.older_than)
            and (self.newer_than is None or age < self.newer_than)
        )


def _place_of(letter_id: str) -> Place:
    name, _, rest = letter_id.partition("/")
    partition, _, offset = rest.partition("/")
    if name not in _SOURCES or not (partition.isdecimal() and offset.isdecimal()):
        raise BadInput(f"{letter_id!r} is no dead letter: `addonflow dead-letters list` shows their ids")
    return name, int(partition)


async def read_letters(
    log: Logs, partitions: int, choice: Choice, only: Container[int] | None = None
) -> AsyncGenerator[tuple[Letter, Settled | None], None]:
    """Yield the chosen letters with what was done about them, each partition in order, up to where it ends now.

    `only`: the partitions to look at, where not all.
    """
    bounds = await log.bounds(place for place in choice.places(partitions) if only is None or place[1] in only)
    for place, (begin, end) in bounds.items():
        marks: dict[int, Settled] = {}
        async for batch in log.read(place, begin, end):
            marks.update(each for each in map(_settled, batch) if each is not None)
        async for batch in log.read(place, begin, end):
            for record in batch:
                if record.offset < end and _settled(record) is None:
                    letter = letter_of(record, place)
                    if choice.takes(letter):
                        yield letter, marks.get(letter.offset)


async def dropped(
    log: Logs, partitions: int, service: str, now: datetime, only: Container[int]
) -> set[tuple[str, int, int, bytes | None]]:
    """Return which records a service is to make nothing of: topic, partition, offset and value (a lost log has others).

    What nobody has dealt with, or was replayed, is not among them: the log tells what became of it.
    """
    return {
        (letter.topic.name, letter.place[1], letter.origin_offset, letter.original.value)
        async for letter, settled in read_letters(log, partitions, Choice(now=now, service=service), only)
        if settled is not None and settled.outcome == DROPPED
    }
