"""Processes that stop, fail, join, leave, or believe they own what another one owns: one effect each all the same."""

from collections.abc import Callable

import pytest

from contracts.topics import BILLING, EVENTS, NOTIFICATIONS, Topic
from tests.chaos import launcher, load
from tests.e2e.observe import Deployment
from tests.e2e.records import by_account, once_each
from tests.e2e.services import SERVICES, ServiceProcess, until

NewDeployment = Callable[[str], Deployment]
PURCHASES = 40
SMALL_BATCHES = {"batch_records_max": 10, "relay_records_max": 10}
EXIT_DEFECT = 70


def with_fault(deployment: Deployment, service: str, fault: str, nth: int = 1) -> ServiceProcess:
    """Return a service that has a fault of `launcher.py`."""
    return ServiceProcess(service, deployment.settings(**SMALL_BATCHES), launcher.words(service, fault, nth))


def billing(deployment: Deployment) -> ServiceProcess:
    """Return billing, with small batches so that a load is many of them."""
    return ServiceProcess("billing", deployment.settings(**SMALL_BATCHES))


def until_read(deployment: Deployment, topic: Topic, records: int) -> None:
    """Wait until a topic holds so many records, copies counted."""
    until(f"{records} records of {topic.name}", lambda: len(deployment.read(topic)) >= records, 60)


def test_a_graceful_stop_under_load_loses_and_doubles_nothing(new_deployment: NewDeployment) -> None:
    """SIGTERM under load publishes what is committed and ends with 0; the next process does the rest, nothing twice."""
    deployment = new_deployment("graceful")
    deployment.send(*load.purchases(1, PURCHASES))
    with billing(deployment) as first:
        until_read(deployment, BILLING, 1)
        assert first.terminate() == 0
    with billing(deployment) as second:
        second.until_ready()
        deployment.until_at_rest("billing")
        assert second.terminate() == 0
    load.assert_invoiced_once(deployment, PURCHASES)
    published = deployment.read(BILLING)
    assert len(published) == len(once_each(published))


@pytest.mark.parametrize("nth", [1, 35])
def test_a_defect_acknowledges_nothing_of_its_batch(new_deployment: NewDeployment, nth: int) -> None:
    """A batch broken by a mistake in the code ends the process with 70, and no later batch moves the offset past it."""
    deployment = new_deployment(f"defect-{nth}")
    deployment.send(*load.purchases(1, PURCHASES))
    with with_fault(deployment, "billing", "defect", nth) as broken:
        assert broken.wait() == EXIT_DEFECT
        assert "a mistake in the service's code" in broken.log
    with billing(deployment) as repaired:
        repaired.until_ready()
        deployment.until_at_rest("billing")
    load.assert_invoiced_once(deployment, PURCHASES)


def test_a_zombie_cannot_hurt(new_deployment: NewDeployment) -> None:
    """Two processes that own the same shards give one effect each, and what both publish is the same to the byte."""
    deployment = new_deployment("zombie")
    with with_fault(deployment, "billing", "zombie") as zombie, billing(deployment) as owner:
        zombie.until_ready()
        owner.until_ready()
        deployment.send(*load.purchases(1, PURCHASES))
        deployment.until_at_rest("billing")
        assert zombie.metric("addonflow_shards") == owner.metric("addonflow_shards") == deployment.partitions
        assert zombie.running
    load.assert_invoiced_once(deployment, PURCHASES)


def test_a_zombie_answers_no_command_a_second_time(new_deployment: NewDeployment) -> None:
    """Two processes that both handle every command give each one answer and one effect."""
    deployment = new_deployment("zombie-commands")
    sent = load.commands()
    entitlements = ServiceProcess("entitlements", deployment.settings(**SMALL_BATCHES))
    with with_fault(deployment, "entitlements", "zombie") as zombie, entitlements:
        deployment.send(*load.directory())
        zombie.until_ready()
        entitlements.until_ready()
        deployment.until_at_rest("entitlements")
        until("the zombie knows the members", lambda: facts_handled(zombie) >= len(load.directory()), 30)
        deployment.send(*sent)
        deployment.until_at_rest("entitlements")
    load.assert_answered_once(deployment, sent)


def facts_handled(process: ServiceProcess) -> float:
    """Return how many facts a process decided, whatever came of them."""
    samples = [line for line in process.get("/metrics")[1].splitlines() if line.startswith("addonflow_messages_total")]
    return sum(float(sample.rpartition(" ")[2]) for sample in samples if "Updated.v1" in sample)


def test_a_rebalance_under_load_loses_and_doubles_nothing(new_deployment: NewDeployment) -> None:
    """A process that joins under load, takes over shards and gives them back leaves one invoice per purchase."""
    deployment = new_deployment("rebalance")
    with billing(deployment) as first, billing(deployment) as second:
        first.until_ready()
        deployment.send(*load.purchases(1, PURCHASES))
        second.until_ready()
        until("both own shards", lambda: 0 < second.metric("addonflow_shards") < deployment.partitions, 30)
        deployment.send(*load.purchases(PURCHASES + 1, 2 * PURCHASES))
        until_read(deployment, BILLING, len(load.ACCOUNTS) * PURCHASES + 1)
        assert second.terminate() == 0
        deployment.send(*load.purchases(2 * PURCHASES + 1, 3 * PURCHASES))
        deployment.until_at_rest("billing")
        assert first.metric("addonflow_shards") == deployment.partitions
    load.assert_invoiced_once(deployment, 3 * PURCHASES)


def test_all_three_services_killed_under_load_come_to_the_same_end(new_deployment: NewDeployment) -> None:
    """Killed three times under load, the services still give one answer per command and one invoice per purchase.

    No sequence has a gap, and no notification two contents.
    """
    deployment = new_deployment("havoc")
    deployment.send(*load.directory())
    with ServiceProcess("entitlements", deployment.settings()) as entitlements:
        entitlements.until_ready()
        deployment.until_at_rest("entitlements")
    sent = load.commands()
    for third in range(3):
        processes = [ServiceProcess(service, deployment.settings(**SMALL_BATCHES)).start() for service in SERVICES]
        before = len(deployment.read(EVENTS))
        deployment.send(*sent[third * len(sent) // 3 : (third + 1) * len(sent) // 3])
        until_read(deployment, EVENTS, before + 1)
        for process in processes:
            process.kill()
    with_all = [ServiceProcess(service, deployment.settings()).start() for service in SERVICES]
    try:
        deployment.until_at_rest(*SERVICES)
    finally:
        for process in with_all:
            process.kill()
    load.assert_answered_once(deployment, sent)
    load.assert_billed_once(deployment)
    assert set(by_account(deployment.read(NOTIFICATIONS))) == set(load.ACCOUNTS)
