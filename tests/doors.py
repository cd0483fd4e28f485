"""A service's HTTP application over a real store, called in the process: everything but the socket and Kafka.

async with opened(DECIDER, doors, answer, redis, namespace) as service:
await service.tell(account(), member("owner"))          # facts, as from Kafka
reply = await service.get("/v1/accounts/acme/add-ons", user="owner")
"""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter
from redis.asyncio import Redis

from contracts.payload import Payload
from contracts.topics import READERS, topic_of
from services.runtime import functions
from services.runtime.allowance import Allowance
from services.runtime.authentication import STAFF_SCOPE, Authentication
from services.runtime.clock import ManualClock
from services.runtime.codec import Outgoing, unpack
from services.runtime.committing import Committing
from services.runtime.decision import Answer, Cause, Decider
from services.runtime.delivery import Delivery
from services.runtime.door import Door
from services.runtime.handling import Handling
from services.runtime.health import Health
from services.runtime.http import make_application
from services.runtime.keys import shard_of
from services.runtime.opening import Opening
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import FIRST, Store
from tests.tokens import Issuer, bearer

ISSUER = Issuer()
_INBOX_RETENTION_MS = 3_600_000


class _NoDeadLetters:
    """Nothing unreadable comes through a door."""


@dataclass
class Opened:
    """A service whose doors are open as far as `opening` says: `client` calls them, `clock` is its time."""

    client: httpx.AsyncClient
    clock: ManualClock
    store: Store
    opening: Opening
    settings: Settings
    woken: list[int]
    health: Health
    patience: Patience
    redis: Redis
    handling: Handling[Any]
    _committing: Committing[Any]

    async def tell(self, *messages: Payload, command_id: str | None = None) -> None:
        """Have the service handle messages that come from Kafka, in order."""
        for number, message in enumerate(messages):
            shard = shard_of(message.account_id, self.settings.partitions)
            cause = Cause(command_id or f"told-{message.ce_type}-{number}", message.ce_type)
            delivery = Delivery(message.account_id, message, cause, topic_of(type(message)))
            assert await self._committing.run(shard, [delivery]) == []

    async def get(self, path: str, user: str = "owner", account: str = "acme", **headers: str) -> httpx.Response:
        """Ask as a member."""
        return await self.client.get(path, headers=bearer(ISSUER.token(user, account)) | headers)

    async def post(
        self, path: str, body: Any, *, user: str = "owner", account: str = "acme", key: str | None = "key-1"
    ) -> httpx.Response:
        """Send a body as a member, with an idempotency key."""
        headers = bearer(ISSUER.token(user, account)) | ({"Idempotency-Key": key} if key else {})
        return await self.client.post(path, json=body, headers=headers)

    async def post_as_staff(self, path: str, body: Any, *, key: str = "key-1", staff: str = "sue") -> httpx.Response:
        """Send a body as one of the vendor's staff."""
        headers = bearer(ISSUER.token(staff, None, scope=STAFF_SCOPE)) | {"Idempotency-Key": key}
        return await self.client.post(path, json=body, headers=headers)

    async def forget(self, account_id: str = "acme") -> None:
        """Let the retention of the answers to an account's commands pass."""
        keys = [key async for key in self.redis.scan_iter(f"{{{self.settings.namespace}*:inbox:{account_id} *")]
        assert await self.redis.delete(*keys) == len(keys) > 0

    async def said(self, account_id: str = "acme") -> list[Outgoing]:
        """Return what the account's shard has to publish, in order."""
        shard = shard_of(account_id, self.settings.partitions)
        return [unpack(record) for _, record in await self.store.outbox(shard, FIRST, 1_000)]


@asynccontextmanager
async def opened(
    service: str,
    decider: Decider[Any],
    doors: Callable[[Door[Any]], APIRouter],
    redis: Redis,
    namespace: str,
    now: datetime,
    answer: Answer | None = None,
    *,
    commands: bool = True,
    **settings: Any,
) -> AsyncIterator[Opened]:
    """Open a service's doors over `redis`, in a namespace of its own, at the instant `now`; perhaps not to commands."""
    await functions.ensure_loaded(redis)
    with tempfile.TemporaryDirectory() as folder:
        keys = ISSUER.write(Path(folder) / "jwks.json")
        chosen: dict[str, Any] = {"partitions": 4, "commands_per_minute": 10_000} | settings
        known = Settings(namespace=namespace, token_jwks=str(keys), **chosen)
        clock, health = ManualClock(now), Health(30)
        patience = Patience(health, 100)
        woken: list[int] = []
        store = Store(redis, namespace, service, known.partitions, _INBOX_RETENTION_MS)
        committing = Committing(decider, answer, store, clock, conflicts_max=20)
        handling: Handling[Any] = Handling(
            committing=committing,
            topics=READERS[service],
            dead_letters=_NoDeadLetters(),  # type: ignore[arg-type]
            patience=patience,
            clock=clock,
            settings=known,
            wake=woken.append,
        )
        opening = Opening()
        opening.to_reads()
        if commands:
            opening.to_commands()
        door: Door[Any] = Door(
            decider, store, handling, clock, known, Authentication(known), Allowance(known.requests_per_minute), opening
        )
        application = make_application(service, doors(door), health, known)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield Opened(client, clock, store, opening, known, woken, health, patience, redis, handling, committing)
