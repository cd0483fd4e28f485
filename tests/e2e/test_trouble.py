"""Kafka or Redis away at start, in the middle, at stop: the service waits and says so; nothing is lost or doubled.

Outages are real: the container is killed, or stands still. What is in flight then is what is checked afterwards.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from contracts.topics import BILLING
from tests.chaos import load
from tests.containers import Kafka, Valkey, away
from tests.e2e.conftest import unique
from tests.e2e.observe import Deployment
from tests.e2e.services import ServiceProcess, until

PURCHASES = 10
STOP_SECONDS_MAX = 25
A_MINUTE = 60
QUICK = {
    "redis_timeout_seconds": 1,
    "kafka_request_timeout_ms": 5_000,
    "log_check_ms": 500,
    "batch_records_max": 10,
    "relay_records_max": 10,
}
Outage = Callable[[Kafka | Valkey], AbstractContextManager[None]]


pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def fragile_kafka() -> Iterator[Kafka]:
    """Give a Kafka that only this module uses."""
    with Kafka() as kafka:
        yield kafka


@pytest.fixture(scope="module")
def fragile_valkey() -> Iterator[Valkey]:
    """Give a Valkey that only this module uses."""
    with Valkey() as valkey:
        yield valkey


@pytest.fixture
def deployment(fragile_kafka: Kafka, fragile_valkey: Valkey) -> Deployment:
    """Give a deployment whose servers may be taken away."""
    made = Deployment(fragile_kafka.bootstrap, fragile_valkey.url, unique("trouble"))
    made.create_topics()
    return made


@pytest.fixture(params=["Kafka", "Valkey"])
def server(request: pytest.FixtureRequest, fragile_kafka: Kafka, fragile_valkey: Valkey) -> Kafka | Valkey:
    """Give the server that goes away."""
    return fragile_kafka if request.param == "Kafka" else fragile_valkey


@contextmanager
def killed(server: Kafka | Valkey) -> Iterator[None]:
    """Have a server killed (kill -9) for the length of the block."""
    with away(server, kill=True):
        yield


@contextmanager
def frozen(server: Kafka | Valkey) -> Iterator[None]:
    """Have a server stand still, its connections open, for the length of the block."""
    container = server.get_wrapped_container()
    container.pause()
    try:
        yield
    finally:
        container.unpause()


def billing(deployment: Deployment) -> ServiceProcess:
    """Return billing, with short timeouts so that a test needs no minutes."""
    return ServiceProcess("billing", deployment.settings(**QUICK))


def test_a_server_away_at_start_is_waited_for(deployment: Deployment, server: Kafka | Valkey) -> None:
    """A service that starts before Kafka or Redis says why it is not ready, and does all its work when they come."""
    deployment.send(*load.purchases(1, PURCHASES))
    with ExitStack() as outage:
        outage.enter_context(killed(server))
        with billing(deployment) as process:
            process.until_logged("cannot reach")
            assert process.until_unready().startswith("starting: ")
            assert process.get("/livez")[0] == 200, "a restart would not bring it back"
            outage.close()
            process.until_ready()
            deployment.until_at_rest("billing")
            assert process.terminate() == 0
    load.assert_invoiced_once(deployment, PURCHASES)


@pytest.mark.parametrize("outage", [killed, frozen])
def test_a_server_away_in_the_middle_blocks_and_drops_nothing(
    deployment: Deployment, server: Kafka | Valkey, outage: Outage
) -> None:
    """Away with work in flight: the service is alive and not ready; afterwards everything has its one effect."""
    with billing(deployment) as process:
        process.until_ready()
        deployment.send(*load.purchases(1, PURCHASES))
        until("the first invoice", lambda: bool(deployment.read(BILLING)), 30)
        deployment.send(*load.purchases(PURCHASES + 1, 5 * PURCHASES))
        with outage(server):
            assert process.until_unready().startswith("cannot ")
            if isinstance(server, Valkey):
                deployment.send(*load.purchases(5 * PURCHASES + 1, 6 * PURCHASES))
            assert process.get("/livez")[0] == 200
            assert process.running
        if isinstance(server, Kafka):
            deployment.send(*load.purchases(5 * PURCHASES + 1, 6 * PURCHASES))
        deployment.until_at_rest("billing")
        process.until_ready()
        assert process.terminate() == 0
    load.assert_invoiced_once(deployment, 6 * PURCHASES)


def test_a_server_away_for_a_minute_is_waited_for(deployment: Deployment, server: Kafka | Valkey) -> None:
    """With the settings of production, a minute without Kafka or Redis in the middle of the work loses nothing."""
    with ServiceProcess("billing", deployment.settings(batch_records_max=10, relay_records_max=1)) as process:
        process.until_ready()
        deployment.send(*load.purchases(1, 5 * PURCHASES))
        until("the first invoice", lambda: bool(deployment.read(BILLING)), 30)
        with killed(server):
            gone = time.monotonic()
            process.until_unready(A_MINUTE, because="cannot ")  # a relay that stands may be noticed before
            until("a minute has passed", lambda: time.monotonic() - gone >= A_MINUTE, A_MINUTE + 10)
            assert process.get("/livez")[0] == 200
            assert process.running
        deployment.until_at_rest("billing", seconds=120)
        process.until_ready()
        assert process.terminate() == 0
    load.assert_invoiced_once(deployment, 5 * PURCHASES)


@pytest.mark.parametrize("outage", [killed, frozen])
def test_a_service_told_to_stop_while_a_server_is_away_stops(
    deployment: Deployment, server: Kafka | Valkey, outage: Outage
) -> None:
    """SIGTERM while Kafka or Redis is away ends the process within a bound and with 0; the next does what it held."""
    with billing(deployment) as process:
        process.until_ready()
        deployment.send(*load.purchases(1, 5 * PURCHASES))
        until("the first invoice", lambda: bool(deployment.read(BILLING)), 30)
        with outage(server):
            process.until_unready()
            assert process.terminate(STOP_SECONDS_MAX) == 0
    with billing(deployment) as successor:
        successor.until_ready()
        deployment.until_at_rest("billing")
    load.assert_invoiced_once(deployment, 5 * PURCHASES)


def test_a_service_told_to_stop_while_it_waits_for_its_start_stops(
    deployment: Deployment, server: Kafka | Valkey
) -> None:
    """SIGTERM before Kafka or Redis ever came ends the process within a bound and with 0."""
    with killed(server), billing(deployment) as process:
        process.until_logged("cannot reach")
        assert process.terminate(STOP_SECONDS_MAX) == 0


def test_a_lost_log_is_published_again(deployment: Deployment) -> None:
    """A topic whose log was lost gets the whole retained outbox again, so readers see everything at least once."""
    deployment.send(*load.purchases(1, PURCHASES))
    with billing(deployment) as process:
        process.until_ready()
        deployment.until_at_rest("billing")
        deployment.lose_log(BILLING)
        until("all invoices again", lambda: len(deployment.read(BILLING)) >= PURCHASES * len(load.ACCOUNTS), 60)
        assert process.metric("addonflow_logs_lost_total") >= 1
    load.assert_invoiced_once(deployment, PURCHASES)
