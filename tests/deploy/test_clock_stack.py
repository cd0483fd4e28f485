"""A year's days in seconds: the whole embedded deployment on a virtual clock."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.notices import Template
from contracts.topics import BILLING, EVENTS, NOTIFICATIONS
from deploy.addonflow import clock, rest, stack
from deploy.addonflow.clock import Step
from deploy.addonflow.main import app
from deploy.addonflow.messages import Outbound, of_data
from deploy.addonflow.processes import start_service
from deploy.addonflow.records import Seen
from deploy.addonflow.send import send
from deploy.addonflow.stack import Stack
from deploy.addonflow.watch import follow
from services.runtime.settings import Settings

pytestmark = pytest.mark.embedded
BEGINS = datetime(2027, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIGEST_DELAY = 24 * HOUR
STEP_SECONDS = 15
EXTRA = {"ADDONFLOW_PARTITIONS": "3", "ADDONFLOW_DIGEST_DELAY_SECONDS": str(int(DIGEST_DELAY.total_seconds()))}
DIGEST = Template.FEATURE_REQUEST_DIGEST
ACCOUNTS = ("acme", "birch", "cedar")


@pytest.fixture(scope="module")
def deployment(embedded: None, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give a running deployment whose time began at BEGINS."""
    settings = Settings(partitions=3, namespace="", virtual_clock=True)
    running = stack.running(tmp_path_factory.mktemp("stack"), stack.Ports.free(), settings, EXTRA, begins=BEGINS)
    yield runner.run(running.__aenter__())
    runner.run(running.__aexit__(None, None, None))


@pytest.fixture
async def reached(deployment: Stack) -> "AsyncIterator[rest.Deployment]":
    """Give the deployment as it is seen from outside."""
    async with rest.reach(deployment.settings) as found:
        yield found


def member(account_id: str, user_id: str, role: str) -> Outbound:
    """Return the fact of a member."""
    data = {"account_id": account_id, "revision": 1, "user_id": user_id, "role": role, "status": "active"}
    return of_data("MemberUpdated", data, None, checked=True)


def account(account_id: str) -> Outbound:
    """Return the fact of an account that may buy."""
    data = {
        "account_id": account_id,
        "revision": 1,
        "name": account_id,
        "status": "active",
        "currency": "USD",
        "timezone": "UTC",
        "sales_managed": False,
        "payment_method_on_file": True,
        "licenses": {"standard": 5},
        "billing": {"frequency": "monthly", "cycle_anchor": "2027-01-20"},
    }
    return of_data("AccountUpdated", data, None, checked=True)


async def say(deployment: Stack, *messages: Outbound) -> None:
    """Publish messages."""
    await send(deployment.settings, messages, on_sent=lambda *_: None, on_answer=lambda _: None)


async def ask(deployment: Stack, account_id: str, user_id: str) -> None:
    """Have a member ask for a feature."""
    data = {"account_id": account_id, "user_id": user_id, "add_on": "analytics_plus"}
    await say(deployment, of_data("RequestFeature", data, None, checked=True))


async def digests(deployment: Stack) -> list[Seen]:
    """Return the digests told so far, in the order of their times."""
    following = follow(deployment.settings, [NOTIFICATIONS.name], from_start=True, idle_seconds=0.5)
    async with aclosing(following) as seen:  # type: ignore[type-var]
        found = [each async for each in seen if (each.data or {}).get("template") == DIGEST]
    return sorted(found, key=lambda each: each.attributes["ce_time"])


async def events(deployment: Stack, kind: str) -> list[Seen]:
    """Return the events of one type told so far."""
    following = follow(deployment.settings, [EVENTS.name], from_start=True, idle_seconds=0.5)
    async with aclosing(following) as seen:  # type: ignore[type-var]
        return [each async for each in seen if each.type == kind]


