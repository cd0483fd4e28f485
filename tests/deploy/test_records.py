"""Whatever is in a record, there is a line to show."""

import json
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from contracts.topics import RESULTS
from deploy.addonflow.records import essence, see
from deploy.addonflow.watch import as_json, as_line

BINARY = (("ce_type", b"addons.CommandRejected.v1"), ("ce_id", b"r-1"), ("ce_sequence", b"3"))


def record(
    value: bytes | None, headers: tuple[tuple[str, bytes | None], ...] = BINARY, topic: str = f"ns.{RESULTS.name}"
) -> "ConsumerRecord[Any, Any]":
    """Return a record as a consumer gives it."""
    return ConsumerRecord(
        topic=topic,
        partition=1,
        offset=7,
        timestamp=1_790_000_000_000,
        timestamp_type=0,
        key=b"acme",
        value=value,
        checksum=None,
        serialized_key_size=4,
        serialized_value_size=0,
        headers=headers,
    )


REJECTED = {
    "account_id": "acme",
    "user_id": "gil",
    "reason": "quote_required",
    "message": "Ask.",
    "allowed_instead": ["request_quote"],
}


def test_a_refusal_shows_reason_and_alternative() -> None:
    """A refusal's line has account, reason, who, the sentence and what is allowed instead."""
    seen = see(record(json.dumps(REJECTED).encode()), "ns.")

    assert (seen.topic, seen.type, seen.account_id, seen.sequence) == (
        RESULTS.name,
        "CommandRejected",
        "acme",
        3,
    )
    assert essence(seen) == "quote_required for gil: Ask. (instead: request_quote)"
    assert "acme CommandRejected quote_required" in as_line(seen).plain


def test_an_invoice_shows_amounts_for_people() -> None:
    """An invoice's line has the number, and amounts with the currency's digits."""
    amount = {"amount_minor": 1197, "currency": "USD"}
    data = {
        "account_id": "acme",
        "invoice_number": "acme-000001",
        "kind": "immediate",
        "total": amount,
        "lines": [{"add_on": "analytics_plus", "amount": amount}],
    }
    seen = see(record(json.dumps(data).encode(), (("ce_type", b"billing.InvoiceIssued.v1"),)))
    assert essence(seen) == "acme-000001 immediate: 11.97 USD (analytics_plus 11.97 USD)"


def test_structured_mode_is_read_too() -> None:
    """A structured CloudEvent shows the same as a binary one."""
    event = {"specversion": "1.0", "id": "r-1", "type": "addons.CommandRejected.v1", "data": REJECTED}
    headers = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    seen = see(record(json.dumps(event).encode(), headers))
    assert (seen.type, seen.id, essence(seen)[:22]) == ("CommandRejected", "r-1", "quote_required for gil")


@pytest.mark.parametrize(
    ("value", "headers", "shows"),
    [
        (None, BINARY, "no value (tombstone)"),
        (b"\xff\xfe", BINARY, "not a JSON object: b'\\xff\\xfe'"),
        (b"[1]", BINARY, "not a JSON object: b'[1]'"),
        (b"{}", BINARY, "{}"),
        (b'{"reason": 5}', BINARY, '{"reason": 5}'),
        (b"[" * 100_000, BINARY, "not a JSON object: b'[[["),
        (b"{}", (("ce_type", b"\xff"), ("ce_id", None)), "{}"),
        (b"{}", (), "{}"),
        (b"{}", (("ce_sequence", b"9" * 5_000),), "{}"),
        (b'{"data": 5}', (("content-type", b"application/cloudevents+json"),), "not a JSON object"),
        (
            b"x",
            (("dlq_reason", b"not_json"), ("dlq_detail", b"bad"), ("dlq_topic", b"t")),
            "not_json: bad (from t[?]@?)",
        ),
    ],
)
def test_no_record_is_too_broken_to_show(
    value: bytes | None, headers: tuple[tuple[str, bytes | None], ...], shows: str
) -> None:
    """Tombstones, bytes that are no JSON, wrong shapes and odd headers have a short line and a JSON object."""
    seen = see(record(value, headers))

    assert essence(seen).startswith(shows)
    assert len(essence(seen)) <= 160
    assert "\n" not in as_line(seen).plain
    assert json.loads(as_json(seen))["offset"] == 7
