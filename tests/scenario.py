"""Plays messages through a decider as the runtime does, so that a test reads given / when / then.

One account, a clock that moves only when told to, and a store that keeps the runtime's JSON: what a decider remembers
is what it can read back. A decider sees only the rows it named, and NeedsRows is answered as the runtime answers it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Self

from contracts.payload import Payload
from services.runtime.codec import to_json
from services.runtime.decision import (
    Accepted,
    Cause,
    D,
    Decider,
    Decision,
    Ignored,
    Message,
    NeedsRows,
    Rejected,
    Row,
    State,
    TimerDue,
)

_NEEDS_ROWS_MAX = 10
_FIRED_MAX = 10_000


def made(what: str, cause_id: str, now: datetime, account_id: str = "acme") -> str:
    """Return the id of a thing that a decision at `now` makes of a cause."""
    return Cause(cause_id, "").id_of(what, account_id, now)


class Scenario(Generic[D]):
    """The story of one account.

    `events` is everything emitted so far, `emitted` what the last `when` or `advance` emitted, `decision` the last one
    taken, `loaded` the rows that it read.
    """

    def __init__(
        self, decider: Decider[D], account_id: str = "acme", now: datetime = datetime(2026, 9, 30, tzinfo=UTC)
    ) -> None:
        self.decider = decider
        self.account_id = account_id
        self.now = now
        self.events: list[Payload] = []
        self.emitted: list[Payload] = []
        self.decision: Decision = Ignored("nothing has happened")
        self.loaded: tuple[str, ...] = ()
        self._document: bytes | None = None
        self._rows: dict[str, bytes] = {}
        self._delivered = 0

    @property
    def document(self) -> D:
        """The account's document as stored."""
        return self.decider.document.model_validate_json(self._document) if self._document else self.decider.initial()

    @property
    def document_bytes(self) -> int:
        """How much the stored document weighs."""
        return len(self._document or b"")

    def rewrite(self, old: str, new: str) -> Self:
        """Have other text in what is stored of the account, as an earlier release or another machine left it there."""
        self._document = (self._document or b"").replace(old.encode(), new.encode())
        assert new.encode() in self._document
        return self

    def row(self, name: str) -> Any:
        """Read a stored row, or None."""
        text = self._rows.get(name)
        return self.decider.row_types[name.partition(":")[0]].model_validate_json(text) if text else None

    def given(self, *messages: Message) -> Self:
        """Let these have happened; what they caused is not looked at."""
        self.when(*messages)
        self.emitted = []
        return self

    def when(self, *messages: Message, cause_id: str | None = None) -> Self:
        """Deliver messages one after another."""
        self.emitted = []
        for message in messages:
            self._delivered += 1
            self._deliver(message, cause_id or f"message-{self._delivered}")
        return self

    def advance(self, duration: timedelta = timedelta()) -> Self:
        """Move the clock, firing every timer that comes due on the way, earliest first, at its instant."""
        end = self.now + duration
        self.emitted = []
        for _ in range(_FIRED_MAX):
            timers = self.document.timers
            name = min(timers, key=lambda each: (timers[each], each), default=None)
            if name is None or timers[name] > end:
                self.now = end
                return self
            due = timers[name].replace(microsecond=timers[name].microsecond // 1_000 * 1_000)
            self.now = max(self.now, due)
            self._deliver(TimerDue(self.account_id, name, due), f"timer:{self.account_id}:{name}:{due.isoformat()}")
        raise AssertionError(f"timers never come to rest: {dict(self.document.timers)}")

    def _deliver(self, message: Message, cause_id: str) -> None:
        kind = message.ce_type if isinstance(message, Payload) else "timer"
        state = self._decide(message, Cause(cause_id, kind))
        match self.decision:
            case Accepted(events=events):
                after = self.decider.evolve(state, message)
                for event in events:
                    after = self.decider.evolve(after, event)
                self._store(state, after)
                self.events += events
                self.emitted += events
            case Ignored() if isinstance(message, TimerDue):
                timers = {name: due for name, due in state.document.timers.items() if name != message.name}
                self._store(state, state.with_document(timers=timers))

    def _decide(self, message: Message, cause: Cause) -> State[D]:
        wanted = self.decider.rows(message)
        rows: dict[str, Row | None] = {}
        for _ in range(_NEEDS_ROWS_MAX):
            rows |= {name: self.row(name) for name in wanted}
            state = State(self.account_id, self.document, rows)
            self.decision = self.decider.decide(state, message, cause, self.now)
            self.loaded = tuple(rows)
            if not isinstance(self.decision, NeedsRows):
                return state
            wanted = self.decision.names
        raise AssertionError(f"{cause.type} asks for rows again and again")

    def _store(self, before: State[D], after: State[D]) -> None:
        if after.document != before.document:
            self._document = to_json(after.document)
        for name, row in after.written.items():
            if row is None:
                self._rows.pop(name, None)
            else:
                self._rows[name] = to_json(row)

    def then(self, *expected: Payload) -> Self:
        """Check that exactly these events were emitted by the last step, in order."""
        assert self.emitted == list(expected)
        return self

    def then_nothing(self) -> Self:
        """Check that the last step emitted nothing."""
        assert self.emitted == []
        return self

    def then_ignored(self, why: str = "") -> Self:
        """Check that the last message was ignored, for a reason that contains `why`."""
        assert isinstance(self.decision, Ignored), self.decision
        assert why in self.decision.why
        return self

    def then_rejected(self, reason: str) -> Self:
        """Check that the last command was refused for this reason."""
        assert isinstance(self.decision, Rejected), self.decision
        assert self.decision.reason == reason
        return self

    def emitted_of(self, payload: type[Payload]) -> Sequence[Any]:
        """Return what the last step emitted of one type."""
        return [event for event in self.emitted if isinstance(event, payload)]
