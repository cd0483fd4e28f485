"""The store's suite, on Valkey embedded, Valkey in its container, and Redis 7."""

from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from contracts import topics
from services.runtime.keys import ShardKeys
from services.runtime.store import FIRST, Commit, Loaded, Store, Wanted
from tests.runtime.stored import COMMITTED, CONFLICT, EVERYTHING, NOTHING, everything, one, records
from tests.runtime.toys import commit


async def test_an_account_never_written_is_at_version_0_and_empty(store: Store) -> None:
    """Loading what is not there gives version 0 and None for everything asked for, in the order asked for."""
    loaded = await store.load(0, [Wanted("acme", ["c1", "c2"], ["person:ann"]), Wanted("globex", [], [])])

    assert loaded == [Loaded(0, None, None, [None], [None, None]), NOTHING]


async def test_loading_no_account_is_an_empty_answer(store: Store) -> None:
    """A call for no account at all, and a commit of nothing, are harmless."""
    assert await store.load(0, []) == []
    assert await store.commit(0, []) == []


async def test_all_parts_of_a_commit_come_back(store: Store) -> None:
    """Document, rows, sequences, inbox marks, outbox records, timers and gaps of a commit are all there afterwards."""
    assert await store.commit(0, [commit(**EVERYTHING)]) == [COMMITTED]

    (loaded,) = await store.load(
        0, [Wanted("acme", ["command-2", "command-3", "command-1"], ["person:bob", "person:eve", "person:ann"])]
    )
    assert loaded.version == 1
    assert loaded.sequences == b"sequences"
    assert loaded.document == EVERYTHING["document"]
    assert loaded.rows == [b'{"count":2}', None, b'{"count":1}']
    assert loaded.answers == [b'{"accepted":false}', None, b'{"accepted":true}']
    assert await records(store) == EVERYTHING["records"]
    assert await store.due_timers(0, 1_000, 10) == [("acme", "alarm", 1_000)]
    assert await store.gaps(0) == {f"{topics.EVENTS.name} acme": "2-3"}


async def test_the_inbox_forgets_after_its_retention(store: Store, redis: Redis, namespace: str) -> None:
    """An answer is kept for the inbox retention, to the millisecond, and no longer."""
    await store.commit(0, [commit(**EVERYTHING)])

    for command in ("command-1", "command-2"):
        remaining = await redis.pttl(ShardKeys(namespace, "toy", 0).inbox("acme", command))
        assert 3_590_000 < remaining <= 3_600_000


async def test_unchanged_parts_stay(store: Store) -> None:
    """A commit without document and rows leaves those as they were and counts the version."""
    await store.commit(0, [commit(**EVERYTHING)])

    await store.commit(0, [commit(version=1, sequences=b"later")])

    assert await one(store, "acme", "person:ann") == Loaded(2, b"later", b'{"count":1}', [b'{"count":1}'], [])


async def test_a_commit_on_an_old_version_writes_nothing(store: Store, redis: Redis, namespace: str) -> None:
    """An expected version that is not current, lower or higher, is a conflict that leaves every key as it was."""
    await store.commit(0, [commit(**EVERYTHING)])
    before = await everything(redis, namespace)

    for version in (0, 2):
        other: dict[str, Any] = EVERYTHING | {"inbox": ["command-3", b"{}"], "document": b"{}"}
        assert await store.commit(0, [commit(version=version, **other)]) == [CONFLICT]

    assert await everything(redis, namespace) == before


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_commit_with_a_command_answered_before_writes_nothing(
    store: Store, redis: Redis, namespace: str, place: int
) -> None:
    """One repeated command id, wherever it stands among new ones and whatever the version, is a conflict.

    Nothing is written, of the new commands neither; the first answer is there to be loaded.
    """
    await store.commit(0, [commit(**EVERYTHING), commit(version=1)])
    before = await everything(redis, namespace)

    inbox = ["new-1", b"1", "new-2", b"2"]
    inbox[2 * place : 2 * place] = ["command-1", b"another"]
    again: dict[str, Any] = EVERYTHING | {"inbox": inbox}
    for version in (0, 1, 2):
        assert await store.commit(0, [commit(version=version, **again)]) == [CONFLICT]

    after = await everything(redis, namespace)
    assert after.keys() == before.keys()
    assert await one(store, command="command-1") == Loaded(2, b"sequences", b'{"count":1}', [], [b'{"accepted":true}'])
    assert await records(store) == EVERYTHING["records"]


