"""Rights on Redis, on every server: a service can do all that it does, and nothing else."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from services.runtime import functions
from services.runtime.clock import SystemClock
from services.runtime.errors import ConfigurationError
from services.runtime.health import Health
from services.runtime.keys import ShardKeys, clock_key, deployment_key
from services.runtime.patience import Patience
from services.runtime.redis_check import check_redis
from services.runtime.redis_rights import HEALTH_RULES, rules_of
from services.runtime.settings import Settings
from services.runtime.skew import Skew
from services.runtime.store import FIRST, Store, Wanted
from services.runtime.virtual_clock import VirtualClock, check_clock
from tests.runtime.conftest import INBOX_RETENTION_MS, PARTITIONS
from tests.runtime.stored import COMMITTED, EVERYTHING
from tests.runtime.toys import commit

PERMITTED = {
    *"exists fcall hget hgetall hmget xlen xrange zcount zrangebyscore".split(),
    *"del hdel hlen hset mget set xadd xrevrange xtrim zadd zcard zrem".split(),  # what the functions call
    *"hexists hsetnx".split(),  # on the deployment's key
    *"config|get function|list select time".split(),
}
WITHOUT_PERMISSION = set("auth hello quit reset".split())  # anybody may say who they are, or leave
DENIED = "no permissions to run"


@pytest.fixture
async def as_user(redis: Redis, server_url: str, namespace: str) -> AsyncIterator[Any]:
    """Give a maker of clients that come in as a service's user; what was denied to it is told by `denied`."""
    made: list[Redis] = []

    async def come_in(service: str, *, virtual_clock: bool = False) -> Redis:
        name = f"{namespace}{service}"
        rules = rules_of(namespace, service, virtual_clock=virtual_clock)
        await redis.execute_command("ACL SETUSER", name, "reset", *rules, ">secret")
        made.append(Redis.from_url(server_url, username=name, password="secret", driver_info=None))
        return made[-1]

    await redis.execute_command("ACL LOG", "RESET")
    yield come_in
    for client in made:
        await client.aclose()
    for service in ("toy", "other"):
        await redis.execute_command("ACL DELUSER", f"{namespace}{service}")


async def denied(redis: Redis, namespace: str) -> list[tuple[str, str]]:
    """Return what was denied to users of the namespace: reason and object."""
    entries: list[dict[str, Any]] = await redis.acl_log()
    return [(entry["reason"], entry["object"]) for entry in entries if str(entry["username"]).startswith(namespace)]


async def do_everything(store: Store) -> None:
    """Call all that a service calls on its store."""
    assert await store.commit(0, [commit(**EVERYTHING)]) == [COMMITTED]
    await store.commit(0, [commit(version=1, rows=["person:ann", b""], timers=["alarm", -1], gaps=["x", ""])])
    (loaded,) = await store.load(0, [Wanted("acme", ["command-1"], ["person:bob"])])
    assert loaded.version == 2
    await store.look(0, "acme", ["person:bob"])
    assert await store.versions([(0, "acme"), (1, "globex")]) == [2, 0]
    await store.due_timers(0, 10_000, 10)
    store.recent.forget_before(0, "9999999999999-0")
    entries = await Store.outbox(store, 0, FIRST, 10)
    assert entries
    assert await store.advance_relay(0, FIRST, entries[-1][0], {"topic": 1}, trim_before="1-0")
    await store.relay_position(0)
    await store.rewind_relay(0)
    assert await store.outbox_length(0) > 0
    assert await store.has_spoken(0)
    await store.gaps(0)
    assert (await store.pending({0: FIRST}, 10_000))[0].entries > 0


@pytest.mark.parametrize("virtual_clock", [False, True])
async def test_a_service_can_do_all_that_it_does(
    redis: Redis, as_user: Any, namespace: str, virtual_clock: bool
) -> None:
    """From the checks at its start to its last call a service meets no refusal, with either clock."""
    client = await as_user("toy", virtual_clock=virtual_clock)
    settings = Settings(namespace=namespace, partitions=PARTITIONS)
    await check_redis(client, settings, "toy")
    await check_clock(client, namespace, VirtualClock(client, namespace) if virtual_clock else SystemClock())
    await Skew(client, settings, Patience(Health(30), 20)).check()
    await functions.ensure_loaded(client)
    await do_everything(Store(client, namespace, "toy", PARTITIONS, INBOX_RETENTION_MS))

    assert await denied(redis, namespace) == []


