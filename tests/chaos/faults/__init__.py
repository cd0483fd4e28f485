"""Every fault a campaign knows: its name, its family, and how often it is in the family's deck."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from tests.chaos.campaign.plan import Family, Strike
from tests.chaos.campaign.world import World
from tests.chaos.faults import inputs, kafka, processes, valkey


class Fault(NamedTuple):
    """What strikes, and how many of the cards of its family's deck are it."""

    family: Family
    strike: Callable[[World, Strike], Awaitable[None]]
    cards: int = 1


FAULTS: Final[Mapping[str, Fault]] = {
    "process-killed": Fault(Family.PROCESS, processes.killed, 8),
    "process-killed-at-a-point": Fault(Family.PROCESS, processes.killed_at_a_point, 4),
    "process-frozen": Fault(Family.PROCESS, processes.frozen),
    "process-stopped": Fault(Family.PROCESS, processes.stopped),
    "rebalance-storm": Fault(Family.PROCESS, processes.rebalance_storm),
    "second-owner": Fault(Family.PROCESS, processes.second_owner),
    "kafka-killed": Fault(Family.KAFKA, kafka.killed),
    "kafka-paused": Fault(Family.KAFKA, kafka.paused),
    "kafka-cut": Fault(Family.KAFKA, kafka.cut),
    "kafka-half-open": Fault(Family.KAFKA, kafka.half_open),
    "kafka-acknowledgement-lost": Fault(Family.KAFKA, kafka.acknowledgement_lost),
    "kafka-slow": Fault(Family.KAFKA, kafka.slow),
    "valkey-killed": Fault(Family.VALKEY, valkey.killed),
    "valkey-torn-write": Fault(Family.VALKEY, valkey.torn_write),
    "valkey-paused": Fault(Family.VALKEY, valkey.paused),
    "valkey-cut": Fault(Family.VALKEY, valkey.cut),
    "valkey-half-open": Fault(Family.VALKEY, valkey.half_open),
    "valkey-reply-lost": Fault(Family.VALKEY, valkey.reply_lost),
    "valkey-slow": Fault(Family.VALKEY, valkey.slow),
    "valkey-out-of-memory": Fault(Family.VALKEY, valkey.out_of_memory),
    "valkey-functions-flushed": Fault(Family.VALKEY, valkey.functions_flushed),
    "poison": Fault(Family.INPUT, inputs.poison, 3),
    "repeated": Fault(Family.INPUT, inputs.repeated, 3),
    "clock-stepped": Fault(Family.INPUT, inputs.clock_stepped),
}


def decks(names: Iterable[str] = FAULTS) -> dict[Family, Sequence[str]]:
    """Return the cards of each family, of some faults or all; KeyError for a name that is none."""
    dealt: dict[Family, list[str]] = {family: [] for family in Family}
    for name in names:
        dealt[FAULTS[name].family] += [name] * FAULTS[name].cards
    return {family: tuple(cards) for family, cards in dealt.items()}
