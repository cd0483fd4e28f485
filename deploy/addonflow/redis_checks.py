"""Examines Redis: whether it keeps what it acknowledged, and the shards of each service."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from contracts.topics import READERS
from deploy.addonflow.findings import Finding, fail, ok, warn
from services.runtime import functions
from services.runtime.clock import to_milliseconds
from services.runtime.cluster import everywhere
from services.runtime.connecting import redis_address, redis_refusal
from services.runtime.keys import deployment_key
from services.runtime.redis_check import unsafe_settings
from services.runtime.settings import Settings
from services.runtime.store import Store, connect_redis
from services.runtime.virtual_clock import time_of

SECOND_LOOK_SECONDS = 2
_COUNTED_MAX = 1_000
_OVERDUE = timedelta(seconds=10)
_MAJOR_MIN = 7


async def check_redis_and_state(settings: Settings) -> list[Finding]:
    """Examine the server and then every service's shards. Cost: O(partitions) calls, each bounded."""
    try:
        redis = connect_redis(settings)
    except ValueError as error:
        return [fail("Redis", f"ADDONFLOW_REDIS_URL: {error}", "set it to redis://host:port/0")]
    try:
        findings = await _server(redis, settings)
        now = await time_of(redis, settings.namespace)
        for service in READERS:
            findings += await _service(
                Store(redis, settings.namespace, service, settings.partitions, 1), settings, service, now
            )
    except (RedisError, OSError, TimeoutError) as error:
        refusal = redis_refusal(error, settings) if isinstance(error, RedisError) else None
        if refusal is not None:
            return [fail("Redis", str(refusal), "ADDONFLOW_REDIS_… or --redis say where it is and who asks")]
        where = redis_address(settings)
        return [fail("Redis", f"no answer from {where}: {error}", "start it, or set ADDONFLOW_REDIS_URL or --redis")]
    finally:
        await redis.aclose()
    return findings


async def _server(redis: Redis, settings: Settings) -> list[Finding]:
    infos = await everywhere(redis, "INFO")
    findings = [_version(infos), await _durability(redis), _last_write(infos), await _library(redis)]
    fixed = await redis.hget(deployment_key(settings.namespace), "partitions")
    if fixed is not None and int(fixed) != settings.partitions:
        state = f"the state has {int(fixed)} shards, ADDONFLOW_PARTITIONS={settings.partitions}"
        findings.append(fail("shards", state, f"set it to {int(fixed)}; it is fixed for a deployment's life"))
    return findings


def _version(infos: list[dict[str, Any]]) -> Finding:
    info = infos[0]
    name, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info["redis_version"])
    if int(str(version).partition(".")[0]) < _MAJOR_MIN:
        return fail("Redis", f"{name} {version} has no functions", "use Valkey or Redis 7 or later")
    nodes = f", {len(infos)} nodes" if len(infos) > 1 else ""
    return ok("Redis", f"{name} {version} answers{nodes}")


async def _durability(redis: Redis) -> Finding:
    subject = "Redis durability"
    try:
        problems = await unsafe_settings(redis)
    except ResponseError as error:
        return warn(subject, f"cannot be looked up: {error}", "make sure of AOF, fsync on every write and noeviction")
    if problems:
        return fail(
            subject, f"acknowledged writes may be lost: {'; '.join(problems)}", "set it so, or use another server"
        )
    return ok(subject, "append-only file on, fsync on every write, nothing is evicted")


def _last_write(infos: list[dict[str, Any]]) -> Finding:
    subject = "Redis disk"
    for info in infos:
        status = info.get("aof_last_write_status", "ok")
        if status != "ok":
            what = f"the last write to the append-only file: {status}"
            return fail(subject, what, "look at the server's disk and log")
    return ok(subject, "the append-only file is written")


async def _library(redis: Redis) -> Finding:
    subject = "Redis functions"
    if await functions.is_loaded(redis):
        return ok(subject, f"{functions.LIBRARY} is loaded")
    return warn(subject, f"{functions.LIBRARY} is not loaded", "the first service of this release that starts loads it")


async def _service(store: Store, settings: Settings, service: str, now: datetime) -> list[Finding]:
    shards = range(settings.partitions)
    return [
        await _gaps(store, shards, service),
        await _relay(store, shards, service),
        await _timers(store, shards, service, now),
    ]


async def _gaps(store: Store, shards: range, service: str) -> Finding:
    subject = f"{service} gaps"
    found = [gap for shard in shards for gap in (await store.gaps(shard)).items()]
    if not found:
        return ok(subject, "no message is missing")
    where, missing = found[0]
    topic, _, account = where.partition(" ")
    state = f"messages are missing in {len(found)} accounts' streams, e.g. {topic} of {account}: {missing}"
    return fail(
        subject,
        state,
        "`addonflow gaps list` shows all of them, `addonflow gaps repair` publishes them again",
    )


async def _relay(store: Store, shards: range, service: str) -> Finding:
    subject = f"{service} relay"
    waiting, before = await _unpublished(store, shards)
    if not waiting:
        return ok(subject, "everything is published")
    await asyncio.sleep(SECOND_LOOK_SECONDS)
    waiting, after = await _unpublished(store, shards)
    if waiting and before == after:
        advice = f"is it running and does it reach Kafka? `addonflow run {service}`; its /readyz says what it waits for"
        return fail(subject, f"{_about(waiting)} records wait in the outbox and nobody publishes them", advice)
    return ok(subject, f"{_about(waiting)} records wait in the outbox, and it moves on")


async def _unpublished(store: Store, shards: range) -> tuple[int, list[str]]:
    """Return how many records wait (counted up to a bound per shard) and every shard's cursor."""
    cursors = [(await store.relay_position(shard))[0] for shard in shards]
    waiting = 0
    for shard, cursor in zip(shards, cursors, strict=True):
        waiting += len(await store.outbox(shard, cursor, _COUNTED_MAX))
    return waiting, cursors


def _about(count: int) -> str:
    return f"{count}" if count < _COUNTED_MAX else f"at least {count}"


async def _timers(store: Store, shards: range, service: str, now: datetime) -> Finding:
    subject = f"{service} timers"
    before_ms = to_milliseconds(now - _OVERDUE)
    overdue = 0
    for shard in shards:
        overdue += len(await store.due_timers(shard, before_ms, _COUNTED_MAX))
    if overdue:
        state = f"{_about(overdue)} timers are overdue by more than {_OVERDUE.seconds} s"
        return fail(subject, state, f"is it running? `addonflow run {service}`")
    return ok(subject, "none is overdue")
