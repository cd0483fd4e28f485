"""Loads the function library into Redis and calls it; `functions.lua` describes what it does and the data it keeps.

A library is named after a digest of its text, so another release's functions live beside it and never under its name.
A server that has lost its functions (FLUSHALL, failover to an empty replica) gets them back at the next call.
"""

import hashlib
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from services.runtime.errors import ConfigurationError

_TEXT = files("services.runtime").joinpath("functions.lua").read_text("utf-8")
VERSION = hashlib.sha256(_TEXT.encode()).hexdigest()[:12]
LIBRARY = f"addonflow_{VERSION}"
_SOURCE = _TEXT.replace("VERSION", VERSION)


async def is_loaded(redis: Redis) -> bool:
    """Whether the server has the library, in a cluster every primary."""
    listed: Any = await redis.function_list(library=LIBRARY)
    return all(listed.values()) if isinstance(listed, dict) else bool(listed)  # a cluster's answers are by node


async def ensure_loaded(redis: Redis) -> None:
    """Load the library where it is missing. Two processes may do so at once: the text is the same."""
    try:
        if not await is_loaded(redis):
            await redis.function_load(_SOURCE, replace=True)
    except NoPermissionError as error:
        raise ConfigurationError(
            f"this release's functions are not on Redis, and this user may not load them ({error}): "
            "run `addonflow access create`"
        ) from error
    except ResponseError as error:
        if "function" in str(error).lower():  # it reached the server's compiler: waiting would not help
            raise ConfigurationError(
                f"Redis 7+ or Valkey is needed, this server refuses the functions: {error}"
            ) from error
        raise


async def call(redis: Redis, function: str, key: str, *arguments: str | bytes | int) -> Any:
    """Call `function` for the shard of `key`, loading the library first when the server does not know it."""
    name = f"{LIBRARY}_{function}"
    try:
        return await redis.fcall(name, 1, key, *arguments)
    except ResponseError as error:
        if "function not found" not in str(error).lower():
            raise
    await ensure_loaded(redis)
    return await redis.fcall(name, 1, key, *arguments)
