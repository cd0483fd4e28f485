"""`addonflow topics create`."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from contracts.topics import COMMANDS, TOPICS, dead_letter_topics
from deploy.addonflow import connections
from deploy.addonflow.connections import Unreachable
from deploy.addonflow.embedded import free_ports, start_broker
from deploy.addonflow.topics import create
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

EVERY = [topic.name for topic in TOPICS] + list(dead_letter_topics())


async def counts(settings: Settings) -> dict[str, int]:
    """Return this deployment's topics with their partitions."""
    async with connections.admin(settings, 5) as admin:
        found = await connections.partition_counts(admin)
    return {name: count for name, count in found.items() if name.startswith(settings.namespace)}


@pytest.mark.embedded
async def test_creates_every_topic_of_the_registry_with_the_deployments_partitions(settings: Settings) -> None:
    """Every topic and every dead-letter topic exists afterwards, in the namespace, with as many partitions as set."""
    created = await create(settings, replication_factor=1, wait_seconds=5)

    expected = {settings.namespace + name: 3 for name in EVERY}
    assert await counts(settings) == expected
    assert set(created.new) == set(expected)


@pytest.mark.embedded
async def test_creating_again_changes_nothing(settings: Settings) -> None:
    """A second run creates nothing and says what was there."""
    await create(settings, replication_factor=1, wait_seconds=5)
    before = await counts(settings)

    again = await create(settings, replication_factor=1, wait_seconds=5)

    assert again.new == ()
    assert set(again.existing) == set(before)
    assert await counts(settings) == before


@pytest.mark.embedded
async def test_refuses_a_topic_with_another_number_of_partitions(settings: Settings) -> None:
    """When one topic has another number of partitions, one line names it and both numbers, and nothing is created."""
    odd = settings.namespace + COMMANDS.name
    async with connections.admin(settings, 5) as admin:
        await admin.create_topics([NewTopic(odd, 5, 1)])

    with pytest.raises(ConfigurationError, match=rf"^topic {odd} has 5 partitions and ADDONFLOW_PARTITIONS=3: .*$"):
        await create(settings, replication_factor=1, wait_seconds=5)
    assert await counts(settings) == {odd: 5}


async def test_says_in_time_that_no_broker_answers() -> None:
    """Without a broker it gives up when the time is over, naming the address."""
    [port] = free_ports(1)
    settings = Settings(kafka_bootstrap=f"127.0.0.1:{port}")

    with pytest.raises(Unreachable, match=f"Kafka at 127.0.0.1:{port} does not answer"):
        async with asyncio.timeout(10):
            await create(settings, wait_seconds=0.5)


@pytest.mark.embedded
async def test_waits_for_a_broker_that_is_still_starting(embedded: None, tmp_path: Path) -> None:
    """A broker that comes up while the command waits gets its topics."""
    [port] = free_ports(1)
    settings = Settings(kafka_bootstrap=f"127.0.0.1:{port}", partitions=3)
    creating = asyncio.create_task(create(settings, replication_factor=1, wait_seconds=20))
    done, _ = await asyncio.wait({creating}, timeout=0.5)
    assert not done

    broker = await start_broker(port, tmp_path)
    try:
        assert len((await creating).new) == len(EVERY)
    finally:
        await broker.stop()


async def test_topics_keep_everything_on_a_real_broker(kafka_bootstrap: str, namespace: str) -> None:
    """On Kafka, replication is the broker's default, no topic forgets by time, and dead letters take 4 MiB."""
    settings = Settings(kafka_bootstrap=kafka_bootstrap, namespace=namespace, partitions=3)
    await create(settings)

    async with connections.admin(settings, 5) as admin:
        facts = {name: await configuration(admin, namespace + name) for name in EVERY}
    assert {facts[name]["retention.ms"] for name in EVERY} == {"-1"}
    assert {facts[name]["max.message.bytes"] for name in dead_letter_topics()} == {"4194304"}


async def configuration(admin: AIOKafkaAdminClient, topic: str) -> dict[str, str]:
    """Return a topic's configuration."""
    replies = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for reply in replies for resource in reply.resources for entry in resource[4]}
