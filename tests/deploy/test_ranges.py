"""Sets of sequences as ranges: read and written as readers note them, and subtracted as sets are."""

from hypothesis import given
from hypothesis import strategies as some

from deploy.addonflow.ranges import count, holds, ranges_of, read_ranges, without
from services.runtime.sequences import ranges_text

NUMBERS = some.sets(some.integers(1, 40))


@given(NUMBERS, NUMBERS)
def test_ranges_are_sets(numbers: set[int], others: set[int]) -> None:
    """Membership, size and difference of ranges are those of the sets of their numbers."""
    ranges = ranges_of(numbers)
    assert {number for number in range(50) if holds(ranges, number)} == numbers
    assert count(ranges) == len(numbers)
    assert ranges_of(n for n in range(50) if holds(without(ranges, ranges_of(others)), n)) == ranges_of(
        numbers - others
    )


@given(NUMBERS)
def test_what_a_reader_notes_is_read_back(numbers: set[int]) -> None:
    """The text in which a reader notes what it is missing, read and written again, is the same."""
    ranges = ranges_of(numbers)
    assert read_ranges(ranges_text(ranges)) == ranges
