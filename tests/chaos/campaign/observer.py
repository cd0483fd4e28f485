"""Follows the answers and events as a reader would, and asks Kafka how far each service is behind.

It speaks to the broker directly. What it says is what was in flight as a fault struck; the checker uses none of it.
"""

import asyncio
import contextlib
from collections import deque
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from pydantic_core import from_json
from redis.asyncio import Redis
from redis.exceptions import RedisError

from contracts.topics import BILLING, BILLING_RESULTS, EVENTS, NOTIFICATIONS, READERS, RESULTS, group_name
from services.runtime.keys import ShardKeys
from tests.chaos.campaign.load import Waiting
from tests.e2e.records import Record

_TROUBLE = (KafkaError, TimeoutError, OSError, RedisError)
_ASK_SECONDS = 3
_KEPT = 1_000


class Observer:
    """What is known from outside of the work under way.

    `events`: some that were published, to be sent again; `progress`: how
    many records each service has published.
    """

    def __init__(self, bootstrap: str, namespace: str, partitions: int, waiting: Waiting) -> None:
        self._bootstrap = bootstrap
        self._namespace = namespace
        self._partitions = partitions
        self._waiting = waiting
        self._tail: asyncio.Task[None] | None = None
        self._admin: AIOKafkaAdminClient | None = None
        self._ends: AIOKafkaConsumer | None = None
        self._asking = asyncio.Lock()
        self.events: deque[Record] = deque(maxlen=_KEPT)
        self.progress = dict.fromkeys(READERS, 0)

    def start(self) -> None:
        """Begin to follow."""
        self._tail = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Follow no more."""
        if self._tail is not None:
            self._tail.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tail
        await self._let_go()

    async def _follow(self) -> None:
        topics = (RESULTS, BILLING_RESULTS, EVENTS, BILLING, NOTIFICATIONS)
        places = [
            TopicPartition(self._namespace + topic.name, number)
            for topic in topics
            for number in range(self._partitions)
        ]
        read = dict.fromkeys(places, 0)
        while True:
            consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, request_timeout_ms=5_000)
            try:
                await consumer.start()
                consumer.assign(places)
                for place, offset in read.items():
                    consumer.seek(place, offset)
                while True:
                    for place, records in (await consumer.getmany(timeout_ms=200)).items():
                        self._take(place.topic.removeprefix(self._namespace), records)
                        read[place] = records[-1].offset + 1
            except _TROUBLE:
                await asyncio.sleep(0.2)
            finally:
                with contextlib.suppress(*_TROUBLE):
                    await consumer.stop()

    def _take(self, topic: str, records: list[Any]) -> None:
        writer = next(
            each.writer for each in (RESULTS, BILLING_RESULTS, EVENTS, BILLING, NOTIFICATIONS) if each.name == topic
        )
        self.progress[writer] += len(records)
        if topic == EVENTS.name:
            self.events += [Record(topic, each.key, each.value, tuple(each.headers)) for each in records[:5]]
        elif topic in (RESULTS.name, BILLING_RESULTS.name):
            for each in records:
                said = from_json(each.value)
                self._waiting.heard(said["account_id"], said["command_id"])

    async def lag(self, service: str) -> int | None:
        """Return how many records a service has not acknowledged; None where Kafka does not say."""
        try:
            async with asyncio.timeout(_ASK_SECONDS), self._asking:
                try:
                    return await self._lag(service)
                except BaseException:
                    await self._let_go()
                    raise
        except _TROUBLE:
            return None

    async def _lag(self, service: str) -> int:
        if self._admin is None or self._ends is None:
            self._admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap, request_timeout_ms=3_000)
            await self._admin.start()
            self._ends = AIOKafkaConsumer(bootstrap_servers=self._bootstrap, request_timeout_ms=3_000)
            await self._ends.start()
        places = [
            TopicPartition(self._namespace + topic.name, number)
            for topic in READERS[service]
            for number in range(self._partitions)
        ]
        ends = await self._ends.end_offsets(places)
        group = group_name(self._namespace, service)
        saved = await self._admin.list_consumer_group_offsets(group, partitions=places)
        return sum(max(0, end - max(0, saved[each].offset if each in saved else 0)) for each, end in ends.items())

    async def _let_go(self) -> None:
        admin, ends, self._admin, self._ends = self._admin, self._ends, None, None
        for close in ([admin.close] if admin else []) + ([ends.stop] if ends else []):
            with contextlib.suppress(*_TROUBLE):
                await close()

    async def unpublished(self, redis: "Redis", service: str) -> int:
        """Return how many shards of a service hold records that were not published."""
        waiting = 0
        for shard in range(self._partitions):
            keys = ShardKeys(self._namespace, service, shard)
            last: Any = await redis.xrevrange(keys.outbox, count=1)
            cursor = await redis.hget(keys.relay, "cursor")
            waiting += bool(last) and cursor != last[0][0]
        return waiting
