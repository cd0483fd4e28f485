"""A backup whose parts are of different moments: whatever happens while it is written, it comes to one state."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from redis.asyncio import Redis
from rich.console import Console

from contracts.commands import RequestFeature
from contracts.payload import Payload
from contracts.topics import ACCOUNTS, COMMANDS, EVENTS, RESULTS, topic_of
from deploy.addonflow import backup as backing_up
from deploy.addonflow.backup import back_up
from deploy.addonflow.backup_files import ServiceBackup, ShardWriter, UnusableBackup, read_shard, shard_file
from deploy.addonflow.backup_shard import ShardBackup
from deploy.addonflow.history import logs
from deploy.addonflow.rebuild import rebuild
from deploy.addonflow.rebuild_group import read_from, read_up_to
from deploy.addonflow.rebuild_shard import process_of
from deploy.addonflow.topics import create
from services.runtime import functions
from services.runtime.clock import ManualClock, SystemClock
from services.runtime.codec import Unreadable, decode
from services.runtime.committing import Committing
from services.runtime.delivery import Delivery
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.settings import Settings
from services.runtime.store import Store, connect_redis
from tests.chaos import load
from tests.deploy.test_gaps import said
from tests.e2e.records import Record, record
from tests.runtime import logs as written

pytestmark = pytest.mark.embedded
SERVICE = "entitlements"
SHARD = shard_of("acme", 3)
KEPT_MS = 3_600_000


class Life:
    """Entitlements at work on the embedded servers, without a relay: no topic has what it says."""

    def __init__(self, settings: Settings, redis: "Redis") -> None:
        self.settings = settings
        self.redis: Any = redis
        self.keys = ShardKeys(settings.namespace, SERVICE, SHARD)
        process = process_of(SERVICE, settings)
        self._store = Store(redis, settings.namespace, SERVICE, settings.partitions, settings.inbox_retention_ms)
        clock = ManualClock(SystemClock().now())
        self._committing = Committing(process.decider, process.answer, self._store, clock, 20)

    async def send(self, each: Record) -> None:
        """Write a record to its topic."""
        async with written.producer(self.settings.kafka_bootstrap) as producer:
            name = self.settings.namespace + each.topic
            await producer.send_and_wait(name, each.value, each.key, SHARD, headers=list(each.headers))

    async def handle(self, topic: Any, first: int, *, saved: bool) -> None:
        """Decide what a topic holds from an offset on, and save the offset, or not yet."""
        name = self.settings.namespace + topic.name
        found = await written.read(self.settings.kafka_bootstrap, name, SHARD)
        for each in found[first:]:
            read = decode(each, topic, 100_000)
            assert not isinstance(read, Unreadable)
            assert await self._committing.run(SHARD, [Delivery.of(read, topic, each, trimmed=False)]) == []
        if saved:
            await read_from(self.settings, SERVICE, {TopicPartition(name, SHARD): len(found)})

    async def stored(self) -> dict[bytes, Any]:
        """Return the account, the answers, and all that was said."""
        account = await self.redis.hgetall(self.keys.account("acme"))
        found = {name: text for name, text in account.items() if name != b"version"}
        async for key in self.redis.scan_iter(f"{self.keys.prefix}inbox:*"):
            found[key] = await self.redis.get(key)
        found[b"outbox"] = [record for _, record in await self._store.outbox(SHARD, "0-0", 100)]
        return found


def ask(number: int) -> Record:
    """Return a supervisor's request."""
    payload: Payload = RequestFeature(account_id="acme", user_id=f"s{number}", add_on="analytics_plus")
    assert topic_of(type(payload)) is COMMANDS
    return record(payload, f"ask-{number}")


