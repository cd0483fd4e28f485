"""The one path of every batch: everything durable before it returns, nothing in a record can stop it."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from contracts import topics
from contracts.accounts import MemberUpdated
from services.runtime import codec
from services.runtime.clock import ManualClock
from services.runtime.committing import Committing
from services.runtime.dead_letters import DeadLetter
from services.runtime.errors import Stopping
from services.runtime.handling import Handling
from services.runtime.health import Health
from services.runtime.keys import shard_of
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import FIRST, Store, Wanted
from tests.runtime.toys import NOW, CounterDecider, CounterDocument, answer, kafka_record

PARTITIONS = 4
SETTINGS = Settings(partitions=PARTITIONS)


class DeadLetters:
    """Keeps what is set aside."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []

    async def put(self, letter: DeadLetter) -> None:
        """Keep one."""
        self.letters.append(letter)

    @property
    def reasons(self) -> list[str]:
        """Why they were set aside."""
        return [letter.why.reason for letter in self.letters]


class Service:
    """The counter service's handling over a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.dead = DeadLetters()
        self.health = Health(30)
        self.patience = Patience(self.health, 50)
        self.woken: set[int] = set()
        self.committing = Committing(CounterDecider(), answer, store, ManualClock(NOW), 20)
        self.handling: Handling[CounterDocument] = Handling(
            committing=self.committing,
            topics=(topics.ACCOUNTS, topics.COMMANDS),
            dead_letters=self.dead,  # type: ignore[arg-type]
            patience=self.patience,
            clock=ManualClock(NOW),
            settings=SETTINGS,
            wake=self.woken.add,
        )

    async def handle(self, records: Sequence[Any]) -> None:
        """Handle a batch."""
        await self.handling.handle_records(records)

    async def count(self, account_id: str) -> int:
        """Return how often an account was counted."""
        shard = shard_of(account_id, PARTITIONS)
        (loaded,) = await self.store.load(shard, [Wanted(account_id, [], [])])
        return int(json.loads(loaded.document or b'{"count":0}')["count"])


@pytest.fixture
def service(embedded_store: Store) -> Service:
    """Give the counter service."""
    return Service(embedded_store)


def trial(account_id: str, command_id: str, wish: str = "count", partition: int | None = None) -> Any:
    """Return the record of a command, in its account's partition unless told otherwise."""
    headers = {"ce_specversion": "1.0", "ce_id": command_id, "ce_source": "/d", "ce_type": "addons.StartTrial.v1"}
    data = {"account_id": account_id, "user_id": "ann", "add_on": wish}
    partition = shard_of(account_id, PARTITIONS) if partition is None else partition
    encoded = [(name, text.encode()) for name, text in headers.items()]
    return kafka_record(json.dumps(data).encode(), encoded, partition=partition)


ACCOUNTS = [f"account-{n}" for n in range(12)]


async def test_a_batch_of_many_shards_is_all_handled(service: Service) -> None:
    """Records of any partitions are handled in one call, each account in its shard, and every shard's relay is told."""
    await service.handle([trial(account, f"{account}-{n}") for n in range(3) for account in ACCOUNTS])

    assert [await service.count(account) for account in ACCOUNTS] == [3] * 12
    assert service.woken == set(range(PARTITIONS))


async def test_unreadable_records_are_set_aside_and_their_neighbours_handled(service: Service) -> None:
    """Bytes that nobody can read end as dead letters with a reason; the records around them have their effect."""
    batch = [
        trial("acme", "c1"),
        kafka_record(None),
        kafka_record(b"{"),
        trial("acme", "c2", "fail"),
        trial("acme", "c3"),
    ]

    await service.handle(batch)

    assert await service.count("acme") == 2
    assert service.dead.reasons == ["tombstone", "attribute_missing", "handler_failed"]
    assert [letter.record for letter in service.dead.letters] == [batch[1], batch[2], batch[3]]


async def test_a_record_in_the_wrong_partition_is_handled(service: Service) -> None:
    """The shard is computed from the account, never taken from the record: a misrouted command has its effect once."""
    home = shard_of("acme", PARTITIONS)
    await service.handle([trial("acme", "c1", partition=(home + 1) % PARTITIONS), trial("acme", "c2")])
    assert await service.count("acme") == 2
    await service.handle([trial("acme", "c1")])

    assert await service.count("acme") == 2


async def test_facts_go_before_commands_within_a_batch(service: Service) -> None:
    """A command that was read before the fact beside it is decided behind it: topics have no order among each other."""
    decided: list[str] = []
    service.committing._decider = CounterDecider(lambda message, _: decided.append(type(message).__name__))
    data = {"account_id": "acme", "revision": 1, "user_id": "ann", "role": "owner", "status": "active"}
    headers = {"ce_specversion": "1.0", "ce_id": "f1", "ce_source": "/a", "ce_type": MemberUpdated.ce_type}
    encoded = [(name, text.encode()) for name, text in headers.items()]
    shard = shard_of("acme", PARTITIONS)
    fact = kafka_record(json.dumps(data).encode(), encoded, topics.ACCOUNTS.name, partition=shard)

    await service.handle([trial("acme", "c1"), fact, trial("acme", "c2")])

    assert decided == ["MemberUpdated", "StartTrial", "StartTrial"]


