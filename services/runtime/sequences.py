"""Exact deduplication for ever, in constant space: `ce_sequence` per topic and account.

What a service emits about an account counts 1, 2, 3 … per topic. A reader keeps the highest sequence it applied and
the ranges missing below it: a repetition is recognised however old, a lost message is seen, and one that comes late is
applied. On a log that lacks its beginning the first sequence seen is the start, and nothing before it is missed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Self

import msgpack


class Arrival(Enum):
    """What a sequence number means to the reader who receives it."""

    NEXT = "next"
    REPEATED = "repeated"
    AFTER_GAP = "after_gap"
    FILLS_GAP = "fills_gap"
    START_OF_TRIMMED_LOG = "start_of_trimmed_log"


@dataclass(slots=True)
class Applied:
    """What a reader has applied of one topic: all of 1..highest but the `missing` ranges [low, high], ascending."""

    highest: int
    missing: list[list[int]] = field(default_factory=list)

    def arrive(self, sequence: int) -> Arrival:
        """Say what `sequence` is. Cost: the number of missing ranges."""
        if sequence == self.highest + 1:
            return Arrival.NEXT
        if sequence > self.highest:
            return Arrival.AFTER_GAP
        if any(low <= sequence <= high for low, high in self.missing):
            return Arrival.FILLS_GAP
        return Arrival.REPEATED

    def apply(self, sequence: int) -> None:
        """Remember that `sequence` was applied."""
        if sequence > self.highest:
            if sequence > self.highest + 1:
                self.missing.append([self.highest + 1, sequence - 1])
            self.highest = sequence
            return
        ranges = []
        for low, high in self.missing:
            if low <= sequence <= high:
                ranges += [part for part in ([low, sequence - 1], [sequence + 1, high]) if part[0] <= part[1]]
            else:
                ranges.append([low, high])
        self.missing = ranges

    def missing_text(self) -> str:
        """Return the missing sequences for people: "4-5,9"; empty when nothing is missing."""
        return ranges_text(self.missing)


def ranges_text(ranges: Iterable[Sequence[int]]) -> str:
    """Write ranges [low, high] for people: "4-5,9"."""
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


@dataclass(slots=True)
class Sequences:
    """Both directions of one account: the last sequence emitted per topic, and what was applied per topic."""

    emitted: dict[str, int] = field(default_factory=dict)
    applied: dict[str, Applied] = field(default_factory=dict)

    @property
    def said(self) -> int:
        """How many records were emitted, on all topics: it grows with each."""
        return sum(self.emitted.values())

    def next(self, topic: str) -> int:
        """Count one more emission on `topic` and return its sequence."""
        sequence = self.emitted.get(topic, 0) + 1
        self.emitted[topic] = sequence
        return sequence

    def arrive(self, topic: str, sequence: int, *, trimmed: bool = True) -> Arrival:
        """Say what `sequence` of `topic` is to this reader. `trimmed`: the log may lack its beginning."""
        applied = self.applied.get(topic)
        if applied is None and trimmed and sequence > 1:
            return Arrival.START_OF_TRIMMED_LOG
        return (applied or Applied(0)).arrive(sequence)

    def apply(self, topic: str, sequence: int, *, trimmed: bool = True) -> None:
        """Remember that `sequence` of `topic` was applied; a trimmed log starts with the first one seen."""
        applied = self.applied.get(topic)
        if applied is None:
            applied = self.applied[topic] = Applied(sequence - 1 if trimmed else 0)
        applied.apply(sequence)

    def dump(self) -> bytes:
        """Return the stored form: msgpack [{topic: emitted}, {topic: [highest, low, high, low, high …]}]."""
        applied = {
            topic: [seen.highest, *(bound for pair in seen.missing for bound in pair)]
            for topic, seen in self.applied.items()
        }
        return msgpack.packb([self.emitted, applied])  # type: ignore[no-any-return]

    @classmethod
    def load(cls, stored: bytes | None) -> Self:
        """Read the stored form; None is an account without history."""
        if stored is None:
            return cls()
        emitted, applied = msgpack.unpackb(stored)
        return cls(
            emitted,
            {
                topic: Applied(numbers[0], [numbers[i : i + 2] for i in range(1, len(numbers), 2)])
                for topic, numbers in applied.items()
            },
        )