async def test_a_service_may_call_these_commands_and_no_other(redis: Redis, as_user: Any, namespace: str) -> None:
    """Of all commands that the server knows, a service may call what it needs; asked of the server, one by one."""
    await as_user("toy")
    own = ShardKeys(namespace, "toy", 0).outbox
    allowed = set()
    for name, arity in await _commands(redis):
        words = name.split("|") + [own] * (abs(arity) - 1 - name.count("|"))
        answer = await redis.execute_command("ACL DRYRUN", f"{namespace}toy", *words)
        if DENIED not in str(answer):
            allowed.add(name)

    assert allowed - WITHOUT_PERMISSION == PERMITTED


async def _commands(redis: Redis) -> list[tuple[str, int]]:
    """Return every command of the server with its arity; of those with subcommands, these."""
    found: list[tuple[str, int]] = []
    for name, detail in (await redis.execute_command("COMMAND")).items():
        found += [(each[0].decode(), each[1]) for each in detail["subcommands"]] or [(name, detail["arity"])]
    return found


@pytest.mark.parametrize(
    ("command", "rest"),
    [
        ("HGET", ["document"]),
        ("HGETALL", []),
        ("HSET", ["document", "{}"]),
        ("SET", ["x"]),
        ("DEL", []),
        ("XRANGE", ["-", "+"]),
        ("XADD", ["*", "1", "x"]),
        ("ZADD", ["1", "x"]),
        ("EXISTS", []),
    ],
)
async def test_no_key_of_another_service_is_touched(
    redis: Redis, as_user: Any, namespace: str, command: str, rest: list[str]
) -> None:
    """No key of another service or deployment, or of nobody, can be read or written; shared ones only as needed."""
    client = await as_user("toy")
    strange = [
        ShardKeys(namespace, "other", 0).account("acme"),
        ShardKeys(f"{namespace}x.", "toy", 0).account("acme"),
        ShardKeys("", "toy", 0).account("acme"),
        "anything",
        clock_key(namespace) if command != "EXISTS" else "anything",
        deployment_key(f"{namespace}x."),
        deployment_key(namespace) if command != "HGET" else "anything",
    ]
    for key in strange:
        with pytest.raises(NoPermissionError):
            await client.execute_command(command, key, *rest)
    assert len(await denied(redis, namespace)) > 0


async def test_a_function_reaches_no_further_than_its_caller(redis: Redis, as_user: Any, namespace: str) -> None:
    """A function that is called for another service's shard writes nothing there."""
    client = await as_user("toy")
    theirs = Store(client, namespace, "other", PARTITIONS, INBOX_RETENTION_MS)
    with pytest.raises(NoPermissionError):
        await theirs.commit(0, [commit(**EVERYTHING)])
    assert not await redis.keys(f"*{namespace}other*")


async def test_a_library_is_loaded_by_an_administrator(redis: Redis, as_user: Any, namespace: str) -> None:
    """A service may not load functions: without them it ends with one line that names the command to run."""
    client = await as_user("toy")
    await redis.function_flush()
    with pytest.raises(ConfigurationError, match=r"may not load them .* run `addonflow access create`") as caught:
        await functions.ensure_loaded(client)
    assert "\n" not in str(caught.value)
    await functions.ensure_loaded(redis)


async def test_a_right_that_is_missing_ends_the_start_in_one_line(redis: Redis, as_user: Any, namespace: str) -> None:
    """Where Redis permits a service too little, the line names user, permission and the command to run."""
    client = await as_user("toy")
    await redis.execute_command("ACL SETUSER", f"{namespace}toy", "clearselectors")
    settings = Settings(
        namespace=namespace, redis_url="redis://h/0", redis_username=f"{namespace}toy", redis_password_file="/x"
    )
    with pytest.raises(
        ConfigurationError, match=r"permits user .*toy too little: run `addonflow access create`"
    ) as caught:
        await check_redis(client, settings)
    assert "hsetnx" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_who_asks_for_health_may_ask_nothing_else(redis: Redis, server_url: str, namespace: str) -> None:
    """The user of health checks needs no password, may say PING, and reads no key and no setting."""
    name = f"{namespace}health"
    await redis.execute_command("ACL SETUSER", name, "reset", *HEALTH_RULES)
    async with Redis.from_url(server_url, username=name, password="any") as client:
        assert await client.ping()
        for words in (("GET", "x"), ("INFO",), ("CONFIG", "GET", "*"), ("KEYS", "*"), ("ACL", "WHOAMI")):
            with pytest.raises(NoPermissionError):
                await client.execute_command(*words)
    await redis.execute_command("ACL DELUSER", name)
