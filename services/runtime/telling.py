"""What a service said about one account, read back from its own topics: decisions in the order they were taken.

Everything that one decision said names the same cause and the same time; a sender may use an id again, long after its
answer was forgotten, and that is another decision. Each topic is in the order of the decisions (`ce_sequence`); the
topics among each other follow from the decisions that spoke on several of them, and else from the time of deciding.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

from contracts.payload import Payload
from contracts.topics import Topic

_Decision = tuple[str, datetime]
_NOTHING: Mapping[str, int] = MappingProxyType({})


class Difference(NamedTuple):
    """Something that does not follow from the log: the kind it is counted by, the account, and a sentence."""

    kind: str
    account_id: str
    text: str


class Said(NamedTuple):
    """One own record. `sequence` is 0 for an account nobody knew then, `payload` None for a type unknown today.

    `cause_id`: the `ce_id` of its cause, or the key that tells this one from causes on other topics.

    `at`: the time of the decision. `written_ms`: when the record was written to the log.
    """

    topic: Topic
    sequence: int
    id: str
    cause_id: str
    at: datetime
    written_ms: int
    payload: Payload | None
    value: bytes


class Told(NamedTuple):
    """One decision: its cause, when it was taken and first written, and all it said that the log has."""

    cause_id: str
    at: datetime
    written_ms: int
    said: tuple[Said, ...]

    def __str__(self) -> str:
        """Name what was said."""
        return ", ".join(f"{one.topic.name} {one.sequence or one.id}" for one in self.said)


def told_in_order(
    account_id: str, said: Iterable[Said], before: Mapping[str, int] = _NOTHING
) -> tuple[list[Told], list[Difference]]:
    """Return an account's decisions in order, and what is wrong with its records: gaps, two of one sequence.

    `before`: up to which sequence of each topic is known already, and left out.
    """
    topics: defaultdict[str, list[Said]] = defaultdict(list)
    for one in said:
        if not 0 < one.sequence <= before.get(one.topic.name, 0):
            topics[one.topic.name].append(one)
    differences: list[Difference] = []
    runs = []
    for name, records in topics.items():
        once, wrong = _once_each(name, records, before.get(name, 0))
        differences += [Difference("sequence", account_id, text) for text in wrong]
        runs.append([_told(tuple(group)) for _, group in groupby(once, key=lambda one: (one.cause_id, one.at))])
    told, contradicted = _merged(runs)
    if contradicted:
        text = f"what was said on {' and '.join(topics)} is not in one order of decisions"
        differences.append(Difference("order", account_id, text))
    return told, differences


def _once_each(name: str, records: Sequence[Said], before: int) -> tuple[list[Said], list[str]]:
    unknown = {one.id: one for one in reversed(records) if not one.sequence}
    first = [unknown.pop(one.id) for one in records if one.id in unknown and not one.sequence]
    known: dict[int, Said] = {}
    wrong = [
        f"{name} has two different records of sequence {one.sequence}"
        for one in records
        if one.sequence and known.setdefault(one.sequence, one).value != one.value
    ]
    missing = sorted(set(range(before + 1, max(known, default=before) + 1)) - known.keys())
    if missing:
        wrong.append(f"{name} lacks {len(missing)} of its own sequences, first {missing[0]}")
    return [*first, *(known[sequence] for sequence in sorted(known))], wrong


def _told(said: tuple[Said, ...]) -> Told:
    return Told(said[0].cause_id, said[0].at, min(one.written_ms for one in said), said)


def _merged(runs: Sequence[Sequence[Told]]) -> tuple[list[Told], bool]:
    """Merge the topics' runs; a decision that spoke on several topics is one, and comes when it is first in all."""
    left = [deque(run) for run in runs]
    to_come = [Counter(map(_decision, run)) for run in runs]
    merged: list[Told] = []
    contradicted = False
    while heads := [run[0] for run in left if run]:
        ready = [head for head in heads if _first_in_all(_decision(head), left, to_come)]
        contradicted = contradicted or not ready
        decision = _decision(min(ready or heads, key=lambda told: told.at))
        parts = []
        for run, counts in zip(left, to_come, strict=True):
            if run and _decision(run[0]) == decision:
                parts.append(run.popleft())
                counts[decision] -= 1
        merged.append(_told(tuple(one for part in parts for one in part.said)))
    return merged, contradicted


def _decision(told: Told) -> _Decision:
    return told.cause_id, told.at


def _first_in_all(decision: _Decision, left: "Sequence[deque[Told]]", to_come: "Sequence[Counter[_Decision]]") -> bool:
    return all(not counts[decision] or _decision(run[0]) == decision for run, counts in zip(left, to_come, strict=True))
