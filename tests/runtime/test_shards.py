"""Shards: what runs follows the assignment, and a loop that fails ends the process."""

import asyncio

from aiokafka import TopicPartition

from services.runtime.errors import Stopping
from services.runtime.shards import Shards


class Loops:
    """Two loops that run until they are cancelled, and remember for which shards."""

    def __init__(self) -> None:
        self.running: list[tuple[str, int]] = []
        self.defects: list[BaseException] = []

    async def _run(self, name: str, shard: int) -> None:
        self.running.append((name, shard))
        try:
            await asyncio.Event().wait()
        finally:
            self.running.remove((name, shard))

    async def relay(self, shard: int) -> None:
        """Run."""
        await self._run("relay", shard)

    async def timers(self, shard: int) -> None:
        """Run."""
        await self._run("timers", shard)

    def shards(self) -> Shards:
        """Return shards with these loops."""
        return Shards([self.relay, self.timers], self.defects.append)


def partitions(*numbers: int, topics: tuple[str, ...] = ("a", "b")) -> list[TopicPartition]:
    """Return these partitions of co-partitioned topics."""
    return [TopicPartition(topic, number) for topic in topics for number in numbers]


async def test_every_loop_runs_once_for_every_shard() -> None:
    """However many topics share a partition number, its shard has one relay and one timer feed."""
    loops = Loops()
    shards = loops.shards()

    await shards.on_partitions_assigned(partitions(0, 2))
    await asyncio.sleep(0)

    assert shards.owned == [0, 2]
    assert sorted(loops.running) == [("relay", 0), ("relay", 2), ("timers", 0), ("timers", 2)]
    await shards.let_go(shards.owned)


async def test_a_revoked_shard_is_let_go_before_the_call_returns() -> None:
    """Kafka gives the shard to another process only when nothing runs for it here any more; the others run on."""
    loops = Loops()
    shards = loops.shards()
    await shards.on_partitions_assigned(partitions(0, 1))
    await asyncio.sleep(0)

    await shards.on_partitions_revoked(partitions(0))

    assert shards.owned == [1]
    assert sorted(loops.running) == [("relay", 1), ("timers", 1)]
    await shards.let_go([1])
    assert loops.running == []


async def test_an_assignment_that_repeats_starts_nothing_twice() -> None:
    """A shard that is assigned again while it runs goes on as it is."""
    loops = Loops()
    shards = loops.shards()
    for _ in range(2):
        await shards.on_partitions_assigned(partitions(1))
        await asyncio.sleep(0)

    assert sorted(loops.running) == [("relay", 1), ("timers", 1)]
    await shards.let_go([1, 99])


async def test_a_loop_that_fails_is_a_defect_and_one_that_stops_is_not() -> None:
    """What no rule covers is told; Stopping is how a loop ends when the process does."""
    defects: list[BaseException] = []

    async def fails(shard: int) -> None:
        raise (KeyError(shard) if shard else Stopping)

    shards = Shards([fails], defects.append)
    await shards.on_partitions_assigned(partitions(0, 1))
    await asyncio.sleep(0)

    assert [repr(error) for error in defects] == ["KeyError(1)"]
    await shards.let_go([0, 1])
