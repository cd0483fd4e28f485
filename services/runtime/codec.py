"""Kafka records to envelopes and back; never raises for what a record contains.

In: CloudEvents binary mode (headers) or structured mode (one JSON document). What cannot be read becomes `Unreadable`
with a reason, and ends in the dead-letter topic with its original bytes. Out: binary mode, byte for byte the same
however often it is published, because an outbox record keeps the envelope as it was decided.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import msgpack
from aiokafka import ConsumerRecord
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import from_json
from pydantic_core import to_json as to_json_value

from contracts.envelope import DATA_CONTENT_TYPE, SPEC_VERSION, STRUCTURED_CONTENT_TYPE, Envelope
from contracts.payload import AccountId, Payload
from contracts.topics import BY_NAME, Kind, Topic, topic_of
from services.runtime.consumer import IllegibleRecord
from services.runtime.decision import TIMER
from services.runtime.errors import RecordTooLarge

RECORD_BYTES_MAX: Final = 1_000_000
"""What is said in one record: brokers take 1,048,588 bytes (`message.max.bytes`), the rest is names of headers."""
Header = tuple[str, bytes]
Record: TypeAlias = ConsumerRecord
_ID_CHARACTERS_MAX = 128
_SEQUENCE_DIGITS_MAX = 18  # fits 64 bits, as everything that stores it does
_ACCOUNT_ID = TypeAdapter(AccountId)
_DETAIL_CHARACTERS_MAX = 300
NO_DIGEST: Final = ""
"""Stands where a request is not known any more: none has it."""
_READ_AS: dict[str, dict[str, type[Payload]]] = {
    topic.name: {payload.ce_type: payload for payload in topic.payloads}
    | {payload.ce_type: topic.refused_as for payload in topic.refuses if topic.refused_as is not None}
    for topic in BY_NAME.values()
}
"""As what a record of each topic is read, by its `ce_type`."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a record could not be read: a code for machines and a detail for people."""

    reason: str
    detail: str


def decode(record: Record, topic: Topic, value_bytes_max: int) -> Envelope | Unreadable:
    """Read a record of `topic`. The account is the data's, or for an unknown type of a stream the subject's."""
    value = record.value
    if value is None:
        if isinstance(record, IllegibleRecord):
            return Unreadable("header_name_not_utf8", "no client can parse it; its bytes are where it came from")
        return Unreadable("tombstone", "the record has no value")
    if len(value) > value_bytes_max:
        return Unreadable("too_large", f"{len(value)} bytes, the limit is {value_bytes_max}")
    try:
        attributes = {name: text.decode() for name, text in record.headers if text is not None}
    except UnicodeDecodeError:
        return Unreadable("header_not_utf8", "a header is not UTF-8 text")
    data: bytes | dict[str, Any] = value
    if attributes.get("content-type", "").startswith(STRUCTURED_CONTENT_TYPE):
        try:
            event = from_json(value)
            given = {name: text for name, text in event.items() if name != "data" and text is not None}
            attributes = {f"ce_{name}": str(text) for name, text in given.items()}
            data = event["data"]
        except (ValueError, KeyError, AttributeError) as error:
            return Unreadable("not_json", f"no structured CloudEvent: {error!r}"[:_DETAIL_CHARACTERS_MAX])
    return _read(attributes, data, topic)


def _read(attributes: dict[str, str], data: bytes | dict[str, Any], topic: Topic) -> Envelope | Unreadable:
    problem = _attribute_problem(attributes, topic)
    if problem is not None:
        return problem
    payload = _payload(attributes, data, topic)
    if isinstance(payload, Unreadable):
        return payload
    subject = attributes.get("ce_subject")
    account_id = payload.account_id if payload else subject
    if account_id is None or subject not in (None, account_id) or not (payload or _is_account_id(account_id)):
        detail = f"ce_subject is {subject!r}, the data's account is {payload and account_id!r}"
        return Unreadable("subject_mismatch", detail[:_DETAIL_CHARACTERS_MAX])
    return Envelope(
        attributes["ce_id"],
        attributes["ce_source"],
        attributes["ce_type"],
        attributes.get("ce_time"),
        account_id,
        int(attributes["ce_sequence"]) if topic.kind is Kind.STREAM else None,
        attributes.get("ce_causationid"),
        _bounded(attributes.get("ce_correlationid")),
        _bounded(attributes.get("ce_traceparent")),
        payload,
    )


def _attribute_problem(attributes: dict[str, str], topic: Topic) -> Unreadable | None:
    for name in ("ce_specversion", "ce_id", "ce_source", "ce_type"):
        if not attributes.get(name):
            return Unreadable("attribute_missing", f"{name} is missing")
    if attributes["ce_specversion"] != SPEC_VERSION:
        detail = f"ce_specversion is {attributes['ce_specversion']!r}"
        return Unreadable("specversion_unknown", detail[:_DETAIL_CHARACTERS_MAX])
    problem = _id_problem(attributes["ce_id"])
    if problem is not None:
        return problem
    sequence = attributes.get("ce_sequence", "")
    if topic.kind is Kind.STREAM and not _is_sequence(sequence):
        return Unreadable("sequence_missing", f"ce_sequence is {sequence!r}"[:_DETAIL_CHARACTERS_MAX])
    return None


