"""A process with a name of its own in its consumer group (static membership), on real Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiokafka.errors import KafkaError

from services.runtime import consumer
from services.runtime.consumer import GuardedConsumer
from services.runtime.settings import Settings
from tests.runtime import logs
from tests.runtime.test_subscription import registered

PARTITIONS = 4


@pytest.mark.parametrize("name", [None, "billing-0"])
def test_the_name_reaches_the_group(name: str | None) -> None:
    """ADDONFLOW_INSTANCE_ID is the consumer's name in its group; without, it has none."""
    subscriber = registered("billing", Settings(instance_id=name))

    assert subscriber._connection_args["group_instance_id"] == name


@asynccontextmanager
async def consuming(bootstrap: str, topic: str, name: str) -> AsyncIterator[GuardedConsumer]:
    """Run a consumer of a topic's group under a name."""
    client = GuardedConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=f"{topic}.group",
        group_instance_id=name,
        enable_auto_commit=False,
        heartbeat_interval_ms=200,
    )
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def test_a_named_process_that_comes_back_has_its_partitions_and_one_whose_name_is_taken_says_so(
    kafka_bootstrap: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped and started, it owns what it owned, and logs nothing; with two of one name the log names the setting."""
    said: list[str] = []
    monkeypatch.setattr(consumer.log, "error", lambda text, *values: said.append(text % values))
    topic = f"{namespace}named"
    await logs.create(kafka_bootstrap, topic, partitions=PARTITIONS)
    async with consuming(kafka_bootstrap, topic, "a") as other:
        async with consuming(kafka_bootstrap, topic, "b") as first:

            async def shared_out() -> bool:
                await other.getmany(timeout_ms=10)
                await first.getmany(timeout_ms=10)
                return len(first.assignment()) == len(other.assignment()) == PARTITIONS // 2

            await logs.until(shared_out, "the partitions are shared out")
            shared = first.assignment()
        async with consuming(kafka_bootstrap, topic, "b") as again:
            assert again.assignment() == shared
            await again.getmany(timeout_ms=10)
            assert said == []

            async with consuming(kafka_bootstrap, topic, "b") as twin:

                async def noticed() -> bool:
                    for each in (again, twin):
                        with suppress(KafkaError):  # what is refused its place says so there
                            await each.getmany(timeout_ms=10)
                    return any("another process has the same ADDONFLOW_INSTANCE_ID" in line for line in said)

                await logs.until(noticed, "one says that its place was taken")
