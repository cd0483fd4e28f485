"""Deciding again what a log tells of: which inputs and timers said nothing, and what the others say today.

Deciding is pure, so on the state and at the time of then it comes to what was decided then, if rules and catalog are
the same. Nothing here raises for what a decider raises: such a message was set aside then, and is passed over now.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Generic, NamedTuple

from contracts.identity import derive_record_id
from contracts.payload import Payload
from contracts.results import CommandResult
from contracts.topics import topic_of
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
)
from services.runtime.delivery import Delivery
from services.runtime.inputs import Input, Place
from services.runtime.sequences import Sequences
from services.runtime.telling import Told

_TIMERS_MAX = 10_000
_AT_ONCE_MAX = 64  # decisions of one instant among which an order is looked for
OTHERWISE, HALF, WHOLE = range(3)
"""How what a decision says today fits what the log has of it: not at all, the log has a part, or exactly."""


class Passed(NamedTuple, Generic[D]):
    """The state behind an input. `applied`: it counts as handled. `quiet`: it says nothing, today as then."""

    state: State[D]
    applied: bool = True
    quiet: bool = True


class Says(NamedTuple):
    """What a decision says: events in order, and the answer to a command, each under its id."""

    accepted: bool
    events: Mapping[str, Payload]
    answer: Mapping[str, Payload]

    @property
    def all(self) -> dict[str, Payload]:
        """Everything it says, by id."""
        return {**self.events, **self.answer}


def fit(says: Says | None, told: Told) -> int:
    """Compare what is decided today with what the log has: OTHERWISE, HALF or WHOLE."""
    if says is None:
        return OTHERWISE
    expected = says.all
    if any(one.payload is None or expected.get(one.id) != one.payload for one in told.said):
        return OTHERWISE
    return WHOLE if len(expected) == len({one.id for one in told.said}) else HALF


def came_over_http(told: Told) -> bool:
    """Whether a decision's answer says that no topic has the command it answers."""
    return any(getattr(one.payload, "request_digest", None) for one in told.said)


def as_told(told: Told) -> Says:
    """Return what a decision said by the log alone; it refused when it answered with a reason."""
    by_id: dict[str, Payload] = {one.id: one.payload for one in told.said if one.payload is not None}
    answer = {event_id: payload for event_id, payload in by_id.items() if isinstance(payload, CommandResult)}
    events = {event_id: payload for event_id, payload in by_id.items() if event_id not in answer}
    refused = any(hasattr(payload, "reason") for payload in answer.values())
    return Says(not refused, events, answer)


def refused_at_once(left: Sequence[tuple[int, Told]]) -> Iterator[tuple[int, Told]]:
    """Yield refusals, with their places, that the log has in no order with the decision that stands first.

    What is decided in one batch has one instant. Of a refusal, which speaks on the topic of answers alone, and of what
    speaks on another, the log does not tell which came first. A refusal changes nothing: it may come early.
    """
    heard: set[str] = set()
    for place, (_, told) in enumerate(left[:_AT_ONCE_MAX]):
        if told.at != left[0][1].at:
            return
        topics = {one.topic.name for one in told.said}
        if place and not topics & heard and not as_told(told).accepted:
            yield place, told
        heard |= topics


class Run(NamedTuple, Generic[D]):
    """The state behind some inputs; which were passed, applied or quiet; which partitions wait for their next one."""

    state: State[D]
    passed: tuple[tuple[Input, bool, bool], ...] = ()
    waiting: frozenset[Place] = frozenset()


class EveryRow(dict[str, Row | None]):
    """Every row of an account: one that nobody wrote is there, as None, so no decision asks for more."""

    def __missing__(self, name: str) -> None:
        return None

    def __contains__(self, name: object) -> bool:
        return True


