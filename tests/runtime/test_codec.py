"""The codec: what is read, what is not and why, and that nothing a record contains makes it raise."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import topics
from contracts.commands import BackOfficeAttempt, StartTrial
from contracts.envelope import Envelope
from contracts.payload import Payload
from services.runtime import codec
from tests.contracts.examples import example
from tests.runtime.toys import kafka_record
from tests.runtime.wire import DATA, EVENT, HEADERS, LIMIT, STARTED, STREAM_HEADERS, read, structured


def test_binary_mode_is_read() -> None:
    """Attributes come from the headers, the data from the value; optional ones are None when they are not there."""
    assert read() == Envelope(
        "command-1", "/dashboard", "addons.StartTrial.v1", None, "acme", None, None, None, None, StartTrial(**DATA)
    )


def test_optional_attributes_are_read() -> None:
    """Time, subject, cause, correlation and trace are taken over as they came."""
    envelope = read(
        ce_time=b"2026-09-30T12:00:00Z",
        ce_subject=b"acme",
        ce_causationid=b"a",
        ce_correlationid=b"b",
        ce_traceparent=b"c",
    )

    assert isinstance(envelope, Envelope)
    assert (envelope.time, envelope.causation_id, envelope.correlation_id, envelope.traceparent) == (
        "2026-09-30T12:00:00Z",
        "a",
        "b",
        "c",
    )


def test_structured_mode_is_read() -> None:
    """One JSON document with attributes and data says the same as binary mode."""
    assert structured(EVENT) == read()
    extended = structured(EVENT | {"subject": "acme", "datacontenttype": "application/json", "correlationid": "b"})
    assert isinstance(extended, Envelope)
    assert (extended.account_id, extended.correlation_id) == ("acme", "b")


@pytest.mark.parametrize("payload", topics.BACKOFFICE.payloads, ids=lambda payload: payload.__name__)
def test_what_only_staff_may_say_is_never_read_from_a_member(payload: type[Payload]) -> None:
    """On the members' topic a back-office command, complete or not, is read as an attempt that says who made it."""
    complete = example(payload.__name__, user_id="olga")
    for data in (complete, {"account_id": "acme", "user_id": "olga"}):
        envelope = read(data, ce_type=payload.ce_type.encode())
        assert isinstance(envelope, Envelope)
        assert envelope.type == payload.ce_type
        assert envelope.data == BackOfficeAttempt(account_id="acme", user_id="olga")
        assert type(envelope.data) is BackOfficeAttempt


def test_a_stream_carries_its_sequence() -> None:
    """A record of a stream is read with its ce_sequence; on a topic of commands the header means nothing."""
    event = read(codec.to_json(STARTED), STREAM_HEADERS, topics.EVENTS)
    assert isinstance(event, Envelope)
    assert event.sequence == 7

    command = read(ce_sequence=b"7")
    assert isinstance(command, Envelope)
    assert command.sequence is None


def test_unknown_fields_and_headers_are_ignored() -> None:
    """A newer writer's optional fields, and headers of other systems, do not keep a record from being read."""
    envelope = read(DATA | {"from_the_future": [1, 2]}, {**HEADERS, "x-trace": b"1", "empty": None})
    assert isinstance(envelope, Envelope)
    assert envelope.data == StartTrial(**DATA)


def test_the_last_of_duplicate_headers_counts() -> None:
    """A header that is there twice has one meaning: its last."""
    record = kafka_record(json.dumps(DATA).encode(), [*HEADERS.items(), ("ce_id", b"command-2")])
    envelope = codec.decode(record, topics.COMMANDS, LIMIT)
    assert isinstance(envelope, Envelope)
    assert envelope.id == "command-2"


def test_a_key_is_never_read() -> None:
    """The account is the data's: a missing key, or one that is not even text, changes nothing."""
    for key in (None, b"", b"\xff\xfe", b"other"):
        record = kafka_record(json.dumps(DATA).encode(), list(HEADERS.items()), key=key)
        envelope = codec.decode(record, topics.COMMANDS, LIMIT)
        assert isinstance(envelope, Envelope)
        assert envelope.account_id == "acme"


def test_a_type_a_stream_does_not_know_is_no_error() -> None:
    """A newer writer's type on a stream keeps its sequence, with the subject as its account, and has no data."""
    envelope = read(b"anything", STREAM_HEADERS, topics.EVENTS, ce_type=b"addons.Later.v1", ce_subject=b"acme")
    assert isinstance(envelope, Envelope)
    assert (envelope.data, envelope.account_id, envelope.sequence) == (None, "acme", 7)


texts = st.text(st.characters(codec="utf-8"), max_size=20)


def packed(envelope: Envelope) -> bytes:
    """Return the outbox form of an envelope that has everything."""
    _, _, _, time, _, sequence, causation, correlation, trace, data = envelope
    value = codec.to_json(data) if data else b""
    parts = (time or "", envelope.account_id, sequence or 0, causation or "", correlation or "", trace or "", value)
    return codec.pack(envelope.type, envelope.id, *parts)


@given(texts, texts, st.integers(0, 2**60), texts, texts, texts)
def test_what_is_packed_is_published_the_same_every_time(
    event_id: str, time: str, sequence: int, causation: str, correlation: str, trace: str
) -> None:
    """The outbox form holds the whole record: packing twice, and unpacking twice, gives the same bytes."""
    envelope = Envelope(
        event_id, "/entitlements", STARTED.ce_type, time, "acme", sequence, causation, correlation, trace, STARTED
    )
    record = packed(envelope)
    assert packed(envelope) == record

    once, again = codec.unpack(record), codec.unpack(record)
    assert (once.key, once.value, list(once.headers)) == (again.key, again.value, list(again.headers))
    assert (once.topic, once.key, once.value) == (topics.EVENTS, b"acme", codec.to_json(STARTED))


def test_what_is_emitted_can_be_read() -> None:
    """A record out of the outbox, decoded by a reader, is the envelope that was packed."""
    envelope = Envelope(
        "e-1",
        "/entitlements",
        STARTED.ce_type,
        "2026-09-30T12:00:00Z",
        "acme",
        3,
        "cause",
        "chain",
        "00-1-2-00",
        STARTED,
    )
    out = codec.unpack(packed(envelope))

    record = kafka_record(out.value, out.headers, out.topic.name, out.key)
    assert codec.decode(record, topics.EVENTS, LIMIT) == envelope


def test_a_record_without_sequence_has_no_such_header() -> None:
    """What is said about an unknown account carries no sequence, and no empty optional headers either."""
    out = codec.unpack(packed(Envelope("e-1", "", STARTED.ce_type, "t", "acme", None, "c", "chain", None, STARTED)))

    assert [name for name, _ in out.headers] == [
        "content-type",
        "ce_specversion",
        "ce_type",
        "ce_source",
        "ce_id",
        "ce_time",
        "ce_subject",
        "ce_causationid",
        "ce_correlationid",
    ]
