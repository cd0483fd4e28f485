"""Up to which instant a shard has heard everything: what its timers are fed up to, so that they overtake no message.

After an outage Redis holds timers that were due long ago, and the log holds what happened meanwhile. A timer that fired
first would decide on a state that has not heard it: a renewal of what was cancelled. So, before timers are fed:

    look at the time t0 ─▶ ask where the partitions end ─▶ wait until they are read to there, and all of it is durable

Then all that was in the shard's partitions by t0 is handled, and stays so, whoever owns the shard later. One look is
one request, and good for every timer due by t0, however many. A record in another partition than its account's is not
waited for.

Positions are compared in the reading task's own turn, between two reads: only then they tell what was handed out, and
all of that is in the pipeline. The embedded broker counts a batch as one record where it tells a log's end, but the
fetch that brought the batch tells where it really ends.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError

from services.runtime.clock import Clock
from services.runtime.errors import Stopping
from services.runtime.kafka import LogEnds
from services.runtime.patience import Patience

Newest = asyncio.Future[bool] | None
"""Done when every batch put so far is: True when all are durable, False when one was given up. None: there was none."""


class Reader(Protocol):
    """What a look needs of the consumer."""

    def assignment(self) -> Iterable[TopicPartition]:
        """Return the partitions that are read here."""

    async def position(self, partition: TopicPartition) -> int:
        """Return the offset behind what was handed out; IllegalStateError when the partition is read elsewhere."""

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return where the last fetch said that the partition ends."""


@dataclass(frozen=True, slots=True)
class _Look:
    """Who waits until partitions are read up to `ends`; `whole` are those whose true end a fetch has told."""

    ends: dict[TopicPartition, int]
    whole: set[TopicPartition]
    read: "asyncio.Future[Newest]"


class Hearing:
    """Looks at the ends of a shard's partitions and waits until all before them is handled.

    `topics`: the full names of what the service reads. `newest` gives the newest batch that is under way, and raises
    Stopping when no batch is taken any more.
    """

    def __init__(
        self,
        log_ends: LogEnds,
        topics: Iterable[str],
        patience: Patience,
        clock: Clock,
        newest: Callable[[], Newest],
    ) -> None:
        self._log_ends = log_ends
        self._topics = tuple(topics)
        self._patience = patience
        self._clock = clock
        self._newest = newest
        self._looks: list[_Look] = []

    async def everything(self, shard: int) -> datetime:
        """Wait until everything that is in the shard's partitions now is handled; return the instant of now.

        Waits for as long as it takes. Stopping when the process stops, or a batch before it was given up.
        Cost: one request.
        """
        t0, ends = await self._patience.until_done("see where the logs end", lambda: self._look(shard))
        look = _Look(ends, set(), asyncio.get_running_loop().create_future())
        self._looks.append(look)
        try:
            newest = await look.read
        finally:
            self._looks.remove(look)
        if newest is not None:
            await asyncio.wait({newest})
            if not newest.result():
                raise Stopping
        return t0

    async def _look(self, shard: int) -> tuple[datetime, dict[TopicPartition, int]]:
        await self._clock.refresh()
        t0 = self._clock.now()  # before the ends: what is written between the two is heard as well
        return t0, await self._log_ends.of([TopicPartition(topic, shard) for topic in self._topics])

    async def turn(self, consumer: Reader) -> None:
        """Take the reading task's turn, between two reads, to see who has heard what there was."""
        for look in [each for each in self._looks if not each.read.done()]:
            try:
                if await self._is_read(consumer, look) and not look.read.done():
                    look.read.set_result(self._newest())
            except IllegalStateError:  # the group is giving the partition to another process
                continue
            except Stopping as error:
                look.read.set_exception(error)

    @staticmethod
    async def _is_read(consumer: Reader, look: _Look) -> bool:
        """Whether all of the look's partitions that are read here, at least one, are read to their ends."""
        read = look.ends.keys() & set(consumer.assignment())
        for partition in read:
            position = await consumer.position(partition)
            if position < look.ends[partition]:
                return False
            if partition not in look.whole:
                look.whole.add(partition)
                look.ends[partition] = max(look.ends[partition], consumer.highwater(partition) or 0)
                if position < look.ends[partition]:
                    return False
        return bool(read)
