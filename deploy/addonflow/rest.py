"""When a deployment is at rest: nothing is under way in it, so whatever was to come of what was sent has come.

At rest is, all at once: no timer is due, every outbox is published, every service has read its topics to their ends.
Work moves between those three and is always to be seen in at least one of them: a commit clears a timer and adds to
the outbox at once, a relay's cursor moves after the broker has the record, a reader's offset after its commit. Only
the look takes time; so Redis is looked at before and after Kafka, and nothing may have been said in between.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.topics import READERS
from deploy.addonflow import connections
from deploy.addonflow.connections import Unreachable
from services.runtime.clock import from_milliseconds, to_milliseconds
from services.runtime.connecting import redis_address, redis_refusal
from services.runtime.errors import AddonflowError, ConfigurationError
from services.runtime.keys import ShardKeys, deployment_key
from services.runtime.settings import Settings
from services.runtime.store import FIRST, Store, connect_redis
from services.runtime.subscription import group_of
from services.runtime.virtual_clock import time_of

POLL_SECONDS = 0.02
TIMERS_READ_MAX = 1_000


class NotAtRest(AddonflowError):  # noqa: N818 - named for what the deployment is
    """Something is still under way after the time allowed; the message names what."""


class Shard(NamedTuple):
    """One shard of one service."""

    service: str
    number: int


class DueTimer(NamedTuple):
    """A timer of an account, as it stands in a shard."""

    due: datetime
    service: str
    name: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Look:
    """What Redis holds of all shards: the time, each relay's cursor, what waits for it, and the first timer of each."""

    now: datetime
    cursors: Mapping[Shard, bytes]
    unpublished: Sequence[Shard]
    first_due: Mapping[Shard, datetime]

    @property
    def next_due(self) -> datetime | None:
        """When the first timer of all is due."""
        return min(self.first_due.values(), default=None)

    def under_way(self) -> str | None:
        """Say what of it is not at rest; None when all is."""
        overdue = Counter(shard.service for shard, due in self.first_due.items() if due <= self.now)
        waiting = Counter(shard.service for shard in self.unpublished)
        said = [f"{service} has due timers in {_counted(count, 'shard')}" for service, count in overdue.items()]
        said += [
            f"{service} has unpublished records in {_counted(count, 'shard')}" for service, count in waiting.items()
        ]
        return "; ".join(said) or None


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


class Agenda:
    """What is before the services of a deployment, as Redis tells: timers, and records to be published."""

    def __init__(self, redis: Redis, namespace: str, partitions: int) -> None:
        self.redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self.namespace = namespace
        self._keys = {
            Shard(service, number): ShardKeys(namespace, service, number)
            for service in READERS
            for number in range(partitions)
        }
        self._stores = {service: Store(redis, namespace, service, partitions, 1) for service in READERS}

    async def look(self) -> Look:
        """Look at all shards. Cost: two round trips of O(shards) reads."""
        now = await time_of(self.redis, self.namespace)
        async with self.redis.pipeline(transaction=False) as pipe:
            for keys in self._keys.values():
                pipe.zrange(keys.timers, 0, 0, withscores=True)
                pipe.hget(keys.relay, "cursor")
            found = await pipe.execute()
        firsts, cursors = found[::2], [cursor or FIRST.encode() for cursor in found[1::2]]
        async with self.redis.pipeline(transaction=False) as pipe:
            for keys, cursor in zip(self._keys.values(), cursors, strict=True):
                pipe.xrange(keys.outbox, min=b"(" + cursor, count=1)
            waiting = await pipe.execute()
        due = {
            shard: from_milliseconds(int(first[0][1])) for shard, first in zip(self._keys, firsts, strict=True) if first
        }
        unpublished = [shard for shard, entries in zip(self._keys, waiting, strict=True) if entries]
        return Look(now, dict(zip(self._keys, cursors, strict=True)), unpublished, due)

    async def due_by(self, instant: datetime, look: Look) -> list[DueTimer]:
        """Return the timers due at or before an instant, in order of time; of a shard at most 1,000."""
        found = []
        for shard, first in look.first_due.items():
            if first <= instant:
                found += [
                    DueTimer(from_milliseconds(due), shard.service, name, account_id)
                    for account_id, name, due in await self._stores[shard.service].due_timers(
                        shard.number, to_milliseconds(instant), TIMERS_READ_MAX
                    )
                ]
        return sorted(found)


