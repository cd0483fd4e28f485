"""`addonflow rebuild` on real Kafka and Valkey: after a loss all is back, and nothing is said or billed again."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

import pytest
from aiokafka import TopicPartition
from typer.testing import CliRunner, Result

from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.commands import PurchaseAddOn, RequestFeature
from contracts.topics import BILLING, COMMANDS, EVENTS, NOTIFICATIONS, READERS, RESULTS, TOPICS
from deploy.addonflow.main import app
from deploy.addonflow.rebuild_group import read_from
from deploy.addonflow.script import AI, ANALYTICS
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.settings import Settings
from tests.e2e import services
from tests.e2e.conftest import bare_deployment, new_deployment
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, record
from tests.e2e.services import SERVICES, ServiceProcess

__all__ = ["bare_deployment", "new_deployment"]  # fixtures of deployments with a namespace of their own
OWN = [topic for topic in TOPICS if topic.writer in READERS]
HOUR_MS, WEEK_MS = 3_600_000, 604_800_000
ACCOUNTS = ("acme", "birch", "cedar")


@pytest.fixture
def deployment(new_deployment: Callable[[str], Deployment]) -> Deployment:
    """Give a deployment with topics and nothing in them."""
    return new_deployment("rebuild")


def running(deployment: Deployment, *names: str) -> AbstractContextManager[list[ServiceProcess]]:
    """Run services whose digests wait two seconds until the block ends."""
    return services.running(deployment.settings(digest_delay_seconds=2), *names)


def rebuild(deployment: Deployment, service: str, *options: str) -> Result:
    """Run `addonflow rebuild`."""
    words = ["rebuild", service, *options]
    return CliRunner().invoke(app, words, env=deployment.settings(digest_delay_seconds=2))


def facts(account_id: str) -> list[Record]:
    """Return an account of five seats with an Owner, two who may ask, and one whose fact comes twice."""
    account = AccountUpdated(
        account_id=account_id,
        revision=1,
        name=account_id.title(),
        status="active",
        currency="USD",
        timezone="Europe/Paris",
        sales_managed=False,
        payment_method_on_file=True,
        licenses=Licenses(standard=5),
        billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 1, 20)),
    )
    members = [
        MemberUpdated(account_id=account_id, revision=1, user_id=user, role=role, status="active", name=user.title())
        for user, role in (("olivia", "owner"), ("sam", "supervisor"), ("adam", "admin"))
    ]
    said = [record(account, f"{account_id}-account")]
    said += [record(member, f"{account_id}-{member.user_id}") for member in members]
    return [*said, said[1]]


def asks(account_id: str) -> list[Record]:
    """Return two requests and a purchase, and one that is refused."""
    return [
        record(RequestFeature(account_id=account_id, user_id="sam", add_on=ANALYTICS), f"{account_id}-ask-sam"),
        record(RequestFeature(account_id=account_id, user_id="adam", add_on=ANALYTICS), f"{account_id}-ask-adam"),
        purchase(account_id, ANALYTICS),
        record(RequestFeature(account_id=account_id, user_id="sam", add_on=ANALYTICS), f"{account_id}-ask-late"),
    ]


def purchase(account_id: str, add_on: str) -> Record:
    """Return an Owner's purchase."""
    return record(PurchaseAddOn(account_id=account_id, user_id="olivia", add_on=add_on), f"{account_id}-buy-{add_on}")


