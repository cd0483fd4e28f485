"""Refuses to run on a Redis that may forget what it acknowledged, and fixes the number of partitions for good."""

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from services.runtime.errors import ConfigurationError
from services.runtime.keys import deployment_key
from services.runtime.settings import Settings

DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


async def unsafe_settings(redis: Redis) -> list[str]:
    """Return what is set otherwise than durability needs: ["appendonly is no, set it to yes", …].

    A server that lets nobody see its settings (managed ones do) counts as unsafe: who knows it to be durable says so.
    """
    try:
        found = {name: (await redis.config_get(name)).get(name) for name in DURABLE}
    except ResponseError as error:
        if isinstance(error, NoPermissionError) or "unknown command" in str(error).lower():
            return [f"its settings cannot be seen ({error}), permit CONFIG GET"]
        raise
    return [f"{name} is {found[name]}, set it to {value}" for name, value in DURABLE.items() if found[name] != value]


def switching_field(service: str) -> str:
    """Name the field of the deployment's hash that stands while a rebuild puts a service's state in its place."""
    return f"switching:{service}"


async def check_redis(redis: Redis, settings: Settings, service: str = "") -> None:
    """Raise ConfigurationError for an unsafe server (unless allowed) or another number of partitions than before.

    Also where the state of `service` is neither what it was nor what a rebuild was about to make of it.
    """
    problems = await unsafe_settings(redis)
    if problems and not settings.redis_unsafe_allowed:
        raise ConfigurationError(
            f"Redis may lose acknowledged writes: {'; '.join(problems)}; or set ADDONFLOW_REDIS_UNSAFE_ALLOWED=true"
        )
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