class _Places:
    """Ids of records by their places on their topics, behind what was emitted."""

    def __init__(self, account_id: str, cause_key: str, now: datetime, emitted: Mapping[str, int] | None) -> None:
        self._account_id = account_id
        self._cause_key = cause_key
        self._time = to_rfc3339(now)
        self._sequences = Sequences(dict(emitted)) if emitted is not None else None

    def next(self, payload: Payload) -> str:
        topic = topic_of(type(payload)).name
        sequence = self._sequences.next(topic) if self._sequences is not None else 0
        return derive_record_id(self._account_id, self._cause_key, topic, sequence, self._time)


class Redeciding(Generic[D]):
    """A service's decider and answer, asked again about the past."""

    def __init__(self, decider: Decider[D], answer: Answer | None) -> None:
        self._decider = decider
        self._answer = answer

    def passed(self, state: State[D], delivery: Delivery, now: datetime) -> Passed[D]:
        """Return what an input without a trace in the log leaves; the state as it was, unless it says nothing."""
        decision = self._decide(state, delivery, now)
        if decision is None:
            return Passed(state, applied=False)
        if delivery.message is None or isinstance(decision, Ignored):
            return Passed(state)
        answered = self._answer is not None and delivery.is_command
        if isinstance(decision, NeedsRows) or answered or (isinstance(decision, Accepted) and decision.events):
            return Passed(state, applied=False, quiet=False)
        if isinstance(decision, Rejected):
            return Passed(state)
        try:
            return Passed(self._decider.evolve(state, delivery.message))
        except Exception:  # noqa: BLE001 - a defect of the service, set aside then as now
            return Passed(state, applied=False)

    def woken(self, state: State[D], now: datetime, to_come: Mapping[str, int], said: int) -> State[D]:
        """Fire the timers due by `now` that say nothing. One that says something fires where the log has it.

        `to_come`: how often each cause is still to come in the log. `said`: how many records were said before.
        """
        for _ in range(_TIMERS_MAX if state.document.timers else 0):
            after = next(self._woken_once(state, now, to_come, said), None)
            if after is None:
                break
            state = after
        return state

    def _woken_once(self, state: State[D], now: datetime, to_come: Mapping[str, int], said: int) -> Iterator[State[D]]:
        timers = state.document.timers
        for name, due in sorted(timers.items(), key=lambda each: (each[1], each[0])):
            if due > now:
                return
            timer = Delivery.of_timer(state.account_id, name, to_milliseconds(due), said)
            if to_come.get(timer.cause.id, 0) > 0:
                continue
            if isinstance(self._decide(state, timer, now), Ignored):
                yield state.with_document(timers={other: at for other, at in timers.items() if other != name})
                continue
            passed = self.passed(state, timer, now)
            if passed.applied and passed.state.document.timers.get(name) != due:  # one that stays would fire for ever
                yield passed.state

    def says(
        self, state: State[D], delivery: Delivery, now: datetime, emitted: Mapping[str, int] | None
    ) -> Says | None:
        """Return what an input or timer says, None when it is ignored or cannot be decided.

        `emitted`: the account's last sequence on each topic before it; None while nobody knew the account.
        """
        decision = self._decide(state, delivery, now)
        if not isinstance(decision, Accepted | Rejected):
            return None
        places = _Places(state.account_id, delivery.cause.key, now, emitted)
        message = delivery.message
        events = {places.next(event): event for event in (decision.events if isinstance(decision, Accepted) else ())}
        answer: dict[str, Payload] = {}
        if self._answer and isinstance(message, Payload) and delivery.is_command:
            try:
                result = self._answer(message, delivery.cause, decision, tuple(events))
            except Exception:  # noqa: BLE001 - a defect of the service, set aside then as now
                return None
            answer[places.next(result)] = result
        return Says(isinstance(decision, Accepted), events, answer)

    def _decide(self, state: State[D], delivery: Delivery, now: datetime) -> Decision | None:
        if delivery.message is None:
            return Ignored("a type this release does not know")
        try:
            return self._decider.decide(state, delivery.message, delivery.cause, now)
        except Exception:  # noqa: BLE001 - a defect of the service, set aside then as now
            return None
