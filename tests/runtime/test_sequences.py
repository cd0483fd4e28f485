"""Sequences: every number is applied once, whatever the order, and what is missing is known exactly."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts import topics
from services.runtime.sequences import Arrival, Sequences

TOPIC = topics.EVENTS.name


def receive(sequences: Sequences, *numbers: int) -> list[Arrival]:
    """Let numbers arrive one after another, applying those that are not repeated."""
    arrivals = []
    for number in numbers:
        arrival = sequences.arrive(TOPIC, number)
        if arrival is not Arrival.REPEATED:
            sequences.apply(TOPIC, number)
        arrivals.append(arrival)
    return arrivals


def missing(sequences: Sequences) -> set[int]:
    """Return the missing numbers one by one."""
    return {number for low, high in sequences.applied[TOPIC].missing for number in range(low, high + 1)}


def test_numbers_in_order_are_each_the_next() -> None:
    """1, 2, 3 in order leave nothing missing."""
    sequences = Sequences()

    assert receive(sequences, 1, 2, 3) == [Arrival.NEXT] * 3
    assert sequences.applied[TOPIC].missing_text() == ""


def test_what_was_applied_is_repeated_for_ever() -> None:
    """Any number at or below the highest that is not missing is a repetition, however old."""
    sequences = Sequences()
    receive(sequences, *range(1, 1_001))

    assert receive(sequences, 1, 500, 1_000) == [Arrival.REPEATED] * 3


def test_a_gap_is_seen_and_a_late_number_fills_it() -> None:
    """A jump is a gap; the late numbers are applied, in any order, and then nothing is missing any more."""
    sequences = Sequences()

    assert receive(sequences, 1, 5) == [Arrival.NEXT, Arrival.AFTER_GAP]
    assert sequences.applied[TOPIC].missing_text() == "2-4"
    assert receive(sequences, 3, 3) == [Arrival.FILLS_GAP, Arrival.REPEATED]
    assert sequences.applied[TOPIC].missing_text() == "2,4"
    assert receive(sequences, 4, 2, 6) == [Arrival.FILLS_GAP, Arrival.FILLS_GAP, Arrival.NEXT]
    assert sequences.applied[TOPIC].missing_text() == ""


def test_the_first_number_seen_is_the_start() -> None:
    """A reader of a trimmed log starts where it starts: what lies before is neither missing nor taken in late."""
    sequences = Sequences()

    assert receive(sequences, 40, 39, 41) == [Arrival.START_OF_TRIMMED_LOG, Arrival.REPEATED, Arrival.NEXT]
    assert sequences.applied[TOPIC].missing == []


def test_topics_count_apart() -> None:
    """Emitted and applied numbers of one topic say nothing about another."""
    sequences = Sequences()
    receive(sequences, 1, 2)

    assert sequences.arrive(topics.BILLING.name, 1) is Arrival.NEXT
    assert [sequences.next(TOPIC), sequences.next(TOPIC), sequences.next(topics.BILLING.name)] == [1, 2, 1]


def test_no_history_is_empty() -> None:
    """Nothing stored reads as nothing emitted and nothing applied."""
    assert Sequences.load(None) == Sequences()


deliveries = st.integers(1, 60).flatmap(
    lambda count: st.lists(st.integers(1, count), max_size=30).flatmap(
        lambda again: st.permutations([*range(1, count + 1), *again])
    )
)


@given(deliveries)
@example([2, 1, 1])
def test_every_number_is_applied_exactly_once(numbers: Sequence[int]) -> None:
    """Whatever the order and the repetitions of 1..n behind a first 1, each is applied once and none stays missing."""
    sequences = Sequences()
    arrivals = receive(sequences, 1, *numbers)

    applied = [
        number for number, arrival in zip([1, *numbers], arrivals, strict=True) if arrival is not Arrival.REPEATED
    ]
    assert sorted(applied) == list(range(1, max(numbers) + 1))
    assert sequences.applied[TOPIC].missing == []


@given(st.integers(1, 50), st.lists(st.integers(1, 100)))
def test_what_is_missing_is_exactly_what_was_not_seen(first: int, numbers: list[int]) -> None:
    """The missing set is all between the start and the highest that never came, in disjoint ascending ranges."""
    sequences = Sequences()
    receive(sequences, first, *numbers)

    seen = {first, *(number for number in numbers if number > first)}
    assert missing(sequences) == set(range(first, max(seen) + 1)) - seen
    ranges = sequences.applied[TOPIC].missing
    assert all(low <= high for low, high in ranges)
    assert all(one[1] + 1 < other[0] for one, other in pairwise(ranges))


@given(st.lists(st.integers(1, 100), min_size=1), st.dictionaries(st.text(max_size=5), st.integers(1, 2**60)))
def test_what_is_stored_comes_back(numbers: list[int], emitted: dict[str, int]) -> None:
    """Loading what was dumped gives the same sequences, to the byte."""
    sequences = Sequences(emitted=emitted)
    receive(sequences, *numbers)

    assert Sequences.load(sequences.dump()) == sequences
    assert Sequences.load(sequences.dump()).dump() == sequences.dump()


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_space_does_not_grow_with_history(count: int) -> None:
    """A hundred thousand numbers with one gap cost what a thousand cost: the highest, and one range."""
    sequences = Sequences()
    receive(sequences, 1)
    sequences.apply(TOPIC, count // 2)
    for number in (count // 2 + 1, count):
        sequences.apply(TOPIC, number)

    assert len(sequences.dump()) < 50
    assert len(sequences.applied[TOPIC].missing) == 2


def test_the_beginning_of_a_whole_log_can_be_missing_too() -> None:
    """On a log that has its beginning, a first number above 1 leaves a gap before it, and a late 1 is applied."""
    sequences = Sequences()
    assert sequences.arrive(TOPIC, 3, trimmed=False) is Arrival.AFTER_GAP
    sequences.apply(TOPIC, 3, trimmed=False)

    assert sequences.applied[TOPIC].missing_text() == "1-2"
    assert sequences.arrive(TOPIC, 1, trimmed=False) is Arrival.FILLS_GAP
