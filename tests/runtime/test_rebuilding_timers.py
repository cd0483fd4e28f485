"""Timers in a rebuild: the log does not tell of one that fired without a word, and the fold fires it all the same."""

from datetime import UTC, datetime
from typing import Any

from services.runtime.clock import from_milliseconds, to_milliseconds
from services.runtime.decision import Accepted, Cause, Decision, Message, TimerDue
from tests.runtime.lives import Life
from tests.runtime.toys import NOW, CounterDecider, command, fact


class Alarmed(CounterDecider):
    """A counter whose timers say nothing."""

    def decide(self, state: Any, message: Message, cause: Cause, now: datetime) -> Decision:
        """Let a timer take effect without a word."""
        if isinstance(message, TimerDue):
            return Accepted()
        return super().decide(state, message, cause, now)


def test_a_timer_that_said_nothing_has_fired() -> None:
    """A due timer that leaves no trace in the log is fired by the fold as it was in life."""
    life = Life(Alarmed())
    life.handle(life.sent(command("acme", "c0", f"wake:{to_milliseconds(NOW)}")))
    life.fire()
    assert life.read().count == 2
    life.assert_rebuilt(life.rebuilt())


def test_a_timer_to_come_stays_set() -> None:
    """A timer that is not due is in the rebuilt document as it was."""
    life = Life(CounterDecider())
    life.handle(life.sent(command("acme", "c0", "wake:32503680000000")))
    account = life.rebuilt()
    life.assert_rebuilt(account)
    assert account.document.timers == {"alarm": from_milliseconds(32_503_680_000_000)}
    assert account.document.timers["alarm"].tzinfo == UTC


def test_a_silent_timer_fires_before_the_decision_that_sets_it_again() -> None:
    """A timer that said nothing was due before a later decision: it has fired by then, and is not overwritten."""
    life = Life(Alarmed())
    life.handle(life.sent(command("acme", "c0", f"wake:{to_milliseconds(NOW)}")))
    life.fire()
    life.handle(life.sent(command("acme", "c1", "wake:32503680000000")))
    assert life.read().count == 3
    life.assert_rebuilt(life.rebuilt())


class Hushed(Alarmed):
    """A counter that takes facts in without a word, too."""

    def decide(self, state: Any, message: Message, cause: Cause, now: datetime) -> Decision:
        """Let a fact, known by its name, take effect without a word."""
        return Accepted() if cause.id.startswith("f") else super().decide(state, message, cause, now)


def test_a_silent_timer_fires_before_a_silent_input_that_sets_it_again() -> None:
    """Where timer and input both say nothing, the timer that was due before the input has fired by then."""
    life = Life(Hushed())
    life.handle(life.sent(command("acme", "c0", f"wake:{to_milliseconds(NOW)}")))
    life.fire()
    life.handle(life.sent(fact("acme", "f0", "wake:32503680000000")))
    assert life.read().count == 3
    life.assert_rebuilt(life.rebuilt())
    life.handle(life.sent(command("acme", "c1")))
    life.assert_rebuilt(life.rebuilt())
