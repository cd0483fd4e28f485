"""Orders that a log does not tell: between topics of one batch, and between copies of a command and a fact."""

from datetime import datetime
from typing import Any

from contracts.results import Reason
from services.runtime.decision import Accepted, Cause, Decision, Message, Rejected, State
from tests.runtime.lives import Life
from tests.runtime.toys import CounterDecider, command, event, fact


class Gate(CounterDecider):
    """A counter that refuses a command `late` while nothing was counted, and counts `open` without saying so."""

    def decide(self, state: State[Any], message: Message, cause: Cause, now: datetime) -> Decision:
        """Refuse what comes too early."""
        if getattr(message, "add_on", "") == "late" and not state.document.count:
            return Rejected(Reason.ADD_ON_UNKNOWN, "Not yet.")
        if getattr(message, "add_on", "") == "open":
            return Accepted(())
        return super().decide(state, message, cause, now)


def test_a_refusal_beside_what_would_have_let_it_pass_is_told_as_it_was() -> None:
    """What one batch decided has one instant: a refusal before an event of it is no other decision today."""
    life = Life(Gate())
    refused, counted, accepted = command("acme", "c1", "late"), event("acme", 1, "count"), command("acme", "c2", "late")
    life.handle(*(life.sent(each) for each in (refused, counted, accepted)))
    life.said.sort(key=lambda each: each.topic.name)  # a log is read topic by topic
    life.assert_rebuilt(life.rebuilt())


def test_of_a_command_that_was_sent_twice_the_first_copy_was_decided() -> None:
    """Though what let it pass was written behind the first copy and before the second, nothing between them is lost."""
    life = Life(Gate())
    first = life.sent(command("acme", "c1", "late"))
    behind = life.sent(command("acme", "c2", "reject"))
    heard_before = life.sent(fact("acme", "f1", "open"))
    again = life.sent(command("acme", "c1", "late"))
    for each in (heard_before, first, behind, again):
        life.handle(each)
    life.assert_rebuilt(life.rebuilt())
