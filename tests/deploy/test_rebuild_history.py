"""What is read of the logs for a shard: all of its accounts, wherever their records are, and nothing else."""

from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer

from contracts.accounts import MemberUpdated
from contracts.topics import ACCOUNTS
from deploy.addonflow.history import logs, said_of
from deploy.addonflow.messages import of_payload
from deploy.addonflow.topics import create
from services.runtime.clock import SystemClock
from services.runtime.errors import ConfigurationError
from services.runtime.keys import shard_of
from services.runtime.settings import Settings

pytestmark = pytest.mark.embedded


async def send(settings: Settings, account_id: str, partition: int, value: bytes | None = None) -> None:
    """Write a fact of an account into a partition, or other bytes in its place."""
    said = MemberUpdated(account_id=account_id, revision=1, user_id="ann", role="owner", status="active")
    message = of_payload(said, f"fact-{account_id}")
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, enable_idempotence=False) as producer:
        await producer.send_and_wait(
            settings.namespace + ACCOUNTS.name,
            value or message.value,
            key=account_id.encode(),
            partition=partition,
            headers=list(message.headers(SystemClock().now())),
        )


async def test_records_in_another_partition_than_their_account_are_found(settings: Settings) -> None:
    """A sender that partitions by another rule scatters its records: each shard has its accounts, and no other."""
    await create(settings, replication_factor=1, wait_seconds=5)
    accounts = [f"account-{number}" for number in range(6)]
    for account_id in accounts:
        await send(settings, account_id, (shard_of(account_id, settings.partitions) + 1) % settings.partitions)
    async with logs(settings) as log:
        found = [(await log.shard("entitlements", shard)).accounts for shard in range(settings.partitions)]
    expected = [[each for each in accounts if shard_of(each, settings.partitions) == shard] for shard in range(3)]
    assert found == expected


async def test_what_cannot_be_read_is_passed_over(settings: Settings) -> None:
    """An unreadable record, set aside in life, is no delivery; its neighbours are, and tell that the log is whole."""
    await create(settings, replication_factor=1, wait_seconds=5)
    shard = shard_of("acme", settings.partitions)
    await send(settings, "acme", shard, b"{")
    await send(settings, "acme", shard)
    async with logs(settings) as log:
        history = await log.shard("billing", shard)
    [delivery] = history.deliveries("acme")
    assert delivery.cause.id == "fact-acme"
    assert not delivery.trimmed
    assert history.ends[ACCOUNTS.name, shard] > 0


async def test_topics_that_are_missing_are_named(settings: Settings) -> None:
    """Without its topics a deployment has no history: one line says what to do."""
    with pytest.raises(ConfigurationError, match="topics create"):
        async with logs(settings):
            pass


def test_a_record_of_a_newer_release_is_read_without_its_payload() -> None:
    """An own record of a type that this release does not know keeps its place, and says nothing it could be told by."""
    record = SimpleNamespace(value=b"{}", headers=[("ce_type", b"new"), ("ce_sequence", b"7")], timestamp=5)
    said = said_of(record, ACCOUNTS)
    assert (said.payload, said.sequence, said.written_ms) == (None, 7, 5)


@pytest.mark.parametrize(
    ("name", "text"),
    [("ce_sequence", b"9" * 5_000), ("ce_sequence", b"one"), ("ce_time", b"yesterday"), ("ce_time", b"2026-09-30")],
)
def test_what_somebody_else_wrote_to_a_services_topic_is_read_too(name: str, text: bytes) -> None:
    """A sequence that is no number and a time that is none stop no rebuild and no audit."""
    headers = [("ce_type", b"addons.TrialEnded.v1"), (name, text)]
    said = said_of(SimpleNamespace(value=None, headers=headers, timestamp=5), ACCOUNTS)
    assert (said.payload, said.sequence) == (None, 0)
    assert said.at.tzinfo is not None
