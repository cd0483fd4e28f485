"""What a process added itself is published without reading it back, and nothing else changes by that."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from services.runtime import recent
from services.runtime.recent import Recent
from services.runtime.store import FIRST, Commit, Store
from tests.runtime.relays import PARTITIONS, cursor, ids, relay_of, say
from tests.runtime.test_relay import Kafka
from tests.runtime.toys import record

_spaces = itertools.count()
_STEPS = st.lists(st.sampled_from(["ours", "ours late", "arrives", "theirs", "publish", "fail", "save"]), max_size=30)


async def _unreadable(*_: Any, **__: Any) -> Any:
    raise AssertionError("the outbox was read back")


async def test_what_was_just_committed_is_published_without_reading_it(
    embedded_store: Store, embedded_redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay at the end of the outbox publishes its own process's commits from memory, in their order."""
    kafka = Kafka()
    relay = relay_of(embedded_store, kafka)
    await say(embedded_store, 0)
    with embedded_store.recent.following(0):
        await relay.publish_some(0)
        monkeypatch.setattr(embedded_redis, "xrange", _unreadable)
        await say(embedded_store, 1, 2)
        await say(embedded_store, 3)
        await relay.publish_some(0)
    monkeypatch.undo()
    await relay.save(0)

    assert kafka.ids == ids(0, 1, 2, 3)
    assert await embedded_store.outbox(0, await cursor(embedded_store), 10) == []


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
async def test_whatever_comes_between_the_order_is_the_outbox_s(
    embedded_redis: Redis, namespace: str, steps: list[str]
) -> None:
    """With others' commits, replies that come late, failures and saves in between, the log is the outbox in order."""
    space = f"{namespace}{next(_spaces)}."
    ours, theirs = (Store(embedded_redis, space, "toy", PARTITIONS, 3_600_000) for _ in range(2))
    kafka, late, number = Kafka(), [], 0
    relay = relay_of(ours, kafka)
    add = ours.recent.add
    with ours.recent.following(0):
        for step in steps:
            number += 1
            match step:
                case "ours" | "theirs":
                    await say(ours if step == "ours" else theirs, number)
                case "ours late":
                    ours.recent.add = lambda *told: late.append(told)  # type: ignore[method-assign]
                    await say(ours, number)
                    ours.recent.add = add  # type: ignore[method-assign]
                case "arrives" if late:
                    add(*late.pop(0))
                case "publish" | "fail":
                    kafka.fail_after = 0 if step == "fail" else None
                    await asyncio.gather(relay.publish_some(0), return_exceptions=True)
                case "save":
                    await relay.save(0)
        kafka.fail_after = None
        for told in late:
            add(*told)
        while await relay.publish_some(0):
            pass
    said = [step in {"ours", "theirs", "ours late"} for step in steps]
    assert kafka.ids == ids(*(n for n, is_said in enumerate(said, 1) if is_said))


async def test_a_commit_in_part_is_remembered_without_its_conflicts(embedded_store: Store) -> None:
    """Of a call in which some commits met conflicts only the records that were written are published."""
    kafka = Kafka()
    with embedded_store.recent.following(0):
        relay = relay_of(embedded_store, kafka)
        await say(embedded_store, 1)
        await relay.publish_some(0)
        conflict, written = Commit("acme", 7, b"x", records=[record(2)]), Commit("acme", 0, records=[record(3)])
        assert await embedded_store.commit(0, [conflict]) == [False]
        assert await relay.publish_some(0) == 0
        assert await embedded_store.commit(0, [written, conflict]) == [True, False]
        assert await relay.publish_some(0) == 1
    assert kafka.ids == ids(1, 3)


async def test_what_does_not_fit_is_read_from_redis(embedded_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """While Kafka is away memory stays bounded; what was not kept is published all the same."""
    monkeypatch.setattr(recent, "BYTES_MAX", 1_000)
    kafka = Kafka()
    with embedded_store.recent.following(0):
        for number in range(20):
            await say(embedded_store, number)
        kept = embedded_store.recent.take(0, FIRST, 1_000)
        assert 0 < len(kept) < 10
        relay = relay_of(embedded_store, kafka)
        while await relay.publish_some(0):
            pass
    assert kafka.ids == ids(*range(20))


def test_only_followed_shards_are_kept() -> None:
    """What is added to a shard that no relay of this process publishes takes no memory, before, after and meanwhile."""
    kept = Recent()
    kept.add(0, FIRST, "1-0", [b"before"])
    with kept.following(0):
        kept.add(1, FIRST, "1-0", [b"another shard's"])
        assert kept.take(0, FIRST, 10) == kept.take(1, FIRST, 10) == []
        kept.add(0, FIRST, "1-0", [b"now"])
        kept.add(0, "1-0", "2-0", [b"next"])
        assert kept.take(0, FIRST, 1) == [("1-0", b"now")]
    assert kept.take(0, "1-0", 10) == []
    with kept.following(0):
        assert kept.take(0, "1-0", 10) == []


def test_what_was_read_meanwhile_is_let_go() -> None:
    """A stretch that begins before what was read is let go, whatever the number of digits; what begins there stays."""
    kept = Recent()
    with kept.following(0):
        kept.add(0, "9-0", "10-0", [b"old"])
        kept.add(0, "10-0", "10-1", [b"old"])
        kept.add(0, "10-1", "11-0", [b"new"])
        kept.forget_before(0, "10-1")
        assert kept.take(0, "9-0", 10) == kept.take(0, "10-0", 10) == []
        assert kept.take(0, "10-1", 10) == [("11-0", b"new")]
