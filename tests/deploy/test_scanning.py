"""Keys of Redis, wherever they lie, in pages."""

import pytest

from deploy.addonflow.scanning import PAGE, key_pages
from services.runtime.settings import Settings
from services.runtime.store import connect_redis

pytestmark = pytest.mark.embedded
SHARDS, EACH = 12, 200


@pytest.mark.parametrize("server", ["embedded_valkey_url", "cluster"])
async def test_every_key_that_matches_comes_in_pages(
    server: str, request: pytest.FixtureRequest, namespace: str
) -> None:
    """On one server and over the nodes of a cluster: all that match and nothing else, no page too long."""
    found = request.getfixturevalue(server)
    settings = Settings(redis_url=getattr(found, "url", found), redis_cluster=server == "cluster")
    names = {f"{{{namespace}s.{shard}}}:account:{number}".encode() for shard in range(SHARDS) for number in range(EACH)}
    async with connect_redis(settings) as redis:
        for name in names:
            await redis.set(name, b"")
            await redis.set(name.replace(b":account:", b":inbox:"), b"")
        pages = [page async for page in key_pages(redis, f"{{{namespace}s.*}}:account:*")]
    assert {name for page in pages for name in page} == names
    assert max(map(len, pages)) <= PAGE
