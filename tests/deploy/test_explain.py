"""`addonflow explain`: an invoice in words, worked out again, from billing's state or from the log."""

import json
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from contracts.invoices import InvoiceIssued
from contracts.money import Money
from deploy.addonflow.explain import contradictions
from deploy.addonflow.main import app
from deploy.addonflow.topics import create
from services.billing.proration import derivation
from services.runtime.clock import SystemClock
from services.runtime.codec import to_json
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.settings import Settings
from tests.deploy.billed import billed, purchase, sell_and_bill

pytestmark = pytest.mark.embedded


def explain(settings: Settings, redis_url: str, *words: str) -> Result:
    """Run the command."""
    variables = {
        "ADDONFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap,
        "ADDONFLOW_NAMESPACE": settings.namespace,
        "ADDONFLOW_PARTITIONS": str(settings.partitions),
        "ADDONFLOW_REDIS_URL": redis_url,
    }
    return CliRunner().invoke(app, ["explain", *words], env=variables)


def store(settings: Settings, redis_url: str, runner: Any, invoice: InvoiceIssued) -> None:
    """Write an invoice's row as billing does."""

    async def write() -> None:
        async with Redis.from_url(redis_url) as redis:
            account = invoice.account_id
            keys = ShardKeys(settings.namespace, "billing", shard_of(account, settings.partitions))
            row = json.dumps({"invoice": json.loads(to_json(invoice))})
            client: Any = redis
            await client.hset(keys.account(account), mapping={"version": 1, "sequences": "", "row:invoice:1": row})

    runner.run(write())


def test_an_invoice_is_explained_from_the_state(settings: Settings, redis_url: str, runner: Any) -> None:
    """Every line's derivation is printed as billing's rule words it, and 0 says that every amount follows."""
    now = SystemClock().now()
    invoice, _ = billed(settings, purchase("acme-co", now), now)
    store(settings, redis_url, runner, invoice)
    shown = explain(settings, redis_url, "acme-co-000001")
    assert shown.exit_code == 0, shown.output
    assert derivation(invoice.lines[0]) in shown.stdout
    assert f"total {invoice.total}" in shown.stdout
    assert "every amount follows" in shown.stdout


def test_an_invoice_that_contradicts_itself_is_told(settings: Settings, redis_url: str, runner: Any) -> None:
    """A total that is not the sum of its lines, or an amount that its line does not come to, ends it with 1."""
    now = SystemClock().now()
    invoice, _ = billed(settings, purchase("acme", now), now)
    wrong = Money(amount_minor=invoice.total.amount_minor + 1, currency="USD")
    store(settings, redis_url, runner, invoice.model_copy(update={"total": wrong}))
    shown = explain(settings, redis_url, "acme-000001")
    assert shown.exit_code == 1
    assert f"wrong: the total says {wrong}, and the lines add up to {invoice.total}" in shown.stdout
    line = invoice.lines[0].model_copy(update={"amount": wrong})
    [said] = contradictions(invoice.model_copy(update={"lines": (line,), "total": wrong}))
    assert said.endswith(f"it says {wrong}, and comes to {invoice.total}")


def test_an_invoice_is_explained_from_the_log(settings: Settings, redis_url: str, runner: Any) -> None:
    """With --from-log the topic alone is enough."""
    runner.run(create(settings, replication_factor=1, wait_seconds=5))
    invoice = runner.run(sell_and_bill(settings, "acme"))
    assert explain(settings, redis_url, "acme-000001").exit_code == 1
    shown = explain(settings, redis_url, "acme-000001", "--from-log")
    assert shown.exit_code == 0, shown.output
    assert derivation(invoice.lines[0]) in shown.stdout


def test_what_is_no_invoice_is_said_in_one_line(settings: Settings, redis_url: str, runner: Any) -> None:
    """A number that nobody issued is 1, and what is no number is wrong usage: each one line on stderr."""
    runner.run(create(settings, replication_factor=1, wait_seconds=5))
    for words, status, text in (
        (("acme-000009",), 1, "there is no invoice acme-000009 in billing's state"),
        (("acme-000009", "--from-log"), 1, "there is no invoice acme-000009 in the topic"),
        (("acme",), 2, "is no invoice number"),
    ):
        shown = explain(settings, redis_url, *words)
        assert (shown.exit_code, len(shown.stderr.splitlines())) == (status, 1), shown.output
        assert text in shown.stderr
