"""The logs of a deployment as the history of accounts: what a service read and said, one shard in memory at a time.

An account belongs to the shard that its id names, wherever its records are: topics whose writer put some into another
partition are found once, before, and then read whole for every shard.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Container, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from pydantic import ValidationError

from contracts.payload import Payload
from contracts.topics import BY_NAME, READERS, TOPICS, Topic
from deploy.addonflow import connections
from deploy.addonflow.connections import Unreachable
from services.runtime.codec import Unreadable, decode, sequence_of
from services.runtime.connecting import kafka_client
from services.runtime.consumer import GuardedConsumer
from services.runtime.delivery import Delivery
from services.runtime.errors import ConfigurationError
from services.runtime.inputs import Place
from services.runtime.keys import shard_of
from services.runtime.settings import Settings
from services.runtime.telling import Said

Since = Callable[[Place], int]
"""From which offset on a place is needed; -1: from its beginning."""
_POLL_MS: Final = 200
_STALL_SECONDS: Final = 30
_NO_TIME: Final = "1970-01-01T00:00:00Z"
_LONG_AGO: Final = datetime.fromisoformat(_NO_TIME)


class _Reader(GuardedConsumer):
    """Reads one partition after another; after an error of reading it goes back to what was handed out."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.next: dict[TopicPartition, int] = {}

    async def _go_back(self) -> None:
        for partition, offset in self.next.items():
            self.seek(partition, offset)


@dataclass(slots=True)
class ShardHistory:
    """Everything of the accounts of one shard that a service read (`inputs`) and said (`own`), by account.

    `bounds`: where the log of each place begins and ends; `said_at`: which of them are the service's own.
    `since`: from where places were read, where that is not their beginning.
    """

    value_bytes_max: int
    bounds: dict[Place, tuple[int, int]]
    said_at: list[Place]
    inputs: defaultdict[str, list[tuple[Topic, Any]]] = field(default_factory=lambda: defaultdict(list))
    own: defaultdict[str, list[tuple[Topic, Any]]] = field(default_factory=lambda: defaultdict(list))
    records: int = 0
    since: dict[Place, int] = field(default_factory=dict)

    def span(self, place: Place) -> tuple[int, int]:
        """Return from where to where a place is read; all of a log that was lost and begins anew."""
        begin, end = self.bounds[place]
        since = self.since.get(place, begin)
        return (since if begin <= since <= end else begin), end

    @property
    def ends(self) -> dict[Place, int]:
        """Where the logs that the service reads end."""
        return {place: end for place, (_, end) in self.bounds.items() if place not in self.said_at}

    @property
    def own_ends(self) -> dict[str, int]:
        """Where the shard's logs of the service's own topics end."""
        return {place[0]: self.bounds[place][1] for place in self.said_at}

    @property
    def accounts(self) -> list[str]:
        """Every account there is anything of."""
        return sorted(self.inputs.keys() | self.own.keys())

    def leave_out(self, records: Container[tuple[str, int, int, bytes | None]]) -> None:
        """Forget inputs: topic, partition, offset and value of each."""
        for account_id, inputs in self.inputs.items():
            self.inputs[account_id] = [
                (topic, record)
                for topic, record in inputs
                if (topic.name, record.partition, record.offset, record.value) not in records
            ]

    def deliveries(self, account_id: str) -> list[Delivery]:
        """Return what the service could read of an account, each partition's in order of offsets."""
        found = []
        for topic, record in self.inputs.get(account_id, ()):
            read = decode(record, topic, self.value_bytes_max)
            if not isinstance(read, Unreadable):
                trimmed = self.bounds[topic.name, record.partition][0] > 0
                found.append(Delivery.of(read, topic, record, trimmed=trimmed))
        return found

    def said(self, account_id: str) -> list[Said]:
        """Return what the service said of an account, each topic's in order of offsets."""
        return [said_of(record, topic) for topic, record in self.own.get(account_id, ())]


def said_of(record: Any, topic: Topic) -> Said:
    """Read a record that a service wrote; `payload` is None when this release cannot read it.

    What somebody else wrote to the topic is read too: what cannot be a sequence is 0, and what is no instant long ago.
    """
    headers = {name: text.decode(errors="replace") for name, text in record.headers if text is not None}
    kind = next((each for each in topic.payloads if each.ce_type == headers.get("ce_type")), None)
    payload: Payload | None = None
    if kind is not None:
        try:
            payload = kind.model_validate_json(record.value)
        except ValidationError:
            payload = None
    return Said(
        topic,
        sequence_of(headers.get("ce_sequence")),
        headers.get("ce_id", ""),
        headers.get("ce_causationid", ""),
        _instant_of(headers.get("ce_time", _NO_TIME)),
        int(record.timestamp),
        payload,
        record.value,
    )


