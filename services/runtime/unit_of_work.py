"""One account during one attempt at a batch.

Its messages are decided one after another, each on the state that the ones before it left, and become one commit: the
state after the last of them, and all that they said, in order. What a message costs is its decision and its records;
loading, checking the version and storing the state cost the same for one message and for a thousand.

Nothing is written here. When the commit meets a conflict, the whole unit is thrown away and built again from what is
stored then. Ids derive from the cause and from the place of each record on its topic.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple

from contracts.identity import derive_record_id
from contracts.payload import Payload
from contracts.topics import topic_of
from services.runtime import codec
from services.runtime.clock import to_milliseconds, to_rfc3339
from services.runtime.decision import (
    Accepted,
    Answer,
    D,
    Decider,
    Decision,
    Ignored,
    NeedsRows,
    Rejected,
    Row,
    State,
    TimerDue,
)
from services.runtime.delivery import Delivery
from services.runtime.sequences import Arrival, Sequences
from services.runtime.store import Commit, Loaded
from services.runtime.stored import is_older, read
from services.runtime.tracing import Traces

ACCEPTED, IGNORED, REPEATED = "accepted", "ignored", "repeated"
_REMOVE_TIMER = -1
Handled = tuple[Delivery, str, Any]
"""A delivery with the cause that its records name, what became of it, and its span or None. Plain: it is made often."""


class _Said(NamedTuple):
    """A record to be: `sequence` is 0 for an account that nobody knows."""

    payload: Payload
    sequence: int
    id: str
    value: bytes


class UnitOfWork(Generic[D]):
    """The account as it is while a batch is decided, on what was stored at `version`.

    `arrivals` tells which sequences were out of line, `handled` what was decided, `told` which payloads that said.
    `traces`: where given, each delivery has a span, and what it says names it. `careful`: whether what a delivery
    leaves can be stored is tried at once, and it fails by itself; else `commit` raises for the account.
    """

    def __init__(
        self,
        decider: Decider[D],
        answer: Answer | None,
        account_id: str,
        now: datetime,
        loaded: Loaded,
        *,
        careful: bool = False,
        traces: Traces | None = None,
    ) -> None:
        self._decider = decider
        self._answer = answer
        self._now = now
        self._time = to_rfc3339(now)
        self._careful = careful
        self._traces = traces
        self._span: Any = None
        self.version = loaded.version
        self._known = loaded.version > 0
        self._writes_account = False
        self._sequences = Sequences.load(loaded.sequences)
        document = read_document(decider, loaded)
        self._loaded_document = document
        self._outdated = is_older(decider.document, loaded.document)
        self._rows: dict[str, Row | None] = {}
        self._written: dict[str, Row | None] = {}
        self.state = State(account_id, document, self._rows)
        self._answered: set[str] = set()
        self._inbox: list[str | bytes] = []
        self._records: list[bytes] = []
        self._timers: dict[str, int] = {}
        self._gaps: dict[str, str] = {}
        self.arrivals: list[tuple[str, int, Arrival]] = []
        self.handled: list[Handled] = []
        self.told: list[Payload] = []

    def add_rows(self, names: Sequence[str], stored: Sequence[bytes | None]) -> None:
        """Take in rows that were loaded, unless this unit has changed them since."""
        for name, text in zip(names, stored, strict=True):
            if name not in self._rows:
                self._rows[name] = read_row(self._decider, name, text)

    def mark_answered(self, command_key: str) -> None:
        """Take in that a command has its answer already."""
        self._answered.add(command_key)

    def put_off(self, timer: str, due_ms: int) -> None:
        """Have a timer come again then, unless the account has set or cleared it in this batch."""
        self._timers.setdefault(timer, due_ms)

    def commit(self) -> Commit | None:
        """Return all that was decided as one commit; None when that is nothing. Raises when it cannot be stored."""
        if not (self._writes_account or self._records or self._timers):
            return None
        state = self.state
        return Commit(
            state.account_id,
            self.version,
            self._sequences.dump() if self._writes_account else b"",
            codec.to_json(state.document) if self._outdated or state.document is not self._loaded_document else b"",
            _flat_rows(self._written),
            self._inbox,
            self._records,
            [part for timer in self._timers.items() for part in timer],
            [part for gap in self._gaps.items() for part in gap],
        )

    def handle(self, delivery: Delivery) -> str | NeedsRows:
        """Decide one delivery and take in what it comes to; return the outcome's name (for counting), or NeedsRows.

        What the service's functions raise leaves the account as it was before the delivery.
        """
        message = delivery.message
        if isinstance(message, TimerDue):
            due_ms = to_milliseconds(message.due)
            delivery = Delivery.of_timer(delivery.account_id, message.name, due_ms, self._sequences.said)
        before, emitted = self.state, dict(self._sequences.emitted)
        if self._traces is not None:
            self._span = self._traces.begin(delivery)
        try:
            outcome = self._handle(delivery)
        except Exception:
            self.state, self._sequences.emitted = before, emitted
            raise
        if not isinstance(outcome, NeedsRows):
            self.handled.append((delivery, outcome, self._span))
        return outcome

    def _handle(self, delivery: Delivery) -> str | NeedsRows:
        arrival = None
        if delivery.sequence is not None and delivery.topic is not None:
            arrival = self._sequences.arrive(delivery.topic.name, delivery.sequence, trimmed=delivery.trimmed)
            if arrival is Arrival.REPEATED:
                return REPEATED
        elif delivery.is_command and delivery.cause.key in self._answered:
            return REPEATED
        decision = self._decide(delivery)
        if isinstance(decision, NeedsRows):
            return decision
        if isinstance(decision, Ignored):
            self._skip(delivery, arrival)
            return IGNORED
        self._take_effect(delivery, arrival, decision)
        return ACCEPTED if isinstance(decision, Accepted) else decision.reason.value

    def _decide(self, delivery: Delivery) -> Decision:
        message = delivery.message
        if message is None:
            return Ignored("a type this release does not know")
        if isinstance(message, TimerDue) and self._moved_to(message) is not None:
            return Ignored("the timer was cleared or set again meanwhile")
        return self._decider.decide(self.state, message, delivery.cause, self._now)

    def _moved_to(self, timer: TimerDue) -> int | None:
        """Return when the timer is due instead (ms, or _REMOVE_TIMER); None when this is its time.

        One that was put off after a failure comes later than the document says, and this is its time.
        """
        due = self.state.document.timers.get(timer.name)
        if due is None:
            return _REMOVE_TIMER
        due_ms = to_milliseconds(due)
        return due_ms if due_ms > to_milliseconds(timer.due) else None

    def _skip(self, delivery: Delivery, arrival: Arrival | None) -> None:
        """Leave the state alone, but remember the sequence, or forget the timer."""
        message = delivery.message
        if isinstance(message, TimerDue):
            moved_to = self._moved_to(message)
            if moved_to is not None:
                self._timers[message.name] = moved_to
                return
            timers = {name: due for name, due in self.state.document.timers.items() if name != message.name}
            before, self.state = self.state, self.state.with_document(timers=timers)
            self._take_in(delivery, None, before, (), b"")
        elif arrival is not None:
            self._take_in(delivery, arrival, self.state, (), b"")

    def _take_effect(self, delivery: Delivery, arrival: Arrival | None, decision: Accepted | Rejected) -> None:
        before = self.state
        payloads: tuple[Payload, ...] = ()
        message = delivery.message
        if isinstance(decision, Accepted) and message is not None:
            payloads = decision.events
            state = self._decider.evolve(before, message)
            for event in payloads:
                state = self._decider.evolve(state, event)
            self.state = state
        known = self._is_known_after(before, arrival)
        said = [self._said(delivery, payload, sequenced=known) for payload in payloads]
        answer = b""
        if self._answer and isinstance(message, Payload) and delivery.is_command:
            result = self._answer(message, delivery.cause, decision, tuple(each.id for each in said))
            said.append(self._said(delivery, result, sequenced=known))
            answer = codec.to_remember(said[-1].value, delivery.cause.request_digest or codec.digest_of(message))
        self._take_in(delivery, arrival, before, said, answer)
        self.told += payloads

    def _is_known_after(self, before: State[D], arrival: Arrival | None) -> bool:
        state = self.state
        return self._known or state.document is not before.document or bool(state.written) or arrival is not None

    def _said(self, delivery: Delivery, payload: Payload, *, sequenced: bool) -> _Said:
        topic = topic_of(type(payload)).name
        sequence = self._sequences.next(topic) if sequenced else 0
        event_id = derive_record_id(delivery.account_id, delivery.cause.key, topic, sequence, self._time)
        return _Said(payload, sequence, event_id, codec.to_json(payload))

    def _take_in(
        self, delivery: Delivery, arrival: Arrival | None, before: State[D], said: Sequence[_Said], answer: bytes
    ) -> None:
        """Add what a delivery did to what the commit will hold. All that may raise comes before anything is added."""
        document, written = self.state.document, self.state.written
        known = self._is_known_after(before, arrival)
        records = [self._record(delivery, each) for each in said]
        timers = _changed_timers(before.document.timers, document.timers)
        if self._careful:
            codec.to_json(document)
            _flat_rows(written)
        self._known = known
        self._writes_account |= known
        self._records += records
        self._timers.update(timers)
        if answer:
            self._inbox += (delivery.cause.key, answer)
            self._answered.add(delivery.cause.key)
        if arrival is not None and delivery.topic and delivery.sequence:
            self._apply(delivery.topic.name, delivery.sequence, arrival, trimmed=delivery.trimmed)
        if written:
            self._rows.update(written)
            self._written.update(written)
            self.state = State(self.state.account_id, document, self._rows)

    def _apply(self, topic: str, sequence: int, arrival: Arrival, *, trimmed: bool) -> None:
        self._sequences.apply(topic, sequence, trimmed=trimmed)
        if arrival is not Arrival.NEXT:
            self.arrivals.append((topic, sequence, arrival))
            self._gaps[topic] = self._sequences.applied[topic].missing_text()

    def _record(self, delivery: Delivery, said: _Said) -> bytes:
        return codec.pack(
            said.payload.ce_type,
            said.id,
            self._time,
            self.state.account_id,
            said.sequence,
            delivery.cause.id,
            delivery.correlation_id,
            self._traces.traceparent(self._span, delivery, said.id) if self._traces else delivery.traceparent,
            said.value,
        )


def read_document(decider: Decider[D], loaded: Loaded) -> D:
    """Return the stored document, or that of an account nobody has said anything about."""
    return read(decider.document, loaded.document) if loaded.document else decider.initial()


def read_row(decider: Decider[Any], name: str, text: bytes | None) -> Row | None:
    """Return a stored row; None where there is none."""
    return read(decider.row_types[name.partition(":")[0]], text) if text else None


def _flat_rows(written: Mapping[str, Row | None]) -> list[str | bytes]:
    flat: list[str | bytes] = []
    for name, row in written.items():
        flat += (name, b"" if row is None else codec.to_json(row))
    return flat


def _changed_timers(before: Mapping[str, datetime], after: Mapping[str, datetime]) -> dict[str, int]:
    if after is before:
        return {}
    changed = {name: to_milliseconds(due) for name, due in after.items() if before.get(name) != due}
    return changed | {name: _REMOVE_TIMER for name in before if name not in after}
