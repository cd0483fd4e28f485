"""A service that was away: what happened meanwhile waits in the log, what came due meanwhile waits in Redis."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
from redis.asyncio import Redis

from contracts.events import FeatureRequested, Person
from contracts.topics import BILLING
from services.runtime.virtual_clock import move_clock
from tests.billing.entitled import Entitled
from tests.billing.scenario import ACCOUNT, terms_of
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, record
from tests.e2e.services import ServiceProcess, until
from tests.entitlements.scenario import ADD_ON, account, member
from tests.tokens import Issuer, bearer

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


class Owner:
    """An Owner of acme who orders over HTTP, and looks."""

    def __init__(self, folder: Path) -> None:
        issuer = Issuer()
        self.keys = issuer.write(folder / "jwks.json")
        self._headers = bearer(issuer.token("owner")) | {"Idempotency-Key": "late"}
        self.answers: list[tuple[int, str]] = []

    def looks(self, process: ServiceProcess) -> int:
        """Return the status of a look at the add-ons, 0 when nobody answers."""
        with contextlib.suppress(httpx.HTTPError):
            url = f"http://127.0.0.1:{process.port}/v1/accounts/acme/add-ons"
            return httpx.get(url, headers=self._headers).status_code
        return 0

    def orders(self, process: ServiceProcess) -> bool:
        """Order an add-on; return whether that was decided, one way or the other."""
        with contextlib.suppress(httpx.HTTPError):
            url = f"http://127.0.0.1:{process.port}/v1/accounts/acme/commands"
            reply = httpx.post(url, headers=self._headers, json={"type": "PurchaseAddOn", "add_on": ADD_ON})
            self.answers.append((reply.status_code, reply.json().get("reason", "accepted")))
        return bool(self.answers) and self.answers[-1][0] != 503


def test_who_was_removed_while_entitlements_was_away_orders_nothing_as_it_comes_back(
    bare_deployment: Callable[[str], Deployment], tmp_path: Path
) -> None:
    """What the log says of a member is heard before an order over HTTP is decided; looks need no Kafka."""
    deployment, owner = bare_deployment("removed"), Owner(tmp_path)
    deployment.partitions = 1
    deployment.create_topics()
    settings = deployment.settings(token_jwks=owner.keys, batch_records_max=100)
    deployment.send(record(account(), "account-1"), record(member("owner"), "owner-1"))
    with ServiceProcess("entitlements", settings) as entitlements:
        entitlements.until_ready()
        assert entitlements.terminate() == 0

    busy = [record(member(f"busy-{number}"), f"busy-{number}") for number in range(BUSY)]
    deployment.send(*busy, record(member("owner", revision=2, removed=True), "owner-2"))
    with ServiceProcess("entitlements", settings | {"ADDONFLOW_KAFKA_BOOTSTRAP": "127.0.0.1:1"}) as cut_off:
        until("a look is answered", lambda: owner.looks(cut_off) == 200, 30)
        assert not owner.orders(cut_off)
    with ServiceProcess("entitlements", settings) as entitlements:
        until("the order is decided", lambda: owner.orders(entitlements), 30)
        entitlements.until_ready()
    assert set(owner.answers) == {(503, "unavailable"), (403, "member_unknown")}
