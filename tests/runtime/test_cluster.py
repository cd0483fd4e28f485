"""A cluster of three Valkeys: what is different from one server. The store's suite runs on it too (`test_store.py`)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.runtime import functions
from services.runtime.cluster import ClusterClient, everywhere
from services.runtime.errors import ConfigurationError
from services.runtime.gathering import Gathering
from services.runtime.keys import ShardKeys
from services.runtime.redis_check import check_redis, unsafe_settings
from services.runtime.redis_rights import rules_of
from services.runtime.settings import Settings
from services.runtime.store import Store, Wanted, connect_redis
from services.runtime.virtual_clock import move_clock, virtual_now
from tests.runtime.stored import COMMITTED
from tests.runtime.toys import NOW, commit
from tests.valkey_cluster import PRIMARIES, ValkeyCluster, slot_of

SHARDS = 4


@pytest.fixture
def settings(cluster: ValkeyCluster, namespace: str) -> Settings:
    """Give the settings of a process on the cluster."""
    return Settings(redis_url=cluster.url, redis_cluster=True, namespace=namespace, partitions=SHARDS)


@pytest.fixture
async def client(settings: Settings) -> "AsyncIterator[Redis]":
    """Give a process's client of the cluster, the functions loaded."""
    redis = connect_redis(settings)
    await functions.ensure_loaded(redis)
    yield redis
    await redis.aclose()


@pytest.fixture
def keys(namespace: str) -> ShardKeys:
    """Give the keys of a shard."""
    return ShardKeys(namespace, "toy", 0)


@pytest.fixture
def moving(cluster: ValkeyCluster, keys: ShardKeys) -> Iterator[tuple[int, int, int]]:
    """Give a shard's slot, who owns it, and who will; whatever the test left is moved in the end."""
    slot = slot_of(keys.outbox)
    source = cluster.owner(slot)
    target = (source + 1) % PRIMARIES
    yield slot, source, target
    if cluster.owner(slot) == source:
        cluster.end_move(slot, target)


@pytest.fixture
def store(client: Redis, namespace: str) -> Store:
    """Give a store on the cluster."""
    return Store(client, namespace, "toy", SHARDS, 3_600_000)


async def test_every_primary_has_the_functions_also_one_that_lost_them(cluster: ValkeyCluster, store: Store) -> None:
    """Calls for shards on all nodes find the library, and bring it back where it is missing."""
    cluster.clients[1].function_flush()

    for shard in range(SHARDS):
        assert await store.commit(shard, [commit()]) == [COMMITTED]

    assert all(client.function_list(library=functions.LIBRARY) for client in cluster.clients)


async def test_reads_that_go_together_may_be_of_any_slots(client: Redis, namespace: str) -> None:
    """Hashes of all shards are read in one go, each where it is."""
    reads = Gathering(client)
    for shard in range(SHARDS):
        await client.hset(ShardKeys(namespace, "toy", shard).account("acme"), "version", shard)

    accounts = [ShardKeys(namespace, "toy", shard).account("acme") for shard in range(SHARDS)]
    found = await asyncio.gather(*(reads.hmget(account, ["version"]) for account in accounts))

    assert found == [[str(shard).encode()] for shard in range(SHARDS)]


async def test_a_slot_moved_whole_is_found_again(
    cluster: ValkeyCluster, store: Store, moving: tuple[int, int, int]
) -> None:
    """After a shard was moved to another node the next call finds it there, with all it holds."""
    slot, _, target = moving
    assert await store.commit(0, [commit()]) == [COMMITTED]

    cluster.move_whole(slot, target)

    (loaded,) = await store.load(0, [Wanted("acme", [], [])])
    assert loaded.version == 1
    assert await store.commit(0, [commit(version=1)]) == [COMMITTED]


