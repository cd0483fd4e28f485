"""When a start is refused because old commands would be decided again, on real Kafka; and when it is not."""

from datetime import timedelta

import pytest
from aiokafka import TopicPartition

from contracts.topics import ACCOUNTS, BACKOFFICE, EVENTS, Topic
from deploy.addonflow.rebuild_group import read_from
from services.runtime.clock import SystemClock, to_milliseconds
from services.runtime.errors import ConfigurationError
from services.runtime.health import Health
from services.runtime.lost_offsets import check_offsets
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import Store
from tests.runtime import logs
from tests.runtime.toys import commit, record

READ = (ACCOUNTS, EVENTS, BACKOFFICE)
OLD, YOUNG = timedelta(days=8), timedelta(days=6)


@pytest.mark.parametrize(
    ("age", "spoken", "committed", "refused"),
    [
        (OLD, True, "", True),
        (OLD, True, ACCOUNTS.name, False),
        (OLD, True, BACKOFFICE.name, False),
        (OLD, False, "", False),
        (YOUNG, True, "", False),
        (None, True, "", False),
    ],
    ids=["lost", "a topic read only now", "kept", "nothing was ever said", "answers are kept", "a log that is empty"],
)
async def test_only_lost_offsets_of_old_commands_are_refused(
    kafka_bootstrap: str,
    embedded_store: Store,
    namespace: str,
    age: timedelta | None,
    spoken: bool,
    committed: str,
    refused: bool,
) -> None:
    """A shard that has said something, has no offset in any topic, and holds a command older than answers are kept."""
    settings = Settings(kafka_bootstrap=kafka_bootstrap, namespace=namespace, partitions=1)
    now = SystemClock().now()
    await logs.create(kafka_bootstrap, *(namespace + topic.name for topic in READ))
    async with logs.producer(kafka_bootstrap) as client:
        await client.send_and_wait(namespace + EVENTS.name, b"{}", timestamp_ms=to_milliseconds(now - OLD))
        for each in [] if age is None else [age, timedelta()]:
            await client.send_and_wait(namespace + BACKOFFICE.name, b"{}", timestamp_ms=to_milliseconds(now - each))
    if spoken:
        await embedded_store.commit(0, [commit(records=[record(1)])])
    if committed:
        await read_from(settings, "billing", {TopicPartition(namespace + committed, 0): 0})

    async def check(*topics: Topic) -> None:
        await Patience(Health(30), 100).until_done(  # a new cluster makes its place for groups first
            "ask", lambda: check_offsets(settings, "billing", topics, embedded_store, now)
        )

    await check(ACCOUNTS, EVENTS)  # a service without commands has nothing to lose
    if refused:
        with pytest.raises(ConfigurationError, match=r"shards 0, .*addonflow rebuild billing"):
            await check(*READ)
    else:
        await check(*READ)