def said(deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything the services have said."""
    return {topic.name: [each.content for each in deployment.read(topic)] for topic in OWN}


def play(deployment: Deployment) -> None:
    """Let the accounts and a stranger live until everything is at rest; the services are stopped then."""
    with running(deployment):
        deployment.send(*(each for account in ACCOUNTS for each in facts(account)))
        deployment.until_at_rest(*SERVICES)
        deployment.send(purchase("nobody", AI), *(each for account in ACCOUNTS for each in asks(account)))
        deployment.until_at_rest(*SERVICES)


def keys_of(deployment: Deployment, service: str) -> dict[bytes, Any]:
    """Return what a service stores, but for versions, the outbox and how long answers are still kept."""
    found: dict[bytes, Any] = {}
    with deployment.redis as client:
        for key in client.scan_iter(f"{{{deployment.namespace}{service}.*", count=1_000):
            if key.endswith((b"}:outbox", b"}:relay")):
                continue
            kind: Any = client.type(key)
            if kind == b"hash":
                fields: Any = client.hgetall(key)
                found[key] = {name: text for name, text in fields.items() if name != b"version"}
            elif kind == b"zset":
                found[key] = client.zrange(key, 0, -1, withscores=True)
            else:
                found[key] = client.get(key)
    return found


def forget(deployment: Deployment, services: Sequence[str]) -> None:
    """Lose all that services store."""
    with deployment.redis as client:
        for service in services:
            for key in client.scan_iter(f"{{{deployment.namespace}{service}.*", count=1_000):
                client.delete(key)


def test_after_a_loss_everything_is_back_and_nothing_is_said_again(deployment: Deployment) -> None:
    """Flushed, rebuilt and sent every command again: the same state, no new record; then the accounts go on buying."""
    play(deployment)
    before, stored = said(deployment), {service: keys_of(deployment, service) for service in SERVICES}
    assert len(before[BILLING.name]) == len(ACCOUNTS)
    assert all(before[topic.name] for topic in (EVENTS, RESULTS, NOTIFICATIONS))

    forget(deployment, SERVICES)
    for service in SERVICES:
        done = rebuild(deployment, service)
        assert done.exit_code == 0, done.output
    assert {service: keys_of(deployment, service) for service in SERVICES} == stored
    with deployment.redis as client:
        kept: list[Any] = [client.pttl(key) for key in client.scan_iter(f"{{{deployment.namespace}*:inbox:*")]
        assert len(kept) == len(before[RESULTS.name])
        assert all(WEEK_MS - HOUR_MS < left <= WEEK_MS for left in kept)
        relay = client.hgetall(
            ShardKeys(deployment.namespace, "billing", shard_of("acme", deployment.partitions)).relay
        )
        assert [*relay] == [f"offset:{BILLING.name}".encode()]

    with running(deployment) as processes:
        assert [process.metric("addonflow_rebuilds") for process in processes] == [1, 1, 1]
        deployment.send(*deployment.read(COMMANDS))
        deployment.until_at_rest(*SERVICES)
        assert said(deployment) == before
        deployment.send(*(purchase(account, AI) for account in ACCOUNTS))
        deployment.until_at_rest(*SERVICES)
    numbers = sorted(each.data["invoice_number"] for each in deployment.read(BILLING))
    assert numbers == [f"{account}-{number:06d}" for account in ACCOUNTS for number in (1, 2)]
    assert [each.type for each in deployment.read(RESULTS)[-1:]] == ["CommandAccepted"]


def test_a_running_service_is_not_rebuilt(deployment: Deployment) -> None:
    """While a process is in the group, rebuild refuses with one line and 1, and touches nothing."""
    with running(deployment, "billing"):
        refused = rebuild(deployment, "billing")
    assert refused.exit_code == 1
    assert "stop them first" in refused.stderr
    assert keys_of(deployment, "billing") == {}


def test_state_that_the_log_does_not_say_is_kept_unless_forced(deployment: Deployment) -> None:
    """Differences are named and nothing is switched; with --force the log wins; then nothing differs any more."""
    play(deployment)
    keys = ShardKeys(deployment.namespace, "billing", shard_of("acme", deployment.partitions))
    told = keys_of(deployment, "billing")
    with deployment.redis as client:
        document: Any = client.hget(keys.account("acme"), "document")
        client.hset(keys.account("acme"), "document", document.replace(b'"next_number":2', b'"next_number":7'))
        client.hset(keys.account("stranger"), mapping={"version": 1, "sequences": b"\x92\x80\x80"})
        client.set(f"{keys.prefix}rebuild:inbox:left over", "by a rebuild that was interrupted")
    changed = keys_of(deployment, "billing")

    refused = rebuild(deployment, "billing")
    assert refused.exit_code == 1, refused.output
    assert "acme: the document differs in next_number" in refused.stdout
    assert "stranger: it is stored, and not in the log" in refused.stdout
    assert keys_of(deployment, "billing") == {key: held for key, held in changed.items() if b"rebuild:" not in key}

    assert rebuild(deployment, "billing", "--force").exit_code == 0
    assert keys_of(deployment, "billing") == told
    assert "differs" not in rebuild(deployment, "billing").stdout


def test_what_was_not_handled_is_handled_after_the_rebuild(deployment: Deployment) -> None:
    """Commands sent while nobody ran, and one that was read but lost its effects with Redis, have their one answer."""
    play(deployment)
    lost = purchase("acme", AI)
    deployment.send(lost)
    place = TopicPartition(deployment.namespace + COMMANDS.name, shard_of("acme", deployment.partitions))
    read = max(each.offset for each in deployment.read(COMMANDS) if each.partition == place.partition) + 1
    settings = Settings(
        kafka_bootstrap=deployment.bootstrap, namespace=deployment.namespace, partitions=deployment.partitions
    )
    asyncio.run(read_from(settings, "entitlements", {place: read}))
    deployment.send(purchase("birch", AI))
    forget(deployment, ["entitlements"])
    done = rebuild(deployment, "entitlements")
    assert done.exit_code == 0, done.output
    with running(deployment):
        deployment.until_at_rest(*SERVICES)
    answers = [each.data["command_id"] for each in deployment.read(RESULTS)]
    assert {lost.id, "birch-buy-" + AI} <= set(answers)
    assert len(answers) == len(set(answers))
    assert len(deployment.read(BILLING)) == len(ACCOUNTS) + 2
