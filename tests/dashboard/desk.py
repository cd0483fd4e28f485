"""A dashboard without servers: its application over ASGI, with a key of its own and no Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from deploy.addonflow.tokens import KeyFolder
from services.dashboard.app import application
from services.dashboard.parts import Dashboard
from services.dashboard.settings import DashboardSettings
from services.runtime.settings import Settings

NOWHERE = "http://127.0.0.1:9"  # nothing listens on the discard port


def desk_of(folder: Path, *, demo: bool = False, **said: Any) -> Dashboard:
    """Return the parts of a dashboard whose keys are in a folder, and whose services are away."""
    keys = KeyFolder(folder)
    keys.make()
    urls = {f"{name}_url": NOWHERE for name in ("entitlements", "billing", "notifications")}
    own = DashboardSettings(
        secret_file=keys.dashboard_secret, demo_keys=folder if demo else None, request_seconds=1, **(urls | said)
    )
    return Dashboard(Settings(token_jwks=str(keys.jwks), kafka_bootstrap="127.0.0.1:9"), own)


@asynccontextmanager
async def browsing(desk: Dashboard, base: str = "http://127.0.0.1:8080") -> AsyncIterator[httpx.AsyncClient]:
    """Visit the pages without their lifespan."""
    transport = httpx.ASGITransport(application(desk), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        yield client
    await desk.client.close()


def token_of(folder: Path, **claims: str) -> str:
    """Sign a token of this deployment's."""
    return KeyFolder(folder).sign(claims, Settings(), 1)


def expired_token_of(folder: Path, **claims: str) -> str:
    """Sign a token whose time is over."""
    return KeyFolder(folder).sign(claims, Settings(), -1)


def csrf_of(page: httpx.Response) -> str:
    """Return what the forms of a page carry for its session."""
    return page.text.partition('name="csrf" value="')[2].partition('"')[0]


async def sign_in(client: httpx.AsyncClient, token: str) -> httpx.Response:
    """Sign in with a token, as the form does."""
    page = await client.get("/sign-in")
    return await client.post("/sign-in", data={"csrf": csrf_of(page), "token": token})
