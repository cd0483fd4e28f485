"""`addonflow audit`: what is charged against what was sold, and billing's state against its log."""

from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from rich.console import Console

from contracts.money import Money
from contracts.topics import ACCOUNTS, EVENTS
from deploy.addonflow import audit as auditing
from deploy.addonflow.audit import audit, facts_and_events
from deploy.addonflow.rebuild import rebuild
from deploy.addonflow.topics import create
from services.runtime.clock import SystemClock
from services.runtime.decision import Cause
from services.runtime.delivery import Delivery
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.settings import Settings
from tests.billing.bills import account_fact
from tests.deploy.billed import cause_of, publish, purchase, record_of, sell_and_bill

pytestmark = pytest.mark.embedded


@pytest.fixture
async def deployment(settings: Settings, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give a deployment with topics, without services; the second look comes at once."""
    monkeypatch.setattr(auditing, "SECOND_LOOK_SECONDS", 0)
    await create(settings, replication_factor=1, wait_seconds=5)
    return settings.model_copy(update={"redis_url": redis_url})


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator["Redis"]:
    """Give a client of the deployment's Valkey."""
    async with Redis.from_url(redis_url) as client:
        yield client


async def audited(settings: Settings) -> tuple[int, str]:
    """Run an audit; return its status and what it printed."""
    console = Console(record=True, width=300, quiet=False, file=None)
    with console.capture() as printed:
        status = await audit(settings, console)
    return status, printed.get()


async def test_what_is_billed_as_sold_and_stored_as_logged_is_clean(deployment: Settings) -> None:
    """Accounts billed as their purchases say, with the state their log says: 0, and counts."""
    for account in ("acme", "birch", "cedar"):
        await sell_and_bill(deployment, account)
    assert await rebuild(deployment, "billing", Console(quiet=True)) == 0
    status, said = await audited(deployment)
    assert status == 0, said
    assert "3 accounts, 3 subscriptions, 3 invoices with 3 lines: 0 findings" in said


async def test_state_that_its_log_does_not_say_is_found(deployment: Settings, redis: "Redis") -> None:
    """A document changed behind billing's back, and an account nobody heard of, are told: 1."""
    await sell_and_bill(deployment, "acme")
    assert await rebuild(deployment, "billing", Console(quiet=True)) == 0
    client: Any = redis
    keys = ShardKeys(deployment.namespace, "billing", shard_of("acme", deployment.partitions))
    document = await client.hget(keys.account("acme"), "document")
    await client.hset(keys.account("acme"), "document", document.replace(b'"next_number":2', b'"next_number":3'))
    await client.hset(keys.account("stranger"), mapping={"version": 1, "sequences": b"\x92\x80\x80"})
    status, said = await audited(deployment)
    assert status == 1
    assert "acme: stored otherwise: the document differs in next_number" in said
    assert "stranger: stored otherwise" in said


async def test_a_sale_without_a_charge_is_found(deployment: Settings) -> None:
    """A purchase that was never billed is a finding, and 1."""
    event = purchase("acme", SystemClock().now() - timedelta(days=1))
    await publish(deployment, record_of(event, cause_of(event), 1))
    status, said = await audited(deployment)
    assert status == 1
    assert "acme-subscription: has 0 immediate lines for its purchase" in said


async def test_a_charge_that_does_not_follow_is_found(deployment: Settings) -> None:
    """An invoice that nobody bought anything for, with an amount that is not its line's, is found line by line."""
    invoice = await sell_and_bill(deployment, "acme")
    [line] = invoice.lines
    wrong = line.model_copy(
        update={
            "subscription_id": "another",
            "amount": Money(amount_minor=line.amount.amount_minor + 1, currency="USD"),
        }
    )
    second = invoice.model_copy(update={"invoice_number": "acme-000002", "lines": (wrong,)})
    await publish(deployment, record_of(second, "forged", 2))
    status, said = await audited(deployment)
    assert status == 1
    assert "another: is charged, but was never bought" in said
    assert "acme-000002: the line of another says" in said
    assert "cause missing" in said


def test_facts_stand_where_they_were_written() -> None:
    """Which facts the base plan may begin by depends on the order: facts come among the events by time of writing."""
    sold, facts = purchase("acme", SystemClock().now()), [account_fact(1), account_fact(2)]
    written = [(ACCOUNTS, facts[0], None, 1_000), (ACCOUNTS, facts[1], None, 3_000), (EVENTS, sold, 1, 2_000)]
    deliveries = [
        Delivery("acme", message, Cause("1", message.ce_type), topic, number, origin=SimpleNamespace(timestamp=at))
        for topic, message, number, at in written
    ]
    assert facts_and_events(deliveries) == [facts[0], sold, facts[1]]
