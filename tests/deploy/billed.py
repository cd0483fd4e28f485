"""Accounts that bought something and were billed, as the logs of a deployment have them; no service runs for it."""

from datetime import date, datetime
from typing import Any

from aiokafka import AIOKafkaProducer

from contracts.accounts import BillingFrequency, Licenses
from contracts.events import AddOnPurchased, Person, Terms
from contracts.invoices import InvoiceIssued
from contracts.money import Money
from contracts.payload import Payload
from contracts.topics import EVENTS
from deploy.addonflow.rebuild_shard import process_of
from services.runtime import codec
from services.runtime.clock import SystemClock, to_rfc3339
from services.runtime.decision import Cause
from services.runtime.delivery import Delivery
from services.runtime.keys import shard_of
from services.runtime.settings import Settings
from services.runtime.store import Loaded
from services.runtime.unit_of_work import UnitOfWork


def purchase(account_id: str, now: datetime) -> AddOnPurchased:
    """Return a purchase of three seats, today in UTC."""
    terms = Terms(
        price_version="test",
        unit_price=Money(amount_minor=1795, currency="USD"),
        frequency=BillingFrequency.MONTHLY,
        licenses=Licenses(standard=3),
        currency="USD",
        timezone="UTC",
        cycle_anchor=date(2026, 1, 20),
    )
    return AddOnPurchased(
        account_id=account_id,
        add_on="analytics_plus",
        subscription_id=f"{account_id}-subscription",
        purchased_by=Person(user_id="olivia", role="owner"),
        purchased_at=now,
        effective_date=now.date(),
        terms=terms,
        origin="self_service",
    )


def billed(settings: Settings, event: AddOnPurchased, now: datetime) -> tuple[InvoiceIssued, codec.Outgoing]:
    """Return the invoice of a purchase as billing decides it, and its record."""
    process = process_of("billing", settings)
    unit: UnitOfWork[Any] = UnitOfWork(
        process.decider, process.answer, event.account_id, now, Loaded(0, None, None, [], [])
    )
    names = process.decider.rows(event)
    unit.add_rows(names, [None] * len(names))
    unit.handle(Delivery(event.account_id, event, Cause(cause_of(event), event.ce_type), EVENTS, 1, "chain"))
    commit = unit.commit()
    assert commit is not None
    [record] = commit.records
    out = codec.unpack(record)
    return InvoiceIssued.model_validate_json(out.value), out


def cause_of(event: Payload) -> str:
    """Return the `ce_id` of a purchase."""
    return f"{event.account_id}-bought"


def record_of(payload: Payload, ce_id: str, sequence: int, cause_id: str = "cause") -> codec.Outgoing:
    """Return a record as a service writes it."""
    time = to_rfc3339(SystemClock().now())
    identity = (payload.ce_type, ce_id, time, payload.account_id, sequence)
    return codec.unpack(codec.pack(*identity, cause_id, "chain", "", codec.to_json(payload)))


async def publish(settings: Settings, *records: codec.Outgoing) -> None:
    """Write records to their topics, each into its account's partition."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, enable_idempotence=False) as producer:
        for out in records:
            partition = shard_of(out.key.decode(), settings.partitions)
            name = settings.namespace + out.topic.name
            await producer.send_and_wait(name, out.value, key=out.key, partition=partition, headers=list(out.headers))


async def sell_and_bill(settings: Settings, account_id: str) -> InvoiceIssued:
    """Have an account buy something and be billed, in the logs."""
    now = SystemClock().now()
    event = purchase(account_id, now)
    invoice, out = billed(settings, event, now)
    await publish(settings, record_of(event, cause_of(event), 1), out)
    return invoice
