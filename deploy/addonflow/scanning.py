"""Keys of Redis by a pattern, in pages that can be read with one pipeline each."""

from collections.abc import AsyncIterator
from typing import Any, Final

PAGE: Final = 1_000


async def key_pages(redis: Any, pattern: str) -> AsyncIterator[list[bytes]]:
    """Yield the keys that match, at most `PAGE` at once; a key may come twice. Cost: a scan of the server's keys."""
    page: list[bytes] = []
    async for key in redis.scan_iter(match=pattern, count=PAGE):
        page.append(key)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page
