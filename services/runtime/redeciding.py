"""Deciding again what a log tells of: which inputs and timers said nothing, and what the others say today.

Deciding is pure, so on the state and at the time of then it comes to what was decided then, if rules and catalog are
the same. Nothing here raises for what a decider raises: such a message was set aside then, and is passed over now.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Generic, NamedTuple

from contracts.identity import derive_id
from contracts.payload import Payload
from services.runtime.clock import to_milliseconds
from services.runtime.decision import (
    Accepted,
    Answer,
    D,
    Decider,
    Decision,
    Ignored,
    NeedsRows,
    Rejected,
    State,
)
from services.runtime.delivery import Delivery
from services.runtime.telling import Told

_TIMERS_MAX = 10_000
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


def as_told(told: Told, account_id: str) -> Says:
    """Return what a decision said by the log alone; it refused when it answered with a reason."""
    answer_id = derive_id(account_id, told.cause_id, 0)
    by_id: dict[str, Payload] = {one.id: one.payload for one in told.said if one.payload is not None}
    answer = {event_id: payload for event_id, payload in by_id.items() if event_id == answer_id}
    events = {event_id: payload for event_id, payload in by_id.items() if event_id != answer_id}
    refused = any(hasattr(payload, "reason") for payload in answer.values())
    return Says(not refused, events, answer)


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

    def says(self, state: State[D], delivery: Delivery, now: datetime) -> Says | None:
        """Return what an input or timer says, None when it is ignored or cannot be decided."""
        decision = self._decide(state, delivery, now)
        if not isinstance(decision, Accepted | Rejected):
            return None
        account_id, cause, message = state.account_id, delivery.cause, delivery.message
        payloads = decision.events if isinstance(decision, Accepted) else ()
        events = {derive_id(account_id, cause.key, number): event for number, event in enumerate(payloads, 1)}
        answer: dict[str, Payload] = {}
        if self._answer and isinstance(message, Payload) and delivery.is_command:
            try:
                answer[derive_id(account_id, cause.key, 0)] = self._answer(message, cause, decision, tuple(events))
            except Exception:  # noqa: BLE001 - a defect of the service, set aside then as now
                return None
        return Says(isinstance(decision, Accepted), events, answer)

    def _decide(self, state: State[D], delivery: Delivery, now: datetime) -> Decision | None:
        if delivery.message is None:
            return Ignored("a type this release does not know")
        try:
            return self._decider.decide(state, delivery.message, delivery.cause, now)
        except Exception:  # noqa: BLE001 - a defect of the service, set aside then as now
            return None
