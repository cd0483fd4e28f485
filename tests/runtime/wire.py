"""Records on the wire, right and wrong, and what the codec makes of them."""

import json
from collections.abc import Mapping
from typing import Any

from contracts import topics
from contracts.envelope import Envelope
from contracts.events import Person, TrialStarted
from contracts.topics import Topic
from services.runtime import codec
from services.runtime.codec import Unreadable
from tests.runtime.toys import NOW, kafka_record

LIMIT = 4_096
DATA: dict[str, Any] = {"account_id": "acme", "user_id": "ann", "add_on": "ai"}
HEADERS = {
    "ce_specversion": b"1.0",
    "ce_id": b"command-1",
    "ce_source": b"/dashboard",
    "ce_type": b"addons.StartTrial.v1",
    "content-type": b"application/json",
}
STREAM_HEADERS = HEADERS | {"ce_type": b"addons.TrialStarted.v1", "ce_source": b"/entitlements", "ce_sequence": b"7"}
STARTED = TrialStarted(
    account_id="acme", add_on="ai", started_by=Person(user_id="ann", role="admin"), started_at=NOW, ends_at=NOW
)


def read(
    data: object = DATA,
    headers: Mapping[str, bytes | None] = HEADERS,
    topic: Topic = topics.COMMANDS,
    without: str = "",
    **more: bytes | None,
) -> Envelope | Unreadable:
    """Decode a command in binary mode, with headers changed, added or left out; `data` is bytes, or JSON to be."""
    value = data if isinstance(data, bytes | None) else json.dumps(data).encode()
    every = {**headers, **more}
    every.pop(without, None)
    return codec.decode(kafka_record(value, list(every.items()), topic.name), topic, LIMIT)


def reason(result: Envelope | Unreadable) -> str:
    """Return why a record could not be read."""
    assert isinstance(result, Unreadable), result
    assert len(result.detail) <= 300
    return result.reason


def structured(event: object, **headers: bytes) -> Envelope | Unreadable:
    """Decode an event in structured mode."""
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    kind = {"content-type": b"application/cloudevents+json; charset=UTF-8"} | headers
    return codec.decode(kafka_record(value, list(kind.items())), topics.COMMANDS, LIMIT)


EVENT = {"specversion": "1.0", "id": "command-1", "source": "/dashboard", "type": "addons.StartTrial.v1", "data": DATA}
