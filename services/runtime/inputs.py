"""What a service read about one account, lined up by partition: what was passed already, and what may come next.

Within a partition the order is the log's. Among partitions the log tells no order; the times of writing suggest one.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from contracts.identity import derive_record_id
from services.runtime.clock import to_rfc3339
from services.runtime.delivery import Delivery, keys_of
from services.runtime.sequences import Arrival, Sequences
from services.runtime.telling import Said

Place = tuple[str, int]
"""A registry topic and a partition: where an offset is counted."""

LATER_MAX = 32
"""How many inputs of a partition, written after a decision's cause, may have been passed before it all the same."""


class Input(NamedTuple):
    """An input that was not passed yet, and when it or one before it in its partition was written (ms)."""

    written_ms: int
    place: Place
    delivery: Delivery

    @property
    def offset(self) -> int:
        """Where it is in its partition."""
        return int(self.delivery.origin.offset)


def place_of(delivery: Delivery) -> Place:
    """Return where an input was read."""
    return (delivery.topic.name if delivery.topic else "", delivery.origin.partition)


def written_ms(delivery: Delivery) -> int:
    """Return when an input was written to the log, in ms since the epoch."""
    return int(delivery.origin.timestamp)


def _derives(account_id: str, cause_key: str, one: Said) -> bool:
    return derive_record_id(account_id, cause_key, one.topic.name, one.sequence, to_rfc3339(one.at)) == one.id


class Inputs:
    """The inputs of an account, each partition's in order of offsets; repetitions of a stream are left out.

    So is what was applied before, by `sequences`.
    """

    def __init__(self, deliveries: Sequence[Delivery], sequences: Sequences | None = None) -> None:
        self._queues: defaultdict[Place, list[Delivery]] = defaultdict(list)
        self._heads: defaultdict[Place, int] = defaultdict(int)
        self._keys: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._where: defaultdict[str, list[tuple[Place, int]]] = defaultdict(list)
        seen = Sequences.load(sequences.dump() if sequences else None)
        for delivery in deliveries:
            if delivery.topic is not None and delivery.sequence is not None:
                name, trimmed = delivery.topic.name, delivery.trimmed
                if seen.arrive(name, delivery.sequence, trimmed=trimmed) is Arrival.REPEATED:
                    continue
                seen.apply(name, delivery.sequence, trimmed=trimmed)
            queue = self._queues[place_of(delivery)]
            self._where[delivery.cause.key].append((place_of(delivery), len(queue)))
            queue.append(delivery)
            self._keys[delivery.cause.id][delivery.cause.key] = None

    def attributed(self, account_id: str, said: Iterable[Said], answered: Container[str] = ()) -> list[Said]:
        """Return records with the key of their cause in the place of its id, which causes of several topics may share.

        Of these it is the one from which the record's own id derives: an input's, or that of a command over HTTP, which
        is no input. What has no sequence to know it by is left out if its command is `answered` and before all inputs.
        """
        found = []
        for one in said:
            known = self._keys.get(one.cause_id, {})
            keys = dict.fromkeys((*known, *keys_of(one.cause_id)))
            derived = (key for key in keys if _derives(account_id, key, one))
            key = next(derived, next(iter(known), one.cause_id))
            if one.sequence or key not in answered or key in self._where:
                found.append(one._replace(cause_id=key))
        return found

    def find(self, cause_key: str) -> list[tuple[Delivery, int]]:
        """Return the inputs of this key that were not passed, each with its position in its partition.

        Of copies in one partition it is the first: that one was decided, and the others were its repetitions.
        """
        found: list[tuple[Delivery, int]] = []
        for place, position in self._where.get(cause_key, ()):
            delivery = self._queues[place][position]
            copied = (place_of(each) == place and each.message == delivery.message for each, _ in found)
            if position >= self._heads[place] and not any(copied):
                found.append((delivery, position))
        return found

    def passed(self, place: Place) -> None:
        """Take in that the next input of a partition was passed."""
        self._heads[place] += 1

    def left(self) -> dict[Place, int]:
        """Return per partition the offset of the first input that was not passed."""
        return {
            place: queue[self._heads[place]].origin.offset
            for place, queue in self._queues.items()
            if self._heads[place] < len(queue)
        }

    def before(self, own: Place | None, position: int, time_ms: int, to_come: Mapping[str, int]) -> list[Input]:
        """Return what may have been passed before a decision, in the order of writing; facts first at the same time.

        That is all of the cause's `own` partition up to its `position`, and of the others what was written by `time_ms`
        and a little more, but nothing that is `to_come` as a cause. Cost: what is returned.
        """
        found: list[Input] = []
        for place, queue in self._queues.items():
            latest, later = 0, 0
            for number in range(self._heads[place], position if place == own else len(queue)):
                delivery = queue[number]
                latest = max(latest, written_ms(delivery))
                later += latest > time_ms
                if place != own and (later > LATER_MAX or to_come.get(delivery.cause.key, 0) > 0):
                    break
                found.append(Input(latest, place, delivery))
        return sorted(found, key=lambda each: (each.written_ms, not each.delivery.is_fact))