async def test_timers_fire_at_their_instants_in_the_order_of_time(deployment: Stack, reached: rest.Deployment) -> None:
    """Digests of three accounts, each due at another instant, are told at exactly these, one step each, and no sooner.

    What is due later than the target is not told; the deployment is at rest after each step, so nothing else comes.
    """
    for account_id in ACCOUNTS:
        await say(deployment, account(account_id), member(account_id, "olivia", "owner"))
        await say(deployment, *(member(account_id, user_id, "supervisor") for user_id in ("sam", "sue")))
    await rest.until_at_rest(reached, STEP_SECONDS)
    for account_id in ACCOUNTS:
        await ask(deployment, account_id, "sam")
        await ask(deployment, account_id, "sue")
        await clock.advance(reached, await clock.stands_at(reached) + HOUR, STEP_SECONDS)
    assert await clock.stands_at(reached) == BEGINS + 3 * HOUR
    assert await digests(deployment) == []

    told: list[Step] = []
    target = BEGINS + DIGEST_DELAY + 1.5 * HOUR
    await clock.advance(reached, target, STEP_SECONDS, told.append)

    assert [(step.instant, [timer.account_id for timer in step.fired]) for step in told] == [
        (BEGINS + DIGEST_DELAY, ["acme"]),
        (BEGINS + DIGEST_DELAY + HOUR, ["birch"]),
        (target, []),
    ]
    assert [(each.account_id, each.attributes["ce_time"]) for each in await digests(deployment)] == [
        ("acme", "2027-01-11T12:00:00.000000Z"),
        ("birch", "2027-01-11T13:00:00.000000Z"),
    ]


def test_the_command_tells_each_step(deployment: Stack) -> None:
    """`clock advance` prints when what fired for whom, and where the clock stands then."""
    addresses = ("--kafka", deployment.settings.kafka_bootstrap, "--redis", deployment.settings.redis_url)
    result = CliRunner().invoke(app, ["clock", "advance", "1d", *addresses], env={"ADDONFLOW_NAMESPACE": ""})

    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "2027-01-11T14:00:00Z     notifications digest (cedar)",
        "2027-01-12T13:30:00Z     nothing was due",
        "the clock stands at 2027-01-12T13:30:00Z after 2 steps",
    ]


async def test_what_a_step_causes_in_other_services_is_there_when_it_ends(
    deployment: Stack, reached: rest.Deployment
) -> None:
    """At rest, a purchase is decided, billed and told, by the virtual time, though three services took part in turn."""
    data = {"account_id": "acme", "user_id": "olivia", "add_on": "analytics_plus"}
    await say(deployment, of_data("PurchaseAddOn", data, "purchase-1", checked=True))
    await rest.until_at_rest(reached, STEP_SECONDS)

    following = follow(deployment.settings, [BILLING.name], from_start=True, idle_seconds=0.5)
    async with aclosing(following) as seen:  # type: ignore[type-var]
        [invoice] = [each async for each in seen if each.type == "InvoiceIssued"]
    assert invoice.data is not None
    assert invoice.data["issued_at"] == "2027-01-12T13:30:00Z"
    assert [line["period"] for line in invoice.data["lines"]] == [{"from": "2027-01-12", "to": "2027-01-20"}]


async def test_a_trial_ends_at_its_instant(deployment: Stack, reached: rest.Deployment) -> None:
    """A trial started on a virtual day ends at the very instant it was said to, weeks later, within seconds."""
    data = {"account_id": "cedar", "user_id": "olivia", "add_on": "aircall_ai"}
    await say(deployment, of_data("StartTrial", data, None, checked=True))
    await rest.until_at_rest(reached, STEP_SECONDS)
    [started] = await events(deployment, "TrialStarted")
    ends_at = clock.instant(str((started.data or {})["ends_at"]))

    await clock.advance(reached, ends_at - timedelta(milliseconds=1), STEP_SECONDS)
    assert await events(deployment, "TrialEnded") == []
    await clock.advance(reached, ends_at + HOUR, STEP_SECONDS)
    [ended] = await events(deployment, "TrialEnded")
    assert clock.instant(ended.attributes["ce_time"]) == ends_at
    assert ended.account_id == "cedar"


def test_a_service_with_the_machines_clock_does_not_join(deployment: Stack) -> None:
    """A process without the setting would decide by another time: it ends with status 78."""
    environment = {"ADDONFLOW_REDIS_URL": deployment.settings.redis_url, "ADDONFLOW_PARTITIONS": "3"}
    child = asyncio.run(_run_service(environment | {"ADDONFLOW_HTTP_PORT": "0"}, deployment.logs))
    assert child[0] == 78
    assert "this deployment's time is virtual" in child[1]


async def _run_service(environment: dict[str, str], logs: Path) -> tuple[int, str]:
    child = await start_service("billing", environment, logs / "stranger")
    try:
        async with asyncio.timeout(30):
            return await child.ended(), child.tail()
    finally:
        await child.stop()
