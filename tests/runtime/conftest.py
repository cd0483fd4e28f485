"""Stores on every server that addonflow promises to run on, each test in a namespace of its own."""

import itertools
import os
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.runtime import functions
from services.runtime.settings import Settings
from services.runtime.store import Store, connect_redis
from tests.valkey_cluster import ValkeyCluster

PARTITIONS = 4
INBOX_RETENTION_MS = 3_600_000
_numbers = itertools.count()
SERVERS = ("embedded_valkey_url", "valkey_url", "redis_server_url")


@pytest.fixture
def namespace() -> str:
    """Give a prefix of keys and topics that no other test has."""
    return f"t{os.getpid()}-{next(_numbers)}."


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that asks for `server_url` on all servers, and what asks for a store on a cluster too."""
    if "server_url" in metafunc.fixturenames:
        marks = {"valkey_url": (pytest.mark.docker,)}
        marks |= dict.fromkeys(("embedded_valkey_url", "cluster"), (pytest.mark.embedded,))
        names = (*SERVERS, "cluster") if "store" in metafunc.fixturenames else SERVERS
        metafunc.parametrize(
            "server_url",
            [pytest.param(name, marks=marks.get(name, ()), id=name.removesuffix("_url")) for name in names],
            indirect=True,
        )


@pytest.fixture
def server_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of one of the servers, or of a node of a cluster."""
    found = request.getfixturevalue(request.param)
    return found.url if isinstance(found, ValkeyCluster) else str(found)


@pytest.fixture
async def redis(request: pytest.FixtureRequest, server_url: str) -> "AsyncIterator[Redis]":
    """Give a client of one of the servers, or of the cluster."""
    in_cluster = "cluster" in request.node.callspec.id
    async with connect_redis(Settings(redis_url=server_url, redis_cluster=in_cluster)) as client:
        await functions.ensure_loaded(client)
        yield client


@pytest.fixture
async def store(redis: Redis, namespace: str) -> Store:
    """Give a store on one of the servers."""
    return Store(redis, namespace, "toy", PARTITIONS, INBOX_RETENTION_MS)


@pytest.fixture
async def embedded_redis(embedded_valkey_url: str) -> "AsyncIterator[Redis]":
    """Give a client of the embedded Valkey."""
    async with Redis.from_url(embedded_valkey_url) as client:
        await functions.ensure_loaded(client)
        yield client


@pytest.fixture
async def embedded_store(embedded_redis: Redis, namespace: str) -> Store:
    """Give a store on the embedded Valkey."""
    return Store(embedded_redis, namespace, "toy", PARTITIONS, INBOX_RETENTION_MS)
