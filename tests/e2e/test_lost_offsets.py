"""A group that nobody was in for so long that Kafka forgot where it had read to."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from aiokafka.protocol.admin import DeleteGroupsRequest
from typer.testing import CliRunner

from contracts.backoffice import IssueCredit
from contracts.money import Money
from contracts.topics import BACKOFFICE, BILLING, BILLING_RESULTS
from deploy.addonflow.main import app
from services.runtime.clock import SystemClock, to_milliseconds
from services.runtime.keys import shard_of
from tests.chaos import load
from tests.e2e.observe import Deployment
from tests.e2e.records import record
from tests.e2e.services import ServiceProcess
from tests.e2e.test_refusals import NewDeployment, refusal
from tests.runtime import logs

ACCOUNT = load.ACCOUNTS[0]


def send_credit(deployment: Deployment, age: timedelta) -> None:
    """Have the back office order a credit of 1.00 USD, that long ago."""
    credit = IssueCredit(
        account_id=ACCOUNT,
        staff_id="stella",
        reason="a bad week",
        invoice_number=f"{ACCOUNT}-000001",
        amount=Money.parse("1.00", "USD"),
    )
    sent = record(credit, "credit-1")

    async def act() -> None:
        async with logs.producer(deployment.bootstrap) as client:
            await client.send_and_wait(
                deployment.namespace + BACKOFFICE.name,
                sent.value,
                sent.key,
                shard_of(ACCOUNT, deployment.partitions),
                timestamp_ms=to_milliseconds(SystemClock().now() - age),
                headers=list(sent.headers),
            )

    asyncio.run(act())


def lose_offsets(deployment: Deployment) -> None:
    """Have Kafka forget billing's group."""

    async def act() -> None:
        group = f"{deployment.namespace}addonflow.billing"
        async with logs.admin(deployment.bootstrap) as admin:
            reply = await admin._send_request(DeleteGroupsRequest([group]))
            assert [error for _, error in reply.results] == [0]

    asyncio.run(act())


@contextmanager
def billing(deployment: Deployment) -> Iterator[ServiceProcess]:
    """Run billing until it has nothing left to do."""
    with ServiceProcess("billing", deployment.settings()) as process:
        process.until_ready()
        yield process
        deployment.until_at_rest("billing")
        assert process.terminate() == 0


def forgetful(new_deployment: NewDeployment, age: timedelta) -> Deployment:
    """Return a deployment in which a credit of that age was given, and billing's offsets were lost."""
    deployment = new_deployment("offsets")
    deployment.send(*load.purchases(1, 1))
    with billing(deployment):
        deployment.until_at_rest("billing")
        send_credit(deployment, age)
        deployment.until_at_rest("billing")
        deployment.send(record(load.account(ACCOUNT), "fact-1"))
    lose_offsets(deployment)
    with deployment.redis as client:
        for key in client.scan_iter(f"{{{deployment.namespace}billing.*:inbox:*") if age > timedelta(days=7) else ():
            client.delete(key)
    return deployment


def given(deployment: Deployment) -> list[int]:
    """Return the credits of the account."""
    assert len(deployment.read(BILLING_RESULTS)) == 1
    said = [each.data for each in deployment.read(BILLING) if each.data["account_id"] == ACCOUNT]
    return [each["total"]["amount_minor"] for each in said if each["kind"] == "credit"]


def test_old_commands_are_not_decided_again_without_offsets(new_deployment: NewDeployment) -> None:
    """With the offsets lost and an old credit in the log, billing refuses with one line; a rebuild lets it start.

    The credit is given once.
    """
    deployment = forgetful(new_deployment, timedelta(days=8))
    line = refusal("billing", deployment.settings())
    assert f"shards {shard_of(ACCOUNT, deployment.partitions)}," in line
    assert "addonflow rebuild billing" in line

    done = CliRunner().invoke(app, ["rebuild", "billing"], env=deployment.settings())
    assert done.exit_code == 0, done.output
    with billing(deployment):
        deployment.until_at_rest("billing")
    assert given(deployment) == [-100]


def test_commands_whose_answers_are_kept_need_no_offsets(new_deployment: NewDeployment) -> None:
    """As after a crash before the first offsets were saved: what is read again is recognised, and billing starts."""
    deployment = forgetful(new_deployment, timedelta())
    with billing(deployment):
        deployment.until_at_rest("billing")
    assert given(deployment) == [-100]
