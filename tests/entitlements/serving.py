"""Entitlements behind its doors, on a real Valkey and a real socket, with a clock that is moved by hand; no Kafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import uvicorn
from redis.asyncio import Redis

from services.entitlements.account import Entitlements
from services.entitlements.api import doors
from services.entitlements.domain import answer
from services.runtime import functions
from services.runtime.allowance import Allowance
from services.runtime.authentication import PRODUCT_SCOPE, STAFF_SCOPE, Authentication
from services.runtime.clock import ManualClock
from services.runtime.committing import Committing
from services.runtime.decision import Cause, Message, TimerDue
from services.runtime.delivery import Delivery
from services.runtime.door import Door
from services.runtime.health import Health
from services.runtime.http import make_application
from services.runtime.keys import shard_of
from services.runtime.opening import Opening
from services.runtime.settings import Settings
from services.runtime.store import Store
from tests.entitlements.scenario import DECIDER, NOW
from tests.tokens import Issuer, bearer

ISSUER = Issuer()
PRODUCT = bearer(ISSUER.token("dialer", None, scope=PRODUCT_SCOPE))
STAFF_MEMBER = bearer(ISSUER.token("sue", None, scope=STAFF_SCOPE))


def member_token(user_id: str = "owner", account_id: str = "acme") -> dict[str, str]:
    """Return the header of a member."""
    return bearer(ISSUER.token(user_id, account_id))


@dataclass
class Served:
    """Entitlements that answers at `url`."""

    door: Door[Entitlements]
    committing: Committing[Entitlements]
    clock: ManualClock
    client: httpx.AsyncClient
    server: uvicorn.Server
    url: str = ""
    told: int = 0
    serving: "asyncio.Task[None] | None" = field(default=None)

    async def tell(self, *messages: Message) -> None:
        """Let messages happen, as they would from Kafka."""
        for message in messages:
            self.told += 1
            kind = "timer" if isinstance(message, TimerDue) else message.ce_type
            cause = Cause(f"{message.account_id}-{self.told}", kind)
            shard = shard_of(message.account_id, self.door.settings.partitions)
            await self.committing.run(shard, [Delivery(message.account_id, message, cause, None)])

    def advance(self, **step: float) -> None:
        """Move the clock."""
        self.clock.advance(timedelta(**step))

    async def get(self, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """Ask about acme, as a product unless told otherwise."""
        return await self.client.get(f"/v1/accounts/acme{path}", headers=PRODUCT | (headers or {}), **more)

    async def end(self) -> None:
        """Stop as a process does: streams first, then the server."""
        self.door.ending.set()
        self.server.should_exit = True
        if self.serving is not None:
            await self.serving


def door_on(redis: Redis, settings: Settings, clock: ManualClock) -> Door[Entitlements]:
    """Return a door on this server; commands are not asked through it."""
    store = Store(redis, settings.namespace, "entitlements", settings.partitions, 3_600_000)
    allowance, opening = Allowance(settings.requests_per_minute), Opening()
    opening.to_reads()
    return Door(DECIDER, store, cast("Any", None), clock, settings, Authentication(settings), allowance, opening)


@asynccontextmanager
async def serving(valkey: str, namespace: str, folder: Path, **changes: Any) -> AsyncIterator[Served]:
    """Run entitlements for the time of the block; `changes` are settings."""
    settings = Settings(
        namespace=namespace,
        redis_url=valkey,
        token_jwks=str(ISSUER.write(folder / "jwks.json")),
        **({"stream_poll_ms": 20, "requests_per_minute": 100_000} | changes),
    )
    clock = ManualClock(NOW)
    async with Redis.from_url(valkey) as redis:
        await functions.ensure_loaded(redis)
        door = door_on(redis, settings, clock)
        application = make_application("entitlements", doors(door), Health(60), settings)
        config = uvicorn.Config(
            application, "127.0.0.1", 0, log_level="warning", lifespan="off", timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        committing = Committing(DECIDER, answer, door.store, clock, conflicts_max=5)
        async with httpx.AsyncClient(timeout=10) as client:
            served = Served(door, committing, clock, client, server)
            served.serving = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            served.url = f"http://127.0.0.1:{port}"
            client.base_url = httpx.URL(served.url)
            try:
                yield served
            finally:
                with suppress(asyncio.CancelledError):
                    await served.end()
