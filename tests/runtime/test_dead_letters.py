"""Dead letters, on real Kafka: what could not be read is kept whole, with where it came from and why."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts import topics
from services.runtime.clock import ManualClock
from services.runtime.codec import Unreadable
from services.runtime.dead_letters import DeadLetter, DeadLetters
from services.runtime.kafka import Publisher
from services.runtime.settings import Settings
from tests.runtime import logs
from tests.runtime.toys import kafka_record

NAME = topics.COMMANDS.dead_letters_of("entitlements")
WHY = Unreadable("not_json", "it is no JSON – at all")


@pytest.fixture
async def letters(kafka_bootstrap: str, namespace: str) -> AsyncIterator[DeadLetters]:
    """Give the dead letters of entitlements, their topic taking records of at most 300,000 bytes."""
    await logs.create(kafka_bootstrap, namespace + NAME, partitions=3, **{"max.message.bytes": "300000"})
    publisher = Publisher(Settings(kafka_bootstrap=kafka_bootstrap, namespace=namespace))
    yield DeadLetters(publisher, ManualClock(datetime(2026, 9, 30, 12, tzinfo=UTC)), namespace, "entitlements")
    await publisher.stop()


async def put(letters: DeadLetters, bootstrap: str, namespace: str, record: Any) -> Any:
    """Put one record aside and read its dead letter."""
    await letters.put(DeadLetter(record, topics.COMMANDS, WHY))
    (found,) = await logs.read(bootstrap, namespace + NAME, record.partition)
    return found


async def test_bytes_headers_and_origin_are_kept(letters: DeadLetters, kafka_bootstrap: str, namespace: str) -> None:
    """Key, value and every header come as they were, in the same partition, with reason and origin behind them."""
    headers = [("ce_id", b"\xff"), ("ce_id", b"twice"), ("empty", None), ("ünicode", b"")]
    record = kafka_record(b"\x00\xff", headers, key=b"\xfe", partition=2, offset=17)

    found = await put(letters, kafka_bootstrap, namespace, record)

    assert (found.key, found.value) == (b"\xfe", b"\x00\xff")
    assert list(found.headers[:4]) == headers
    assert dict(found.headers[4:]) == {
        "dlq_reason": b"not_json",
        "dlq_detail": WHY.detail.encode(),
        "dlq_service": b"entitlements",
        "dlq_topic": topics.COMMANDS.name.encode(),
        "dlq_partition": b"2",
        "dlq_offset": b"17",
        "dlq_time": b"2026-09-30T12:00:00.000000Z",
    }


async def test_a_tombstone_is_kept(letters: DeadLetters, kafka_bootstrap: str, namespace: str) -> None:
    """A record with a key and no value is kept as that."""
    found = await put(letters, kafka_bootstrap, namespace, kafka_record(None))

    assert (found.key, found.value) == (b"acme", None)


async def test_a_record_with_neither_key_nor_value_is_kept(
    letters: DeadLetters, kafka_bootstrap: str, namespace: str
) -> None:
    """The client writes no such record, so it is kept with an empty value and a header that says it had none."""
    found = await put(letters, kafka_bootstrap, namespace, kafka_record(None, key=None))

    assert (found.key, found.value, dict(found.headers)["dlq_tombstone"]) == (None, b"", b"true")


BIG = b"x" * 500_000
TOO_LARGE = {
    "value": kafka_record(BIG, [("ce_id", b"1")]),
    "key": kafka_record(b"v", [("ce_id", b"1")], key=BIG),
    "header": kafka_record(b"v", [("big", BIG), ("ce_id", b"1")]),
    "headers": kafka_record(b"v", [("ce_id", b"1"), *(("many", b"x" * 20) for _ in range(15_000))]),
    "header of a tombstone": kafka_record(None, [("ce_id", b"1"), ("big", BIG)], key=None),
}


@pytest.mark.parametrize("part", TOO_LARGE)
async def test_what_the_broker_does_not_take_is_truncated(
    letters: DeadLetters, kafka_bootstrap: str, namespace: str, part: str
) -> None:
    """Whichever part is too large for the broker is cut, and a header says how large the value was: it never blocks."""
    record = TOO_LARGE[part]

    found = await put(letters, kafka_bootstrap, namespace, record)

    headers = dict(found.headers)
    assert headers["dlq_truncated_from_bytes"] == str(len(record.value or b"")).encode()
    assert headers["ce_id" if part != "header" else "dlq_offset"]
    assert (record.value or b"").startswith(found.value)
    assert found.key == (record.key[:65_536] if record.key else None)
    assert headers["dlq_reason"] == b"not_json"
