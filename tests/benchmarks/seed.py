"""Fills Redis with accounts the way the services would have stored them, and Kafka with commands.

Accounts go through the store's own commit function, a thousand at a time: the same keys and bytes as from Kafka.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from aiokafka import AIOKafkaProducer

from contracts import topics
from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.catalog import Catalog
from contracts.commands import PurchaseAddOn, RequestFeature
from contracts.envelope import SPEC_VERSION
from contracts.payload import Payload
from contracts.topics import COMMANDS
from services.entitlements.domain import EntitlementsDecider
from services.runtime.clock import SystemClock
from services.runtime.codec import to_json
from services.runtime.committing import Committing
from services.runtime.decision import Cause
from services.runtime.delivery import Delivery
from services.runtime.keys import shard_of
from services.runtime.settings import Settings
from services.runtime.store import Store

_CHUNK = 2_000
_SETTLE_SECONDS_MAX = 120


@dataclass(frozen=True, slots=True)
class Population:
    """Accounts `<prefix>0` to `<prefix><accounts-1>`, of which `busy`, evenly spread, have `supervisors` supervisors.

    The others have one; each has an Owner if wanted.
    """

    prefix: str
    accounts: int
    supervisors: int
    owner: bool = False
    busy: int = 0

    @property
    def _step(self) -> int:
        return self.accounts // (self.busy or self.accounts)

    def facts(self, index: int) -> Iterable[Payload]:
        """What the account system says of one account."""
        account_id = f"{self.prefix}{index}"
        yield AccountUpdated(
            account_id=account_id,
            revision=1,
            name=f"Company {index}",
            status="active",
            currency="USD",
            timezone="Europe/Paris",
            sales_managed=False,
            payment_method_on_file=True,
            licenses=Licenses(standard=5, additional=2),
            billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 1, 15)),
        )
        if self.owner:
            yield MemberUpdated(
                account_id=account_id, revision=1, user_id="owner", role="owner", status="active", name="Olga"
            )
        for number in range(self.supervisors if index % self._step == 0 else 1):
            yield MemberUpdated(
                account_id=account_id, revision=1, user_id=f"s{number}", role="supervisor", status="active", name="Sam"
            )

    def feature_requests(self, count: int) -> Iterable[RequestFeature]:
        """`count` requests of the busy accounts that will all be accepted: each by another member, spread evenly."""
        busy = self.busy or self.accounts
        if count > busy * self.supervisors:
            raise ValueError("each member can ask once")
        stride = max(1, busy * self.supervisors // count)
        for number in range(count):
            place = number * stride
            yield self._request(place % busy * self._step, f"s{place // busy}")

    def scattered_requests(self, count: int) -> Iterable[RequestFeature]:
        """`count` requests that will all be accepted, each of another account that is not busy."""
        idle = (index for index in range(self.accounts) if index % self._step)
        for index in itertools.islice(idle, count):
            yield self._request(index, "s0")

    def _request(self, index: int, user_id: str) -> RequestFeature:
        return RequestFeature(
            account_id=f"{self.prefix}{index}",
            user_id=user_id,
            add_on="analytics_plus",
            entry_point="sidebar",
            note="Would help us see queue times.",
        )

    def purchases(self, count: int) -> Iterable[PurchaseAddOn]:
        """`count` purchases by Owners, each of another account."""
        for number in range(count):
            yield PurchaseAddOn(
                account_id=f"{self.prefix}{number}", user_id="owner", add_on="analytics_plus", entry_point="plan_tab"
            )


async def store_accounts(redis: Any, settings: Settings, population: Population) -> None:
    """Commit the facts of the population to entitlements' store."""
    store = Store(redis, settings.namespace, "entitlements", settings.partitions, 3_600_000)
    committing = Committing(EntitlementsDecider(Catalog.load()), None, store, SystemClock(), conflicts_max=3)
    shards: dict[int, list[Delivery]] = {}
    for index in range(population.accounts):
        for fact in population.facts(index):
            shard = shard_of(fact.account_id, settings.partitions)
            deliveries = shards.setdefault(shard, [])
            deliveries.append(Delivery(fact.account_id, fact, Cause(f"seed-{index}", fact.ce_type), topics.ACCOUNTS))
            if len(deliveries) >= _CHUNK:
                await committing.run(shard, shards.pop(shard))
    for shard, deliveries in shards.items():
        await committing.run(shard, deliveries)
    await settle(redis)


async def settle(redis: Any) -> None:
    """Have the append-only file rewritten now and wait for its end, so that none runs beside what is measured."""
    async with asyncio.timeout(_SETTLE_SECONDS_MAX):
        while (await redis.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.2)
        await redis.bgrewriteaof()
        while (await redis.info("persistence"))["aof_rewrite_in_progress"]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.2)


def record_of(command: Payload, command_id: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Return key, value and headers of a command as a dashboard sends it."""
    headers = [
        ("content-type", b"application/json"),
        ("ce_specversion", SPEC_VERSION.encode()),
        ("ce_id", command_id.encode()),
        ("ce_source", b"/dashboard"),
        ("ce_type", command.ce_type.encode()),
        ("ce_subject", command.account_id.encode()),
    ]
    return command.account_id.encode(), to_json(command), headers


async def send_commands(settings: Settings, commands: Iterable[Payload], run: str) -> int:
    """Write commands to Kafka as fast as it goes; return how many."""
    count = 0
    async with AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap, acks="all", linger_ms=20, max_batch_size=262_144
    ) as producer:
        pending = []
        for command in commands:
            key, value, headers = record_of(command, f"{run}-{count}")
            pending.append(await producer.send(settings.namespace + COMMANDS.name, value, key=key, headers=headers))
            count += 1
            if len(pending) == _CHUNK:
                await _all(pending)
                pending.clear()
        await _all(pending)
    return count


async def _all(futures: list[Any]) -> None:
    for future in futures:
        await future


async def paced(interval_seconds: float, count: int) -> AsyncIterator[tuple[int, float]]:
    """Yield (number, the loop time it was due), never earlier than due: an open loop does not wait for answers."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number in range(count):
        due = start + number * interval_seconds
        delay = due - loop.time()
        if delay > 0:
            await asyncio.sleep(delay)
        yield number, due