async def test_a_command_repeated_within_a_batch_is_written_once(store: Store) -> None:
    """The second commit of a command id in one call is a conflict: only the first is written, and its answer stays."""
    first = commit(inbox=["c", b"first"], records=[b"1"])
    second = commit(version=1, inbox=["d", b"other", "c", b"second"], records=[b"2"])

    assert await store.commit(0, [first, second]) == [COMMITTED, CONFLICT]

    assert await records(store) == [b"1"]
    assert await one(store, command="c") == Loaded(1, b"sequences", None, [], [b"first"])
    assert (await one(store, command="d")).answers == [None]


async def test_commits_of_one_account_follow_each_other(store: Store) -> None:
    """Several commits of an account in one call build on each other's versions, and the last one's state stays."""
    chain = [commit(version=n, document=b"%d" % n, records=[b"%d" % n]) for n in range(5)]

    assert await store.commit(0, chain) == [COMMITTED] * 5

    assert (await one(store)).version == 5
    assert (await one(store)).document == b"4"
    assert await records(store) == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_conflict_leaves_the_accounts_beside_it_committed(store: Store) -> None:
    """In one call, a conflicting account is refused with all its later commits, and its neighbours are written.

    Also the later commit whose expected version happens to be current: it was decided on a state that is not there.
    """
    await store.commit(0, [commit("moved")])

    outcomes = await store.commit(
        0,
        [
            commit("before"),
            commit("moved", 0, records=[b"lost"]),
            commit("moved", 1, records=[b"lost"], document=b"lost"),
            commit("after"),
        ],
    )

    assert outcomes == [COMMITTED, CONFLICT, CONFLICT, COMMITTED]
    assert [(await one(store, name)).version for name in ("before", "moved", "after")] == [1, 1, 1]
    assert (await one(store, "moved")).document is None
    assert await records(store) == []


async def test_what_follows_a_repetition_in_a_call_is_a_conflict(store: Store) -> None:
    """Another process answered the command meanwhile: what was decided behind our own decision of it is not written."""
    await store.commit(0, [commit(inbox=["c1", b"theirs"], document=b"theirs")])

    outcomes = await store.commit(
        0, [commit(version=1, inbox=["c1", b"ours"]), commit(version=1, document=b"ours"), commit("globex")]
    )

    assert outcomes == [CONFLICT, CONFLICT, COMMITTED]
    assert (await one(store)).document == b"theirs"


MALFORMED = {
    "account is a number": Commit(7, 0, b"s"),  # type: ignore[arg-type]
    "version is a text": Commit("acme", "0", b"s"),  # type: ignore[arg-type]
    "document is a number": commit(document=5),
    "rows are a text": commit(rows="row"),
    "a row is a list": commit(rows=["person:ann", [1]]),
    "a row without text": commit(rows=["person:ann"]),
    "a record is a number": commit(records=[b"fine", 5]),
    "a record is a list": commit(records=[b"fine", [b"nested"]]),
    "a timer without instant": commit(timers=["alarm"]),
    "a timer at a text": commit(timers=["alarm", "soon"]),
    "a gap is a number": commit(gaps=["topic", 5]),
    "no list of timers": commit(timers=3),
    "a command without answer": commit(inbox=["c1"]),
    "an answer is a number": commit(inbox=["c1", b"fine", "c2", 5]),
    "no list of commands": commit(inbox="c1"),
}


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED.keys())
async def test_a_malformed_commit_writes_nothing_of_its_batch(
    store: Store, redis: Redis, namespace: str, malformed: Commit
) -> None:
    """A batch with one commit of the wrong shape, anywhere, is refused whole: no half-way failure."""
    with pytest.raises(ResponseError, match="ADDONFLOW commit 2"):
        await store.commit(0, [commit("before", **EVERYTHING), malformed, commit("after")])

    assert await everything(redis, namespace) == {}


@pytest.mark.parametrize("part", ["outbox", "timers", "gaps", "account"])
async def test_a_key_of_the_wrong_type_writes_nothing_of_its_batch(
    store: Store, redis: Redis, namespace: str, part: str
) -> None:
    """When some key of the shard holds a foreign type, the whole batch is refused before anything is written."""
    keys = ShardKeys(namespace, "toy", 0)
    spoiled = keys.account("acme") if part == "account" else getattr(keys, part)
    await redis.lpush(spoiled, "foreign")
    before = await everything(redis, namespace)

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await store.commit(0, [commit("before"), commit(**EVERYTHING)])

    assert await everything(redis, namespace) == before


