"""An account's life as the runtime leads it, delivery by delivery, and the log it leaves: for tests of the rebuild."""

import itertools
from collections import defaultdict
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple

from deploy.addonflow.history import said_of
from services.runtime import codec
from services.runtime.clock import to_milliseconds
from services.runtime.decision import Decider, NeedsRows, TimerDue
from services.runtime.delivery import Delivery
from services.runtime.inputs import place_of
from services.runtime.rebuilding import Rebuilding
from services.runtime.rebuilt import NOWHERE, Mark, Rebuilt
from services.runtime.sequences import Sequences
from services.runtime.store import Loaded
from services.runtime.telling import Said
from services.runtime.unit_of_work import UnitOfWork
from tests.runtime.toys import NOW, answer

MINUTE = timedelta(minutes=1)


class Kept(NamedTuple):
    """An account as it was stored, when so many inputs were sent and so much was said."""

    start: Rebuilt[Any]
    inputs: int
    said: int


class Life:
    """An account's life as the runtime leads it, and the log it leaves."""

    def __init__(self, decider: Decider[Any]) -> None:
        self.decider = decider
        self.now = NOW
        self.inputs: list[Delivery] = []
        self.said: list[Said] = []
        self.version = 0
        self.sequences: bytes | None = None
        self.document: bytes | None = None
        self.rows: dict[str, bytes] = {}
        self.answers: dict[str, bytes] = {}
        self._remembered: set[str] = set()
        self._timers: dict[str, int] = {}
        self._offsets: defaultdict[Any, itertools.count[int]] = defaultdict(itertools.count)

    def sent(self, delivery: Delivery) -> Delivery:
        """Write an input to its log."""
        topic = delivery.topic.name if delivery.topic else ""
        origin = SimpleNamespace(partition=0, offset=next(self._offsets[topic]), timestamp=to_milliseconds(self.now))
        self.now += MINUTE
        self.inputs.append(delivery._replace(origin=origin, trimmed=False))
        return self.inputs[-1]

    def handle(self, *batch: Delivery) -> None:
        """Decide a batch and store what comes of it."""
        unit: UnitOfWork[Any] = UnitOfWork(
            self.decider, answer, "acme", self.now, Loaded(self.version, self.sequences, self.document, [], [])
        )
        for command_id in self._remembered:
            unit.mark_answered(command_id)
        for delivery in batch:
            try:
                self._decide(unit, delivery)
            except ValueError:
                if not isinstance(delivery.message, TimerDue):
                    raise
                unit.put_off(delivery.message.name, to_milliseconds(self.now + MINUTE))
        self._store(unit.commit())
        self.now += MINUTE

    def _decide(self, unit: UnitOfWork[Any], delivery: Delivery) -> None:
        names: tuple[str, ...] = self.decider.rows(delivery.message) if delivery.message else ()
        while True:
            unit.add_rows(names, [self.rows.get(name) for name in names])
            outcome = unit.handle(delivery)
            if not isinstance(outcome, NeedsRows):
                return
            names = outcome.names

    def _store(self, commit: Any) -> None:
        if commit is None:
            return
        self._timers |= _pairs(commit.timers)
        if commit.sequences:
            self.version, self.sequences = self.version + 1, commit.sequences
        self.document = commit.document or self.document
        self.rows |= _pairs(commit.rows)
        self.answers |= _pairs(commit.inbox)
        self._remembered |= _pairs(commit.inbox).keys()
        for record in commit.records:
            out = codec.unpack(record)
            written = SimpleNamespace(value=out.value, headers=out.headers, timestamp=to_milliseconds(self.now))
            self.said.append(said_of(written, out.topic))

    def forget(self) -> None:
        """Let the retention of answers pass: what has an id of before is a new command."""
        self._remembered.clear()

    def fire(self) -> None:
        """Fire the timers that are due."""
        for name, due_ms in list(self._timers.items()):
            if 0 <= due_ms <= to_milliseconds(self.now):
                self.handle(Delivery.of_timer("acme", name, due_ms))

    def read(self) -> Any:
        """Return the document as stored."""
        return self.decider.document.model_validate_json(self.document) if self.document else self.decider.initial()

    def kept(self) -> "Kept":
        """Return the account as it is stored now, and how much there is of the log."""
        rows = {
            name: self.decider.row_types[name.partition(":")[0]].model_validate_json(text)
            for name, text in self.rows.items()
        }
        sequences = Sequences.load(self.sequences)
        marks = {key: Mark(answer, 0, NOWHERE, -1) for key, answer in self.answers.items()}
        known = self.version > 0
        start = Rebuilt("acme", self.read(), dict(rows), sequences, known=known, steps=self.version, marks=marks)
        return Kept(start, len(self.inputs), len(self.said))

    def restored(self, kept: "Kept", *, inputs_from: int, said_from: int) -> Rebuilt[Any]:
        """Fold what a part of the log tells behind an account that was kept; the group has read all."""
        handled = {place_of(each): each.origin.offset + 1 for each in self.inputs}
        folding = Rebuilding(self.decider, answer, "acme", handled, self.now, kept.start)
        return folding.fold(self.inputs[inputs_from:], self.said[said_from:])

    def rebuilt(self, *, read: bool = True) -> Rebuilt[Any]:
        """Fold the log; `read`: the group has read all of it."""
        handled = {place_of(each): each.origin.offset + 1 for each in self.inputs} if read else {}
        return Rebuilding(self.decider, answer, "acme", handled, self.now).fold(self.inputs, self.said)

    def assert_told_apart(self) -> None:
        """Check that no two records share an id."""
        ids = [each.id for each in self.said]
        assert len(ids) == len(set(ids)), ids

    def assert_rebuilt(self, account: Rebuilt[Any]) -> None:
        """Check that a rebuilt account is what is stored."""
        assert account.differences == []
        assert account.document == self.read()
        assert {name: codec.to_json(row) for name, row in account.rows.items() if row} == self.rows
        assert account.known == (self.version > 0)
        if account.known:
            assert account.sequences == Sequences.load(self.sequences)
        assert {command_id: mark.answer for command_id, mark in account.marks.items()} == self.answers
        assert account.unpublished == []


def _pairs(flat: Any) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