def _id_problem(event_id: str) -> Unreadable | None:
    if len(event_id) > _ID_CHARACTERS_MAX:
        return Unreadable("id_too_long", f"ce_id has more than {_ID_CHARACTERS_MAX} characters")
    if not event_id.isprintable():
        return Unreadable("id_not_printable", "ce_id has a control character, or another that cannot be seen")
    if event_id.startswith(TIMER):
        return Unreadable("id_reserved", f"ce_id begins with {TIMER!r}: those are ours")
    return None


def _is_sequence(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _SEQUENCE_DIGITS_MAX and int(text) > 0


def sequence_of(text: str | None) -> int:
    """Return a `ce_sequence` as a number; 0 for what no reader takes for one."""
    return int(text) if text is not None and _is_sequence(text) else 0


def _is_account_id(text: str) -> bool:
    try:
        _ACCOUNT_ID.validate_python(text)
    except ValidationError:
        return False
    return True


def _bounded(text: str | None) -> str | None:
    """Drop what is too long to be passed on: it would make everything caused by the record too large for a broker."""
    return text if text is None or len(text) <= _ID_CHARACTERS_MAX else None


def _payload(attributes: dict[str, str], data: bytes | dict[str, Any], topic: Topic) -> Payload | Unreadable | None:
    payload = _READ_AS[topic.name].get(attributes["ce_type"])
    if payload is None:
        if topic.kind is Kind.STREAM:
            return None
        return Unreadable("type_unknown", f"{topic.name} carries no {attributes['ce_type']!r}"[:_DETAIL_CHARACTERS_MAX])
    try:
        if isinstance(data, bytes):
            return payload.model_validate_json(data, strict=True)  # "1197" and true are no amounts
        return payload.model_validate_json(to_json_value(data), strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = "".join(f"{part}: " for part in first["loc"])
        reason = "not_json" if first["type"] == "json_invalid" else "data_invalid"
        return Unreadable(reason, f"{where}{first['msg']}"[:_DETAIL_CHARACTERS_MAX])


def pack(*parts: str | int | bytes) -> bytes:
    """Return the outbox form of [type, id, time, account, sequence, causation, correlation, traceparent, value].

    RecordTooLarge for what no broker would take: it must not be committed, a relay could never publish it.
    """
    packed: bytes = msgpack.packb(parts, use_bin_type=False)
    if len(packed) > RECORD_BYTES_MAX:
        raise RecordTooLarge(f"a {parts[0]!r} of {len(packed)} bytes, the limit is {RECORD_BYTES_MAX}")
    return packed


def to_json(payload: BaseModel) -> bytes:
    """Return a payload, document or row as JSON, the way it goes on the wire and into Redis."""
    return payload.__pydantic_serializer__.to_json(payload, by_alias=True, exclude_none=True)


def digest_of(command: Payload) -> str:
    """Return what tells one request from another: SHA-256 over the command's type and data, in hex.

    What a topic refuses, whatever type it came as, is read as one that has none (`Topic.refused_as`).
    """
    kind = getattr(command, "ce_type", "")
    return hashlib.sha256(kind.encode() + b" " + to_json(command)).hexdigest()


def to_remember(answer: bytes, digest: str) -> bytes:
    """Return what the inbox keeps of a command, as JSON: the digest of the request, and the answer to it."""
    return b'{"request_digest":"%b","answer":%b}' % (digest.encode(), answer)


def remembered(stored: bytes) -> tuple[str, Any]:
    """Return the digest and the answer, as plain data, that the inbox keeps."""
    kept = from_json(stored)
    return kept["request_digest"], kept["answer"]


class Outgoing(NamedTuple):
    """A record ready for Kafka: the registry topic, key, value and headers."""

    topic: Topic
    key: bytes
    value: bytes
    headers: Sequence[Header]


def unpack(record: bytes) -> Outgoing:
    """Turn the outbox form into a Kafka record. Deterministic: the same bytes in, the same record out."""
    kind, event_id, time, account, sequence, causation, correlation, traceparent, value = msgpack.unpackb(
        record, raw=True
    )
    topic, constant = _CONSTANT[kind]
    headers = [
        *constant,
        ("ce_id", event_id),
        ("ce_time", time),
        ("ce_subject", account),
        ("ce_causationid", causation),
        ("ce_correlationid", correlation),
    ]
    if sequence:
        headers.append(("ce_sequence", b"%d" % sequence))
    if traceparent:
        headers.append(("ce_traceparent", traceparent))
    return Outgoing(topic, account, value, headers)


def _constant_headers(payload: type[Payload]) -> tuple[Header, ...]:
    return (
        ("content-type", DATA_CONTENT_TYPE.encode()),
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_type", payload.ce_type.encode()),
        ("ce_source", topic_of(payload).source.encode()),
    )


_CONSTANT = {
    payload.ce_type.encode(): (topic, _constant_headers(payload))
    for topic in BY_NAME.values()
    for payload in topic.payloads
}