@pytest.mark.parametrize("moved_first", ["the outbox", "the account"])
async def test_nothing_is_decided_in_a_slot_that_is_moved_key_by_key(
    cluster: ValkeyCluster, store: Store, keys: ShardKeys, moving: tuple[int, int, int], moved_first: str
) -> None:
    """Between two nodes a shard is neither loaded nor changed: no account seems new. Afterwards everything goes on."""
    slot, source, target = moving
    assert await store.commit(0, [commit(records=[b"a record"])]) == [COMMITTED]
    cluster.begin_to_move(slot, target)
    cluster.move_keys(source, target, keys.outbox if moved_first == "the outbox" else keys.account("acme"))

    with pytest.raises(RedisError):
        await store.load(0, [Wanted("acme", [], [])])
    with pytest.raises(RedisError):
        await store.commit(0, [commit(version=1)])
    with pytest.raises(RedisError):
        await store.commit(0, [commit("globex", records=[b"a record"])])

    cluster.end_move(slot, target)
    acme, globex = await store.load(0, [Wanted("acme", [], []), Wanted("globex", [], [])])
    assert (acme.version, globex.version) == (1, 0)
    assert await store.outbox_length(0) == 1
    assert await store.commit(0, [commit(version=1)]) == [COMMITTED]


async def test_what_one_node_of_the_cluster_may_forget_is_named(cluster: ValkeyCluster, client: Redis) -> None:
    """Every node is looked at, replicas too: each may become the one that holds a shard."""
    assert await unsafe_settings(client) == []
    assert len(await everywhere(client, "PING")) == len(cluster.clients)
    cluster.clients[-1].config_set("appendfsync", "everysec")
    try:
        assert await unsafe_settings(client) == ["appendfsync is everysec, set it to always"]
    finally:
        cluster.clients[-1].config_set("appendfsync", "always")


async def test_a_cluster_and_a_server_are_not_taken_for_each_other(
    settings: Settings, embedded_valkey_url: str
) -> None:
    """Without the setting a cluster is refused, with it a single server; the line says what to set."""
    as_server = settings.model_copy(update={"redis_cluster": False})
    as_cluster = settings.model_copy(update={"redis_url": embedded_valkey_url})
    for wrong, said in ((as_server, "set ADDONFLOW_REDIS_CLUSTER=true"), (as_cluster, "set it to false")):
        redis = connect_redis(wrong)
        with pytest.raises(ConfigurationError, match=said):
            await check_redis(redis, wrong)
        await redis.aclose()


async def test_a_service_needs_no_more_rights_in_a_cluster(
    cluster: ValkeyCluster, settings: Settings, client: Redis, namespace: str, tmp_path: Path
) -> None:
    """With the rights of `redis_rights.py`, given on every node, it starts, loads, commits and reads."""
    user, secret = f"{namespace}toy", tmp_path / "password"
    secret.write_text("a password of this test", encoding="utf-8")
    rules = rules_of(namespace, "toy", virtual_clock=False, cluster=True)
    await everywhere(client, "ACL SETUSER", user, "reset", *rules, f">{secret.read_text(encoding='utf-8')}")
    own = connect_redis(settings.model_copy(update={"redis_username": user, "redis_password_file": secret}))
    try:
        await check_redis(own, settings, "toy")
        await functions.ensure_loaded(own)
        store = Store(own, namespace, "toy", SHARDS, 3_600_000)
        assert await store.commit(0, [commit(document=b"{}")]) == [COMMITTED]
        assert (await store.look(0, "acme", [])).document == b"{}"
    finally:
        await own.aclose()
        await everywhere(client, "ACL DELUSER", user)


async def test_a_cluster_out_of_reach_is_waited_for() -> None:
    """Nobody at the address is the same trouble as with one server."""
    redis = connect_redis(Settings(redis_url="redis://127.0.0.1:1/0", redis_cluster=True))
    with pytest.raises(RedisError):
        await redis.get("anything")
    await redis.aclose()


async def test_a_virtual_clock_is_kept_in_a_cluster(client: Redis, namespace: str) -> None:
    """The deployment's time is read and moved as on one server."""
    await move_clock(client, namespace, NOW)

    assert await virtual_now(client, namespace) == NOW
    assert isinstance(client, ClusterClient)
