"""A consumer that a record which cannot be parsed neither stops nor robs of its neighbours.

The client raises out of `getmany` for a record whose header names are not UTF-8, and would do so for ever; and what it
had already taken from other partitions in that call is gone, although their positions moved. So after any error of
reading, every partition goes back to what is committed (everything handled is), and the partitions are read one by one,
in smaller and smaller parts, until the record is alone: then an `IllegibleRecord` takes its place in the batch, ends in
the dead-letter topic like anything unreadable, and the partition goes on behind it.

A record or batch that is damaged in any other way (its checksum) is not stepped over: that is trouble, and waited out.

A fetch waits at the broker until there is something. While records come it waits briefly, because a partition that was
not part of it waits as long; with nothing to read it may wait longer, which spares brokers and process most of what an
idle deployment costs them.

It also says when the consumer's name in its group was taken by another process, which the client passes over: both
would take the partitions from each other for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

log = logging.getLogger("addonflow.consumer")
_CALM_PASSES = 100  # without an error, until partitions are read together again
_PASS_WAIT_MS = 10
_RECORDS_MAX = 1_000
_IDLE_WAIT_MS = 250
_IDLE_AFTER_SECONDS = 1.0


class IllegibleRecord(ConsumerRecord):  # type: ignore[misc]
    """Stands for a record that the client cannot parse: only topic, partition and offset are known."""

    @classmethod
    def at(cls, partition: TopicPartition, offset: int) -> "IllegibleRecord":
        """Make the stand-in for the record at `offset`."""
        return cls(partition.topic, partition.partition, offset, 0, 0, None, None, None, -1, -1, ())


class _Wait:
    """How long a fetch waits at the broker: `wait_ms`, and longer when there was nothing to read for a while."""

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._last = 0.0

    def after(self, records: int) -> int:
        """Take in how many records were read now; return how long the next fetch waits, in ms."""
        now = asyncio.get_running_loop().time()
        if records:
            self._last = now
        idle = now - self._last > _IDLE_AFTER_SECONDS
        return max(self._wait_ms, _IDLE_WAIT_MS if idle else 0)


class GuardedConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's consumer with a `getmany` that gets past illegible records and loses nothing when reading fails.

    `turn` is awaited before each read, with the consumer: positions tell then exactly what was handed out.
    """

    def __init__(
        self,
        *topics: str,
        turn: Callable[[Any], Awaitable[None]] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*topics, **settings)
        self._turn = turn
        self._wait = _Wait(settings.get("fetch_max_wait_ms", _IDLE_WAIT_MS))
        self._limits: dict[TopicPartition, int] = {}
        self._calm_passes_left = 0
        self._named = settings.get("group_instance_id"), settings.get("group_id")
        self._member_id = ""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> "dict[TopicPartition, list[ConsumerRecord[Any, Any]]]":
        """Return the next records by partition, as aiokafka does."""
        if self._turn is not None:
            await self._turn(self)
        self._notice_takeover()
        found = await self._getmany(partitions, timeout_ms, max_records)
        self._fetcher._fetch_max_wait_ms = self._wait.after(sum(map(len, found.values())))  # noqa: SLF001
        return found

    async def _getmany(
        self, partitions: Sequence[TopicPartition], timeout_ms: int, max_records: int | None
    ) -> "dict[TopicPartition, list[ConsumerRecord[Any, Any]]]":
        if self._calm_passes_left == 0:
            try:
                return await super().getmany(  # type: ignore[no-any-return]
                    *partitions, timeout_ms=timeout_ms, max_records=max_records
                )
            except ConsumerStoppedError:
                raise
            except Exception as error:
                self._notice_takeover(error)
                await self._go_back()
                if not _illegible(error):
                    raise
                log.warning("a record cannot be parsed, looking for it: %s", error)
                self._calm_passes_left = _CALM_PASSES
        self._calm_passes_left -= 1
        try:
            return await self._one_by_one(max_records or _RECORDS_MAX)
        except ConsumerStoppedError:
            raise
        except Exception:
            await self._go_back()
            raise

    def _notice_takeover(self, error: Exception | None = None) -> None:
        """Log that the group knows a named consumer by another member id than before, or will not have it back."""
        name, group = self._named
        if name is None:
            return
        member_id = getattr(self._coordinator, "member_id", "")
        replaced = self._member_id and member_id not in ("", self._member_id)
        if replaced or _fenced(error):
            log.error(
                "the place of %s in group %s was taken: another process has the same ADDONFLOW_INSTANCE_ID, or this "
                "one was silent for longer than ADDONFLOW_KAFKA_SESSION_TIMEOUT_MS",
                name,
                group,
            )
        self._member_id = member_id or self._member_id

    async def _go_back(self) -> None:
        """Seek every partition to what is committed: what was taken from it in a call that failed is not handed out."""
        for partition in self.assignment():
            committed = await self.committed(partition)
            if committed is None:
                await self.seek_to_beginning(partition)
            else:
                self.seek(partition, committed)

    async def _one_by_one(self, max_records: int) -> "dict[TopicPartition, list[ConsumerRecord[Any, Any]]]":
        found: dict[TopicPartition, list[ConsumerRecord[Any, Any]]] = {}
        for partition in self.assignment():
            limit = self._limits.get(partition, max_records)
            try:
                found |= await super().getmany(partition, timeout_ms=_PASS_WAIT_MS, max_records=limit)
            except Exception as error:
                if not _illegible(error):
                    raise
                self._calm_passes_left = _CALM_PASSES
                if limit > 1:
                    self._limits[partition] = limit // 2
                    continue
                offset = await self.position(partition)
                found[partition] = [IllegibleRecord.at(partition, offset)]
                self.seek(partition, offset + 1)
                self._limits.pop(partition, None)
        return found


def _illegible(error: Exception) -> bool:
    """Whether this is the client's error for header names that are not UTF-8 (its C and its Python parser differ)."""
    return isinstance(error, UnicodeDecodeError) or isinstance(error.__cause__, UnicodeDecodeError)


def _fenced(error: Exception | None) -> bool:
    """Whether this may be FENCED_INSTANCE_ID (82), which the client has no name for."""
    return isinstance(error, KafkaError) and "UnknownError" in str(error)
