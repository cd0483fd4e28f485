"""Creates every topic of the registry, and the dead-letter topics beside them.

Creating is idempotent, never changes a topic that exists, and refuses when one has another number of partitions: the
number is what sends every account to its shard, so it is fixed for a deployment's life.
"""

from dataclasses import dataclass
from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts.topics import TOPICS, dead_letter_topics
from deploy.addonflow import connections
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

BROKER_DEFAULT: Final = -1
_TOPIC_ALREADY_EXISTS: Final = 36
_FOREVER: Final = {"retention.ms": "-1", "retention.bytes": "-1"}  # the log is the history of the deployment
_DEAD_LETTER: Final = _FOREVER | {"max.message.bytes": "4194304"}  # what is too large to read must fit


@dataclass(frozen=True, slots=True)
class Created:
    """What `create` found and did, by full topic name."""

    new: tuple[str, ...]
    existing: tuple[str, ...]


def wanted(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the configuration of every topic of a deployment, by full name."""
    topics = {settings.namespace + topic.name: _FOREVER for topic in TOPICS}
    return topics | {settings.namespace + name: _DEAD_LETTER for name in dead_letter_topics()}


async def create(settings: Settings, replication_factor: int = BROKER_DEFAULT, wait_seconds: float = 60) -> Created:
    """Create what is missing; ConfigurationError when a topic exists with another number of partitions.

    Nothing is created then. `replication_factor` -1 leaves it to the broker.
    """
    async with connections.admin(settings, wait_seconds) as admin:
        counts = await connections.partition_counts(admin)
        topics = wanted(settings)
        for name in topics:
            _refuse_other_count(name, counts.get(name, settings.partitions), settings.partitions)
        new = [name for name in topics if name not in counts]
        if new:
            made = [_new_topic(name, settings.partitions, replication_factor, topics[name]) for name in new]
            await _create(admin, made)
            counts = await connections.partition_counts(admin)
            for name in new:  # another process may have created it meanwhile
                _refuse_other_count(name, counts.get(name, settings.partitions), settings.partitions)
    return Created(tuple(new), tuple(name for name in topics if name not in new))


def _refuse_other_count(name: str, count: int, partitions: int) -> None:
    if count != partitions:
        raise ConfigurationError(
            f"topic {name} has {count} partitions and ADDONFLOW_PARTITIONS={partitions}: set it to the topic's number, "
            "or use another ADDONFLOW_NAMESPACE; it is fixed for a deployment's life"
        )


def _new_topic(name: str, partitions: int, replication_factor: int, configuration: dict[str, str]) -> NewTopic:
    topic = NewTopic(name, partitions, 1, topic_configs=configuration)
    topic.replication_factor = replication_factor  # the constructor refuses -1, brokers do not
    return topic


async def _create(admin: AIOKafkaAdminClient, topics: list[NewTopic]) -> None:
    reply = await admin.create_topics(topics)
    for name, code, message in reply.topic_errors:
        if code not in (0, _TOPIC_ALREADY_EXISTS):
            raise ConfigurationError(f"topic {name} cannot be created: {message or f'Kafka error {code}'}")
