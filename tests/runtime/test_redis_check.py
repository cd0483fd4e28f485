"""The start refuses a Redis that may forget what it acknowledged, and another number of partitions than before."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from services.runtime.errors import ConfigurationError
from services.runtime.redis_check import check_redis, unsafe_settings
from services.runtime.settings import Settings

UNSAFE = [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")]
SAFE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


@pytest.fixture
async def server(redis: Redis) -> AsyncIterator[Redis]:
    """Give a server whose settings are put back afterwards."""
    yield redis
    for name, value in SAFE.items():
        await redis.config_set(name, value)


def settings(namespace: str, *, allowed: bool = False, partitions: int = 12) -> Settings:
    """Return the settings of a process."""
    return Settings(namespace=namespace, partitions=partitions, redis_unsafe_allowed=allowed)


async def test_a_durable_server_is_fine(server: Redis, namespace: str) -> None:
    """Append-only file, fsync always and no eviction: nothing to say, however often it starts."""
    assert await unsafe_settings(server) == []
    await check_redis(server, settings(namespace))
    await check_redis(server, settings(namespace))


@pytest.mark.parametrize(("name", "value"), UNSAFE)
async def test_an_unsafe_server_is_refused(server: Redis, namespace: str, name: str, value: str) -> None:
    """One line says what is set and what to set instead; told so, the process starts all the same."""
    await server.config_set(name, value)

    with pytest.raises(ConfigurationError) as caught:
        await check_redis(server, settings(namespace))
    assert f"{name} is {value}, set it to {SAFE[name]}" in str(caught.value)
    assert "ADDONFLOW_REDIS_UNSAFE_ALLOWED=true" in str(caught.value)
    assert "\n" not in str(caught.value)

    await check_redis(server, settings(namespace, allowed=True))


async def test_a_server_that_hides_its_settings_is_refused(server: Redis, namespace: str) -> None:
    """Where CONFIG is forbidden nobody sees the durability: refused in one line, or started at one's own risk."""
    await server.acl_setuser("blind", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=["-config"])
    connection = server.connection_pool.connection_kwargs
    async with Redis(host=connection["host"], port=connection["port"], username="blind", password="any") as blind:
        with pytest.raises(
            ConfigurationError, match=r"its settings cannot be seen .* permit CONFIG GET; or set ADDONFLOW"
        ):
            await check_redis(blind, settings(namespace))
        await check_redis(blind, settings(namespace, allowed=True))
    await server.acl_deluser("blind")


async def test_everything_unsafe_is_said_at_once(server: Redis, namespace: str) -> None:
    """An operator learns all that is wrong from one start."""
    for name, value in UNSAFE:
        await server.config_set(name, value)

    assert len(await unsafe_settings(server)) == 3


async def test_the_number_of_partitions_is_fixed(server: Redis, namespace: str) -> None:
    """The first start fixes it for the deployment; another number is refused, whatever else is allowed."""
    await check_redis(server, settings(namespace, partitions=12))

    with pytest.raises(ConfigurationError, match=r"^ADDONFLOW_PARTITIONS=24, but .* has 12 shards: set it to 12$"):
        await check_redis(server, settings(namespace, partitions=24, allowed=True))
    await check_redis(server, settings(f"other-{namespace}", partitions=24))
