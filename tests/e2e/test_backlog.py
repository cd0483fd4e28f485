"""A service that was away: what happened meanwhile waits in the log, what came due meanwhile waits in Redis."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime

from redis.asyncio import Redis

from contracts.events import FeatureRequested, Person
from contracts.topics import BILLING
from services.runtime.virtual_clock import move_clock
from tests.billing.entitled import Entitled
from tests.billing.scenario import ACCOUNT, terms_of
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, record
from tests.e2e.services import ServiceProcess

BUSY = 3_000  # events of another account, so that reading the backlog takes longer than looking for timers


def move(deployment: Deployment, instant: datetime) -> None:
    """Move the deployment's clock."""

    async def act() -> None:
        async with Redis.from_url(deployment.redis_url) as redis:
            await move_clock(redis, deployment.namespace, instant)

    asyncio.run(act())


def run_billing(deployment: Deployment) -> None:
    """Run billing until nothing is left to do, and stop it."""
    with ServiceProcess("billing", deployment.settings(virtual_clock=True)) as billing:
        billing.until_ready()
        deployment.until_at_rest("billing")
        assert billing.terminate() == 0


def busy_account() -> list[Record]:
    """Return what another account of the shard did meanwhile; billing has nothing to do with it."""
    asked = FeatureRequested(
        account_id="busy",
        add_on="analytics_plus",
        requested_by=Person(user_id="ann", role="admin"),
        requested_at=datetime(2027, 1, 12, tzinfo=UTC),
    )
    return [record(asked, f"busy-{number}", number) for number in range(1, BUSY + 1)]


def test_what_happened_while_billing_was_away_is_heard_before_what_came_due(
    bare_deployment: Callable[[str], Deployment],
) -> None:
    """Cancelled on 15 January while billing is away until April, ten seats are paid for fourteen days and no more.

    45.16 USD of 100.00 a month; renewals that did not hear of it first would come to 200.00, never given back.
    """
    deployment = bare_deployment("backlog")
    deployment.partitions = 1
    deployment.create_topics()
    bought_at = datetime(2027, 1, 1, 12, tzinfo=UTC)
    terms = terms_of(date(2027, 1, 1), timezone="UTC", price="10.00 USD", seats=(10, 0))
    has, bought = Entitled.buy("analytics_plus", "sub-1", terms, bought_at)
    move(deployment, bought_at)
    deployment.send(record(bought, "bought", 1))
    run_billing(deployment)

    canceled = has.cancel(datetime(2027, 1, 15, 12, tzinfo=UTC), at_once=True)
    deployment.send(*busy_account(), record(canceled, "canceled", 2))
    move(deployment, datetime(2027, 4, 10, tzinfo=UTC))
    run_billing(deployment)

    invoices = [each for each in deployment.read(BILLING) if each.data["account_id"] == ACCOUNT]
    assert [(each.data["kind"], each.data["total"]["amount_minor"]) for each in invoices] == [
        ("immediate", 10_000),
        ("credit", -5_484),
    ]