async def test_an_empty_row_is_deleted(store: Store) -> None:
    """A row committed as an empty text is gone; deleting what was never there is fine."""
    await store.commit(0, [commit(**EVERYTHING)])

    await store.commit(0, [commit(version=1, rows=["person:ann", b"", "person:nobody", b""])])

    assert (await one(store, "acme", "person:ann", "person:bob")).rows == [None, b'{"count":2}']


async def test_timers_and_gaps_are_cleared(store: Store) -> None:
    """A timer of -1 and a gap of an empty text are removed."""
    await store.commit(0, [commit(**EVERYTHING)])

    await store.commit(0, [commit(version=1, timers=["alarm", -1], gaps=[topics.EVENTS.name, ""])])

    assert await store.due_timers(0, 10**15, 10) == []
    assert await store.gaps(0) == {}


async def test_without_sequences_the_account_stays_unknown(store: Store) -> None:
    """A rejection for an unknown account leaves its record and its inbox mark, and no account."""
    rejected = Commit("acme", 0, inbox=["c", b"no"], records=[b"rejected"])

    assert await store.commit(0, [rejected, Commit("acme", 0, records=[b"again"])]) == [COMMITTED, COMMITTED]

    assert await one(store, command="c") == Loaded(0, None, None, [], [b"no"])
    assert await records(store) == [b"rejected", b"again"]


async def test_thousands_of_rows_of_one_account_load_in_one_call(store: Store) -> None:
    """1,500 rows named for one account come back in order, those that exist and those that do not."""
    await store.commit(0, [commit(rows=[part for n in range(0, 1_500, 2) for part in (f"person:{n}", b"%d" % n)])])

    rows = (await one(store, "acme", *(f"person:{n}" for n in range(1_500)))).rows

    assert rows == [b"%d" % n if n % 2 == 0 else None for n in range(1_500)]


async def test_thousands_of_rows_change_in_one_commit(store: Store) -> None:
    """A commit of 5,000 rows is written whole, and one that deletes them all too: Lua's stack bounds neither."""
    names = [f"person:{n}" for n in range(5_000)]
    assert await store.commit(0, [commit(rows=[part for name in names for part in (name, b"here")])]) == [COMMITTED]
    assert (await one(store, "acme", *names)).rows == [b"here"] * 5_000

    assert await store.commit(0, [commit(version=1, rows=[part for name in names for part in (name, b"")])]) == [
        COMMITTED
    ]
    assert (await one(store, "acme", *names)).rows == [None] * 5_000


async def test_thousands_of_commands_of_one_account_are_one_commit(store: Store) -> None:
    """1,500 answers, their 3,000 records, 3,000 timers and 1,500 gaps are written whole and in order, once."""
    numbers = range(1_500)
    many = commit(
        inbox=[part for n in numbers for part in (f"c{n}", b"answer %d" % n)],
        records=[b"%d" % n for n in range(3_000)],
        timers=[part for n in range(3_000) for part in (f"alarm-{n}", 1 + n)],
        gaps=[part for n in numbers for part in (f"topic-{n}", "2")],
    )

    assert await store.commit(0, [many, commit("globex", records=[b"next"])]) == [COMMITTED, COMMITTED]
    assert await store.commit(0, [many]) == [CONFLICT]

    (loaded,) = await store.load(0, [Wanted("acme", [f"c{n}" for n in numbers], [])])
    assert loaded.answers == [b"answer %d" % n for n in numbers]
    assert await records(store) == [*many.records, b"next"]
    assert len(await store.due_timers(0, 3_000, 10_000)) == 3_000
    assert len(await store.gaps(0)) == 1_500


async def test_shards_know_nothing_of_each_other(store: Store) -> None:
    """The same account id and command id in another shard are another account and another command."""
    await store.commit(0, [commit(**EVERYTHING)])

    assert await store.load(1, [Wanted("acme", ["command-1"], ["person:ann"])]) == [
        Loaded(0, None, None, [None], [None])
    ]
    assert await store.outbox(1, FIRST, 10) == []
