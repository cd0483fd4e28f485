"""Time on real Kafka and Valkey: what is due happens once, when it must, whoever is killed, added, or away meanwhile.

The virtual clock is moved in two ways. `advance` lets time pass as `addonflow clock advance` does, from timer to timer.
`set_clock` jumps: then all that was due on the way is due at once, and no service needs to run.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.commands import PurchaseAddOn, StartTrial
from contracts.topics import BILLING, EVENTS
from deploy.addonflow import clock
from deploy.addonflow.clock import Step
from deploy.addonflow.rest import agenda_of, reach, reach_redis
from services.runtime.settings import Settings
from services.runtime.virtual_clock import move_clock
from tests.chaos import launcher, load
from tests.e2e import services
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, by_account, record
from tests.e2e.services import ServiceProcess, until

NewDeployment = Callable[[str], Deployment]
STEP_SECONDS, DONE_SECONDS = 30, 60
ONE_BY_ONE = {"virtual_clock": True, "timer_batch_max": 1}

# Purchases of the load: at noon in New York, on 30 September 2126, of accounts whose cycles begin on every 20th.
BOUGHT_AT = load.purchase(load.ACCOUNTS[0], 1).purchased_at
MIDNIGHTS = [datetime(2126, 10, 20, 4, tzinfo=UTC), datetime(2126, 11, 20, 5, tzinfo=UTC)]
MIDNIGHTS += [datetime(2126, 12, 20, 5, tzinfo=UTC)]
FIRST_DAYS = ["2126-09-30", "2126-10-20", "2126-11-20", "2126-12-20"]
TRIAL, NOTICE = timedelta(days=14), timedelta(days=3)


def settings_of(deployment: Deployment) -> Settings:
    """Return what reaches a deployment whose time is virtual."""
    return Settings(
        kafka_bootstrap=deployment.bootstrap,
        redis_url=deployment.redis_url,
        namespace=deployment.namespace,
        partitions=deployment.partitions,
        virtual_clock=True,
    )


def set_clock(deployment: Deployment, instant: datetime) -> None:
    """Let it be an instant, at once."""

    async def act() -> None:
        async with reach_redis(settings_of(deployment)) as redis:
            await move_clock(redis, deployment.namespace, instant)

    asyncio.run(act())


def advance(deployment: Deployment, instant: datetime) -> list[Step]:
    """Let time pass up to an instant, at rest before and behind each step; return the steps. All services run."""
    steps: list[Step] = []

    async def act() -> None:
        async with reach(settings_of(deployment)) as reached:
            await clock.advance(reached, instant, STEP_SECONDS, steps.append)

    asyncio.run(act())
    return steps


def due(deployment: Deployment) -> int:
    """Return how many timers of all services are due and not done."""

    async def act() -> int:
        async with reach_redis(settings_of(deployment)) as redis:
            agenda = await agenda_of(redis, settings_of(deployment))
            look = await agenda.look()
            return len(await agenda.due_by(look.now, look))

    return asyncio.run(act())


def until_done(deployment: Deployment, service: str) -> None:
    """Wait until a service, the only one with timers, has done all that is due, and has said so."""
    until(f"{service} has done what is due", lambda: not due(deployment), DONE_SECONDS)
    deployment.until_at_rest(service)


def running(deployment: Deployment, *names: str) -> AbstractContextManager[list[ServiceProcess]]:
    """Run services, by default all, until the block ends."""
    return services.running(deployment.settings(**ONE_BY_ONE), *names)


def faulty(deployment: Deployment, service: str, fault: str) -> ServiceProcess:
    """Return a service with a fault of `tests/chaos/launcher.py`, the first time it comes there."""
    return ServiceProcess(service, deployment.settings(**ONE_BY_ONE), launcher.words(service, fault))


def crash(deployment: Deployment, service: str, point: str) -> None:
    """Have a service killed (kill -9) at a point, with timers due as it starts."""
    assert due(deployment), f"nothing is left to do for a {service} that is killed at {point}"
    with faulty(deployment, service, point) as doomed:
        assert doomed.wait() == -signal.SIGKILL, doomed.log


def billed(deployment: Deployment) -> Deployment:
    """Have billing charge one purchase of every account, and stop."""
    set_clock(deployment, BOUGHT_AT)
    deployment.send(*load.purchases(1, 1))
    with running(deployment, "billing"):
        deployment.until_at_rest("billing")
    assert_charged_once(deployment, cycles=0)
    return deployment


def assert_charged_once(deployment: Deployment, cycles: int) -> dict[str, list[Record]]:
    """Check that every account has the invoice of its purchase, and one in full for each cycle since, in order.

    Numbers have no gap, and whatever was published twice is the same to the byte.
    """
    accounts = by_account(deployment.read(BILLING))
    assert set(accounts) == set(load.ACCOUNTS)
    for account, invoices in accounts.items():
        lines = [(each.data["invoice_number"], line) for each in invoices for line in each.data["lines"]]
        assert [
            (number, line["subscription_id"], line["period"]["from"], line["amount"]["amount_minor"])
            for number, line in lines
        ] == [
            (f"{account}-{number:06d}", f"{account}-1", first, 1_795 if number > 1 else 1_197)
            for number, first in enumerate(FIRST_DAYS[: cycles + 1], start=1)
        ]
    return accounts


def essence(invoice: Record) -> tuple[Any, ...]:
    """Return number, kind, instant, first and last day (exclusive) and amount of an invoice of one line."""
    [line], data = invoice.data["lines"], invoice.data
    period = (line["period"]["from"], line["period"]["to"])
    return data["invoice_number"], data["kind"], data["issued_at"], *period, data["total"]["amount_minor"]


def renewals(billing: ServiceProcess) -> float:
    """Return how many timers a process has counted as done."""
    return billing.metric('addonflow_messages_total{outcome="accepted",type="timer"}')


def test_cycles_are_renewed_at_local_midnights(new_deployment: NewDeployment) -> None:
    """West of UTC each cycle is charged in full, once, at the midnight that begins it in the account's zone.

    Bought at 23:00 in New York on 30 September, when it is October in UTC; its clocks change between two of the cycles.
    """
    deployment = new_deployment("renewals")
    late_evening, buyer = datetime(2026, 10, 1, 3, tzinfo=UTC), {"account_id": "acme", "user_id": "olivia"}
    set_clock(deployment, late_evening)
    with running(deployment):
        deployment.send(
            record(load.account("acme"), "account"), record(load.member("acme", "olivia", "owner"), "owner")
        )
        advance(deployment, late_evening)
        deployment.send(record(PurchaseAddOn(**buyer, add_on="analytics_plus"), "purchase"))
        steps = advance(deployment, datetime(2026, 12, 31, tzinfo=UTC))

    assert [essence(invoice) for invoice in deployment.read(BILLING)] == [
        ("acme-000001", "immediate", "2026-10-01T03:00:00Z", "2026-09-30", "2026-10-20", 3_590),
        ("acme-000002", "renewal", "2026-10-20T04:00:00Z", "2026-10-20", "2026-11-20", 5_385),
        ("acme-000003", "renewal", "2026-11-20T05:00:00Z", "2026-11-20", "2026-12-20", 5_385),
        ("acme-000004", "renewal", "2026-12-20T05:00:00Z", "2026-12-20", "2027-01-20", 5_385),
    ]
    fired = [(timer.name, step.instant) for step in steps for timer in step.fired if timer.service == "billing"]
    assert fired == [("renewal", instant.replace(year=2026)) for instant in MIDNIGHTS]


def test_renewals_due_when_billing_is_killed_are_issued_once(new_deployment: NewDeployment) -> None:
    """Killed before a commit, behind one and behind a publication, billing renews every subscription once a cycle.

    The timer of the next cycle is set with the invoice of this one, so that one comes, too.
    """
    deployment = billed(new_deployment("renewals-killed"))
    set_clock(deployment, MIDNIGHTS[0])
    for point in ("before_commit", "after_commit", "after_publish"):
        crash(deployment, "billing", point)
    with running(deployment, "billing"):
        until_done(deployment, "billing")
        assert_charged_once(deployment, cycles=1)
        set_clock(deployment, MIDNIGHTS[1])
        until_done(deployment, "billing")
    assert_charged_once(deployment, cycles=2)


def test_trials_due_when_entitlements_is_killed_end_once(new_deployment: NewDeployment) -> None:
    """Killed while trials are about to end, and while they end, entitlements says each of both once, when due."""
    deployment = new_deployment("trials-killed")
    set_clock(deployment, BOUGHT_AT)
    trials = [StartTrial(account_id=name, user_id="owner", add_on="analytics_plus") for name in load.ACCOUNTS]
    with running(deployment, "entitlements"):
        deployment.send(*load.directory())
        deployment.until_at_rest("entitlements")
        deployment.send(*(record(trial, f"trial-{trial.account_id}") for trial in trials))
        deployment.until_at_rest("entitlements")
    for instant, point in ((BOUGHT_AT + TRIAL - NOTICE, "after_commit"), (BOUGHT_AT + TRIAL, "after_publish")):
        set_clock(deployment, instant)
        crash(deployment, "entitlements", point)
        with running(deployment, "entitlements"):
            until_done(deployment, "entitlements")

    accounts = by_account(deployment.read(EVENTS))
    assert set(accounts) == set(load.ACCOUNTS)
    for events in accounts.values():
        assert [(each.type, each.attributes["ce_time"][:19]) for each in events] == [
            ("TrialStarted", "2126-09-30T16:00:00"),
            ("TrialEndingSoon", "2126-10-11T16:00:00"),
            ("TrialEnded", "2126-10-14T16:00:00"),
        ]


def test_processes_that_share_the_shards_renew_once(new_deployment: NewDeployment) -> None:
    """Each process renews in its shards, and what is due as one leaves is done by the other, once."""
    deployment = billed(new_deployment("renewals-shared"))
    with (
        running(deployment, "billing") as [first],
        ServiceProcess("billing", deployment.settings(**ONE_BY_ONE)) as second,
    ):
        second.until_ready()
        until("both own shards", lambda: 0 < second.metric("addonflow_shards") < deployment.partitions, DONE_SECONDS)
        set_clock(deployment, MIDNIGHTS[0])
        until_done(deployment, "billing")
        until("both have renewed", lambda: bool(renewals(first) and renewals(second)), DONE_SECONDS)
        until("each once", lambda: renewals(first) + renewals(second) == len(load.ACCOUNTS), DONE_SECONDS)
        assert_charged_once(deployment, cycles=1)
        set_clock(deployment, MIDNIGHTS[1])
        assert second.terminate() == 0
        until_done(deployment, "billing")
    assert_charged_once(deployment, cycles=2)


def test_processes_that_both_own_the_shards_renew_once(new_deployment: NewDeployment) -> None:
    """Two processes that both feed the same timers issue each renewal once, and the same to the byte."""
    deployment = billed(new_deployment("renewals-zombie"))
    with faulty(deployment, "billing", "zombie") as zombie, running(deployment, "billing") as [owner]:
        zombie.until_ready()
        assert zombie.metric("addonflow_shards") == owner.metric("addonflow_shards") == deployment.partitions
        for midnight in MIDNIGHTS:
            set_clock(deployment, midnight)
            until_done(deployment, "billing")
        assert zombie.running
    assert_charged_once(deployment, cycles=len(MIDNIGHTS))


def test_cycles_missed_while_billing_was_down_are_caught_up_in_order(new_deployment: NewDeployment) -> None:
    """Started after three cycles, billing issues one invoice for each, in order, with the days of that cycle."""
    deployment = billed(new_deployment("renewals-late"))
    late = MIDNIGHTS[-1] + timedelta(days=10)
    set_clock(deployment, late)
    assert due(deployment) == len(load.ACCOUNTS)
    with running(deployment, "billing"):
        until_done(deployment, "billing")
    for account, invoices in assert_charged_once(deployment, cycles=3).items():
        assert [essence(invoice) for invoice in invoices[1:]] == [
            (f"{account}-000002", "renewal", "2126-12-30T05:00:00Z", "2126-10-20", "2126-11-20", 1_795),
            (f"{account}-000003", "renewal", "2126-12-30T05:00:00Z", "2126-11-20", "2126-12-20", 1_795),
            (f"{account}-000004", "renewal", "2126-12-30T05:00:00Z", "2126-12-20", "2127-01-20", 1_795),
        ]
