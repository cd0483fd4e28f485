"""Records that cannot be read: each has a reason, and nothing a record contains makes the codec raise."""

import json
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from contracts import topics
from contracts.envelope import Envelope
from contracts.topics import Topic
from services.runtime import codec
from services.runtime.consumer import IllegibleRecord
from tests.runtime.toys import kafka_record
from tests.runtime.wire import DATA, EVENT, HEADERS, LIMIT, STARTED, STREAM_HEADERS, read, reason, structured


@pytest.mark.parametrize("subject", [None, b"", b"two words", "ä".encode(), b"x" * 129])
def test_a_type_a_stream_does_not_know_needs_an_account(subject: bytes | None) -> None:
    """Without a subject that can be an account id nobody can say whose sequence it is."""
    result = read(b"anything", STREAM_HEADERS, topics.EVENTS, ce_type=b"addons.Later.v1", ce_subject=subject)
    assert reason(result) == "subject_mismatch"


def test_a_type_that_facts_and_commands_do_not_know_is_unreadable() -> None:
    """A command or fact that cannot be understood must not pass silently."""
    assert reason(read(ce_type=b"addons.Later.v1")) == "type_unknown"
    assert reason(read(topic=topics.ACCOUNTS)) == "type_unknown"
    assert reason(read(ce_type=b"t" * 5_000)) == "type_unknown"


def test_a_tombstone_is_unreadable() -> None:
    """A record without a value says nothing."""
    assert reason(read(None)) == "tombstone"


def test_an_illegible_record_is_unreadable() -> None:
    """The stand-in for a record that the client cannot parse has a reason of its own."""
    record = IllegibleRecord.at(TopicPartition(topics.COMMANDS.name, 3), 17)
    assert reason(codec.decode(record, topics.COMMANDS, LIMIT)) == "header_name_not_utf8"


def test_a_large_value_is_unreadable() -> None:
    """A value above the limit is not even parsed; one at the limit is."""
    blank = b" " * LIMIT
    assert reason(read(json.dumps(DATA).encode() + blank)) == "too_large"
    assert isinstance(read((json.dumps(DATA).encode() + blank)[:LIMIT]), Envelope)
    assert reason(read(b"x" * 2_000_000)) == "too_large"


def test_a_header_that_is_not_utf8_is_unreadable() -> None:
    """Bytes that are no text in a header keep the record from being read, without an exception."""
    assert reason(read(ce_subject=b"\xff\xfe")) == "header_not_utf8"


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
def test_required_attributes_are_required(name: str) -> None:
    """Without specversion, id, source or type, or with an empty one, it is no CloudEvent."""
    assert reason(read(without=name)) == "attribute_missing"
    for nothing in (b"", None):
        assert reason(read(headers={**HEADERS, name: nothing})) == "attribute_missing"
    event = {key: text for key, text in EVENT.items() if f"ce_{key}" != name}
    assert reason(structured(event)) == "attribute_missing"
    assert reason(structured({**event, name.removeprefix("ce_"): None})) == "attribute_missing"


def test_only_cloudevents_1_0_is_read() -> None:
    """Another version of the envelope may mean anything."""
    assert reason(read(ce_specversion=b"0.3")) == "specversion_unknown"
    assert reason(read(ce_specversion=b"9" * 1_000)) == "specversion_unknown"


def test_an_id_is_bounded() -> None:
    """An id becomes part of a key: at most 128 characters."""
    assert isinstance(read(ce_id=b"x" * 128), Envelope)
    assert reason(read(ce_id=b"x" * 129)) == "id_too_long"


@pytest.mark.parametrize("event_id", ["a\x1fb", "a\nb", "a\x7f", "a\u0085b", f"{topics.BACKOFFICE.name}\x1forder-1"])
def test_an_id_holds_no_control_character(event_id: str) -> None:
    """CloudEvents forbids them, and one of them stands between a topic and an id where both are a key."""
    assert reason(read(ce_id=event_id.encode())) == "id_not_printable"
    assert reason(structured(EVENT | {"id": event_id})) == "id_not_printable"


def test_an_id_is_none_of_a_timer_s() -> None:
    """Who chose an id such as those of timers would be taken for one by a rebuild."""
    assert reason(read(ce_id=b"timer:acme:trial_end:ai:1791993601000")) == "id_reserved"
    assert isinstance(read(ce_id=b"timer"), Envelope)


def test_what_is_passed_on_is_bounded() -> None:
    """A correlation or trace header too long to pass on is dropped: it would make every event it causes too large."""
    envelope = read(ce_correlationid=b"c" * 100_000, ce_traceparent=b"t" * 100_000)
    assert isinstance(envelope, Envelope)
    assert (envelope.correlation_id, envelope.traceparent) == (None, None)


