"""What `addonflow doctor` says of a healthy deployment and of each unhealthy one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic
from redis.asyncio import Redis
from rich.console import Console
from typer.testing import CliRunner

from contracts.topics import BILLING, COMMANDS, EVENTS, READERS, TOPICS, dead_letter_topics
from deploy.addonflow import connections, kafka_checks, redis_checks
from deploy.addonflow.dead_letters import Choice, Settled
from deploy.addonflow.dead_letters_replay import Doing, deal
from deploy.addonflow.doctor import examine
from deploy.addonflow.embedded import free_ports, start_valkey
from deploy.addonflow.findings import Finding, Level
from deploy.addonflow.main import app
from deploy.addonflow.messages import of_data
from deploy.addonflow.send import send
from deploy.addonflow.topics import create
from services.runtime import functions
from services.runtime.clock import SystemClock
from services.runtime.keys import ShardKeys, deployment_key
from services.runtime.settings import Settings
from services.runtime.subscription import group_of

pytestmark = pytest.mark.embedded
SERVICE_SUBJECTS = ("reading", "dead letters", "gaps", "relay", "timers")


@pytest.fixture
def deployment(settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings with both servers; the second look comes soon."""
    monkeypatch.setattr(kafka_checks, "SECOND_LOOK_SECONDS", 0.3)
    monkeypatch.setattr(redis_checks, "SECOND_LOOK_SECONDS", 0.3)
    return settings.model_copy(update={"redis_url": redis_url})


@pytest.fixture
async def redis(deployment: Settings) -> AsyncIterator["Redis"]:
    """Give a client of the deployment's Valkey, with the function library loaded."""
    async with Redis.from_url(deployment.redis_url) as client:
        await functions.ensure_loaded(client)
        yield client


@pytest.fixture
async def healthy(deployment: Settings, redis: "Redis") -> Settings:
    """Give a deployment in which nothing is wrong."""
    await create(deployment, replication_factor=1, wait_seconds=5)
    return deployment


async def of(settings: Settings, subject: str) -> Finding:
    """Return what is found about a subject."""
    [found] = [finding for finding in await examine(settings) if finding.subject == subject]
    return found


async def test_a_healthy_deployment_is_ok_in_every_line(healthy: Settings) -> None:
    """With topics, durable Valkey and loaded functions every finding is ok, and every service is looked at."""
    findings = await examine(healthy)

    assert {finding.level for finding in findings} == {Level.OK}
    subjects = {finding.subject for finding in findings}
    assert {f"{service} {what}" for service in READERS for what in SERVICE_SUBJECTS} <= subjects
    assert {"Kafka", "topics", "Redis", "Redis durability", "Redis disk", "Redis functions"} <= subjects
    assert all("\n" not in finding.line().plain for finding in findings)


async def test_the_command_fails_when_something_is_wrong(deployment: Settings) -> None:
    """Missing topics make the command end with 1, each finding on a line with its level and what to do."""
    environment = {
        "ADDONFLOW_KAFKA_BOOTSTRAP": deployment.kafka_bootstrap,
        "ADDONFLOW_REDIS_URL": deployment.redis_url,
        "ADDONFLOW_NAMESPACE": deployment.namespace,
        "ADDONFLOW_PARTITIONS": "3",
    }
    result = await asyncio.to_thread(CliRunner().invoke, app, ["doctor"], env=environment)

    assert result.exit_code == 1
    [line] = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert f"topics: {len(TOPICS) + len(list(dead_letter_topics()))} missing" in line
    assert line.endswith("-> run `addonflow topics create`")

    await create(deployment, replication_factor=1, wait_seconds=5)
    result = await asyncio.to_thread(CliRunner().invoke, app, ["doctor"], env=environment)
    assert result.exit_code == 0, result.stdout


async def test_looking_creates_no_topic(deployment: Settings) -> None:
    """Examining a deployment without topics leaves it without topics."""
    await examine(deployment)
    async with connections.admin(deployment, 5) as admin:
        counts = await connections.partition_counts(admin)
    assert [name for name in counts if name.startswith(deployment.namespace)] == []


async def test_another_number_of_partitions_fails(healthy: Settings) -> None:
    """A topic with another number of partitions is named with both numbers."""
    settings = healthy.model_copy(update={"partitions": 2})
    found = [finding for finding in await examine(settings) if finding.subject == "topics"]
    assert {finding.level for finding in found} == {Level.FAIL}
    assert f"{healthy.namespace}{COMMANDS.name} has 3 partitions, ADDONFLOW_PARTITIONS=2" in {
        each.state for each in found
    }


async def test_another_number_of_shards_fails(healthy: Settings, redis: "Redis") -> None:
    """A state that was built with another number of partitions is said."""
    await redis.hset(deployment_key(healthy.namespace), "partitions", "12")
    assert await of(healthy, "shards") == Finding(
        Level.FAIL,
        "shards",
        "the state has 12 shards, ADDONFLOW_PARTITIONS=3",
        "set it to 12; it is fixed for a deployment's life",
    )


async def test_servers_that_are_away_fail_on_their_own(healthy: Settings) -> None:
    """Kafka away leaves the findings about Redis, Redis away those about Kafka."""
    away = free_ports(1)[0]
    without_kafka = await examine(healthy.model_copy(update={"kafka_bootstrap": f"127.0.0.1:{away}"}))
    without_redis = await examine(healthy.model_copy(update={"redis_url": f"redis://user:secret@127.0.0.1:{away}/0"}))

    assert [each.subject for each in without_kafka if each.level is Level.FAIL] == ["Kafka"]
    assert "billing gaps" in {each.subject for each in without_kafka}
    [failed] = [each for each in without_redis if each.level is Level.FAIL]
    assert failed.subject == "Redis"
    assert f"127.0.0.1:{away}" in failed.state
    assert "secret" not in failed.state
    assert "billing reading" in {each.subject for each in without_redis}


