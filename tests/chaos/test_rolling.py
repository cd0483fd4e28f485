"""Several processes of a service, started, stopped and restarted one after the other under load."""

from collections.abc import Callable
from contextlib import ExitStack

from tests.chaos.ongoing import ongoing
from tests.e2e.observe import Deployment
from tests.e2e.services import ServiceProcess, until

NewDeployment = Callable[[str], Deployment]
SERVICES = ("entitlements", "billing")
NAMES = ("a", "b")
RESTARTS = (("entitlements", "a", "stop"), ("entitlements", "b", "kill"), ("billing", "a", "stop"))
SESSION_MS = 30_000  # longer than any restart on a busy machine


def process(deployment: Deployment, service: str, name: str | None) -> ServiceProcess:
    """Return a process with a name of its own in its group, or without."""
    name_setting = {"instance_id": name} if name else {}
    return ServiceProcess(service, deployment.settings(kafka_session_timeout_ms=SESSION_MS, **name_setting))


def shards(running: ServiceProcess) -> float:
    """Return how many shards a process owns."""
    return running.metric("addonflow_shards")


def until_shared(deployment: Deployment, *processes: ServiceProcess) -> None:
    """Wait until each of a service's processes owns shards, and together all."""

    def shared() -> bool:
        owned = [shards(each) for each in processes]
        return all(owned) and sum(owned) == deployment.partitions

    until("the shards are shared out", shared, 60)


def until_owns(running: ServiceProcess, number: float) -> None:
    """Wait until a process owns so many shards."""
    until(f"it owns {number:.0f} shards", lambda: shards(running) == number, SESSION_MS / 1_000)


def moves(running: ServiceProcess) -> int:
    """Return how often a process was given shards."""
    return running.log.count("owns shards")


def test_processes_started_stopped_and_restarted_under_load_lose_and_double_nothing(
    new_deployment: NewDeployment,
) -> None:
    """A third process joins and leaves; named ones, stopped or killed, come back to their shards unnoticed."""
    deployment = new_deployment("rolling")
    with ExitStack() as stack:
        running = {
            (service, name): stack.enter_context(process(deployment, service, name))
            for service in SERVICES
            for name in NAMES
        }
        for service in SERVICES:
            until_shared(deployment, *(running[service, name] for name in NAMES))
        work = stack.enter_context(ongoing(deployment))

        with process(deployment, "entitlements", None) as third:
            deciding = [running["entitlements", name] for name in NAMES]
            until_shared(deployment, *deciding, third)
            work.until_more()
            assert third.terminate() == 0
            until_shared(deployment, *deciding)

        for service, name, how in RESTARTS:
            old = running.pop((service, name))
            others = {each: moves(each) for each in running.values()}
            owned = shards(old)
            if how == "kill":
                old.kill()
            else:
                assert old.terminate() == 0
            running[service, name] = again = stack.enter_context(process(deployment, service, name))
            until_owns(again, owned)
            work.until_more()
            assert {each: moves(each) for each in others} == others
        work.end()
        deployment.until_at_rest(*SERVICES)
    work.assert_done_once()
