"""The relay and its publisher on real Kafka."""

from collections.abc import AsyncIterator

import pytest

from contracts import topics
from services.runtime.codec import RECORD_BYTES_MAX
from services.runtime.errors import RecordTooLarge
from services.runtime.health import Health
from services.runtime.kafka import LogEnds, Publisher
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import Store
from tests.runtime import logs
from tests.runtime.relays import PARTITIONS, cursor, ids, relay_of, say
from tests.runtime.toys import record

EVENTS = topics.EVENTS.name


@pytest.fixture
async def publisher(kafka_bootstrap: str, namespace: str) -> AsyncIterator[Publisher]:
    """Give a publisher to real Kafka, with a topic of events in the test's namespace."""
    await logs.create(kafka_bootstrap, namespace + EVENTS, partitions=PARTITIONS)
    publisher = Publisher(Settings(kafka_bootstrap=kafka_bootstrap, namespace=namespace))
    yield publisher
    await publisher.stop()


@pytest.fixture
async def ends(kafka_bootstrap: str, namespace: str) -> AsyncIterator[LogEnds]:
    """Give a look at the ends of real Kafka's logs."""
    ends = LogEnds(Settings(kafka_bootstrap=kafka_bootstrap, namespace=namespace))
    yield ends
    await ends.stop()


async def ids_in(bootstrap: str, namespace: str) -> list[str]:
    """Return the ids in Kafka, in order."""
    return [dict(each.headers)["ce_id"].decode() for each in await logs.read(bootstrap, namespace + EVENTS)]


async def test_real_kafka_gets_what_was_committed(
    embedded_store: Store, publisher: Publisher, ends: LogEnds, kafka_bootstrap: str, namespace: str
) -> None:
    """Records arrive in the order of the commits on the shard's partition, and the last batch's offset is kept."""
    relay = relay_of(embedded_store, publisher, ends, namespace=namespace)
    await say(embedded_store, 1, 2, 3)
    while await relay.publish_some(0):
        pass
    await relay.save(0)

    found = await logs.read(kafka_bootstrap, namespace + EVENTS, 0)
    assert [(each.key, dict(each.headers)["ce_sequence"]) for each in found] == [
        (b"acme", b"%d" % n) for n in (1, 2, 3)
    ]
    assert await embedded_store.relay_position(0) == (await cursor(embedded_store), {EVENTS: 0})


async def test_batches_above_half_a_megabyte_keep_their_order(
    embedded_store: Store, publisher: Publisher, ends: LogEnds, kafka_bootstrap: str, namespace: str
) -> None:
    """Records that do not fit one batch are sent as several, in order, and the last one's offset is kept."""
    relay = relay_of(embedded_store, publisher, ends, namespace=namespace)
    await say(embedded_store, *range(60), padding=40_000)
    await say(embedded_store, 60, padding=600_000)  # more than a batch by itself
    await say(embedded_store, 61)
    while await relay.publish_some(0):
        pass
    await relay.save(0)

    assert await ids_in(kafka_bootstrap, namespace) == ids(*range(62))
    assert (await embedded_store.relay_position(0))[1] == {EVENTS: 61}


async def test_the_largest_record_that_is_committed_can_be_published(
    embedded_store: Store, publisher: Publisher, ends: LogEnds, kafka_bootstrap: str, namespace: str
) -> None:
    """A broker with the limit it comes with takes a record of RECORD_BYTES_MAX; a byte more is never committed."""
    room = RECORD_BYTES_MAX - len(record(1, padding=100_000)) + 100_000
    with pytest.raises(RecordTooLarge):
        record(1, padding=room + 1)
    await say(embedded_store, 1, padding=room)
    await say(embedded_store, 2)
    relay = relay_of(embedded_store, publisher, ends, namespace=namespace)
    while await relay.publish_some(0):
        pass
    assert await ids_in(kafka_bootstrap, namespace) == ids(1, 2)


async def test_a_topic_deleted_and_made_anew_is_filled_again(
    embedded_store: Store, publisher: Publisher, ends: LogEnds, kafka_bootstrap: str, namespace: str
) -> None:
    """On real Kafka too: a topic that lost its log gets the whole retained outbox again."""
    relay = relay_of(embedded_store, publisher, ends, namespace=namespace)
    await say(embedded_store, *range(10))
    while await relay.publish_some(0):
        pass
    await logs.lose(kafka_bootstrap, namespace + EVENTS, PARTITIONS)

    patience = Patience(Health(30), 200)
    await patience.until_done("check Kafka's logs", lambda: relay.check_log(0))
    while await patience.until_done("publish", lambda: relay.publish_some(0)):
        pass

    found = await ids_in(kafka_bootstrap, namespace)
    assert list(dict.fromkeys(found)) == ids(*range(10))
