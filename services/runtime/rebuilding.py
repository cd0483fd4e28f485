"""An account's state from the log alone: from what its service read, and what the service itself said.

    state = fold of evolve over the inputs and the service's own events

What the log tells: an own record names its cause, and own records of a topic are in the order of the decisions. So an
own event is applied behind the input or timer that caused it, with every earlier input of that input's partition before
it. What it does not tell is when an input that caused nothing came among those of other topics. The time it was written
is tried first, then later and earlier places, until deciding again says what the log says. An input is only evolved
where deciding again accepts it without an event; one that would be ignored changes nothing, one that would say
something the log does not have is not handled yet.

A command that came over HTTP is in no topic, as its answer says; what it caused is applied in its place among the
decisions. So a command must not evolve its service's state by itself: what happens, happens by events.

Nothing is emitted and nothing is written here. Where the log contradicts itself, or today's decision differs from the
one that was made, what was said is applied as it was said, and a `Difference` tells of it.

Cost: one decision per input, some more where an order must be found; memory: one account's history and rows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic

from contracts.payload import Payload
from contracts.topics import topic_of
from services.runtime import codec
from services.runtime.clock import from_milliseconds, to_rfc3339
from services.runtime.decision import SCOPE_END, Answer, D, Decider, State
from services.runtime.delivery import Delivery
from services.runtime.inputs import LATER_MAX, Input, Inputs, Place, place_of, written_ms
from services.runtime.rebuilt import NOWHERE, Mark, Rebuilt, to_remember
from services.runtime.redeciding import (
    HALF,
    OTHERWISE,
    WHOLE,
    EveryRow,
    Redeciding,
    Run,
    Says,
    as_told,
    came_over_http,
    fit,
    refused_at_once,
)
from services.runtime.sequences import Sequences
from services.runtime.telling import Difference, Said, Told, told_in_order

_SAME_ID_MAX = 8  # inputs of one sender under one id, of which one was decided
_RUN = 64  # written rows are kept apart until a run is over, and copied with each step
_END_OF_TIME_MS = 2**62


class Rebuilding(Generic[D]):
    """Folds the history of one account. `handled`: per place, up to where the service's group has read.

    `until`: the time now; a timer that is due by then and says nothing has fired. `start`: the account as it was kept
    at some moment; then inputs from any offset handled by then, and what was said since, are enough.
    """

    def __init__(
        self,
        decider: Decider[D],
        answer: Answer | None,
        account_id: str,
        handled: Mapping[Place, int],
        until: datetime,
        start: Rebuilt[D] | None = None,
    ) -> None:
        self._decider = decider
        self._answered = answer is not None
        self._again = Redeciding(decider, answer)
        self._handled = handled
        self._until = until
        self._now: datetime | None = None
        self._account: Rebuilt[D] = start or Rebuilt(account_id, decider.initial(), {})
        self._state: State[D] = State(account_id, self._account.document, EveryRow(self._account.rows))
        self._inputs = Inputs(())
        self._to_come: Counter[str] = Counter()
        self._last: dict[str, int] = {}
        self._told = Sequences(dict(self._account.sequences.emitted))

    def fold(self, inputs: Sequence[Delivery], said: Sequence[Said]) -> Rebuilt[D]:
        """Return the account after `inputs` (each partition's in order of offsets) and what the service `said`."""
        account, emitted = self._account, self._account.sequences.emitted
        self._inputs = Inputs(inputs, account.sequences)
        self._place_marks()
        said = self._inputs.attributed(account.account_id, said, account.marks)
        told, account.differences = told_in_order(account.account_id, said, dict(emitted))
        for number, each in enumerate(told):
            self._to_come[each.cause_id] += 1
            for one in each.said:
                self._last[one.topic.name] = number
                if one.sequence:
                    emitted[one.topic.name] = max(one.sequence, emitted.get(one.topic.name, 0))
        left = list(enumerate(told))
        while left:
            number, each = left.pop(self._next(left))
            self._to_come[each.cause_id] -= 1
            self._retell(each, number)
        self._finish()
        account.document, account.rows = self._state.document, dict(self._state.rows)
        return account

    def _place_marks(self) -> None:
        """Say where the commands are that the start had answered."""
        for key, mark in self._account.marks.items():
            found = self._inputs.find(key)
            if found:
                last, _ = found[-1]
                self._account.marks[key] = mark._replace(place=place_of(last), offset=last.origin.offset)

    def _next(self, left: Sequence[tuple[int, Told]]) -> int:
        """Return which of the decisions that are left comes next: before others of its instant one refused by now."""
        for place, told in refused_at_once(left):
            if any(self._fits(told, *each) for each in self._inputs.find(told.cause_id)[:_SAME_ID_MAX]):
                return place
        return 0

    def _retell(self, told: Told, number: int) -> None:
        """Pass what came before the cause of a decision, then apply the decision."""
        delivery, place, position = self._cause_of(told)
        self._to_come[told.cause_id] += place is None  # a timer that says this does not fire in silence before
        time_ms = written_ms(delivery) if delivery is not None and place else told.written_ms
        chain = self._inputs.before(place, position, time_ms, self._to_come)
        likely = sum(each.written_ms <= time_ms for each in chain)
        sure = max(0, likely - LATER_MAX)
        start = self._pass_all(chain[:sure], place, told.at)
        chain, likely = chain[sure:], likely - sure
        run = self._run(start, chain, place, likely, told.at)
        emitted = self._emitted_before(told)
        says = self._again.says(run.state, delivery, told.at, emitted) if delivery else None
        if delivery and fit(says, told) != WHOLE:
            for cut in (*range(likely + 1, len(chain) + 1), *range(likely - 1, -1, -1)):
                other = self._run(start, chain, place, cut, told.at)
                otherwise = self._again.says(other.state, delivery, told.at, emitted)
                if fit(otherwise, told) > fit(says, told):
                    run, says = other, otherwise
                if fit(says, told) == WHOLE:
                    break
        self._take(run)
        self._to_come[told.cause_id] -= place is None
        if delivery is not None and place is not None:
            self._pass(Input(0, place, delivery), applied=True)
        self._apply(told, number, delivery, says)
        self._now = max(told.at, self._now or told.at)
        for one in told.said:
            self._told.emitted[one.topic.name] = max(one.sequence, self._told.emitted.get(one.topic.name, 0))

    def _emitted_before(self, told: Told) -> Mapping[str, int] | None:
        return self._told.emitted if any(one.sequence for one in told.said) else None

    def _cause_of(self, told: Told) -> tuple[Delivery | None, Place | None, int]:
        if came_over_http(told):
            return None, None, 0
        found = self._inputs.find(told.cause_id)[:_SAME_ID_MAX]
        if found:
            which = found if len(found) > 1 else ()
            delivery, position = next((each for each in which if self._fits(told, *each)), found[0])
            return delivery, place_of(delivery), position
        timer = Delivery.of_timer_cause(self._account.account_id, told.cause_id)
        if timer is not None:
            return timer, None, 0
        self._differ("cause missing", f"{told} was caused by {told.cause_id}, which is not in the log")
        return None, None, 0

    def _fits(self, told: Told, delivery: Delivery, position: int) -> bool:
        """Whether this one of several inputs with the cause's id says what was said; nothing is passed yet."""
        place, time_ms = place_of(delivery), written_ms(delivery)
        chain = self._inputs.before(place, position, time_ms, self._to_come)
        likely = sum(each.written_ms <= time_ms for each in chain)
        run = self._run(Run(self._state), chain, place, likely, told.at)
        return fit(self._again.says(run.state, delivery, told.at, self._emitted_before(told)), told) == WHOLE

    def _pass_all(self, chain: Sequence[Input], own: Place | None, high: datetime) -> Run[D]:
        """Pass inputs for good; return where that leads."""
        waiting: frozenset[Place] = frozenset()
        for first in range(0, len(chain), _RUN):
            run = self._run(Run(self._state, (), waiting), chain[first : first + _RUN], own, _RUN, high)
            self._take(run)
            waiting = run.waiting
        return Run(self._state, (), waiting)

    def _run(self, start: Run[D], chain: Sequence[Input], own: Place | None, cut: int, high: datetime) -> Run[D]:
        """Pass the first `cut` of a chain, and all of partition `own`. Another one waits before what would be said."""
        state, passed, waiting = start.state, [], set(start.waiting)
        low, said = self._now or high, self._told.said
        for number, each in enumerate(chain):
            if (number >= cut and each.place != own) or each.place in waiting:
                continue
            now = min(max(low, from_milliseconds(each.written_ms)), max(low, high))
            state = self._again.woken(state, now, self._to_come, said)
            if each.delivery.is_command and each.delivery.cause.key in self._account.marks:
                passed.append((each, True, True))
                continue
            state, applied, quiet = self._again.passed(state, each.delivery, now)
            if not quiet and each.place != own:
                waiting.add(each.place)
            else:
                passed.append((each, applied, quiet))
        return Run(self._again.woken(state, high, self._to_come, said), tuple(passed), frozenset(waiting))

    def _take(self, run: Run[D]) -> None:
        self._set(run.state)
        for each, applied, quiet in run.passed:
            self._pass(each, applied=applied)
            if not quiet:
                cause = each.delivery.cause
                text = f"{cause.type} {cause.id} caused nothing in the log, and is decided to something today"
                self._differ("nothing said", text)
                self._leave(each.place, each.offset)

    def _pass(self, each: Input, *, applied: bool) -> None:
        delivery = each.delivery
        self._inputs.passed(each.place)
        self._account.steps += 1
        if applied and delivery.topic is not None and delivery.sequence is not None:
            self._account.sequences.apply(delivery.topic.name, delivery.sequence, trimmed=delivery.trimmed)
            self._account.known = True

    def _apply(self, told: Told, number: int, delivery: Delivery | None, says: Says | None) -> None:
        """Evolve by the cause and by what was said; keep the answer; note what of it the log lacks."""
        self._account.steps += 1
        how = fit(says, told)
        if says is None or how == OTHERWISE:
            says = as_told(told)
            if delivery is not None:
                self._differ("decided otherwise", f"{told} is not what {told.cause_id} is decided to today")
        if says.accepted:
            messages = [delivery.message] if delivery is not None and delivery.message is not None else []
            self._evolve(told, [*messages, *says.events.values()])
        if delivery is not None and delivery.is_command and self._answered:
            self._mark(told, delivery, says)
        elif delivery is None:
            for one in told.said:
                if one.id in says.answer:
                    kept = to_remember(says.answer[one.id], one.value, None)
                    self._account.marks[told.cause_id] = Mark(kept, told.written_ms, NOWHERE, -1)
        if delivery is not None and how == HALF:
            self._complete(told, number, delivery, says)

    def _evolve(self, told: Told, messages: Sequence[Any]) -> None:
        state = self._state
        try:
            for message in messages:
                state = self._decider.evolve(state, message)
        except Exception as error:  # noqa: BLE001 - what the log holds cannot follow here; the rest still can
            self._differ("not applicable", f"{told}: {type(error).__name__}: {error}")
            return
        self._set(state)

    def _mark(self, told: Told, delivery: Delivery, says: Says) -> None:
        """Keep the answer to a command: as published, or else as decided again."""
        published = {one.id: one.value for one in told.said}
        place, offset = place_of(delivery), delivery.origin.offset
        if not says.answer:
            self._differ("answer missing", f"{told} has no answer for {told.cause_id}")
            self._leave(place, offset)
        for answer_id, answer in says.answer.items():
            value = published.get(answer_id) or codec.to_json(answer)
            command = delivery.message if isinstance(delivery.message, Payload) else None
            kept = to_remember(answer, value, command)
            self._account.marks[told.cause_id] = Mark(kept, told.written_ms, place, offset)

    def _complete(self, told: Told, number: int, delivery: Delivery, says: Says) -> None:
        """Keep for the outbox what a decision said behind the end of the log."""
        account, published = self._account, {one.id for one in told.said}
        for event_id, payload in says.all.items():
            name = topic_of(type(payload)).name
            if event_id in published:
                continue
            if self._last.get(name, -1) > number:
                self._differ("record missing", f"{told} lacks a {payload.ce_type}, and {name} goes on behind it")
                continue
            sequence = account.sequences.next(name) if account.known else 0
            identity = (payload.ce_type, event_id, to_rfc3339(told.at), account.account_id, sequence)
            chain = (delivery.cause.id, delivery.correlation_id, delivery.traceparent)
            account.unpublished.append(codec.pack(*identity, *chain, codec.to_json(payload)))

    def _finish(self) -> None:
        """Pass what the group has read behind the last decision, up to what would say something."""
        rest = self._inputs.before(None, 0, _END_OF_TIME_MS, self._to_come)
        self._pass_all([each for each in rest if each.offset < self._handled.get(each.place, 0)], None, self._until)
        self._set(self._again.woken(self._state, self._until, self._to_come, self._told.said))
        for place, offset in self._inputs.left().items():
            self._leave(place, offset)

    def _set(self, state: State[D]) -> None:
        account, rows = self._account, self._state.rows
        account.known = account.known or state.document is not self._state.document or bool(state.written)
        rows.update(state.written)  # type: ignore[attr-defined]  # it is this fold's own `EveryRow`
        self._state = State(state.account_id, state.document, rows)

    def _leave(self, place: Place, offset: int) -> None:
        self._account.unhandled[place] = min(offset, self._account.unhandled.get(place, offset))

    def _differ(self, kind: str, text: str) -> None:
        shown = text.replace(SCOPE_END, " ")
        self._account.differences.append(Difference(kind, self._account.account_id, shown))
