"""Timers in the fold of a log: those that spoke are where the log has them, those that said nothing fire in between."""

from datetime import UTC, datetime
from typing import Any

from contracts.commands import StartTrial
from contracts.identity import derive_record_id
from services.runtime.clock import from_milliseconds, to_milliseconds
from services.runtime.decision import Accepted, Cause, Decision, Message, State, TimerDue
from services.runtime.delivery import Delivery
from tests.runtime.lives import Life
from tests.runtime.test_rebuilding import Price, PriceDecider, price
from tests.runtime.toys import NOW, CounterDecider, command, fact


def test_a_timer_set_to_an_instant_it_had_before_is_another_cause() -> None:
    """What it says the second time has ids of its own, also within a batch, and the fold tells the two apart."""
    life = Life(CounterDecider())
    at_once = f"wake:{to_milliseconds(NOW)}"
    for number in range(3):
        life.handle(life.sent(command("acme", f"c{number}", at_once)))
        life.fire()
    alarm = Delivery.of_timer("acme", "alarm", to_milliseconds(NOW))
    batch = [life.sent(command("acme", f"c{number}", at_once)) for number in (3, 4)]
    life.handle(batch[0], alarm, batch[1], alarm)

    assert len({each.cause_id for each in life.said if each.cause_id.startswith("timer:")}) == 5
    life.assert_told_apart()
    life.assert_rebuilt(life.rebuilt())


def test_a_timer_of_a_log_that_does_not_count_what_was_said_is_found() -> None:
    """What a timer caused before causes counted the records is folded as it was said."""
    life = Life(CounterDecider())
    life.handle(life.sent(command("acme", "c0", f"wake:{to_milliseconds(NOW)}")))
    life.fire()
    *said, fired = life.said
    plain = fired.cause_id.partition("+")[0]
    life.said = [
        *said,
        fired._replace(cause_id=plain, id=derive_record_id("acme", plain, fired.topic.name, fired.sequence, "")),
    ]
    life.assert_rebuilt(life.rebuilt())


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


class Reminded(Price):
    """A price, and how often somebody was reminded of it."""

    reminded: int = 0


class Reminder(PriceDecider):
    """Commands set a timer to one and the same instant; it says the price, or nothing while there is none."""

    document = Reminded

    def initial(self) -> Reminded:
        """Start at nothing."""
        return Reminded()

    def decide(self, state: State[Any], message: Message, cause: Cause, now: datetime) -> Decision:
        """Say nothing of no price."""
        if isinstance(message, TimerDue) and not state.document.revision:
            return Accepted()
        return super().decide(state, message, cause, now)

    def evolve(self, state: State[Any], message: Message) -> State[Any]:
        """Count how often the timer fired."""
        if isinstance(message, TimerDue):
            return state.with_document(timers={}, reminded=state.document.reminded + 1)
        return (
            state.with_document(timers={"alarm": NOW})
            if isinstance(message, StartTrial)
            else super().evolve(state, message)
        )


def test_a_timer_that_spoke_did_not_fire_in_silence_before() -> None:
    """Of two firings at one instant the silent one is told from the one that the log has, which waits for its place."""
    life = Life(Reminder())
    life.handle(life.sent(command("acme", "c0")))
    life.fire()
    life.handle(life.sent(command("acme", "c1")))
    life.handle(life.sent(price(5)))
    life.fire()
    assert life.read() == Reminded(revision=5, reminded=2)
    assert life.said[-1].cause_id.startswith("timer:")
    life.assert_rebuilt(life.rebuilt())
