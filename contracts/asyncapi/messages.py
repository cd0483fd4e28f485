"""The reusable parts of an AsyncAPI document: messages, their headers (the envelope) and the schemas of their data.

Data schemas are those of `contracts.schemas`, with the types they share moved to one place. Headers are UTF-8 text.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from contracts.envelope import DATA_CONTENT_TYPE, REQUIRED, SPEC_VERSION
from contracts.payload import AccountId, Payload
from contracts.results import CommandRejected
from contracts.schemas import schema_of
from contracts.topics import Kind, Topic, topic_of

KAFKA_BINDING = "0.5.0"
DEAD_LETTER = "DeadLetter"
_INCOMING, _OUTGOING, _SET_ASIDE = "IncomingHeaders", "OutgoingHeaders", "DeadLetterHeaders"
_ACCOUNT_ID: dict[str, Any] = TypeAdapter(AccountId).json_schema()
_TEXT = {"type": "string"}
_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "content-type": {**_TEXT, "description": "What the value is.", "examples": [DATA_CONTENT_TYPE]},
    "ce_specversion": {**_TEXT, "const": SPEC_VERSION, "description": "CloudEvents version."},
    "ce_id": {**_TEXT, "maxLength": 128, "description": "A command's is its sender's choice: the idempotency key."},
    "ce_source": {**_TEXT, "description": "Who wrote it."},
    "ce_type": {**_TEXT, "description": "The message type, version included."},
    "ce_time": {**_TEXT, "format": "date-time", "description": "RFC 3339. Information, never an input to money."},
    "ce_subject": {**_ACCOUNT_ID, "description": "The account id; the same as in the data and the key."},
    "ce_causationid": {**_TEXT, "description": "`ce_id` of what caused this; of a timer, its name and instant."},
    "ce_correlationid": {**_TEXT, "description": "`ce_id` of the first cause in the chain, or what its sender gave."},
    "ce_traceparent": {
        **_TEXT,
        "description": "W3C trace context: as it came, or of the span that sends this where traces are on.",
    },
}
_SEQUENCE = {
    **_TEXT,
    "pattern": "^[1-9][0-9]{0,17}$",
    "description": "1, 2, 3 … per topic and account: skip what you have, know what you miss.",
}
_ORIGIN = {
    "dlq_reason": "Why it could not be handled: a code.",
    "dlq_detail": "The same for people.",
    "dlq_service": "The service that set it aside.",
    "dlq_topic": "The topic it came from.",
    "dlq_partition": "The partition it came from.",
    "dlq_offset": "Its offset there.",
    "dlq_time": "When it was set aside, RFC 3339.",
}


def reference(*path: str) -> dict[str, str]:
    """Return a `$ref` to a place in the document."""
    return {"$ref": "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)}


def components(payloads: Iterable[type[Payload]]) -> dict[str, Any]:
    """Return `components` for these message types and for dead letters.

    ValueError when two messages share a type's name but not its schema.
    """
    messages: dict[str, Any] = {DEAD_LETTER: _dead_letter()}
    schemas: dict[str, Any] = {_SET_ASIDE: _set_aside_headers()}
    for payload in payloads:
        messages[payload.ce_type] = _message(payload)
        incoming = topic_of(payload).kind is not Kind.STREAM
        schemas[_INCOMING if incoming else _OUTGOING] = _incoming_headers() if incoming else _outgoing_headers()
        for name, schema in _data_schemas(payload).items():
            if schemas.setdefault(name, schema) != schema:
                raise ValueError(f"{payload.ce_type}: {name} is already the name of something else")
    return {"messages": messages, "schemas": schemas}


def _message(payload: type[Payload]) -> dict[str, Any]:
    return {
        "name": payload.ce_type,
        "title": payload.__name__,
        "summary": (payload.__doc__ or "").splitlines()[0],
        "contentType": DATA_CONTENT_TYPE,
        "headers": _headers(payload, topic_of(payload)),
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "payload": reference("components", "schemas", payload.ce_type),
        "bindings": {"kafka": {"key": _ACCOUNT_ID, "bindingVersion": KAFKA_BINDING}},
    }


def _headers(payload: type[Payload], topic: Topic) -> dict[str, Any]:
    own: dict[str, Any] = {"ce_type": {"const": payload.ce_type}, "ce_source": {"examples": [topic.source]}}
    if topic.kind is not Kind.STREAM:
        return {"type": "object", "allOf": [reference("components", "schemas", _INCOMING)], "properties": own}
    own["ce_source"] = {"const": topic.source}
    # The refusal of a command for an unknown account has no account to count for.
    sequence = [] if payload is CommandRejected else ["ce_sequence"]
    return {
        "type": "object",
        "allOf": [reference("components", "schemas", _OUTGOING)],
        "properties": own,
        "required": ["ce_type", "ce_source", *sequence],
    }


def _incoming_headers() -> dict[str, Any]:
    """Return what a writer must give; the rest may be left out."""
    return {
        "type": "object",
        "description": "The envelope of what is sent to addonflow (CloudEvents 1.0, Kafka binary mode).",
        "properties": _ATTRIBUTES,
        "required": [f"ce_{name}" for name in REQUIRED],
    }


def _outgoing_headers() -> dict[str, Any]:
    always = ("ce_subject", "ce_time", "content-type", *(f"ce_{name}" for name in REQUIRED))
    content_type = {**_TEXT, "const": DATA_CONTENT_TYPE}
    return {
        "type": "object",
        "description": "The envelope of what addonflow sends (CloudEvents 1.0, Kafka binary mode).",
        "properties": {**_ATTRIBUTES, "content-type": content_type, "ce_sequence": _SEQUENCE},
        "required": sorted(always),
    }


def _set_aside_headers() -> dict[str, Any]:
    properties = {name: {**_TEXT, "description": meaning} for name, meaning in _ORIGIN.items()}
    truncated = {**_TEXT, "pattern": "^[0-9]+$", "description": "Full size of a value that had to be cut."}
    return {
        "type": "object",
        "description": "The headers of the original record as they were, and where it came from.",
        "properties": {**properties, "dlq_truncated_from_bytes": truncated},
        "required": sorted(properties),
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": DEAD_LETTER,
        "title": DEAD_LETTER,
        "summary": "A record that could not be read: its key, bytes and headers as they came, in its own partition.",
        "contentType": "application/octet-stream",
        "headers": reference("components", "schemas", _SET_ASIDE),
        "payload": {"type": "string", "format": "binary"},
        "bindings": {"kafka": {"bindingVersion": KAFKA_BINDING}},
    }


def _data_schemas(payload: type[Payload]) -> dict[str, Any]:
    """Return the schema of a message's data under its type, and those of the types it uses under their names."""
    schema = schema_of(payload)
    shared = schema.pop("$defs", {})
    for keyword in ("$schema", "$id"):
        del schema[keyword]
    return {payload.ce_type: _moved(schema), **{name: _moved(part) for name, part in shared.items()}}


def _moved(part: Any) -> Any:
    if isinstance(part, list):
        return [_moved(item) for item in part]
    if not isinstance(part, Mapping):
        return part
    moved = {key: _moved(item) for key, item in part.items()}
    if isinstance(target := moved.get("$ref"), str):
        return reference("components", "schemas", target.removeprefix("#/$defs/"))
    return moved
