"""Sets of sequences as ranges: [(4, 5), (9, 9)], ascending and apart, written "4-5,9"."""

from collections.abc import Iterable, Iterator

Ranges = list[tuple[int, int]]


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Return the ranges of some numbers."""
    found: Ranges = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def read_ranges(text: str) -> Ranges:
    """Read "4-5,9"; empty for no text."""
    pairs = (part.partition("-") for part in text.split(",") if part)
    return [(int(low), int(high or low)) for low, _, high in pairs]


def count(ranges: Ranges) -> int:
    """Count the numbers in ranges."""
    return sum(high - low + 1 for low, high in ranges)


def holds(ranges: Ranges, number: int) -> bool:
    """Whether a number is in ranges."""
    return any(low <= number <= high for low, high in ranges)


def without(ranges: Ranges, others: Ranges) -> Ranges:
    """Return what of `ranges` is not in `others`. Cost: the product of their lengths."""
    for gone_low, gone_high in others:
        ranges = [part for low, high in ranges for part in _cut(low, high, gone_low, gone_high)]
    return ranges


def _cut(low: int, high: int, gone_low: int, gone_high: int) -> Iterator[tuple[int, int]]:
    if low <= min(high, gone_low - 1):
        yield low, min(high, gone_low - 1)
    if max(low, gone_high + 1) <= high:
        yield max(low, gone_high + 1), high
