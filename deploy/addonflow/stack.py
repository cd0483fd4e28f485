"""A whole deployment on this machine: embedded broker and Valkey, the topics, the three services and the dashboard.

Starts in the order of need and stops in the reverse: services first, so that they can publish what is committed.
Everything it writes is below one folder: `valkey/` the state, `logs/` what every process printed, `keys/` a development
key that `addonflow token` signs with.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from contracts.topics import READERS
from deploy.addonflow import topics
from deploy.addonflow.embedded import HOST, free_ports, require_servers, start_broker, start_valkey
from deploy.addonflow.processes import Child, readiness, start_service, stop_all
from deploy.addonflow.rest import reach_redis
from deploy.addonflow.tokens import KeyFolder
from services.runtime.settings import Settings
from services.runtime.virtual_clock import move_clock

READY_SECONDS = 60
DASHBOARD = "dashboard"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where each part listens on 127.0.0.1."""

    kafka: int
    redis: int
    services: Mapping[str, int]
    dashboard: int | None = None  # without one, none is started

    @classmethod
    def free(cls, *, dashboard: bool = False) -> "Ports":
        """Choose ports that nothing listens on."""
        kafka, redis, page, *services = free_ports(3 + len(READERS))
        return cls(kafka, redis, dict(zip(READERS, services, strict=True)), page if dashboard else None)


@dataclass(slots=True)
class Stack:
    """A running deployment. `settings` reach it; `children` are all its processes, in the order they were started."""

    settings: Settings
    ports: Ports
    logs: Path
    keys: KeyFolder
    servers: list[Child] = field(default_factory=list)
    services: list[Child] = field(default_factory=list)

    @property
    def children(self) -> list[Child]:
        """Every process of the deployment."""
        return [*self.servers, *self.services]

    async def stop(self) -> None:
        """Stop everything, services first."""
        await stop_all(self.services)
        await stop_all(self.servers)


def environment(ports: Ports, service: str, extra: Mapping[str, str], *, virtual_clock: bool) -> dict[str, str]:
    """Return the variables of one process: `extra` first, so that addresses are always the stack's own."""
    port = ports.dashboard if service == DASHBOARD else ports.services[service]
    return {
        **extra,
        "ADDONFLOW_KAFKA_BOOTSTRAP": f"{HOST}:{ports.kafka}",
        "ADDONFLOW_KAFKA_IDEMPOTENCE": "false",  # the embedded broker has no idempotent producer
        "ADDONFLOW_REDIS_URL": f"redis://{HOST}:{ports.redis}/0",
        "ADDONFLOW_HTTP_HOST": HOST,
        "ADDONFLOW_HTTP_PORT": str(port),
        "ADDONFLOW_VIRTUAL_CLOCK": str(virtual_clock).lower(),
    }


def trust_in(keys: KeyFolder) -> dict[str, str]:
    """Return the variables by which every process takes the tokens and promises of these keys."""
    return {"ADDONFLOW_TOKEN_JWKS": str(keys.jwks), "ADDONFLOW_PROMISE_KEYS": str(keys.promise_secret)}


def dashboard_environment(ports: Ports, keys: KeyFolder) -> dict[str, str]:
    """Return the variables that only the dashboard has: where the services are, and that anybody may be anyone."""
    services = {
        f"ADDONFLOW_DASHBOARD_{name.upper()}_URL": f"http://{HOST}:{port}" for name, port in ports.services.items()
    }
    return services | {
        "ADDONFLOW_DASHBOARD_PUBLIC_URL": f"http://{HOST}:{ports.dashboard}",
        "ADDONFLOW_DASHBOARD_SECRET_FILE": str(keys.dashboard_secret),
        "ADDONFLOW_DASHBOARD_DEMO_KEYS": str(keys.folder),
    }


def given_settings() -> dict[str, str]:
    """Return the ADDONFLOW_ variables of this process, for a stack that shall respect them."""
    return {name: text for name, text in os.environ.items() if name.startswith("ADDONFLOW_")}


@asynccontextmanager
async def running(
    folder: Path,
    ports: Ports,
    settings: Settings,
    extra: Mapping[str, str],
    report: Callable[[str], None] = lambda _: None,
    begins: datetime | None = None,
) -> AsyncIterator[Stack]:
    """Start a deployment in `folder`, yield it when every service is ready, and stop it however the block ends.

    `settings` without addresses (they come from `ports`); `extra` are more variables for the services. `report` is told
    each step. With `settings.virtual_clock` time stands still, at first at `begins`, else at the machine's time.
    ChildFailed with the last log lines when a part does not come up.
    """
    require_servers()
    address = {"kafka_bootstrap": f"{HOST}:{ports.kafka}", "redis_url": f"redis://{HOST}:{ports.redis}/0"}
    keys = KeyFolder(folder / "keys")
    stack = Stack(settings.model_copy(update=address), ports, folder / "logs", keys)
    try:
        keys.make()
        report("starting the broker and Valkey")
        stack.servers.append(await start_valkey(ports.redis, folder / "valkey", stack.logs))
        stack.servers.append(await start_broker(ports.kafka, stack.logs))
        await topics.create(stack.settings, replication_factor=1)
        if begins is not None:
            async with reach_redis(stack.settings) as redis:
                await move_clock(redis, stack.settings.namespace, begins)
        report("starting entitlements, billing and notifications" + (", and the dashboard" if ports.dashboard else ""))
        for service in READERS:
            given = {**trust_in(keys), **extra}
            variables = environment(ports, service, given, virtual_clock=settings.virtual_clock)
            stack.services.append(await start_service(service, variables, stack.logs))
        if ports.dashboard is not None:
            given = {**trust_in(keys), **dashboard_environment(ports, keys), **extra}
            variables = environment(ports, DASHBOARD, given, virtual_clock=settings.virtual_clock)
            stack.services.append(await start_service(DASHBOARD, variables, stack.logs))
        listening = {**ports.services, DASHBOARD: ports.dashboard or 0}
        await asyncio.gather(*(_until_ready(child, listening[child.name]) for child in stack.services))
        yield stack
    finally:
        stopping = asyncio.create_task(stack.stop())
        while not stopping.done():
            with suppress(asyncio.CancelledError):  # a second Ctrl-C leaves no process behind
                await asyncio.shield(stopping)


async def _until_ready(child: Child, port: int) -> None:
    await child.until(lambda: readiness(HOST, port), READY_SECONDS)
