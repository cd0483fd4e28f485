"""Keeps batches under way while the next one is fetched, and saves their offsets in order.

- An offset is saved only when everything before it is durable: batches may finish in any order, offsets never do.
- A batch that is given up (stop or defect) ends the pipeline: nothing behind it is handled or saved any more.
- At most `depth` batches are under way; a further one waits, and so does the consumer.
- Offsets are saved at most every `save_seconds`: a save costs the broker as much as a record, and one that is missed
  only means that what is durable already is delivered, and recognised, again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from services.runtime.errors import Stopping

log = logging.getLogger("addonflow.pipeline")
Offsets = Mapping[TopicPartition, int]


class Pipeline:
    """Runs batches of one subscription. `save` saves offsets, `defect` is told of an error that no rule covers.

    `under_way` and `done` count batches.
    """

    def __init__(
        self,
        save: Callable[[Offsets], Awaitable[None]],
        defect: Callable[[BaseException], None],
        depth: int = 3,
        save_seconds: float = 0.1,
    ) -> None:
        self._save = save
        self._defect = defect
        self._save_seconds = save_seconds
        self._room = asyncio.Semaphore(depth)
        self._under_way: asyncio.Queue[tuple[asyncio.Task[None], Offsets, asyncio.Future[bool]]] = asyncio.Queue()
        self._newest: asyncio.Future[bool] | None = None
        self._durable: dict[TopicPartition, int] = {}
        self._following: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._ended = False
        self._given_up = False
        self._closing = asyncio.Event()
        self.under_way = 0
        self.done = 0

    async def put(self, work: Coroutine[Any, Any, None], offsets: Offsets) -> None:
        """Start handling a batch; returns as soon as the next one may be fetched."""
        await self._room.acquire()
        if self._ended:
            work.close()
            self._room.release()
            return
        self.under_way += 1
        self._newest = asyncio.get_running_loop().create_future()
        self._under_way.put_nowait((asyncio.create_task(work), offsets, self._newest))
        if self._following is None:
            self._following = asyncio.create_task(self._follow())

    def newest(self) -> "asyncio.Future[bool] | None":
        """Return what is done when every batch put so far is: True when all are durable, False when one is given up.

        None when there was no batch. Stopping when no batch is taken any more.
        """
        if self._ended:
            raise Stopping
        return self._newest

    async def close(self) -> None:
        """Take no more batches, wait for those under way, and save their offsets."""
        self._ended = True
        self._closing.set()
        await self.settled()

    async def settled(self) -> None:
        """Wait until every batch put so far is saved or given up."""
        await self._under_way.join()
        if self._saving is not None:
            await self._saving

    async def _follow(self) -> None:
        """Take batches that are done, in order, and have their offsets saved."""
        while True:
            task, offsets, durable = await self._under_way.get()
            done = await self._done(task)
            durable.set_result(done)
            if done:
                self._durable.update(offsets)
                if self._saving is None or self._saving.done():
                    self._saving = asyncio.create_task(self._save_soon())
            self.under_way, self.done = self.under_way - 1, self.done + 1
            self._room.release()
            self._under_way.task_done()

    async def _save_soon(self) -> None:
        while self._durable:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._save_seconds):
                    await self._closing.wait()
            offsets, self._durable = self._durable, {}
            try:
                await self._save(offsets)
            except KafkaError as error:
                log.warning("offsets not saved, batches may come again: %s: %s", type(error).__name__, error)

    async def _done(self, task: "asyncio.Task[None]") -> bool:
        """Wait for a batch; False when it or one before it was given up."""
        await asyncio.wait({task})
        if task.cancelled():
            self._given_up = True
        elif (error := task.exception()) is not None:
            self._given_up = True
            if not isinstance(error, Stopping):
                self._defect(error)
        self._ended = self._ended or self._given_up
        return not self._given_up
