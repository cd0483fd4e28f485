"""Kafka records as people see them: whatever the bytes are, there is something to show; nothing here raises.

More tolerant than the services' codec on purpose: a watcher is for looking at what they refuse.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import ConsumerRecord

from contracts.envelope import STRUCTURED_CONTENT_TYPE
from deploy.addonflow.words import short_type, words_of
from services.runtime.codec import sequence_of

REFUSALS: Final = ("CommandRejected", "CreditRejected")
_WORDS_MAX = 160
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Seen:
    """A record of any topic. `type` is short ("PurchaseAddOn"), `data` None when it is not a JSON object.

    `time` is when it was written to the log, `attributes` all headers that are text.
    """

    time: datetime
    topic: str
    partition: int
    offset: int
    type: str
    id: str
    account_id: str
    sequence: int | None
    attributes: dict[str, str]
    data: dict[str, Any] | None
    value: bytes | None

    @property
    def head(self) -> dict[str, Any]:
        """When and where it was written, what it is and of which account: as it is shown to machines."""
        return {
            "time": self.time.isoformat(),
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "type": self.type,
            "id": self.id,
            "account_id": self.account_id,
            "sequence": self.sequence,
        }


def see(record: "ConsumerRecord[Any, Any]", namespace: str = "") -> Seen:
    """Read a record; `topic` is without the deployment's namespace."""
    attributes = {name: (text or b"").decode("utf-8", "replace") for name, text in record.headers}
    data = _json_object(record.value)
    if data is not None and attributes.get("content-type", "").startswith(STRUCTURED_CONTENT_TYPE):
        attributes |= {f"ce_{name}": str(text) for name, text in data.items() if name != "data"}
        data = data.get("data") if isinstance(data.get("data"), dict) else None
    account = (
        (data or {}).get("account_id") or attributes.get("ce_subject") or (record.key or b"").decode("utf-8", "replace")
    )
    return Seen(
        time=datetime.fromtimestamp(record.timestamp / 1_000, UTC) if record.timestamp >= 0 else _EPOCH,
        topic=record.topic.removeprefix(namespace),
        partition=record.partition,
        offset=record.offset,
        type=short_type(attributes.get("ce_type", "")) or "?",
        id=attributes.get("ce_id", ""),
        account_id=str(account),
        sequence=sequence_of(attributes.get("ce_sequence")) or None,
        attributes=attributes,
        data=data,
        value=record.value,
    )


def _json_object(value: bytes | None) -> dict[str, Any] | None:
    try:
        data = json.loads(value or b"")
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def essence(seen: Seen) -> str:
    """Return the essential of a record in a few words: who, what, why, how much."""
    if "dlq_reason" in seen.attributes:
        origin = "{dlq_topic}[{dlq_partition}]@{dlq_offset}".format_map(_Blank(seen.attributes))
        return _cut(f"{seen.attributes['dlq_reason']}: {seen.attributes.get('dlq_detail', '')} (from {origin})")
    if seen.data is None:
        return _cut(f"not a JSON object: {seen.value!r}" if seen.value is not None else "no value (tombstone)")
    return _cut(words_of(seen.type, seen.data))


def printable(text: str) -> str:
    """Return text that cannot move a terminal's cursor or colour: what is not printable is escaped."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode() for each in text
    )


def _cut(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _WORDS_MAX else f"{line[: _WORDS_MAX - 1]}…"


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"
