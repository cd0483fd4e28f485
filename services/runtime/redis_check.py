"""Refuses to run on a Redis that may forget what it acknowledged, and fixes the number of partitions for good."""

import itertools
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from services.runtime.cluster import ClusterClient, everywhere
from services.runtime.connecting import redis_refusal
from services.runtime.errors import ConfigurationError
from services.runtime.keys import deployment_key
from services.runtime.settings import Settings

DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


async def unsafe_settings(redis: Redis) -> list[str]:
    """Return what is set otherwise than durability needs, at any node: ["appendonly is no, set it to yes", …].

    A server that lets nobody see its settings (managed ones do) counts as unsafe: who knows it to be durable says so.
    """
    try:
        found = {name: await everywhere(redis, "CONFIG GET", name) for name in DURABLE}
    except ResponseError as error:
        if isinstance(error, NoPermissionError) or "unknown command" in str(error).lower():
            return [f"its settings cannot be seen ({error}), permit CONFIG GET"]
        raise
    others = {
        name: [each.get(name) for each in found[name] if each.get(name) != value] for name, value in DURABLE.items()
    }
    return [f"{name} is {other[0]}, set it to {DURABLE[name]}" for name, other in others.items() if other]


async def _is_node_of_a_cluster(redis: Any) -> bool:
    """Whether a client of one server has a node of a cluster before it: HELLO says so, and needs no right."""
    if isinstance(redis, ClusterClient):
        return False
    said = await redis.execute_command("HELLO")
    parts = [part for pair in said.items() for part in pair] if isinstance(said, dict) else said
    return (b"mode", b"cluster") in itertools.pairwise(parts)


def switching_field(service: str) -> str:
    """Name the field of the deployment's hash that stands while a rebuild puts a service's state in its place."""
    return f"switching:{service}"


def rebuilds_field(service: str) -> str:
    """Name the field of the deployment's hash that counts how often a service's state was rebuilt."""
    return f"rebuilds:{service}"


async def count_rebuilds(redis: Any, namespace: str, service: str) -> int:
    """Return how often a service's state was rebuilt, as far as this Redis remembers."""
    return int(await redis.hget(deployment_key(namespace), rebuilds_field(service)) or 0)


async def check_redis(redis: Redis, settings: Settings, service: str = "") -> None:
    """Raise ConfigurationError for an unsafe server (unless allowed) or another number of partitions than before.

    Also when it refuses this process, and where the state of `service` is neither what it was nor what a rebuild was
    about to make of it.
    """
    try:
        await _check(redis, settings, service)
    except RedisError as error:
        refusal = redis_refusal(error, settings)
        if refusal is None:
            raise
        raise refusal from error


async def _check(redis: Redis, settings: Settings, service: str) -> None:
    problems = await unsafe_settings(redis)
    if problems and not settings.redis_unsafe_allowed:
        raise ConfigurationError(
            f"Redis may lose acknowledged writes: {'; '.join(problems)}; or set ADDONFLOW_REDIS_UNSAFE_ALLOWED=true"
        )
    if await _is_node_of_a_cluster(redis):
        raise ConfigurationError("Redis is a node of a cluster: set ADDONFLOW_REDIS_CLUSTER=true")
    key = deployment_key(settings.namespace)
    await redis.hsetnx(key, "partitions", str(settings.partitions))
    fixed = int(await redis.hget(key, "partitions") or 0)
    if fixed != settings.partitions:
        raise ConfigurationError(
            f"ADDONFLOW_PARTITIONS={settings.partitions}, but the stored state has {fixed} shards: set it to {fixed}"
        )
    if service and await redis.hexists(key, switching_field(service)):
        raise ConfigurationError(
            f"a rebuild or restore was interrupted as it put the state of {service} in place: run it again "
            f"(`addonflow rebuild {service}`)"
        )