@pytest.fixture(params=["one server", "cluster"])
def stateful(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Give settings whose state is on one server, or on a cluster."""
    in_cluster = request.param == "cluster"
    url = request.getfixturevalue("cluster").url if in_cluster else request.getfixturevalue("redis_url")
    return settings.model_copy(update={"redis_url": url, "redis_cluster": in_cluster})


@pytest.fixture
async def life(stateful: Settings) -> Any:
    """Give an account with three supervisors, whose facts are read."""
    settings = stateful
    await create(settings, replication_factor=1, wait_seconds=5)
    async with connect_redis(settings) as redis:
        await functions.ensure_loaded(redis)
        life = Life(settings, redis)
        await life.send(record(load.account("acme"), "fact"))
        for number in range(3):
            await life.send(record(load.member("acme", f"s{number}", "supervisor"), f"member-{number}"))
        await life.handle(ACCOUNTS, 0, saved=True)
        yield life


PHASES = ("_relay", "_accounts", "_answers", "_outbox")


@pytest.mark.parametrize("phase", PHASES)
async def test_what_happens_while_a_backup_is_written_is_in_it_or_in_the_log(
    life: Life, phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command decided behind any part of a backup, and lost before it was published, is there once or handled anew.

    What is in the backup was said: it is published as it was, and not decided again.
    """
    await life.send(ask(0))
    await life.handle(COMMANDS, 0, saved=True)
    await life.send(ask(1))
    part: Callable[..., Any] = getattr(backing_up._Backup, phase)
    pending = [phase]

    async def and_then(backup: Any, *arguments: Any) -> Any:
        result = await part(backup, *arguments)
        if backup._service == SERVICE and (not arguments or arguments == (2,)) and pending:
            pending.pop()
            await life.handle(COMMANDS, 1, saved=False)
        return result

    monkeypatch.setattr(backing_up._Backup, phase, and_then)
    assert await back_up(life.settings, tmp_path / "b", Console(quiet=True)) == 0
    before = await life.stored()
    await life.redis.flushdb()
    console = Console(record=True)
    assert await rebuild(life.settings, SERVICE, console, folder=tmp_path / "b") == 0, console.export_text()
    after = await life.stored()
    if phase == "_outbox":  # too late for the backup: the command is read and decided after the restore
        assert len(after[b"outbox"]) == len(before[b"outbox"]) - 2
        assert not [key for key in after if b"ask-1" in key]
        async with logs(life.settings) as log:
            place = log.partition((COMMANDS.name, SHARD))
            assert (await read_up_to(log.admin, life.settings, SERVICE, [place]))[place] == 1
    else:
        assert after == before
        again = await rebuild(life.settings, SERVICE, Console(quiet=True), folder=tmp_path / "b", dry_run=True)
        assert again == 1, "what is not published yet is named"


def shard_backup(folder: Path, *items: tuple[Any, ...], whole: bool = True) -> ShardBackup:
    """Write a shard's file and read it."""
    writer = ShardWriter(folder, SERVICE, 0)
    for item in items:
        writer.add(*item)
    writer.close(whole=whole)
    kept = ServiceBackup(milliseconds=10_000, read={COMMANDS.name: [3]}, said={EVENTS.name: [-1], RESULTS.name: [7]})
    return ShardBackup(folder, kept, SERVICE, 0, process_of(SERVICE, Settings()).decider, KEPT_MS)


RELAY = ("relay", {b"cursor": b"4-0"}, b"5-0")


def test_only_what_was_said_meanwhile_is_taken_for_the_logs(tmp_path: Path) -> None:
    """Entries up to the last before the accounts are in every account; those behind it may be in no topic."""
    kept = shard_backup(tmp_path, RELAY, ("entry", b"5-0", [said(1)]), ("entry", b"5-1", [said(2), said(1, "birch")]))
    assert {account: [one.sequence for one in each] for account, each in kept.said.items()} == {
        "acme": [2],
        "birch": [1],
    }
    assert [entry_id for entry_id, _ in kept.entries()] == [b"5-0", b"5-1"]
    assert [kept.since((topic.name, 0)) for topic in (COMMANDS, EVENTS, RESULTS, ACCOUNTS)] == [3, -1, 7, -1]


def test_an_account_that_was_written_twice_is_the_older_one(tmp_path: Path) -> None:
    """A scan may name a key twice; the log since has what the older one lacks. Answers go with their account."""
    fields = [{b"version": b"1", b"document": b"{}"}, {b"version": b"2", b"document": b"{}"}]
    marks = [("mark", "acme", "c1", b"answer", 1_000), ("mark", "nobody", "c2", b"refusal", 2_000)]
    kept = shard_backup(tmp_path, RELAY, *[("account", "acme", each) for each in fields], *marks)
    acme, nobody = kept.starts()
    assert (acme.account_id, acme.steps, acme.known, acme.marks["c1"].answer) == ("acme", 1, True, b"answer")
    assert acme.marks["c1"].written_ms + KEPT_MS - 10_000 == 1_000
    assert (nobody.account_id, nobody.known, [*nobody.marks]) == ("nobody", False, ["c2"])


def test_an_account_that_could_not_be_read_is_named(tmp_path: Path) -> None:
    """What was poisoned when it was kept is a difference, and its neighbours are restored."""
    fields = [("acme", {b"version": b"1", b"document": b"{"}), ("birch", {b"version": b"1", b"document": b"{}"})]
    kept = shard_backup(tmp_path, RELAY, *[("account", *each) for each in fields])
    assert [(each.kind, each.account_id) for each in kept.unreadable()] == [("kept unreadable", "acme")]
    assert [each.account_id for each in kept.starts()] == ["birch"]


@pytest.mark.parametrize("harm", ["without its end", "cut", "other bytes"])
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, harm: str) -> None:
    """A backup that was interrupted, cut or damaged is never taken for a small one."""
    path = shard_file(tmp_path, SERVICE, 0)
    if harm == "without its end":
        with pytest.raises(UnusableBackup, match="is not whole"):
            shard_backup(tmp_path, RELAY, whole=False)
        return
    shard_backup(tmp_path, RELAY, *[("entry", b"%d-0" % n, [b"x" * 100]) for n in range(1, 5)])
    content = path.read_bytes()
    path.write_bytes(content[:-9] if harm == "cut" else gzip.compress(b"\xc1"))
    with pytest.raises(UnusableBackup):
        list(read_shard(tmp_path, SERVICE, 0))