async def test_a_batch_delivered_again_changes_nothing(service: Service) -> None:
    """The whole batch again, as after a crash before the offset moved, has no further effect."""
    batch = [trial(account, f"{account}-{n}") for n in range(2) for account in ACCOUNTS]
    await service.handle(batch)
    await service.handle(batch)

    assert [await service.count(account) for account in ACCOUNTS] == [2] * 12


def unreachable(service: Service, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Redis be away for a number of calls."""
    load, left = service.store.load, [times]

    async def away(shard: int, wanted: Sequence[Wanted]) -> Any:
        if left[0]:
            left[0] -= 1
            raise RedisConnectionError("away")
        return await load(shard, wanted)

    monkeypatch.setattr(service.store, "load", away)


async def test_redis_away_is_waited_out(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch is handled when Redis is back, with nothing lost or dead."""
    unreachable(service, 3, monkeypatch)

    await service.handle([trial(account, account) for account in ACCOUNTS])

    assert [await service.count(account) for account in ACCOUNTS] == [1] * 12
    assert service.dead.reasons == []


async def test_an_account_that_others_keep_changing_is_tried_again_and_takes_nobodys_readiness(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that lost too often is decided again until it wins; that is not Redis being away."""
    service.health.started()
    commit, verdicts = service.store.commit, [[False]] * 45
    seen: list[str | None] = []

    async def contended(*arguments: Any) -> list[bool]:
        seen.append(service.health.ready())
        return verdicts.pop() if verdicts else await commit(*arguments)

    monkeypatch.setattr(service.store, "commit", contended)
    await service.handle([trial("acme", "c1")])
    assert await service.count("acme") == 1
    assert seen == [None] * 46


@pytest.mark.parametrize("accounts", [ACCOUNTS[:1], ACCOUNTS], ids=["one shard", "many shards"])
async def test_a_stop_while_redis_is_away_is_a_stop(
    service: Service, monkeypatch: pytest.MonkeyPatch, accounts: list[str]
) -> None:
    """However many shards wait, the batch ends with Stopping itself, not with a group that looks like a defect."""

    async def away(shard: int, wanted: Sequence[Wanted]) -> Any:
        service.patience.stop()
        raise RedisConnectionError("away")

    monkeypatch.setattr(service.store, "load", away)

    with pytest.raises(Stopping):
        await service.handle([trial(account, account) for account in accounts])


def gated(service: Service, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let loading wait until the event is set."""
    load, gate = service.store.load, asyncio.Event()

    async def wait(shard: int, wanted: Sequence[Wanted]) -> Any:
        await gate.wait()
        return await load(shard, wanted)

    monkeypatch.setattr(service.store, "load", wait)
    return gate


async def started(task: "asyncio.Task[None]") -> None:
    """Let a task come as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()


async def test_an_account_keeps_the_order_of_the_batches(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches handled beside each other, small and large, take an account's messages in the order they came."""
    gate = gated(service, monkeypatch)
    large = [trial("acme", f"large-{n}") for n in range(500)]
    batches = [[trial("acme", "first")], large, [trial("acme", "last")]]
    tasks = []
    for batch in batches:
        tasks.append(asyncio.create_task(service.handle(batch)))
        await started(tasks[-1])
    gate.set()
    await asyncio.gather(*tasks)

    shard = shard_of("acme", PARTITIONS)
    records = [codec.unpack(record) for _, record in await service.store.outbox(shard, FIRST, 1_000)]
    causes = [dict(each.headers)["ce_causationid"] for each in records if each.topic is topics.RESULTS]
    assert causes == [b"first", *(b"large-%d" % n for n in range(500)), b"last"]


async def test_a_cancelled_feed_of_timers_leaves_its_lane_alone(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance cancels the feed of a shard's timers; the batches behind it in the shard are handled all the same."""
    gate = gated(service, monkeypatch)
    shard = shard_of("acme", PARTITIONS)
    feed = asyncio.create_task(service.handling.handle_timers(shard, [("acme", "alarm", 1)]))
    await started(feed)
    batch = asyncio.create_task(service.handle([trial("acme", "c1")]))
    await started(batch)

    feed.cancel()
    gate.set()
    await batch

    assert feed.cancelled()
    assert await service.count("acme") == 1


async def test_a_flood_of_dead_letters_is_written_a_hundred_at_a_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unreadable records are written beside each other, bounded, and what stands behind them waits for them all."""
    under_way, most, written = 0, 0, 0

    async def put(letter: DeadLetter) -> None:
        nonlocal under_way, most, written
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        written += 1

    monkeypatch.setattr(service.dead, "put", put)
    await service.handle([*[kafka_record(b"{")] * 250, trial("acme", "c1")])

    assert (most, written, under_way) == (100, 250, 0)
    assert await service.count("acme") == 1