class Deployment:
    """A deployment seen from outside, through Redis and Kafka."""

    def __init__(
        self,
        agenda: Agenda,
        admin: AIOKafkaAdminClient,
        consumer: AIOKafkaConsumer,
        read: Mapping[str, Sequence[TopicPartition]],
        settings: Settings,
    ) -> None:
        self.agenda = agenda
        self._admin = admin
        self._consumer = consumer
        self._read = read
        self._settings = settings

    async def unread(self) -> str | None:
        """Say which services have not read to the ends of their topics; None when all have. Cost: 2 requests each.

        A broker that cannot tell now (no coordinator yet, a leader moves) is a reason too.
        """
        try:
            return await self._unread()
        except KafkaError as error:
            if not error.retriable:
                raise
            return f"Kafka cannot tell what is read: {error}"

    async def _unread(self) -> str | None:
        ends = await self._consumer.end_offsets({each for partitions in self._read.values() for each in partitions})
        said = [await self._unread_by(service, partitions, ends) for service, partitions in self._read.items()]
        return "; ".join(each for each in said if each) or None

    async def _unread_by(
        self, service: str, partitions: Sequence[TopicPartition], ends: Mapping[TopicPartition, int]
    ) -> str | None:
        group = group_of(self._settings, service)
        marks = await connections.committed(self._admin, group, partitions)
        behind = [each for each in partitions if marks.get(each, 0) < ends[each]]
        if behind:  # of a log without a beginning nobody reads more than there is
            begins = await self._consumer.beginning_offsets(behind)
            behind = [each for each in behind if begins[each] < ends[each]]
        if not behind:
            return None
        waiting = sum(ends[each] - max(begins[each], marks.get(each, 0)) for each in behind)
        topics = ", ".join(sorted({each.topic for each in behind}))
        return f"{service} has {_counted(waiting, 'record')} to read in {topics}"


async def agenda_of(redis: Redis, settings: Settings) -> Agenda:
    """Return the agenda of a deployment, with as many shards as its state has."""
    fixed = await redis.hget(deployment_key(settings.namespace), "partitions")
    return Agenda(redis, settings.namespace, int(fixed) if fixed else settings.partitions)


@asynccontextmanager
async def reach_redis(settings: Settings) -> AsyncIterator[Redis]:
    """Connect to Redis for the block; Unreachable when it is, or goes, away."""
    try:
        redis = connect_redis(settings)
    except ValueError as error:
        raise ConfigurationError(f"ADDONFLOW_REDIS_URL: {error}") from error
    try:
        yield redis
    except RedisError as error:
        refusal = redis_refusal(error, settings)
        raise refusal or Unreachable(f"Redis at {redis_address(settings)} does not answer: {error}") from error
    finally:
        await redis.aclose()


@asynccontextmanager
async def reach(settings: Settings, connect_seconds: float = 5) -> AsyncIterator[Deployment]:
    """Connect to a deployment for the block; Unreachable when a server is away, ConfigurationError without topics."""
    names = {service: [settings.namespace + topic.name for topic in topics] for service, topics in READERS.items()}
    async with (
        reach_redis(settings) as redis,
        connections.admin(settings, connect_seconds) as admin,
        connections.consumer(settings, connect_seconds) as consumer,
    ):
        every = await connections.partitions_of(admin, {name for each in names.values() for name in each})
        read = {service: [each for each in every if each.topic in names[service]] for service in READERS}
        yield Deployment(await agenda_of(redis, settings), admin, consumer, read, settings)


async def until_at_rest(deployment: Deployment, seconds: float) -> Look:
    """Wait until nothing is under way, and return what Redis holds then; NotAtRest after `seconds`.

    What somebody sends meanwhile is waited for too, if it is there at the last look.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    before = await deployment.agenda.look()
    while True:
        why = before.under_way() or await deployment.unread()
        after = await deployment.agenda.look()
        if why is None and after.under_way() is None and after.cursors == before.cursors:
            return after
        if loop.time() >= deadline:
            what = why or after.under_way() or "it goes on saying something"
            raise NotAtRest(f"not at rest after {seconds:g} s: {what}; are all services running? `addonflow doctor`")
        if why is not None:
            await asyncio.sleep(POLL_SECONDS)
        before = after
