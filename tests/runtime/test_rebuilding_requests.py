"""Commands over HTTP in the fold of a log: no topic has them, what they caused is where the log has it."""

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.commands import StartTrial
from contracts.events import TrialEnded
from contracts.topics import BACKOFFICE, COMMANDS, Topic
from services.runtime.decision import Message, State
from services.runtime.delivery import Delivery
from tests.runtime.lives import Life
from tests.runtime.toys import CounterDecider, CounterDocument, command, event


class Spoken(CounterDecider):
    """A counter whose commands do nothing but by what they say, as those of services with doors."""

    def evolve(self, state: State[CounterDocument], message: Message) -> State[CounterDocument]:
        """Count what was said."""
        if isinstance(message, StartTrial):
            return state
        if isinstance(message, TrialEnded):
            return state.with_document(count=state.document.count + 1)
        return super().evolve(state, message)


def request(command_id: str, wish: str = "count", topic: Topic = COMMANDS) -> Delivery:
    """Return a command as it comes over HTTP."""
    asked: Any = command("acme", command_id, wish).message
    return Delivery.of_request(asked, topic, command_id, digest=f"digest of {command_id}")


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(("http", "kafka", "event", "staff")), st.sampled_from(("count", "reject")))))
def test_the_fold_of_requests_among_inputs_is_what_was_stored(steps: list[tuple[str, str]]) -> None:
    """Whatever came over HTTP between commands and events: the log gives the same account and the same answers."""
    life, sequences = Life(Spoken()), itertools.count(1)
    for number, (way, wish) in enumerate(steps):
        match way:
            case "http":
                life.handle(request(f"h{number}", wish))
            case "staff":
                life.handle(request(f"s{number}", wish, BACKOFFICE))
            case "kafka":
                life.handle(life.sent(command("acme", f"k{number}", wish)))
            case _:
                life.handle(life.sent(event("acme", next(sequences))))
    life.assert_rebuilt(life.rebuilt())


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("http", "kafka", "event", "staff", "forget")),
            st.sampled_from(("one", "two")),
            st.sampled_from(("count", "reject", "row")),
        )
    )
)
def test_an_id_used_again_is_another_decision(steps: list[tuple[str, str, str]]) -> None:
    """Within the retention an id has one effect, on either way; behind it another, whose records have their own ids.

    The log gives the same account, whatever the id was used for in between.
    """
    life, sequences = Life(Spoken()), itertools.count(1)
    for way, command_id, wish in steps:
        match way:
            case "forget":
                life.forget()
            case "http":
                life.handle(request(command_id, wish))
            case "staff":
                life.handle(request(command_id, wish, BACKOFFICE))
            case "kafka":
                life.handle(life.sent(command("acme", command_id, wish)))
            case _:
                life.handle(life.sent(event("acme", next(sequences))))
    life.assert_told_apart()
    life.assert_rebuilt(life.rebuilt())


def test_a_request_and_an_order_of_staff_may_have_one_id() -> None:
    """A member's command from Kafka and staff's over HTTP with the same id are two, and both answers come back."""
    life = Life(Spoken())
    life.handle(life.sent(command("acme", "same")))
    life.handle(request("same", topic=BACKOFFICE))
    account = life.rebuilt()
    assert len(account.marks) == 2
    life.assert_rebuilt(account)


def test_a_cause_that_is_nowhere_is_told() -> None:
    """What was caused by a command that neither a topic has nor an answer tells of is a difference."""
    life = Life(Spoken())
    life.handle(command("acme", "lost"))
    assert [each.kind for each in life.rebuilt().differences] == ["cause missing"]
