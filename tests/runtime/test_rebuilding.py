"""State from the log alone: the fold of what was read and said comes to what was stored, whatever the history."""

import itertools
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts import topics
from contracts.accounts import MemberUpdated
from contracts.events import TrialEnded
from services.runtime import codec
from services.runtime.clock import to_milliseconds
from services.runtime.decision import (
    Accepted,
    Cause,
    Decision,
    Document,
    Ignored,
    Message,
    Row,
    State,
)
from services.runtime.delivery import Delivery
from services.runtime.sequences import Sequences
from tests.runtime.lives import Life
from tests.runtime.toys import NOW, CounterDecider, command, event, fact, staff

WISHES = ("count", "reject", "ignore", "row", "ask", "wake", "wake at once")


def delivery(kind: str, wish: str, number: int, life: Life) -> Delivery:
    """Return an input of a kind; some commands are repetitions."""
    if wish == "wake":
        wish = f"wake:{to_milliseconds(life.now) + 180_000}"
    if wish == "wake at once":
        wish = f"wake:{to_milliseconds(NOW)}"  # an instant that the timer had before, when it is said again
    match kind:
        case "command":
            return command("acme", f"c{number}", wish)
        case "event":
            return event("acme", number + 1, wish)
    return fact("acme", f"f{number}", "note" if number % 2 else "ignore")


COUNTED = [("command", "count", False)]
FAILS_ONCE = [
    *(COUNTED * 11),
    ("command", "wake", False),
    *COUNTED,
    ("fire", "", False),  # at a count of thirteen, which no timer of the counter's can be decided at
    *COUNTED,
    ("fire", "", False),
]


@settings(deadline=None)
@example(FAILS_ONCE)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("command", "event", "fact", "again", "fire")), st.sampled_from(WISHES), st.booleans()
        ),
        max_size=25,
    )
)
def test_the_fold_of_any_history_is_what_was_stored(steps: list[tuple[str, str, bool]]) -> None:
    """Commands, events, facts, repetitions, timers, put off or not, batched or not: the log gives the same account.

    No two records of a life share an id.
    """
    life = Life(CounterDecider())
    numbers: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)
    batch: list[Delivery] = []
    for kind, wish, closes in steps:
        if kind == "fire":
            life.handle(*batch)
            batch = []
            life.fire()
        elif kind == "again" and life.inputs and life.inputs[-1].topic is not topics.ACCOUNTS:
            batch.append(life.sent(life.inputs[-1]))  # a toy's fact has no revision to know a repetition by
        elif kind != "again":
            batch.append(life.sent(delivery(kind, wish, next(numbers[kind]), life)))
        if closes:
            life.handle(*batch)
            batch = []
    life.handle(*batch)
    life.assert_told_apart()
    life.now -= timedelta(days=1)  # no timer that did not fire is due
    life.assert_rebuilt(life.rebuilt())


@given(st.permutations([("c0", False), ("c0", True), ("c1", False), ("c1", True), ("c2", True)]), st.booleans())
@settings(deadline=None)
def test_commands_of_one_id_on_two_topics_are_told_apart(sent: list[tuple[str, bool]], at_once: bool) -> None:
    """Members and the back office use the same ids, one right behind the other: each answer is its own command's."""
    life = Life(CounterDecider())
    inputs = [life.sent(staff("acme", name) if theirs else command("acme", name)) for name, theirs in sent]
    for batch in [inputs] if at_once else [[each] for each in inputs]:
        life.handle(*batch)
    life.assert_told_apart()
    assert len(life.answers) == len(sent)
    life.assert_rebuilt(life.rebuilt())


class Price(Document):
    """What a price stands at."""

    revision: int = 0


class PriceDecider:
    """Facts set a price, which nobody says; commands are told it."""

    document = Price
    row_types: Mapping[str, type[Row]] = {}

    def initial(self) -> Price:
        """Start at nothing."""
        return Price()

    def rows(self, message: Message) -> tuple[str, ...]:  # noqa: ARG002
        """Need no row."""
        return ()

    def decide(self, state: State[Price], message: Message, cause: Cause, now: datetime) -> Decision:  # noqa: ARG002
        """Take newer facts; say the price."""
        if isinstance(message, MemberUpdated):
            return Accepted() if message.revision > state.document.revision else Ignored("stale")
        price = f"price {state.document.revision}"
        return Accepted((TrialEnded(account_id="acme", add_on=price, ended_at=now, reason="expired"),))

    def evolve(self, state: State[Price], message: Message) -> State[Price]:
        """Keep the price."""
        return state.with_document(revision=message.revision) if isinstance(message, MemberUpdated) else state


def price(revision: int) -> Delivery:
    """Return a fact that sets the price."""
    said = MemberUpdated(account_id="acme", revision=revision, user_id="ann", role="owner", status="active")
    return Delivery("acme", said, Cause(f"price-{revision}", said.ce_type), topics.ACCOUNTS)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=12), st.randoms(use_true_random=False))
