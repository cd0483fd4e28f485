"""State kept at any moment, and the log since: it comes to what was stored at the end, whatever happened meanwhile."""

import itertools
from collections import defaultdict
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts import topics
from tests.runtime.lives import Kept, Life
from tests.runtime.test_rebuilding import WISHES, delivery
from tests.runtime.toys import CounterDecider

STEPS = st.tuples(
    st.sampled_from(("command", "event", "fact", "again", "fire")),
    st.sampled_from(WISHES),
    st.integers(0, 3),
)


@settings(deadline=None)
@example([("command", "reject", 0)] * 3, 2, 1, 0)
@given(st.lists(STEPS, min_size=1, max_size=20), st.integers(0, 19), st.integers(0, 19), st.integers(0, 19))
def test_kept_state_and_the_log_since_are_the_state_at_the_end(
    steps: list[tuple[str, str, int]], kept_at: int, offsets_at: int, published_at: int
) -> None:
    """The log may be read from before the state was kept: what the state has already is recognised.

    What was said is published later, so there may be more of it than of what was read.
    """
    life = Life(CounterDecider())
    numbers: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)
    kept: Kept | None = None
    inputs_from = said_from = 0
    for number, (kind, wish, silence) in enumerate(steps):
        if number == min(published_at, offsets_at, kept_at, len(steps) - 1):
            said_from = len(life.said)
        if number == min(offsets_at, kept_at, len(steps) - 1):
            inputs_from = len(life.inputs)
        if number == min(kept_at, len(steps) - 1):
            kept = life.kept()
        if kind == "fire":
            life.fire()
        elif kind == "again" and life.inputs and life.inputs[-1].topic is not topics.ACCOUNTS:
            life.handle(life.sent(life.inputs[-1]))
        elif kind in ("command", "event"):
            for _ in range(silence):
                next(numbers[kind])  # events that never come leave gaps
            life.handle(life.sent(delivery(kind, wish, next(numbers[kind]), life)))
        elif kind == "fact" and kept is not None:  # a toy's fact has no revision to know a repetition by
            life.handle(life.sent(delivery(kind, wish, next(numbers[kind]), life)))
    assert kept is not None
    life.now -= timedelta(days=1)  # no timer that did not fire is due
    life.assert_rebuilt(life.restored(kept, inputs_from=inputs_from, said_from=said_from))


def test_a_command_that_was_answered_before_is_found_where_it_is() -> None:
    """Its mark tells its place, so that it is still recognised if it is read again when its time would be over."""
    life = Life(CounterDecider())
    for number in range(3):
        life.handle(life.sent(delivery("command", "count", number, life)))
    account = life.restored(life.kept(), inputs_from=1, said_from=3)
    assert {key: (mark.place[0], mark.offset) for key, mark in account.marks.items()} == {
        "c0": ("", -1),
        "c1": (topics.COMMANDS.name, 1),
        "c2": (topics.COMMANDS.name, 2),
    }


def test_what_is_missing_of_what_was_said_since_is_told() -> None:
    """Own records are counted on from what the state had said: one that is not in the log is a difference."""
    life = Life(CounterDecider())
    life.handle(life.sent(delivery("command", "count", 0, life)))
    first, second = life.kept(), life.kept()
    for number in (1, 2):
        life.handle(life.sent(delivery("command", "count", number, life)))
    assert life.restored(first, inputs_from=1, said_from=2).differences == []
    lacking = life.restored(second, inputs_from=1, said_from=4)
    assert {"sequence", "nothing said"} <= {each.kind for each in lacking.differences}
