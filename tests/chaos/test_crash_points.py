"""A service that is killed between any two steps, and started again, gives every message its one effect.

Kill points are set from outside (`launcher.py`); the second process is the unchanged service.
"""

import signal
from collections.abc import Callable

import pytest

from contracts.topics import BILLING, EVENTS
from tests.chaos import launcher, load
from tests.chaos.launcher import POINTS
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, once_each
from tests.e2e.services import ServiceProcess

NewDeployment = Callable[[str], Deployment]
PURCHASES = 20
BATCH = {"batch_records_max": 20, "relay_records_max": 10}


def crash(deployment: Deployment, service: str, point: str, nth: int | None = None) -> None:
    """Run the service until it is killed at the point, for the nth time it comes there.

    Offsets of several batches are saved together, so that there may be no second time; elsewhere it is the second.
    """
    nth = nth or (1 if point.endswith("_offset") else 2)
    with ServiceProcess(service, deployment.settings(**BATCH), launcher.words(service, point, nth)) as doomed:
        assert doomed.wait() == -signal.SIGKILL, doomed.log


def recover(deployment: Deployment, service: str) -> None:
    """Run the unchanged service until it has handled and published everything, and stop it."""
    with ServiceProcess(service, deployment.settings(**BATCH)) as service_process:
        service_process.until_ready()
        deployment.until_at_rest(service)
        assert service_process.terminate() == 0


@pytest.mark.parametrize("point", [name for name in POINTS if name != "after_dead_letter"])
def test_one_invoice_per_purchase_when_billing_is_killed(new_deployment: NewDeployment, point: str) -> None:
    """Every purchase is billed once, in a gap-free series, wherever between two steps billing was killed."""
    deployment = new_deployment(f"billing-{point.replace('_', '-')}")
    deployment.send(*load.purchases(1, PURCHASES))
    crash(deployment, "billing", point)
    recover(deployment, "billing")
    load.assert_invoiced_once(deployment, PURCHASES)


@pytest.mark.parametrize("point", [name for name in POINTS if name != "after_dead_letter"])
def test_one_answer_per_command_when_entitlements_is_killed(new_deployment: NewDeployment, point: str) -> None:
    """Every command has one answer and one effect, wherever between two steps entitlements was killed."""
    deployment = new_deployment(f"ent-{point.replace('_', '-')}")
    deployment.send(*load.directory())
    sent = load.commands()
    with ServiceProcess("entitlements", deployment.settings()) as entitlements:
        entitlements.until_ready()
        deployment.until_at_rest("entitlements")
        assert entitlements.terminate() == 0
    deployment.send(*sent)
    crash(deployment, "entitlements", point)
    recover(deployment, "entitlements")
    load.assert_answered_once(deployment, sent)


def test_what_was_published_before_the_kill_is_published_again_byte_for_byte(new_deployment: NewDeployment) -> None:
    """A kill after the broker's acknowledgement and before the cursor publishes the same bytes a second time."""
    deployment = new_deployment("billing-twice")
    deployment.send(*load.purchases(1, PURCHASES))
    crash(deployment, "billing", "after_publish", nth=1)
    before = deployment.read(BILLING)
    recover(deployment, "billing")
    after = deployment.read(BILLING)
    assert before, "it was killed after publishing something"
    assert len(after) == len(once_each(after)) + len(before)
    load.assert_invoiced_once(deployment, PURCHASES)


def test_a_dead_letter_survives_a_kill_before_its_offset(new_deployment: NewDeployment) -> None:
    """A dead letter written before the kill stays, with one origin however often written; neighbours go on."""
    deployment = new_deployment("billing-dlq")
    unreadable = load.purchases(1, 1)[0].with_(value=b"\xff not JSON").but(ce_id="unreadable")
    deployment.send(*load.purchases(1, 5), unreadable, *load.purchases(6, PURCHASES))
    crash(deployment, "billing", "after_dead_letter", nth=1)
    recover(deployment, "billing")
    letters: list[Record] = deployment.read(EVENTS.dead_letters_of("billing"))
    assert {each.value for each in letters} == {unreadable.value}
    assert len({(each.attributes["dlq_partition"], each.attributes["dlq_offset"]) for each in letters}) == 1
    assert len(letters) == 2, "once before the kill and once after it"
    load.assert_invoiced_once(deployment, PURCHASES)
