"""Streams of server-sent events, read as they come."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.entitlements.serving import PRODUCT, Served

SECONDS = 5


class Stream:
    """An open stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def block(self) -> dict[str, str]:
        """Return the next event or comment by its fields; StopAsyncIteration at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(SECONDS):
            async for line in self._lines:
                if not line and fields:
                    return fields
                name, _, value = line.partition(": ")
                if line:
                    fields[name or "comment"] = value
        raise StopAsyncIteration

    async def event(self) -> dict[str, str]:
        """Return the next event."""
        while "data" not in (found := await self.block()):
            pass
        return found

    async def accesses(self) -> list[str]:
        """Return the accesses in the next event, in the catalog's order."""
        document: dict[str, Any] = json.loads((await self.event())["data"])
        return [each["access"] for each in document["entitlements"]]

    async def ended(self) -> bool:
        """Say whether nothing more comes, and the stream was ended properly."""
        try:
            await self.event()
        except StopAsyncIteration:
            return True
        return False

    async def silent(self, seconds: float = 0.15) -> bool:
        """Say whether nothing comes for so long; the stream cannot be read afterwards."""
        try:
            async with asyncio.timeout(seconds):
                await self.event()
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def streamed(served: Served, account_id: str = "acme", **headers: str) -> AsyncIterator[Stream]:
    """Open an account's stream, as a product unless told otherwise."""
    path = f"/v1/accounts/{account_id}/entitlements/changes"
    async with served.client.stream("GET", path, headers=PRODUCT | headers) as response:
        assert response.status_code == 200
        yield Stream(response)
