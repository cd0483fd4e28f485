"""What a service has yet to hear of the facts that were in the log when this process started.

A command over HTTP is decided at once, by any process, whichever owns the account's shard: so all partitions count, and
what the group has saved of them. Facts are what may forbid a command; what other topics hold has no order to it anyway.

The offset that is saved is the one behind the last record. Behind that may stand what is no record (the marker of a
producer's transaction): where the saved offset rests below the end, the partition is read from there, and holds nothing
more when no record comes. The embedded broker tells the end of a log as one behind the first offset of its last batch:
what of that batch was not read together with its first record is not waited for.
"""

from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from contracts.topics import Kind, Topic
from services.runtime.connecting import kafka_client
from services.runtime.kafka import LogEnds
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.subscription import group_of

_LOOK_SECONDS = 0.1
_READ_MS = 200
_READ_BYTES = 65_536
Offsets = dict[TopicPartition, int]


class Backlog:
    """The facts among `topics`, of all shards, and how far a service's group has heard them."""

    def __init__(self, settings: Settings, service: str, topics: Iterable[Topic], log_ends: LogEnds) -> None:
        self._group = group_of(settings, service)
        self._settings = settings
        names = [settings.namespace + topic.name for topic in topics if topic.kind is Kind.FACTS]
        self._partitions = [TopicPartition(name, shard) for name in names for shard in range(settings.partitions)]
        self._log_ends = log_ends

    async def heard(self, patience: Patience) -> None:
        """Wait, as long as it takes, until the group has handled what is in the log now; Stopping when told to stop.

        Cost: one request, and three for each look, ten looks a second.
        """
        ends = await patience.until_done("see where the logs end", lambda: self._log_ends.of(self._partitions))
        await patience.until_done("see what its group has heard", lambda: self._wait(ends, patience))

    async def _wait(self, ends: Offsets, patience: Patience) -> None:
        brokers = kafka_client(self._settings) | {"request_timeout_ms": self._settings.kafka_request_timeout_ms}
        admin = AIOKafkaAdminClient(**brokers)
        consumer = AIOKafkaConsumer(**brokers, auto_offset_reset="earliest", max_partition_fetch_bytes=_READ_BYTES)
        try:
            await admin.start()
            await consumer.start()
            unheard, before = dict(ends), Offsets()
            while unheard := await self._unheard(admin, consumer, unheard, before):
                await patience.pause(_LOOK_SECONDS)
        finally:
            await admin.close()
            await consumer.stop()

    async def _unheard(
        self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, ends: Offsets, before: Offsets
    ) -> Offsets:
        """Return those of `ends` that the group has not read up to; `before` are the offsets of the last look."""
        saved = await admin.list_consumer_group_offsets(self._group, partitions=list(ends))
        unheard: Offsets = {}
        for partition, begin in (await consumer.beginning_offsets(list(ends))).items():
            place, end = max(begin, saved[partition].offset if partition in saved else begin), ends[partition]
            rests = before.get(partition) == place
            before[partition] = place
            if place < end and not (rests and await _is_read(consumer, partition, place, end)):
                unheard[partition] = end
        return unheard


async def _is_read(consumer: AIOKafkaConsumer, partition: TopicPartition, place: int, end: int) -> bool:
    """Whether there is no record between an offset and the end; False when that cannot be seen at once."""
    consumer.assign([partition])
    consumer.seek(partition, place)
    try:
        found = await consumer.getmany(partition, timeout_ms=_READ_MS)
    except KafkaError:
        raise
    except Exception:  # noqa: BLE001 - what the client cannot parse is a record as well
        return False
    return not found and await consumer.position(partition) >= end