async def test_a_redis_that_may_forget_fails(embedded: None, healthy: Settings, tmp_path: Path) -> None:
    """Without append-only file, fsync and noeviction each setting is named with the value it needs."""
    [port] = free_ports(1)
    valkey = await start_valkey(port, tmp_path / "data", tmp_path, durable=False)
    try:
        found = await of(healthy.model_copy(update={"redis_url": f"redis://127.0.0.1:{port}/0"}), "Redis durability")
    finally:
        await valkey.stop()
    assert found.level is Level.FAIL
    for setting in ("appendonly is no", "appendfsync is everysec", "maxmemory-policy is allkeys-lru"):
        assert setting in found.state


async def test_missing_functions_are_a_warning(healthy: Settings, redis: "Redis") -> None:
    """A server without the release's functions works once a service starts, so it is no failure."""
    await redis.function_delete(functions.LIBRARY)
    assert (await of(healthy, "Redis functions")).level is Level.WARN


async def test_a_gap_fails(healthy: Settings, redis: "Redis") -> None:
    """A message that is missing is named with topic, account and numbers."""
    await redis.hset(ShardKeys(healthy.namespace, "billing", 1).gaps, f"{EVENTS.name} acme", "4-5")
    found = await of(healthy, "billing gaps")
    assert found.level is Level.FAIL
    assert f"{EVENTS.name} of acme: 4-5" in found.state


async def test_dead_letters_are_a_warning(healthy: Settings) -> None:
    """Records that were set aside are counted per service."""
    async with AIOKafkaProducer(bootstrap_servers=healthy.kafka_bootstrap) as producer:
        for _ in range(2):
            await producer.send_and_wait(healthy.namespace + COMMANDS.dead_letters_of("entitlements"), b"x", key=b"a")

    found = await of(healthy, "entitlements dead letters")
    assert (found.level, found.state.split()[0]) == (Level.WARN, "2")
    assert (await of(healthy, "billing dead letters")).level is Level.OK

    doing = Doing(Settled("dropped", "mara", "a typo", SystemClock().now()), limit=1)
    for _ in range(2):
        await deal(healthy, Choice(now=SystemClock().now()), doing, Console(quiet=True))
    found = await of(healthy, "entitlements dead letters")
    assert (found.level, found.state) == (Level.OK, "none is open")


async def test_records_that_nobody_reads_fail(healthy: Settings) -> None:
    """Waiting records of a service that does not read are counted; once they are read, all is well."""
    command = of_data("StartTrial", {"account_id": "acme", "user_id": "u", "add_on": "x"})
    await send(healthy, [command], on_sent=lambda *_: None, on_answer=lambda _: None)

    found = await of(healthy, "entitlements reading")
    assert (found.level, found.state) == (Level.FAIL, "1 records wait and nobody reads them")
    assert "addonflow run entitlements" in found.advice

    await _commit_everything(healthy, "entitlements")
    assert (await of(healthy, "entitlements reading")).level is Level.OK


async def _commit_everything(settings: Settings, service: str) -> None:
    partitions = [
        TopicPartition(settings.namespace + topic.name, number)
        for topic in READERS[service]
        for number in range(settings.partitions)
    ]
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, group_id=group_of(settings, service), enable_auto_commit=False
    ) as consumer:
        consumer.assign(partitions)
        await consumer.commit(await consumer.end_offsets(partitions))


async def test_records_that_nobody_publishes_fail(healthy: Settings, redis: "Redis") -> None:
    """Records behind the relay's cursor fail when the cursor stands still, and are ok when it moves."""
    keys = ShardKeys(healthy.namespace, "billing", 2)
    first = await redis.xadd(keys.outbox, {"r": b"x"})
    await redis.xadd(keys.outbox, {"r": b"y"})
    found = await of(healthy, "billing relay")
    assert (found.level, found.state.split()[0]) == (Level.FAIL, "2")

    async def relay() -> None:
        await asyncio.sleep(0.1)
        await redis.hset(keys.relay, "cursor", first)

    moving, found = await asyncio.gather(relay(), of(healthy, "billing relay"))
    assert moving is None
    assert (found.level, found.state.split()[0]) == (Level.OK, "1")


@pytest.mark.parametrize(("due_ms", "level"), [(0, Level.FAIL), (32_503_680_000_000, Level.OK)])
async def test_overdue_timers_fail(healthy: Settings, redis: "Redis", due_ms: int, level: Level) -> None:
    """A timer long past its time fails; one to come does not."""
    timers: Any = ShardKeys(healthy.namespace, "notifications", 0).timers
    await redis.zadd(timers, {"digest acme": due_ms})
    assert (await of(healthy, "notifications timers")).level is level


async def test_a_topic_of_a_stranger_does_not_matter(healthy: Settings) -> None:
    """Other topics of the cluster, whatever their partitions, are none of a deployment's business."""
    async with connections.admin(healthy, 5) as admin:
        await admin.create_topics([NewTopic(f"x{healthy.namespace}{BILLING.name}", 7, 1)])
    assert (await of(healthy, "topics")).level is Level.OK