def test_an_order_that_the_log_does_not_tell_is_found(kinds: list[bool], chance: Any) -> None:
    """However facts and commands were interleaved, in spite of when they were written, every answer finds its price."""
    life = Life(PriceDecider())
    revisions, numbers = itertools.count(1), itertools.count()
    queues: dict[bool, list[Delivery]] = {True: [], False: []}
    for is_fact in kinds:
        sent = price(next(revisions)) if is_fact else command("acme", f"c{next(numbers)}")
        queues[is_fact].append(life.sent(sent))
    while queues[True] or queues[False]:
        queue = queues[chance.choice([each for each, left in queues.items() if left])]
        life.handle(queue.pop(0))
    life.assert_rebuilt(life.rebuilt())


def test_what_was_not_handled_is_left_for_the_service() -> None:
    """A command without an answer, and what stands behind it, is where the service is to read on, read or not."""
    life = Life(CounterDecider())
    life.handle(life.sent(command("acme", "c0")))
    life.sent(command("acme", "c1"))
    life.sent(command("acme", "c2"))
    for read in (True, False):
        account = life.rebuilt(read=read)
        life.assert_rebuilt(account)
        assert account.unhandled == {(topics.COMMANDS.name, 0): 1}


def test_an_event_whose_effect_was_never_published_is_missing_and_comes_again() -> None:
    """An event that was read, but whose effect is not in the log, is not taken for applied."""
    life = Life(CounterDecider())
    life.handle(life.sent(event("acme", 1)))
    life.sent(event("acme", 2))
    account = life.rebuilt()
    assert account.sequences.applied[topics.EVENTS.name].highest == 1
    assert account.unhandled == {(topics.EVENTS.name, 0): 1}


def test_a_decision_published_in_part_is_completed() -> None:
    """When the event is in the log and the answer is not, the outbox gets the same answer to the byte."""
    life = Life(CounterDecider())
    life.handle(life.sent(command("acme", "c0")))
    whole = {each.topic: each for each in life.said}
    life.said = [whole[topics.EVENTS]]
    account = life.rebuilt()
    assert account.differences == []
    [record] = account.unpublished
    out = codec.unpack(record)
    assert (out.topic, out.value, dict(out.headers)["ce_id"].decode()) == (
        topics.RESULTS,
        whole[topics.RESULTS].value,
        whole[topics.RESULTS].id,
    )
    assert account.marks["c0"].answer == life.answers["c0"]
    assert account.sequences == Sequences.load(life.sequences)


def test_what_was_said_counts_although_it_is_decided_otherwise_today() -> None:
    """Another rule today is a difference that is told; the state follows what was said."""
    life = Life(PriceDecider())
    life.handle(life.sent(price(5)))
    life.handle(life.sent(command("acme", "c0")))
    life.inputs = [each for each in life.inputs if each.cause.id != "price-5"]
    account = life.rebuilt()
    assert [each.kind for each in account.differences] == ["decided otherwise"]
    assert account.marks["c0"].answer == life.answers["c0"]


def test_a_gap_and_a_missing_cause_are_told() -> None:
    """An own sequence that is missing, and a record whose cause is not in the log, are differences."""
    life = Life(CounterDecider())
    for number in range(3):
        life.handle(life.sent(command("acme", f"c{number}")))
    life.said = [each for each in life.said if each.sequence != 2]
    life.inputs = [each for each in life.inputs if each.cause.id != "c0"]
    kinds = [each.kind for each in life.rebuilt().differences]
    assert kinds.count("sequence") == 2
    assert "cause missing" in kinds


def test_a_stranger_who_was_refused_stays_unknown() -> None:
    """A refusal of an unknown account leaves its answer and nothing else."""
    life = Life(CounterDecider())
    life.handle(life.sent(command("acme", "c0", "reject")))
    account = life.rebuilt()
    life.assert_rebuilt(account)
    assert not account.known
    assert list(account.marks) == ["c0"]


def test_what_the_group_has_not_read_is_not_taken_in() -> None:
    """A fact that says nothing is folded when the group has read it, and else left for the service."""
    life = Life(PriceDecider())
    life.sent(price(5))
    assert life.rebuilt().document.revision == 5
    account = life.rebuilt(read=False)
    assert account.document.revision == 0
    assert account.unhandled == {(topics.ACCOUNTS.name, 0): 0}


def test_a_repeated_command_says_nothing() -> None:
    """A command sent again, between others and at the end, is passed, makes no difference and is not left."""
    life = Life(CounterDecider())
    for number in (0, 0, 1, 1):
        life.handle(life.sent(command("acme", f"c{number}")))
    account = life.rebuilt()
    life.assert_rebuilt(account)
    assert account.unhandled == {}


class Taciturn(PriceDecider):
    """Accepts commands without an event."""

    def decide(self, state: State[Price], message: Message, cause: Cause, now: datetime) -> Decision:  # noqa: ARG002
        """Take everything in."""
        return Accepted()


def test_an_accepted_command_without_events_still_needs_its_answer() -> None:
    """A command that causes no event is answered all the same: without an answer it is not handled."""
    life = Life(Taciturn())
    life.handle(life.sent(command("acme", "c0")))
    life.sent(command("acme", "c1"))
    account = life.rebuilt()
    life.assert_rebuilt(account)
    assert account.unhandled == {(topics.COMMANDS.name, 0): 1}