@pytest.mark.parametrize(
    "sequence", [None, b"", b"0", b"-1", b"1.5", b"one", "१".encode(), "²".encode(), b" 1", b"9" * 19, b"9" * 5_000]
)
def test_a_stream_needs_a_sequence(sequence: bytes | None) -> None:
    """On a stream ce_sequence is a decimal number from 1 that fits 64 bits; anything else cannot be placed."""
    result = read(codec.to_json(STARTED), STREAM_HEADERS, topics.EVENTS, ce_sequence=sequence)
    assert reason(result) == "sequence_missing"


@pytest.mark.parametrize("subject", [b"", b"globex", b"ACME"])
def test_the_subject_is_the_account_of_the_data(subject: bytes) -> None:
    """A subject that contradicts the data leaves no way to tell whose message it is."""
    assert reason(read(ce_subject=subject)) == "subject_mismatch"


@pytest.mark.parametrize("value", [b"", b"{", b"nonsense", b"\xff\xfe\x00", b'{"account_id": "acme"', b"\x00" * 10])
def test_data_that_is_no_json_is_unreadable(value: bytes) -> None:
    """Bytes that are not JSON are told apart from JSON that is not the message."""
    assert reason(read(value)) == "not_json"


@pytest.mark.parametrize(
    "data",
    [
        [],
        "text",
        7,
        None,
        {},
        DATA | {"account_id": 7},
        DATA | {"account_id": ""},
        DATA | {"account_id": "two words"},
        DATA | {"account_id": "line\n"},
        DATA | {"account_id": "x" * 129},
        DATA | {"user_id": None},
        DATA | {"user_id": ["ann"]},
        DATA | {"add_on": {"id": "ai"}},
        DATA | {"add_on": ""},
        DATA | {"add_on": 10**400},
        DATA | {"add_on": float("nan")},
        DATA | {"entry_point": "x" * 65},
    ],
    ids=lambda data: json.dumps(data)[:60],
)
def test_data_of_the_wrong_shape_is_unreadable(data: object) -> None:
    """Missing fields, wrong types and texts out of bounds are named; the rest of the topic is not disturbed."""
    assert reason(read(json.dumps(data).encode())) == "data_invalid"
    assert reason(structured({**EVENT, "data": data})) == "data_invalid"


@pytest.mark.parametrize("amount", ["1197", 1197.0, True, None, "11.97"])
def test_an_amount_is_a_whole_number_and_nothing_like_it(amount: object) -> None:
    """Nothing is turned into money that was not written as a whole number of minor units."""
    data = DATA | {"expected": {"amount_minor": amount, "currency": "USD"}}
    assert reason(read(json.dumps(data).encode(), ce_type=b"addons.PurchaseAddOn.v1")) == "data_invalid"
    assert reason(structured({**EVENT, "type": "addons.PurchaseAddOn.v1", "data": data})) == "data_invalid"


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"\xff\xfe",
        b'{"specversion":"1.0"}',
        b"[" * 100_000,
        b'{"specversion":"1.0","id":"1","source":"/d","type":"addons.StartTrial.v1","data_base64":"e30="}',
    ],
    ids=lambda event: event[:20],
)
def test_a_structured_event_that_is_none_is_unreadable(event: bytes) -> None:
    """What claims to be a structured CloudEvent and is no JSON object with data has a reason, not an exception."""
    record = kafka_record(event, [("content-type", b"application/cloudevents+json")])
    assert reason(codec.decode(record, topics.COMMANDS, 10**6)) in ("not_json", "attribute_missing")


def test_structured_attributes_of_wrong_types_do_not_raise() -> None:
    """Attributes that are numbers, lists or null are read as text and refused where they matter."""
    assert reason(structured(EVENT | {"subject": 7})) == "subject_mismatch"
    assert reason(structured(EVENT | {"specversion": 1.0, "type": ["a"]})) == "type_unknown"
    assert reason(structured(EVENT | {"id": "x" * 200})) == "id_too_long"


header_names = st.sampled_from([*HEADERS, "ce_subject", "ce_sequence", "ce_time", "x"]) | st.text(max_size=5)
KNOWN_VALUES = [*STREAM_HEADERS.values(), b"application/cloudevents+json"]
header_values = st.none() | st.binary(max_size=20) | st.sampled_from(KNOWN_VALUES)
NAMES = [*DATA, *EVENT, "x"]
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)
values = st.none() | st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode())


@given(
    values, st.lists(st.tuples(header_names, header_values), max_size=8), st.sampled_from(topics.TOPICS), st.booleans()
)
def test_decoding_never_raises(
    value: bytes | None, headers: list[tuple[str, bytes | None]], topic: Topic, based_on_valid: bool
) -> None:
    """Whatever bytes and headers a record has, it is either read or unreadable with a reason."""
    every = [*HEADERS.items(), *headers] if based_on_valid else headers
    result = codec.decode(kafka_record(value, every, topic.name), topic, LIMIT)

    assert isinstance(result, Envelope) or result.reason
