"""Refuses to start where a service would decide old commands a second time: its group's offsets are lost.

Kafka forgets the offsets of a group that nobody was in for a while (7 days, or what the broker is set to). Its consumer
then begins at the beginning. Facts and events recognise themselves however old, but the answers by which commands are
recognised are kept for `inbox_retention_hours` only: a credit would be given twice. `addonflow rebuild` sets offsets
from what the log says was handled.

Refused is a shard of which all is true:
- the group has an offset for none of its partitions: one without an offset among others is a topic that the service
  reads only now, or one without a record
- the service has said something of it: on a fresh Redis all is to be decided
- one of its partitions of commands holds a record older than answers are kept: else every answer is still there. That
  is so behind a crash before the first offsets were saved, and where an embedded broker's log was lost with its offsets
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import Kind, Topic
from services.runtime.clock import to_milliseconds
from services.runtime.connecting import kafka_client
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings
from services.runtime.store import Store
from services.runtime.subscription import group_of


async def check_offsets(settings: Settings, service: str, topics: Iterable[Topic], store: Store, now: datetime) -> None:
    """Raise ConfigurationError where commands would be decided again; KafkaError when the brokers cannot say now.

    `now` is the machine's time, by which answers are kept. Cost: one request, and one call for each shard without an
    offset; where one is to be refused three requests more.
    """
    read = {topic: settings.namespace + topic.name for topic in topics}
    commands = [name for topic, name in read.items() if topic.kind is Kind.COMMANDS]
    if not commands:
        return
    without = await _without_offsets(settings, service, list(read.values()))
    spoken = [shard for shard in without if await store.has_spoken(shard)]
    kept_since = to_milliseconds(now - timedelta(hours=settings.inbox_retention_hours))
    lost = await _with_older_records(settings, commands, spoken, kept_since) if spoken else []
    if lost:
        raise ConfigurationError(
            f"group {group_of(settings, service)} has lost its offsets of shards {', '.join(map(str, lost))}, "
            f"and would decide commands again whose answers are not kept any more: run `addonflow rebuild {service}`"
        )


async def _without_offsets(settings: Settings, service: str, names: Sequence[str]) -> list[int]:
    partitions = [TopicPartition(name, shard) for name in names for shard in range(settings.partitions)]
    admin = AIOKafkaAdminClient(**kafka_client(settings), request_timeout_ms=settings.kafka_request_timeout_ms)
    try:
        await admin.start()
        marks = await admin.list_consumer_group_offsets(group_of(settings, service), partitions=partitions)
    finally:
        await admin.close()
    known = {partition.partition for partition, mark in marks.items() if mark.offset >= 0}
    return [shard for shard in range(settings.partitions) if shard not in known]


async def _with_older_records(
    settings: Settings, names: Sequence[str], shards: Sequence[int], kept_since_ms: int
) -> list[int]:
    """Return the shards with a record in these topics written before an instant."""
    partitions = [TopicPartition(name, shard) for name in names for shard in shards]
    async with AIOKafkaConsumer(
        **kafka_client(settings), request_timeout_ms=settings.kafka_request_timeout_ms
    ) as consumer:
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        filled = [each for each in partitions if begins[each] < ends[each]]
        young = await consumer.offsets_for_times(dict.fromkeys(filled, kept_since_ms)) if filled else {}
    old = (each for each in filled if young[each] is None or young[each].offset > begins[each])
    return sorted({each.partition for each in old})
