"""What leaves a shard in order, the outbox behind its cursor and the timers when they are due: on all servers."""

import asyncio

from contracts import topics
from services.runtime.store import FIRST, Store
from tests.runtime.stored import records
from tests.runtime.toys import commit, record


async def test_the_relay_starts_at_the_beginning(store: Store) -> None:
    """A shard whose relay never ran stands before the first record and has acknowledged nothing."""
    assert await store.relay_position(0) == (FIRST, {})


async def test_the_cursor_moves_only_from_where_it_was_seen(store: Store) -> None:
    """Of two relays that saw the same cursor, one moves it and the other is told, and changes nothing."""
    await store.commit(0, [commit(records=[b"1"]), commit("globex", records=[b"2"])])
    (first, _), (second, _) = await store.outbox(0, FIRST, 10)

    assert await store.advance_relay(0, FIRST, first, {topics.EVENTS.name: 7})
    assert not await store.advance_relay(0, FIRST, second, {topics.EVENTS.name: 99})

    assert await store.relay_position(0) == (first, {topics.EVENTS.name: 7})
    assert await store.outbox(0, first, 10) == [(second, b"2")]


async def test_trimming_forgets_by_age_and_never_more(store: Store) -> None:
    """MINID forgets only records below the given id; all at it and behind it stay."""
    await store.commit(0, [commit(f"account-{n}", records=[b"%d" % n]) for n in range(500)])
    await asyncio.sleep(0.002)  # ids count milliseconds: the next record has another one
    await store.commit(0, [commit("acme", records=[b"later"])])
    last = (await store.outbox(0, FIRST, 1_000))[-1][0]

    await store.advance_relay(0, FIRST, last, {}, f"{last.partition('-')[0]}-0")

    left = await records(store)
    assert left[-1] == b"later"
    assert len(left) < 501
    assert await store.outbox_length(0) == len(left)


async def test_a_refused_advance_trims_nothing(store: Store) -> None:
    """A relay that is not up to date cannot make records be forgotten."""
    await store.commit(0, [commit(f"account-{n}", records=[b"%d" % n]) for n in range(500)])

    assert not await store.advance_relay(0, "5-0", "6-0", {}, "99999999999999-0")

    assert await store.outbox_length(0) == 500


async def test_the_records_of_a_commit_stand_together(store: Store) -> None:
    """What one commit emits is read whole and in its order; few records are one entry."""
    await store.commit(0, [commit(records=[record(n) for n in range(12)]), commit("globex", records=[b"next"])])

    assert [each for _, each in await store.outbox(0, FIRST, 1)] == [record(n) for n in range(12)]
    assert await store.outbox_length(0) == 2


async def test_many_records_of_a_commit_are_many_small_entries(store: Store) -> None:
    """What is read at once stays near what was asked for, however many records one commit has; the order is kept."""
    await store.commit(0, [commit(records=[b"%d" % n for n in range(20_000)]), commit("globex", records=[b"next"])])

    seen: list[bytes] = []
    cursor = FIRST
    while part := await store.outbox(0, cursor, 1_000):
        assert len(part) <= 1_000 + 200 * 16
        seen += [entry for _, entry in part]
        cursor = part[-1][0]
    assert seen == [*(b"%d" % n for n in range(20_000)), b"next"]


async def test_fewer_records_than_asked_for_are_all_there_are(store: Store) -> None:
    """Small entries are read on until the limit is reached: only who has come to the end is given less."""
    await store.commit(0, [commit(f"account-{n}", records=[b"%d" % n]) for n in range(700)])

    assert [each for _, each in await store.outbox(0, FIRST, 650)] == [b"%d" % n for n in range(650)]
    assert [each for _, each in await store.outbox(0, FIRST, 1_000)] == [b"%d" % n for n in range(700)]


async def test_rewinding_starts_the_outbox_again(store: Store) -> None:
    """After a rewind the relay stands before the first retained record and has acknowledged nothing."""
    await store.commit(0, [commit(records=[b"1"])])
    await store.advance_relay(0, FIRST, (await store.outbox(0, FIRST, 1))[0][0], {topics.EVENTS.name: 0})

    await store.rewind_relay(0)

    assert await store.relay_position(0) == (FIRST, {})


async def test_due_timers_come_earliest_first_and_bounded(store: Store) -> None:
    """Of the timers due by now, the earliest come, at most as many as asked for; later ones wait."""
    due = {"c": 300, "a": 100, "d": 400, "b": 200}
    await store.commit(0, [commit(name, timers=["alarm", at]) for name, at in due.items()])

    assert await store.due_timers(0, 300, 2) == [("a", "alarm", 100), ("b", "alarm", 200)]
    assert await store.due_timers(0, 300, 10) == [("a", "alarm", 100), ("b", "alarm", 200), ("c", "alarm", 300)]
    assert await store.due_timers(0, 99, 10) == []


async def test_a_timer_name_may_have_spaces(store: Store) -> None:
    """A timer named after an add-on with spaces in its id is given back whole."""
    await store.commit(0, [commit(timers=["digest:Aircall AI", 1_790_000_000_123])])

    assert await store.due_timers(0, 1_800_000_000_000, 10) == [("acme", "digest:Aircall AI", 1_790_000_000_123)]


async def test_records_are_read_behind_the_cursor_in_the_order_of_the_commits(store: Store) -> None:
    """The outbox is read in bounded parts, each behind the last, in the order in which it was committed."""
    await store.commit(0, [commit(f"account-{n}", records=[record(n)]) for n in range(25)])

    seen: list[bytes] = []
    cursor = FIRST
    while part := await store.outbox(0, cursor, 10):
        assert len(part) <= 10
        seen += [entry for _, entry in part]
        cursor = part[-1][0]

    assert seen == [record(n) for n in range(25)]
