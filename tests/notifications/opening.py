"""Notifications with its doors open: an account in New York, a member of each role, and where to ask."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import httpx
from redis.asyncio import Redis

from services.notifications.api import doors
from services.notifications.domain import NotificationsDecider
from services.runtime.clock import to_milliseconds
from services.runtime.keys import shard_of
from tests.doors import Opened, opened
from tests.notifications.messages import ACCOUNT, ANALYTICS, CATALOG, DAY, START, account, member, owner

ROOT = f"/v1/accounts/{ACCOUNT}"
FEATURES, TOLD = f"{ROOT}/feature-requests", f"{ROOT}/notifications"
PEOPLE = f"{FEATURES}/{ANALYTICS}"
_numbers = count()


@asynccontextmanager
async def notifications(url: str) -> AsyncIterator[Opened]:
    """Open notifications over a store of its own, with an account and one member of each role, whose id is the role."""
    namespace = f"told{os.getpid()}-{next(_numbers)}."
    async with (
        Redis.from_url(url) as redis,
        opened("notifications", NotificationsDecider(CATALOG), doors, redis, namespace, START) as service,
    ):
        roles = ("admin", "supervisor", "agent")
        await service.tell(account(), owner("owner"), *(member(role, role) for role in roles))
        yield service


def templates(reply: httpx.Response) -> list[str]:
    """Return what a page of notifications says."""
    return [each["template"] for each in reply.json()["notifications"]]


async def digest_comes(service: Opened) -> None:
    """Let a day pass, and have what is due then handled."""
    service.clock.advance(DAY)
    shard = shard_of(ACCOUNT, service.settings.partitions)
    due = await service.store.due_timers(shard, to_milliseconds(service.clock.now()), 10)
    await service.handling.handle_timers(shard, due)
