"""A campaign's end that is as it should be, small enough to be broken by hand: for the tests of the checker.

One account buys an add-on with one seat for 17.95 USD on 30 September, in a cycle from 20 September to 20 October; a
second seat comes on 10 October, it is renewed on 20 October, and 1.00 USD is given back. A member's request is refused.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from contracts.topics import (
    BACKOFFICE,
    BILLING,
    BILLING_RESULTS,
    COMMANDS,
    EVENTS,
    READERS,
    RESULTS,
    TOPICS,
    Topic,
    dead_letter_topics,
)
from tests.chaos.campaign.history import Operation
from tests.chaos.checker.evidence import STREAMS, Access, Evidence, StoredShard
from tests.e2e.records import Record

ACCOUNT = "acme"
NOW = datetime(2026, 10, 25, 12, tzinfo=UTC)
PRICE = {"amount_minor": 1_795, "currency": "USD"}
TERMS = {
    "unit_price": PRICE,
    "frequency": "monthly",
    "licenses": {"standard": 1, "additional": 0},
    "currency": "USD",
    "timezone": "America/New_York",
    "cycle_anchor": "2026-09-20",
}


def said(topic: Topic, kind: str, ce_id: str, sequence: int = 0, cause: str = "", /, **data: Any) -> Record:
    """Return a record of a topic; where it stands is told by `logged`."""
    headers = {"ce_id": ce_id, "ce_source": topic.source, "ce_type": f"addons.{kind}.v1", "ce_subject": ACCOUNT}
    headers |= {"ce_causationid": cause} if cause else {}
    headers |= {"ce_sequence": str(sequence)} if sequence else {}
    value = json.dumps({"account_id": ACCOUNT} | data).encode()
    return Record(topic.name, ACCOUNT.encode(), value, tuple((name, text.encode()) for name, text in headers.items()))


def line(amount: int, seats: int, days: int, until: str, **more: Any) -> dict[str, Any]:
    """Return a line of an invoice: so many of 30 days."""
    return {
        "subscription_id": "s-1",
        "period": {"from": "2026-09-20", "to": until},
        "unit_price": PRICE,
        "quantity": {"standard": seats, "additional": 0},
        "share": {"numerator": days, "denominator": 30},
        "amount": {"amount_minor": amount, "currency": "USD"},
    } | more


def invoice(number: int, kind: str, *lines: dict[str, Any]) -> Record:
    """Return an invoice."""
    total = {"amount_minor": sum(each["amount"]["amount_minor"] for each in lines), "currency": "USD"}
    return said(
        BILLING,
        "InvoiceIssued",
        f"i-{number}",
        number,
        invoice_number=f"{ACCOUNT}-{number:06d}",
        kind=kind,
        currency="USD",
        total=total,
        lines=lines,
    )


def answer(topic: Topic, kind: str, ce_id: str, sequence: int, command: str, **data: Any) -> Record:
    """Return the answer to a command."""
    return said(topic, kind, ce_id, sequence, command, command_id=command, **data)


def logged(*records: Record) -> list[Record]:
    """Return records as they stand in partition 0, one behind the other."""
    return [replace(each, partition=0, offset=offset) for offset, each in enumerate(records)]


def sound() -> Evidence:
    """Return evidence in which every invariant holds."""
    back = line(-100, 1, 30, "2026-10-20", unit_price=PRICE | {"amount_minor": -100}, credits=f"{ACCOUNT}-000001")
    amount = {"amount_minor": 100, "currency": "USD"}
    licenses = {"standard": 2, "additional": 0}
    topics = {
        COMMANDS: [said(COMMANDS, "PurchaseAddOn", "c-1"), said(COMMANDS, "RequestFeature", "c-2")],
        BACKOFFICE: [said(BACKOFFICE, "IssueCredit", "c-3", amount=amount)],
        EVENTS: [
            said(
                EVENTS,
                "AddOnPurchased",
                "e-1",
                1,
                "c-1",
                add_on="plus",
                subscription_id="s-1",
                effective_date="2026-09-30",
                terms=TERMS,
            ),
            said(
                EVENTS,
                "SubscriptionModified",
                "e-2",
                2,
                "fact",
                subscription_id="s-1",
                licenses=licenses,
                licenses_from="2026-10-10",
            ),
        ],
        RESULTS: [
            answer(RESULTS, "CommandAccepted", "r-1", 1, "c-1", events=["e-1"]),
            answer(RESULTS, "CommandRejected", "r-2", 2, "c-2"),
        ],
        BILLING_RESULTS: [answer(BILLING_RESULTS, "CreditAccepted", "b-1", 1, "c-3", events=["i-4"])],
        BILLING: [
            invoice(1, "immediate", line(1_197, 1, 20, "2026-10-20")),
            invoice(2, "adjustment", line(598, 1, 10, "2026-10-20")),
            invoice(3, "renewal", line(3_590, 2, 30, "2026-11-20")),
            invoice(4, "credit", back),
        ],
    }
    read = {topic.name: logged(*topics.get(topic, [])) for topic in TOPICS}
    outboxes = {
        service: [each for topic in STREAMS if topic.writer == service for each in read[topic.name]]
        for service in READERS
    }
    return Evidence(
        operations={1: acknowledged(1, COMMANDS, "c-1", 0), 2: acknowledged(2, COMMANDS, "c-2", 1)},
        topics=read,
        letters={name: [] for name in dead_letter_topics()},
        shards=[StoredShard(service, 0, tuple(outbox), inbox=1) for service, outbox in outboxes.items()],
        access=[Access(ACCOUNT, "plus", entitled=True)],
        verdicts={"rebuild billing --dry-run": (0, ""), "audit": (0, "")},
        now=NOW,
    )


def acknowledged(
    number: int, topic: Topic, ce_id: str, offset: int, kind: str = "command", case: str = ""
) -> Operation:
    """Return a sending that the broker acknowledged."""
    told = {"topic": topic.name, "account": ACCOUNT, "id": ce_id, "case": case}
    return Operation(number, kind, told, "ok", {"partition": 0, "offset": offset})