def _instant_of(text: str) -> datetime:
    """Return an aware instant."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return _LONG_AGO
    return instant if instant.tzinfo is not None else _LONG_AGO


def _account_of(record: Any, topic: Topic, value_bytes_max: int) -> str | None:
    subject = next((text for name, text in record.headers if name == "ce_subject"), None)
    if subject is not None and subject == record.key:
        return str(subject.decode(errors="replace"))
    read = decode(record, topic, value_bytes_max)
    return None if isinstance(read, Unreadable) else read.account_id


class Logs:
    """Reads the logs of a deployment from their beginnings to where they end when each shard is begun.

    `offsets` is never assigned a partition: on the reader's own connection a question would wait for its fetches.
    """

    def __init__(
        self, settings: Settings, admin: AIOKafkaAdminClient, offsets: AIOKafkaConsumer, reader: _Reader
    ) -> None:
        self.admin = admin
        self._settings = settings
        self._offsets = offsets
        self._reader = reader
        self._scattered: dict[str, bool] = {}

    def partition(self, place: Place) -> TopicPartition:
        """Name a place as Kafka knows it."""
        return TopicPartition(self._settings.namespace + place[0], place[1])

    async def bounds(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """Return where the log of each place begins, and the offset its next record will get. Cost: two requests."""
        partitions = {place: self.partition(place) for place in places}
        begins = await self._offsets.beginning_offsets(list(partitions.values()))
        ends = await self._offsets.end_offsets(list(partitions.values()))
        return {place: (begins[each], ends[each]) for place, each in partitions.items()}

    async def read(self, place: Place, begin: int, end: int) -> AsyncIterator[list[Any]]:
        """Yield the records of a place in batches; Unreachable when a broker hands out nothing for too long."""
        if begin >= end:
            return
        reader, loop, partition = self._reader, asyncio.get_running_loop(), self.partition(place)
        reader.assign([partition])
        reader.seek(partition, begin)
        reader.next = {partition: begin}
        last = loop.time()
        while await reader.position(partition) < end:
            batch = (await reader.getmany(timeout_ms=_POLL_MS)).get(partition, [])
            if batch:
                reader.next[partition] = batch[-1].offset + 1
                last = loop.time()
                yield batch
            elif loop.time() - last > _STALL_SECONDS:
                raise Unreachable(f"Kafka hands out nothing of {partition.topic} partition {partition.partition}")

    async def shard(self, service: str, shard: int, since: Since | None = None) -> ShardHistory:
        """Read everything of a shard's accounts that a service reads and says. Memory: those records.

        `since`: from which offset on a place is read, else from its beginning.
        """
        places = [
            (topic.name, number) for topic in READERS[service] for number in await self._partitions(topic, shard, since)
        ]
        own = [(topic.name, shard) for topic in TOPICS if topic.writer == service]
        history = ShardHistory(self._settings.value_bytes_max, await self.bounds([*places, *own]), own)
        if since is not None:
            history.since = {place: since(place) for place in history.bounds}
        for place in places:
            await self._collect(history, history.inputs, place, shard)
        for place in own:
            await self._collect(history, history.own, place, shard)
        return history

    async def said_on(self, topic: Topic, shard: int, account_id: str) -> AsyncIterator[Said]:
        """Yield what a service said of one account on one topic, in order of offsets."""
        place = (topic.name, shard)
        async for batch in self.read(place, *(await self.bounds([place]))[place]):
            for record in batch:
                if record.key == account_id.encode():
                    yield said_of(record, topic)

    async def _collect(
        self, history: ShardHistory, into: defaultdict[str, list[tuple[Topic, Any]]], place: Place, shard: int
    ) -> None:
        topic = BY_NAME[place[0]]
        async for batch in self.read(place, *history.span(place)):
            for record in batch:
                account_id = _account_of(record, topic, self._settings.value_bytes_max)
                if account_id is not None and shard_of(account_id, self._settings.partitions) == shard:
                    into[account_id].append((topic, record))
                    history.records += 1

    async def places(self, topics: Iterable[Topic], account_id: str) -> list[Place]:
        """Return where records of an account may be on some topics. Cost: reads topics of outside writers once."""
        shard = shard_of(account_id, self._settings.partitions)
        return [(topic.name, number) for topic in topics for number in await self._partitions(topic, shard)]

    async def _partitions(self, topic: Topic, shard: int, since: Since | None = None) -> Sequence[int]:
        """Return where records of a shard may be: its own partition, or all when the topic's writer scatters them."""
        if topic.writer in READERS:
            return [shard]
        if topic.name not in self._scattered:
            self._scattered[topic.name] = await self._is_scattered(topic, since)
        return range(self._settings.partitions) if self._scattered[topic.name] else [shard]

    async def _is_scattered(self, topic: Topic, since: Since | None) -> bool:
        bounds = await self.bounds((topic.name, number) for number in range(self._settings.partitions))
        for place, (begin, end) in bounds.items():
            async for batch in self.read(place, max(begin, since(place)) if since else begin, end):
                for record in batch:
                    account_id = _account_of(record, topic, self._settings.value_bytes_max)
                    if account_id is not None and shard_of(account_id, self._settings.partitions) != place[1]:
                        return True
        return False


@asynccontextmanager
async def logs(settings: Settings, connect_seconds: float = 5) -> AsyncIterator[Logs]:
    """Connect to the logs of a deployment; ConfigurationError when a topic is missing or miscounted."""
    async with (
        connections.admin(settings, connect_seconds) as admin,
        connections.consumer(settings, connect_seconds) as offsets,
    ):
        found = await connections.partitions_of(admin, [settings.namespace + topic.name for topic in TOPICS])
        for name, count in Counter(each.topic for each in found).items():
            if count != settings.partitions:
                raise ConfigurationError(
                    f"topic {name} has {count} partitions and ADDONFLOW_PARTITIONS={settings.partitions}: set it so"
                )
        reader = _Reader(**kafka_client(settings), enable_auto_commit=False)
        await reader.start()
        try:
            yield Logs(settings, admin, offsets, reader)
        finally:
            await reader.stop()
