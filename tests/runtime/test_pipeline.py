"""Batches under way: offsets are saved in order, behind what is durable, and never behind what was given up."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError

from services.runtime.errors import Stopping
from services.runtime.pipeline import Offsets, Pipeline

PARTITION = TopicPartition("commands", 0)


class Bench:
    """A pipeline whose batches finish when the test says so."""

    def __init__(self, depth: int = 2, save_seconds: float = 0) -> None:
        self.saved: list[int] = []
        self.started: list[int] = []
        self.defects: list[BaseException] = []
        self.error: Exception | None = None
        self.pipeline = Pipeline(self._save, self.defects.append, depth, save_seconds)
        self._finished: dict[int, asyncio.Future[None]] = {}

    async def _save(self, offsets: Offsets) -> None:
        if self.error is not None:
            raise self.error
        self.saved.append(offsets[PARTITION])

    async def _work(self, number: int) -> None:
        self.started.append(number)
        await self._finished[number]

    async def put(self, number: int) -> None:
        """Put the batch that ends at offset `number`."""
        self._finished[number] = asyncio.get_running_loop().create_future()
        await self.pipeline.put(self._work(number), {PARTITION: number})

    async def finish(self, number: int, error: BaseException | None = None) -> None:
        """End a batch, well or with an error, and let everything that follows from it happen."""
        if error is None:
            self._finished[number].set_result(None)
        else:
            self._finished[number].set_exception(error)
        await self.rest()

    @staticmethod
    async def rest() -> None:
        """Let every task run until all wait."""
        for _ in range(20):
            await asyncio.sleep(0)


async def test_the_next_batch_starts_while_one_is_under_way() -> None:
    """Putting a batch returns at once, so that the next is fetched and handled beside it; nothing is saved yet."""
    bench = Bench()
    await bench.put(1)
    await bench.put(2)
    await bench.rest()

    assert bench.started == [1, 2]
    assert bench.saved == []


async def test_offsets_are_saved_in_order() -> None:
    """A batch that is done early waits with its offsets for the one before it."""
    bench = Bench()
    await bench.put(1)
    await bench.put(2)

    await bench.finish(2)
    assert bench.saved == []
    await bench.finish(1)
    assert bench.saved == sorted(bench.saved)
    assert bench.saved[-1] == 2


async def test_no_more_than_the_depth_is_under_way() -> None:
    """With as many batches under way as the pipeline is deep, the consumer waits for the oldest."""
    bench = Bench(depth=2)
    await bench.put(1)
    await bench.put(2)
    third = asyncio.create_task(bench.put(3))
    await bench.rest()
    assert bench.started == [1, 2]
    assert not third.done()

    await bench.finish(1)
    assert third.done()
    assert bench.started == [1, 2, 3]


@pytest.mark.parametrize(("error", "defects"), [(Stopping(), 0), (KeyError("a mistake"), 1)], ids=repr)
async def test_nothing_behind_a_batch_given_up_is_saved(error: Exception, defects: int) -> None:
    """After a stop or a defect no later batch is acknowledged, finished or not, and none is started."""
    bench = Bench()
    await bench.put(1)
    await bench.put(2)
    await bench.finish(2)
    await bench.finish(1, error)
    await bench.put(3)
    await bench.rest()

    assert bench.saved == []
    assert bench.started == [1, 2]
    assert len(bench.defects) == defects


async def test_offsets_that_cannot_be_saved_are_no_trouble() -> None:
    """The batch may come again, which changes nothing; the next save covers it."""
    bench = Bench()
    bench.error = CommitFailedError("rebalanced")
    await bench.put(1)
    await bench.finish(1)
    bench.error = None
    await bench.put(2)
    await bench.finish(2)

    assert bench.saved == [2]
    assert bench.defects == []


async def test_offsets_are_saved_together() -> None:
    """Batches that are done within the interval share one save, and closing does not wait for its end."""
    bench = Bench(save_seconds=3_600)
    for number in (1, 2, 3):
        await bench.put(number)
        await bench.finish(number)
    assert bench.saved == []

    await bench.pipeline.close()

    assert bench.saved == [3]


async def test_closing_waits_for_what_is_under_way_and_takes_no_more() -> None:
    """A graceful stop saves the offsets of the batches under way, and handles none that comes later."""
    bench = Bench()
    await bench.put(1)
    closing = asyncio.create_task(bench.pipeline.close())
    await bench.rest()
    assert not closing.done()

    await bench.finish(1)
    await bench.put(2)
    assert closing.done()
    assert bench.saved == [1]
    assert bench.started == [1]


async def test_the_newest_batch_is_done_when_all_before_it_are() -> None:
    """What is under way is awaited in order; a batch that was given up says so, and for all behind it."""
    bench = Bench(depth=3)
    assert bench.pipeline.newest() is None
    await bench.put(1)
    await bench.put(2)
    newest = bench.pipeline.newest()
    assert newest is not None
    await bench.finish(2)
    assert not newest.done()
    await bench.finish(1)
    assert newest.result()

    await bench.put(3)
    await bench.put(4)
    behind = bench.pipeline.newest()
    assert behind is not None
    await bench.finish(4)
    await bench.finish(3, Stopping())
    assert not behind.result()
    with pytest.raises(Stopping):
        bench.pipeline.newest()
