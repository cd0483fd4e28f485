"""What was in the log at the start is heard by the whole group, on real Kafka: by its offsets, whoever has read it."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition

from contracts.topics import ACCOUNTS, BACKOFFICE, COMMANDS, Topic
from deploy.addonflow.rebuild_group import read_from
from services.runtime.backlog import Backlog
from services.runtime.errors import Stopping
from services.runtime.health import Health
from services.runtime.kafka import LogEnds
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from tests.runtime import logs

SERVICE = "entitlements"
_SECONDS = 20


class Place:
    """Topics of two shards, and a wait for what the service has yet to hear of them."""

    def __init__(self, bootstrap: str, namespace: str) -> None:
        self.bootstrap = bootstrap
        self.settings = Settings(kafka_bootstrap=bootstrap, namespace=namespace, partitions=2)
        self.patience = Patience(Health(30), 100)
        self.looks = 0

    async def write(self, topic: Topic, shard: int, records: int = 1) -> None:
        """Write records to a partition."""
        async with logs.producer(self.bootstrap) as client:
            for _ in range(records):
                await client.send_and_wait(self.settings.namespace + topic.name, b"{}", partition=shard)

    async def save(self, shard: int, offset: int) -> None:
        """Have the group save how far it has handled the facts of a shard."""
        await read_from(
            self.settings, SERVICE, {TopicPartition(self.settings.namespace + ACCOUNTS.name, shard): offset}
        )

    @asynccontextmanager
    async def waiting(self, *topics: Topic) -> "AsyncIterator[asyncio.Task[None]]":
        """Wait for the backlog for the time of the block."""
        ends = LogEnds(self.settings)
        backlog = Backlog(self.settings, SERVICE, topics or (ACCOUNTS, COMMANDS, BACKOFFICE), ends)
        pause = self.patience.pause

        async def counted(seconds: float) -> None:
            self.looks += 1
            await pause(seconds)

        self.patience.pause = counted  # type: ignore[method-assign]
        task = asyncio.create_task(backlog.heard(self.patience))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await ends.stop()

    async def assert_still_waits(self, task: "asyncio.Task[None]") -> None:
        """Fail when the backlog is heard within three looks, one of which reads what is in the log."""
        looks = self.looks
        await logs.until(lambda: task.done() or self.looks >= looks + 3, "it looks again")
        assert not task.done()


@pytest.fixture
async def place(kafka_bootstrap: str) -> Place:
    """Give topics of two shards."""
    made = Place(kafka_bootstrap, f"backlog-{secrets.token_hex(3)}.")
    names = [made.settings.namespace + topic.name for topic in (ACCOUNTS, COMMANDS, BACKOFFICE)]
    await logs.create(kafka_bootstrap, *names, partitions=2)
    return made


async def heard(task: "asyncio.Task[None]") -> None:
    """Wait until the backlog is heard."""
    async with asyncio.timeout(_SECONDS):
        await task


async def test_an_empty_log_is_heard_at_once_and_commands_are_not_waited_for(place: Place) -> None:
    """Without facts nothing is waited for, however many commands nobody has read, and though nothing was ever saved."""
    await place.write(COMMANDS, 0, 3)
    async with place.waiting() as task:
        await heard(task)


async def test_the_facts_of_every_shard_are_waited_for_and_no_later_ones(place: Place) -> None:
    """It waits until the group has saved all that was there in each shard; what comes meanwhile is not waited for."""
    await place.write(ACCOUNTS, 0, 2)
    await place.write(ACCOUNTS, 1, 2)
    async with place.waiting() as task:
        await place.assert_still_waits(task)
        await place.save(0, 2)
        await place.save(1, 1)
        await place.assert_still_waits(task)
        await place.write(ACCOUNTS, 1, 1)
        await place.save(1, 2)
        await heard(task)


async def test_the_end_of_a_transaction_is_no_record_to_wait_for(place: Place) -> None:
    """Facts of a transaction are heard when the last of them is, though the log goes on behind it for its marker."""
    name = place.settings.namespace + ACCOUNTS.name
    async with logs.producer(place.bootstrap, transactional_id=secrets.token_hex(3)) as client, client.transaction():
        for _ in range(2):
            await client.send_and_wait(name, b"{}", partition=0)
    await place.save(0, 1)
    async with place.waiting() as task:
        await place.assert_still_waits(task)
        await place.save(0, 2)
        await heard(task)


async def test_a_record_that_no_client_parses_is_waited_for_too(place: Place) -> None:
    """An illegible record is one that the group has yet to set aside."""
    await logs.write_illegible(place.bootstrap, place.settings.namespace + ACCOUNTS.name)
    async with place.waiting() as task:
        await place.assert_still_waits(task)
        await place.save(0, 1)
        await heard(task)


async def test_a_process_that_stops_waits_no_longer(place: Place) -> None:
    """A wait ends with the process."""
    await place.write(ACCOUNTS, 0)
    async with place.waiting() as task:
        await place.assert_still_waits(task)
        place.patience.stop()
        with pytest.raises(Stopping):
            await heard(task)
