"""What a deployment can be seen doing from outside: records sent to its topics, records read back, coming to rest.

Every read is bounded by the ends of the logs when it begins.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import redis
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from contracts.topics import READERS, Topic, dead_letter_topics
from contracts.topics import TOPICS as REGISTRY
from services.runtime.keys import ShardKeys, deployment_key
from tests.e2e.records import Record
from tests.runtime import logs

T = TypeVar("T")
PARTITIONS = 3
_REST_SECONDS = 60
_POLL_SECONDS = 0.1
_READ_SECONDS = 30
_LARGE = {"max.message.bytes": "4194304"}


class Deployment:
    """A namespace on a Kafka and a Redis: its topics, and whether its services have come to rest.

    `cluster`: the Redis is a cluster. `replicas`: of each topic.
    """

    def __init__(
        self,
        bootstrap: str,
        redis_url: str,
        namespace: str,
        partitions: int = PARTITIONS,
        *,
        cluster: bool = False,
        replicas: int = 1,
    ) -> None:
        self.bootstrap = bootstrap
        self.redis_url = redis_url
        self.namespace = namespace
        self.partitions = partitions
        self.cluster = cluster
        self.replicas = replicas

    def settings(self, **changes: object) -> dict[str, str]:
        """Return the environment of a service here; `changes` by setting name (`redis_timeout_seconds=1`)."""
        settings: dict[str, object] = {
            "kafka_bootstrap": self.bootstrap,
            "redis_url": self.redis_url,
            "redis_cluster": self.cluster,
            "namespace": self.namespace,
            "partitions": self.partitions,
            "kafka_session_timeout_ms": 6_000,
            "backoff_ms_max": 500,
        }
        return {f"ADDONFLOW_{name.upper()}": str(value) for name, value in (settings | changes).items()}

    @property
    def redis(self) -> "redis.Redis":
        """A client of the deployment's Redis."""
        client = redis.RedisCluster if self.cluster else redis.Redis
        return client.from_url(self.redis_url)  # type: ignore[return-value]  # all that is asked of it here

    def create_topics(self, *, without: str = "", partitions_of: Mapping[str, int] | None = None) -> None:
        """Create all topics, taking values of 4 MiB: `without` one, with another number of partitions for some."""
        counts = partitions_of or {}
        names = [name for name in (*(topic.name for topic in REGISTRY), *dead_letter_topics()) if name != without]
        topics = [
            NewTopic(self.namespace + name, counts.get(name, self.partitions), self.replicas, topic_configs=_LARGE)
            for name in names
        ]

        async def create(admin: AIOKafkaAdminClient) -> None:
            reply = await admin.create_topics(topics)
            assert not [error for error in reply.topic_errors if error[1]], reply.topic_errors

        self._with_admin(create)

    def lose_log(self, topic: Topic) -> None:
        """Have a topic lose all it holds: it is deleted and made anew."""
        name = self.namespace + topic.name

        async def lose(admin: AIOKafkaAdminClient) -> None:
            await admin.delete_topics([name])
            deadline = time.monotonic() + _READ_SECONDS
            while name in await admin.list_topics():
                assert time.monotonic() < deadline, f"{name} is still there"
                await asyncio.sleep(_POLL_SECONDS)
            await admin.create_topics([NewTopic(name, self.partitions, 1, topic_configs=_LARGE)])

        self._with_admin(lose)

    def topic_names(self) -> set[str]:
        """Return the registry names of this namespace's topics."""

        async def names(admin: AIOKafkaAdminClient) -> set[str]:
            listed = await admin.list_topics()
            return {name.removeprefix(self.namespace) for name in listed if name.startswith(self.namespace)}

        return self._with_admin(names)

    def _with_admin(self, action: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
        async def act() -> T:
            async with logs.admin(self.bootstrap) as admin:
                return await action(admin)

        return asyncio.run(act())

    def send(self, *records: Record) -> None:
        """Write records in order, acknowledged by the broker."""

        async def act() -> None:
            async with AIOKafkaProducer(
                bootstrap_servers=self.bootstrap,
                acks="all",
                enable_idempotence=True,
                max_request_size=4_194_304,
                linger_ms=5,
            ) as producer:
                sent = [
                    await producer.send(
                        self.namespace + each.topic, each.value, each.key, each.partition, headers=list(each.headers)
                    )
                    for each in records
                ]
                await asyncio.gather(*sent)

        asyncio.run(act())

    def read(self, topic: Topic | str) -> list[Record]:
        """Read a topic from its beginning to its end as it is now, partition by partition."""
        name = topic if isinstance(topic, str) else topic.name
        partitions = [TopicPartition(self.namespace + name, number) for number in range(self.partitions)]

        async def act() -> list[Any]:
            found: list[Any] = []
            async with AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest") as consumer:
                consumer.assign(partitions)
                ends = await consumer.end_offsets(partitions)
                await consumer.seek_to_beginning()
                async with asyncio.timeout(_READ_SECONDS):
                    while [each for each in partitions if await consumer.position(each) < ends[each]]:
                        for batch in (await consumer.getmany(timeout_ms=200)).values():
                            found += batch
            return found

        read = sorted(asyncio.run(act()), key=lambda each: (each.partition, each.offset))
        return [Record(name, each.key, each.value, tuple(each.headers), each.partition, each.offset) for each in read]

    def until_at_rest(self, *services: str, seconds: float = _REST_SECONDS) -> None:
        """Wait until these services, upstream ones first, have read all there is and published all they committed.

        A broker that just came back may answer with no brokers at all for a while: that is waited for too.
        """

        async def busy(service: str) -> str:
            try:
                async with (
                    asyncio.timeout(_READ_SECONDS),
                    logs.admin(self.bootstrap) as admin,
                    AIOKafkaConsumer(bootstrap_servers=self.bootstrap) as consumer,
                ):
                    return await self._unread(admin, consumer, service) or self._unpublished(service)
            except (KafkaError, TimeoutError) as error:
                return f"cannot ask Kafka: {type(error).__name__}: {error}"

        async def act() -> None:
            deadline = time.monotonic() + seconds
            for service in services:
                while why := await busy(service):
                    assert time.monotonic() < deadline, f"{service} after {seconds} s: {why}"
                    await asyncio.sleep(_POLL_SECONDS)

        asyncio.run(act())

    async def _unread(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, service: str) -> str:
        partitions = [
            TopicPartition(self.namespace + topic.name, number)
            for topic in READERS[service]
            for number in range(self.partitions)
        ]
        ends = await consumer.end_offsets(partitions)
        group = f"{self.namespace}addonflow.{service}"
        committed = await admin.list_consumer_group_offsets(group, partitions=partitions)
        behind = {
            f"{each.topic}/{each.partition}": f"{committed[each].offset if each in committed else '-'} of {end}"
            for each, end in ends.items()
            if end > max(0, committed[each].offset if each in committed else 0)
        }
        return f"unread {behind}" if behind else ""

    def _unpublished(self, service: str) -> str:
        with self.redis as client:
            for shard in range(self.partitions):
                keys = ShardKeys(self.namespace, service, shard)
                last: Sequence[Any] = client.xrevrange(keys.outbox, count=1)
                if last and client.hget(keys.relay, "cursor") != last[0][0]:
                    return f"shard {shard} holds unpublished records"
        return ""

    def forget_state(self) -> None:
        """Remove everything this namespace has in Redis."""
        with self.redis as client:
            for key in client.scan_iter(f"{{{self.namespace}*", count=1_000):
                client.delete(key)
            client.delete(deployment_key(self.namespace))
