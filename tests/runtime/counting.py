"""The counter service, over a store or one unit of its work, and what it did."""

import json
from typing import Any

from contracts.events import TrialEnded
from services.runtime import codec
from services.runtime.clock import ManualClock, to_milliseconds
from services.runtime.committing import Committing
from services.runtime.store import FIRST, Commit, Loaded, Store, Wanted
from services.runtime.unit_of_work import UnitOfWork
from tests.runtime.toys import NOW, CounterDecider, CounterDocument, answer


def committing(store: Store, conflicts_max: int = 20, **decider: Any) -> Committing[CounterDocument]:
    """Return the counter service over a store."""
    return Committing(CounterDecider(**decider), answer, store, ManualClock(NOW), conflicts_max)


async def count_of(store: Store, account_id: str = "acme") -> int:
    """Return how often an account was counted."""
    (loaded,) = await store.load(0, [Wanted(account_id, [], [])])
    return int(json.loads(loaded.document)["count"]) if loaded.document else 0


async def causes_of(store: Store, account_id: str = "acme") -> list[str]:
    """Return what an account's state was counted by, in order."""
    (loaded,) = await store.load(0, [Wanted(account_id, [], [])])
    return list(json.loads(loaded.document)["causes"]) if loaded.document else []


async def emitted(store: Store, kind: str = TrialEnded.ce_type, account_id: str = "acme") -> list[tuple[int, str]]:
    """Return (sequence, cause) of everything of one type and account in the outbox, in order."""
    found = []
    for _, record in await store.outbox(0, FIRST, 100_000):
        out = codec.unpack(record)
        headers = dict(out.headers)
        if headers["ce_type"] == kind.encode() and out.key == account_id.encode():
            found.append((int(headers.get("ce_sequence", 0)), headers["ce_causationid"].decode()))
    return found


async def ids_emitted(store: Store) -> list[str]:
    """Return the `ce_id`s of everything in the outbox."""
    records = [codec.unpack(record) for _, record in await store.outbox(0, FIRST, 100_000)]
    return [dict(each.headers)["ce_id"].decode() for each in records]


NEW = Loaded(0, None, None, [], [])
ALARM_MS = to_milliseconds(NOW)


def unit(loaded: Loaded = NEW, *, careful: bool = False) -> UnitOfWork[CounterDocument]:
    """Return the unit of the account "acme"."""
    return UnitOfWork(CounterDecider(), answer, "acme", NOW, loaded, careful=careful)


def committed(work: UnitOfWork[CounterDocument]) -> Commit:
    """Return what a unit that has something to write commits."""
    commit = work.commit()
    assert commit is not None
    return commit


def stored(commit: Commit) -> Loaded:
    """Return what loading gives after this commit on an account never written, rows left out."""
    return Loaded(commit.expected_version + 1, commit.sequences, commit.document or None, [], [])


def said(commit: Commit) -> list[tuple[str, str, int]]:
    """Return (type, id, sequence) of a commit's records."""
    headers = [dict(codec.unpack(record).headers) for record in commit.records]
    return [(each["ce_type"].decode(), each["ce_id"].decode(), int(each.get("ce_sequence", 0))) for each in headers]
