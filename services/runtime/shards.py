"""Which shards this process owns, and what runs for each of them: a relay and a timer feed.

Ownership follows the consumer group: Kafka gives one process the partitions p of all topics of a service (range
assignment over co-partitioned topics), and so shard p. Two processes that believe they own a shard cannot hurt; the
version check and the relay's compare-and-set decide.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from aiokafka import TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from services.runtime import metrics
from services.runtime.errors import Stopping
from services.runtime.logs import fields

log = logging.getLogger("addonflow.shards")
_CANCEL_AGAIN_SECONDS = 0.5
Loop = Callable[[int], Awaitable[None]]


class Shards(ConsumerRebalanceListener):  # type: ignore[misc]
    """Starts `loops` for every shard assigned, ends them when it is revoked, tells `defect` of a loop that fails."""

    def __init__(self, loops: Iterable[Loop], defect: Callable[[BaseException], None]) -> None:
        self._loops = tuple(loops)
        self._defect = defect
        self._running: dict[int, list[asyncio.Task[None]]] = {}

    @property
    def owned(self) -> list[int]:
        """The shards this process owns now."""
        return sorted(self._running)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Take over the shards of these partitions."""
        for shard in sorted({partition.partition for partition in assigned} - self._running.keys()):
            self._running[shard] = [asyncio.create_task(self._guard(loop, shard)) for loop in self._loops]
        metrics.SHARDS.set(len(self._running))
        log.info("owns shards %s", self.owned)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the shards of these partitions go; what was under way is taken up by their next owner."""
        await self.let_go({partition.partition for partition in revoked})

    async def let_go(self, shards: Iterable[int]) -> None:
        """End what runs for these shards.

        A client library may swallow a cancellation, and a loop that goes on would hold up the group's rebalance, so it
        is cancelled until it ends.
        """
        tasks = {task for shard in shards for task in self._running.pop(shard, [])}
        while tasks:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_SECONDS)
        metrics.SHARDS.set(len(self._running))

    async def _guard(self, loop: Loop, shard: int) -> None:
        try:
            await loop(shard)
        except Stopping:
            return
        except Exception as error:
            log.exception("a loop failed", extra=fields(shard=shard))
            self._defect(error)
