"""Kafka records as people see them: whatever the bytes are, there is something to show; nothing here raises.

More tolerant than the services' codec on purpose: a watcher is for looking at what they refuse.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import ConsumerRecord

from contracts.envelope import STRUCTURED_CONTENT_TYPE
from contracts.money import Money

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


def see(record: "ConsumerRecord[Any, Any]", namespace: str = "") -> Seen:
    """Read a record; `topic` is without the deployment's namespace."""
    attributes = {name: (text or b"").decode("utf-8", "replace") for name, text in record.headers}
    data = _json_object(record.value)
    if data is not None and attributes.get("content-type", "").startswith(STRUCTURED_CONTENT_TYPE):
        attributes |= {f"ce_{name}": str(text) for name, text in data.items() if name != "data"}
        data = data.get("data") if isinstance(data.get("data"), dict) else None
    sequence = attributes.get("ce_sequence", "")
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
        sequence=int(sequence) if sequence.isascii() and sequence.isdecimal() else None,
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


def short_type(ce_type: str) -> str:
    """Return "PurchaseAddOn" for "addons.PurchaseAddOn.v1"."""
    parts = ce_type.split(".")
    return parts[1] if len(parts) == 3 else ce_type  # noqa: PLR2004 - context, name, version


def money(value: Any) -> str:
    """Return an amount as on the wire for people: "11.97 USD"."""
    try:
        return str(Money.model_validate(value))
    except ValueError:
        return json.dumps(value)


def essence(seen: Seen) -> str:
    """Return the essential of a record in a few words: who, what, why, how much."""
    if "dlq_reason" in seen.attributes:
        origin = "{dlq_topic}[{dlq_partition}]@{dlq_offset}".format_map(_Blank(seen.attributes))
        return _cut(f"{seen.attributes['dlq_reason']}: {seen.attributes.get('dlq_detail', '')} (from {origin})")
    if seen.data is None:
        return _cut(f"not a JSON object: {seen.value!r}" if seen.value is not None else "no value (tombstone)")
    return _cut(_words(seen.type, seen.data))


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WORDS_MAX else f"{line[: _WORDS_MAX - 1]}…"


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _words(kind: str, data: dict[str, Any]) -> str:
    try:
        words: str = _WORDS.get(kind, _plain)(data)
    except (KeyError, TypeError, AttributeError, IndexError):
        return _plain(data)
    return words


def _plain(data: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in data.items() if name != "account_id"}, ensure_ascii=False)


def _account(data: dict[str, Any]) -> str:
    seats = data["licenses"]["standard"] + data["licenses"].get("additional", 0)
    paid = f"{data['billing']['frequency']} in {data['currency']}"
    managed = ", sales-managed" if data["sales_managed"] else ""
    return f"{data['name']}: {data['status']}, {seats} seats, {paid}{managed}"


def _member(data: dict[str, Any]) -> str:
    return f"{data['user_id']} is {data['role']}, {data['status']}"


def _command(data: dict[str, Any]) -> str:
    note = f": “{data['note']}”" if data.get("note") else ""
    return f"{data['add_on']} by {data['user_id']}{note}"


def _rejected(data: dict[str, Any]) -> str:
    instead = f" (instead: {', '.join(data['allowed_instead'])})" if data.get("allowed_instead") else ""
    return f"{data['reason']} for {data['user_id']}: {data['message']}{instead}"


def _accepted(data: dict[str, Any]) -> str:
    count = len(data["events"])
    return f"{short_type(data['command_type'])} of {data['user_id']}, {count} {'event' if count == 1 else 'events'}"


def _purchased(data: dict[str, Any]) -> str:
    terms = data["terms"]
    seats = terms["licenses"]["standard"] + terms["licenses"].get("additional", 0)
    price = f"{seats} seats at {money(terms['unit_price'])} {terms['frequency']}"
    return f"{data['add_on']} by {data['purchased_by']['user_id']}, {price}, from {data['effective_date']}"


def _invoice(data: dict[str, Any]) -> str:
    lines = "; ".join(f"{line['add_on']} {money(line['amount'])}" for line in data["lines"])
    return f"{data['invoice_number']} {data['kind']}: {money(data['total'])} ({lines})"


def _notification(data: dict[str, Any]) -> str:
    people = ", ".join(str(who.get("user_id") or who.get("email") or who.get("name")) for who in data["recipients"])
    said = data["data"]
    roles = ", ".join(f"{role} {count}" for role, count in said.get("roles", {}).items())
    counts = f", {said['people']} people ({roles})" if "people" in said else ""
    total = f", {money(said['total'])}" if "total" in said else ""
    return f"{data['template']} to {people}{counts}{total}"


def _trial(data: dict[str, Any]) -> str:
    return f"{data['add_on']} by {data['started_by']['user_id']} until {data['ends_at']}"


def _ended(data: dict[str, Any]) -> str:
    return f"{data['add_on']}: {data['reason']}"


def _requested(data: dict[str, Any]) -> str:
    person = data["requested_by"]
    note = f": “{data['note']}”" if data.get("note") else ""
    return f"{data['add_on']} by {person['user_id']} ({person['role']}){note}"


_WORDS: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "AccountUpdated": _account,
    "MemberUpdated": _member,
    "PurchaseAddOn": _command,
    "RequestQuote": _command,
    "StartTrial": _command,
    "RequestFeature": _command,
    "CommandAccepted": _accepted,
    "CommandRejected": _rejected,
    "AddOnPurchased": _purchased,
    "InvoiceIssued": _invoice,
    "NotificationRequested": _notification,
    "TrialStarted": _trial,
    "TrialEnded": _ended,
    "FeatureRequested": _requested,
    "QuoteRequested": _requested,
}
