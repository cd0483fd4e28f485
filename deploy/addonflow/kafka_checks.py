"""Examines Kafka: topics and their partitions, how far each service has read, and what was set aside."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing, suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import READERS
from deploy.addonflow import connections
from deploy.addonflow.connections import Unreachable
from deploy.addonflow.dead_letters import Choice, read_letters
from deploy.addonflow.findings import Finding, fail, ok, warn
from deploy.addonflow.history import logs
from deploy.addonflow.topics import wanted
from services.runtime.clock import SystemClock
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings
from services.runtime.subscription import group_of

SECOND_LOOK_SECONDS = 2
_LETTERS_READ_MAX = 20_000
_CREATE = "run `addonflow topics create`"


async def check_kafka(settings: Settings, connect_seconds: float = 5) -> list[Finding]:
    """Examine everything about Kafka; what hangs on missing topics is left out. Cost: O(topics x partitions)."""
    try:
        async with (
            connections.admin(settings, connect_seconds) as admin,
            connections.consumer(settings, connect_seconds) as consumer,
        ):
            counts = await connections.partition_counts(admin)
            findings = [ok("Kafka", f"answers at {settings.kafka_bootstrap}"), *_topics(settings, counts)]
            for service, topics in READERS.items():
                read = _partitions([settings.namespace + topic.name for topic in topics], counts)
                findings.append(await _progress(settings, admin, consumer, service, read))
            for service, topics in READERS.items():
                names = [settings.namespace + topic.dead_letters_of(service) for topic in topics]
                findings.append(await _dead_letters(settings, consumer, service, _partitions(names, counts)))
    except Unreachable as error:
        return [fail("Kafka", str(error), "start it, or set ADDONFLOW_KAFKA_BOOTSTRAP or --kafka")]
    return findings


def _partitions(names: list[str], counts: Mapping[str, int]) -> list[TopicPartition]:
    return [TopicPartition(name, partition) for name in names for partition in range(counts.get(name, 0))]


def _topics(settings: Settings, counts: Mapping[str, int]) -> list[Finding]:
    names = list(wanted(settings))
    missing = [name for name in names if name not in counts]
    other = [name for name in names if counts.get(name, settings.partitions) != settings.partitions]
    findings = []
    if missing:
        findings.append(fail("topics", f"{len(missing)} missing: {', '.join(missing)}", _CREATE))
    for name in other:
        state = f"{name} has {counts[name]} partitions, ADDONFLOW_PARTITIONS={settings.partitions}"
        findings.append(fail("topics", state, "set it to the topic's number; services refuse to start otherwise"))
    return findings or [ok("topics", f"all {len(names)} there, {settings.partitions} partitions each")]


async def _lag(
    admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str, partitions: list[TopicPartition]
) -> tuple[int, int]:
    """Return (records waiting, sum of what was read): the second moves while somebody reads."""
    ends = await consumer.end_offsets(partitions)
    begins = await consumer.beginning_offsets(partitions)
    marks = await connections.committed(admin, group, partitions)
    waiting = sum(max(0, ends[each] - max(begins[each], marks.get(each, 0))) for each in partitions)
    return waiting, sum(marks.values())


async def _progress(
    settings: Settings,
    admin: AIOKafkaAdminClient,
    consumer: AIOKafkaConsumer,
    service: str,
    partitions: list[TopicPartition],
) -> Finding:
    subject = f"{service} reading"
    group = group_of(settings, service)
    if not partitions:
        return warn(subject, "its topics are missing", _CREATE)
    waiting, before = await _lag(admin, consumer, group, partitions)
    if not waiting:
        return ok(subject, "everything is read")
    await asyncio.sleep(SECOND_LOOK_SECONDS)
    waiting, after = await _lag(admin, consumer, group, partitions)
    if waiting and after == before:
        advice = f"is it running? `addonflow run {service}`; its /readyz says what it waits for"
        return fail(subject, f"{waiting} records wait and nobody reads them", advice)
    return ok(subject, f"{waiting} records wait, and it moves on")


async def _dead_letters(
    settings: Settings, consumer: AIOKafkaConsumer, service: str, partitions: list[TopicPartition]
) -> Finding:
    subject = f"{service} dead letters"
    if not partitions:
        return warn(subject, "their topics are missing", _CREATE)
    begins = await consumer.beginning_offsets(partitions)
    ends = await consumer.end_offsets(partitions)
    written = sum(ends[each] - begins[each] for each in partitions)
    waiting = written
    if 0 < written <= _LETTERS_READ_MAX:
        with suppress(ConfigurationError):  # the topics are not as they should be, which is said by itself
            waiting = await _open_letters(settings, service)
    if not waiting:
        return ok(subject, "none is open" if written else "none")
    state = f"{waiting if written <= _LETTERS_READ_MAX else f'as many as {written}'} records were set aside and wait"
    return warn(subject, state, f"look at them: `addonflow dead-letters list --service {service}`")


async def _open_letters(settings: Settings, service: str) -> int:
    """Count the letters that nobody has dealt with. Cost: reading them, a bounded number."""
    async with (
        logs(settings) as log,
        aclosing(read_letters(log, settings.partitions, Choice(now=SystemClock().now(), service=service))) as letters,
    ):
        return sum([settled is None async for _, settled in letters])
