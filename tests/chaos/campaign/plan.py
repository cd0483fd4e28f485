"""What will be broken, and when: drawn from a seed alone, so that the same seed is the same plan.

Faults are dealt from decks, one for each family, that are shuffled anew when they are empty, and so are the families of
a round: none is forgotten for long, and those that should come more often are in their deck more than once.
"""

import random  # noqa: TID251 - what is broken is drawn, from a seed that is printed
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Generic, TypeVar

Card = TypeVar("Card")
ROUND_SECONDS: Final = (3.0, 8.0)


class Family(Enum):
    """What a fault strikes. Of one family only one strikes at a time, but of processes."""

    PROCESS = "process"
    KAFKA = "kafka"
    VALKEY = "valkey"
    INPUT = "input"


_P, _K, _V, _I = Family
SHAPES: Final[Sequence[tuple[Family, ...]]] = (
    (_P, _I, _I),
    (_P, _I, _I),
    (_P, _I, _I, _I),
    (_P, _P, _I),
    (_P, _K, _I, _I),
    (_P, _V, _I, _I),
    (_P, _P, _V, _I),
    (_K, _V, _I, _I),
)
"""The families of a round: in some nothing but one process is struck, and the others must go on."""


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault of a round: when in it, for how long, and what its own choices are drawn from."""

    fault: str
    after: float
    seconds: float
    seed: int

    def drawn(self) -> random.Random:
        """Return what this strike draws its choices from."""
        return random.Random(self.seed)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Round:
    """Faults that strike beside each other, and heal before the next round."""

    number: int
    seconds: float
    strikes: tuple[Strike, ...]


@dataclass(slots=True)
class _Deck(Generic[Card]):
    draw: random.Random
    cards: Sequence[Card]
    left: list[Card] = field(default_factory=list)

    def deal(self) -> Card:
        if not self.left:
            self.left = self.draw.sample(self.cards, len(self.cards))
        return self.left.pop()


def rounds(seed: int, decks: Mapping[Family, Sequence[str]]) -> Iterator[Round]:
    """Yield rounds without end; a family whose deck is empty takes no part."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    dealt = {family: _Deck(draw, cards) for family, cards in decks.items() if cards}
    shapes, number = _Deck(draw, SHAPES), 0
    while dealt:
        shape = [family for family in shapes.deal() if family in dealt]
        seconds = round(draw.uniform(*ROUND_SECONDS), 2)
        strikes = tuple(
            Strike(
                fault=dealt[family].deal(),
                after=round(draw.uniform(0, 0.3) * seconds, 2),
                seconds=round(draw.uniform(0.3, 0.7) * seconds, 2),
                seed=draw.getrandbits(32),
            )
            for family in shape
        )
        if strikes:
            number += 1
            yield Round(number, seconds, strikes)
