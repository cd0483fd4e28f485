"""Gathers what a campaign left behind, from the servers themselves, for the checker."""

import asyncio
import time
import traceback
from collections import Counter
from typing import Any

import httpx
from redis import Redis
from typer.testing import CliRunner

from contracts.topics import EVENTS, READERS, TOPICS, dead_letter_topics
from deploy.addonflow.main import app
from services.runtime.authentication import PRODUCT_SCOPE
from services.runtime.codec import unpack
from services.runtime.keys import ShardKeys, clock_key, deployment_key
from tests.chaos.campaign.history import operations
from tests.chaos.campaign.world import World
from tests.chaos.checker.ends import decided_otherwise
from tests.chaos.checker.evidence import Access, Evidence, StoredShard
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, once_each
from tests.tokens import Issuer, bearer

_PAGE = 1_000
_AT_ONCE = 8
_ASK_SECONDS = 10
_TRIES_MAX = 15  # seconds; named processes leave their group with their session


async def access_now(world: World, deployment: Deployment, issuer: Issuer) -> list[Access]:
    """Ask entitlements, as a product, for every add-on that was bought."""
    events = await asyncio.to_thread(deployment.read, EVENTS)
    bought = {(each.attributes["ce_subject"], each.data["add_on"]) for each in events if is_purchase(each)}
    headers = bearer(issuer.token("dialer", None, scope=PRODUCT_SCOPE))
    doors = world.fleet.doors()
    turn = asyncio.Semaphore(_AT_ONCE)
    async with httpx.AsyncClient(headers=headers, timeout=_ASK_SECONDS) as client:

        async def ask(number: int, account: str, add_on: str) -> Access:
            path = f"/v1/accounts/{account}/entitlements/{add_on}"
            async with turn:
                for _ in range(_TRIES_MAX):  # a door that is busy is asked again, one that answers is not
                    reply = await client.get(f"http://127.0.0.1:{doors[number % len(doors)]}{path}")
                    if reply.status_code == httpx.codes.OK:
                        break
                    await asyncio.sleep(1)
            entitled = reply.status_code == httpx.codes.OK and bool(reply.json()["entitled"])
            return Access(account, add_on, entitled, f"{reply.status_code} {reply.text}")

        return await asyncio.gather(*(ask(number, *each) for number, each in enumerate(sorted(bought))))


def is_purchase(record: Record) -> bool:
    """Whether a record says that an add-on was bought; poison may lack any header."""
    return ".AddOnPurchased." in record.attributes.get("ce_type", "") and "case" not in record.attributes


def collect(deployment: Deployment, history: list[str]) -> Evidence:
    """Read topics, dead letters and Redis, and let the operator's commands judge; the services are stopped."""
    evidence = Evidence(operations=operations(history))
    for topic in TOPICS:
        evidence.topics[topic.name] = deployment.read(topic)
    for name in dead_letter_topics():
        evidence.letters[name] = deployment.read(name)
    with Redis.from_url(deployment.redis_url) as redis:
        keys = [key.decode() for key in redis.scan_iter(count=_PAGE)]
        now_ms = int(redis.get(clock_key(deployment.namespace)) or 0)
        for service in READERS:
            for shard in range(deployment.partitions):
                evidence.shards.append(_shard(redis, deployment.namespace, service, shard, keys, now_ms))
        evidence.strange_keys = _strange(keys, deployment)
    for words in (*(("rebuild", service, "--dry-run") for service in READERS), ("audit",)):
        evidence.verdicts[" ".join(words)] = _verdict(deployment, words)
    return evidence


def _verdict(deployment: Deployment, words: tuple[str, ...]) -> tuple[int, str]:
    """Ask an operator's command; one that finds a process in its group asks again until its session is over."""
    for _ in range(_TRIES_MAX):
        result = CliRunner().invoke(app, words, env=deployment.settings(virtual_clock=True))
        if "stop them first" not in result.output:
            break
        time.sleep(1)
    return result.exit_code, result.output + _trace(result.exception)


def _trace(error: BaseException | None) -> str:
    return "" if error is None or isinstance(error, SystemExit) else "".join(traceback.format_exception(error))


def _shard(redis: "Redis", namespace: str, service: str, shard: int, keys: list[str], now_ms: int) -> StoredShard:
    names = ShardKeys(namespace, service, shard)
    inbox = [key for key in keys if key.startswith(f"{names.prefix}inbox:")]
    asked: Any = redis.pipeline(transaction=False)
    for key in inbox:
        asked.pttl(key)
    return StoredShard(
        service,
        shard,
        tuple(_outbox(redis, names.outbox, shard)),
        inbox=len(inbox),
        inbox_without_expiry=sum(ttl < 0 for ttl in asked.execute()),
        accounts=sum(key.startswith(names.account("")) for key in keys),
        gaps=int(redis.hlen(names.gaps)),
        timers_overdue=int(redis.zcount(names.timers, "-inf", now_ms)),
    )


def _outbox(redis: Any, key: str, shard: int) -> list[Record]:
    found: list[Record] = []
    after = "-"
    while entries := redis.xrange(key, min=after, count=_PAGE):
        for _, fields in entries:
            outgoing = [unpack(packed) for packed in fields.values()]
            found += [Record(each.topic.name, each.key, each.value, tuple(each.headers), shard) for each in outgoing]
        after = f"({entries[-1][0].decode()}"
    return found


def _strange(keys: list[str], deployment: Deployment) -> list[str]:
    """Return the keys that belong to no shard's model."""
    known = {deployment_key(deployment.namespace), clock_key(deployment.namespace)}
    prefixes: list[str] = []
    for service in READERS:
        for shard in range(deployment.partitions):
            names = ShardKeys(deployment.namespace, service, shard)
            known |= {names.outbox, names.relay, names.timers, names.gaps}
            prefixes += [names.account(""), f"{names.prefix}inbox:"]
    return [key for key in keys if key not in known and not key.startswith(tuple(prefixes))]


def summary(evidence: Evidence) -> dict[str, int]:
    """Count what there was to check: a campaign without purchases would prove nothing."""
    kinds = Counter(each.kind for each in evidence.operations.values())
    unsure = sum(each.status == "indeterminate" for each in evidence.operations.values())
    accepted = sum(each[0].type.endswith("Accepted") for each in evidence.answers.values())
    copies = sum(len(records) for records in evidence.topics.values())
    copies -= sum(len(once_each(evidence.readable(topic.name))) for topic in TOPICS)
    return {
        "commands": len(evidence.commands) + kinds["http"],
        "of these over HTTP": kinds["http"],
        "accepted": accepted,
        "refused": len(evidence.answers) - accepted,
        "indeterminate to their clients": unsure,
        "unreadable records": kinds["poison"],
        "records sent again": kinds["repeated"],
        "purchases": sum(1 for _ in evidence.events_of("AddOnPurchased")),
        "invoices": len(evidence.invoices),
        "dead letters": sum(len(letters) for letters in evidence.letters.values()),
        "copies and dead records in the logs": copies,
        "decided otherwise by a rebuild": decided_otherwise(evidence),
    }
