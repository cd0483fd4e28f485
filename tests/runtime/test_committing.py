"""Load, decide, commit: one effect each, whoever else writes, on the embedded Valkey (and on all for the race)."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest

from contracts import topics
from contracts.events import TrialEnded, TrialStarted
from contracts.results import CommandAccepted
from services.runtime.clock import ManualClock, to_milliseconds
from services.runtime.codec import remembered
from services.runtime.committing import Committing
from services.runtime.decision import Message
from services.runtime.delivery import Delivery
from services.runtime.store import Store, Wanted
from tests.runtime.counting import causes_of, committing, count_of, emitted, ids_emitted
from tests.runtime.toys import NOW, CounterDecider, answer, command, commit, event, staff

ALARM_MS = to_milliseconds(NOW)


async def test_a_batch_has_each_effect_once(embedded_store: Store) -> None:
    """Commands of two accounts, with a repetition inside the batch and one in the next batch, each count once."""
    toy = committing(embedded_store)
    first = [command("acme", "c1"), command("globex", "c2"), command("acme", "c1"), command("acme", "c3")]

    assert await toy.run(0, first) == []
    assert await toy.run(0, [command("acme", "c3"), command("acme", "c4")]) == []

    assert await count_of(embedded_store) == 3
    assert await count_of(embedded_store, "globex") == 1
    assert await emitted(embedded_store) == [(1, "c1"), (2, "c3"), (3, "c4")]
    assert await emitted(embedded_store, CommandAccepted.ce_type) == [(1, "c1"), (2, "c3"), (3, "c4")]


async def test_one_id_on_two_topics_is_two_commands(embedded_store: Store) -> None:
    """A member's and the back office's command of one id each have their effect and answer, once, in ids of their own.

    The stored answer names the id as its sender chose it.
    """
    toy = committing(embedded_store)
    sent = [command("acme", "c1"), staff("acme", "c1"), staff("acme", "c2"), command("acme", "c2")]
    await toy.run(0, sent[:1])
    await toy.run(0, sent)
    await toy.run(0, sent)

    assert await count_of(embedded_store) == 4
    ids = await ids_emitted(embedded_store)
    assert len(ids) == len(set(ids)) == 8
    assert await emitted(embedded_store, CommandAccepted.ce_type) == [(1, "c1"), (2, "c1"), (3, "c2"), (4, "c2")]
    keys = [each.cause.key for each in sent]
    (loaded,) = await embedded_store.load(0, [Wanted("acme", keys, [])])
    assert [remembered(stored or b"")[1]["command_id"] for stored in loaded.answers] == ["c1", "c1", "c2", "c2"]


async def test_a_thousand_commands_of_an_account_are_one_commit(embedded_store: Store) -> None:
    """The account's version moves by one, and all is answered and said in the order of the commands."""
    names = [f"c{n}" for n in range(1_000)]

    assert await committing(embedded_store).run(0, [command("acme", name, "row") for name in names]) == []

    (loaded,) = await embedded_store.load(0, [Wanted("acme", names, ["person:ann"])])
    assert (loaded.version, loaded.rows) == (1, [b'{"count":1000}'])
    assert [remembered(answer or b"")[1]["command_id"] for answer in loaded.answers] == names
    for kind in (TrialEnded.ce_type, CommandAccepted.ce_type):
        assert await emitted(embedded_store, kind) == list(enumerate(names, 1))


async def test_events_are_applied_once_and_gaps_are_reported(embedded_store: Store) -> None:
    """Repeated events change nothing; a missing one stands in the shard's gaps until it comes."""
    toy = committing(embedded_store)
    await toy.run(0, [event("acme", 1), event("acme", 1), event("acme", 4)])
    assert await embedded_store.gaps(0) == {f"{topics.EVENTS.name} acme": "2-3"}

    await toy.run(0, [event("acme", 4), event("acme", 3), event("acme", 2), event("acme", 1)])

    assert await embedded_store.gaps(0) == {}
    assert await count_of(embedded_store) == 4


async def test_a_reader_may_start_on_a_trimmed_log(embedded_store: Store) -> None:
    """The first event seen is the start: no gap, and it is applied."""
    await committing(embedded_store).run(0, [event("acme", 100), event("acme", 101)])

    assert await embedded_store.gaps(0) == {}
    assert await count_of(embedded_store) == 2


async def test_the_first_event_of_a_whole_log_can_fail_and_be_replayed(embedded_store: Store) -> None:
    """Where the log has its beginning, a first event that was set aside is a gap, and its replay has its effect."""
    toy = committing(embedded_store)
    await toy.run(0, [event("acme", 1, "fail")._replace(trimmed=False), event("acme", 2)._replace(trimmed=False)])
    assert await embedded_store.gaps(0) == {f"{topics.EVENTS.name} acme": "1"}

    await toy.run(0, [event("acme", 1)._replace(trimmed=False)])

    assert await embedded_store.gaps(0) == {}
    assert await count_of(embedded_store) == 2


async def test_rows_asked_for_by_a_decision_are_loaded(embedded_store: Store) -> None:
    """NeedsRows loads what it names and decides again, in a batch with others, and sees what the batch wrote."""
    toy = committing(embedded_store)
    await toy.run(0, [command("acme", f"c{n}", "ask") for n in range(3)])
    await toy.run(0, [command("acme", "c3", "ask"), command("acme", "c4", "row"), command("acme", "c5", "row")])

    (loaded,) = await embedded_store.load(0, [Wanted("acme", [], ["total", "person:ann"])])
    assert loaded.rows == [b'{"count":4}', b'{"count":2}']


@pytest.mark.parametrize(
    "wish", ["fail", "fail-rows", "fail-evolve", "fail-later", "fail-store", "fail-document", "more"]
)
async def test_a_decision_that_fails_leaves_its_neighbours_alone(embedded_store: Store, wish: str) -> None:
    """Wherever a service raises, that delivery is given back; its account goes on without a hole, as do others.

    Also where what it wants stored cannot be: that is seen at the end of the batch, and then looked for.
    """
    failing = command("acme", "bad", wish)
    batch = [command("acme", "c1"), failing, command("acme", "c2"), command("globex", "c3")]

    (failure,) = await committing(embedded_store).run(0, batch)

    assert failure.delivery is failing
    assert failure.detail
    assert await emitted(embedded_store) == [(1, "c1"), (2, "c2")]
    assert await emitted(embedded_store, CommandAccepted.ce_type) == [(1, "c1"), (2, "c2")]
    assert await count_of(embedded_store, "globex") == 1


async def test_a_document_that_cannot_be_read_fails_only_its_account(embedded_store: Store) -> None:
    """A stored document of an unknown shape gives back that account's deliveries and leaves what is stored alone."""
    await embedded_store.commit(0, [commit(document=b'{"count":"many"}', sequences=b"\x92\x80\x80")])

    failures = await committing(embedded_store).run(0, [command("acme", "c1"), command("globex", "c2")])

    assert [failure.delivery.cause.id for failure in failures] == ["c1"]
    assert await count_of(embedded_store, "globex") == 1


async def test_a_timer_that_fails_is_put_off(embedded_store: Store) -> None:
    """A timer that cannot be decided is due again a minute later, does not block its shard, and fires when it can."""
    toy = committing(embedded_store)
    counted = [command("acme", f"c{n}") for n in range(12)]
    await toy.run(
        0, [*counted, command("acme", "set", f"wake:{ALARM_MS}"), command("globex", "set2", f"wake:{ALARM_MS}")]
    )
    assert await count_of(embedded_store) == 13  # the counter fails to be woken at 13

    due = [Delivery.of_timer(name, "alarm", ALARM_MS) for name in ("acme", "globex")]
    (failure,) = await toy.run(0, due)

    assert failure.delivery is due[0]
    assert await count_of(embedded_store, "globex") == 2
    later = ALARM_MS + 60_000
    assert await embedded_store.due_timers(0, later, 10) == [("acme", "alarm", later)]
    await toy.run(0, [command("acme", "c14"), Delivery.of_timer("acme", "alarm", later)])
    assert await embedded_store.due_timers(0, later, 10) == []
    assert await count_of(embedded_store) == 15


async def test_what_cannot_be_published_fails_alone(embedded_store: Store) -> None:
    """A decision with a record that no broker takes is given back as a failure; nothing of it is in the outbox."""
    large = command("acme", "large", "fail-large")
    batch = [command("acme", "c1"), large, command("acme", "c2"), command("globex", "c3")]
    failures = await committing(embedded_store).run(0, batch)

    assert [(failure.delivery, failure.detail.partition(":")[0]) for failure in failures] == [(large, "RecordTooLarge")]
    assert await causes_of(embedded_store) == ["c1", "c2"]
    assert await emitted(embedded_store) == [(1, "c1"), (2, "c2")]
    assert await count_of(embedded_store, "globex") == 1
    assert await emitted(embedded_store, TrialStarted.ce_type) == []


async def test_a_timer_of_an_account_that_cannot_be_read_is_put_off(embedded_store: Store) -> None:
    """Its timers, however many, are due again a minute later, and its neighbours' are handled."""
    spoiled = commit(document=b'{"count":"many"}', sequences=b"\x92\x80\x80", timers=["alarm", 1, "bell", 2])
    await embedded_store.commit(0, [spoiled])
    toy = committing(embedded_store)
    await toy.run(0, [command("globex", "set", f"wake:{ALARM_MS}")])

    due = [Delivery.of_timer("acme", "alarm", 1), Delivery.of_timer("acme", "bell", 2)]
    failures = await toy.run(0, [*due, Delivery.of_timer("globex", "alarm", ALARM_MS)])

    assert [failure.delivery for failure in failures] == due
    later = ALARM_MS + 60_000
    assert await embedded_store.due_timers(0, later, 10) == [("acme", "alarm", later), ("acme", "bell", later)]
    assert await count_of(embedded_store, "globex") == 2


async def test_a_timer_is_handled_once_by_two_processes(embedded_store: Store) -> None:
    """Of two processes that found the same timer due, one handles it and the other finds nothing to do."""
    await committing(embedded_store).run(0, [command("acme", "set", f"wake:{ALARM_MS}")])
    due = Delivery.of_timer("acme", "alarm", ALARM_MS)

    await asyncio.gather(*(committing(embedded_store).run(0, [due]) for _ in range(2)))

    assert await count_of(embedded_store) == 2
    assert [sequence for sequence, _ in await emitted(embedded_store)] == [1, 2]


async def test_concurrent_writers_lose_no_increment(store: Store) -> None:
    """Two processes that decide for the same account at the same time: N commands each count exactly 2N."""
    number = 30

    async def one(process: str) -> None:
        toy = committing(store, conflicts_max=200)
        for start in range(0, number, 3):
            batch = [command("acme", f"{process}-{n}") for n in range(start, start + 3)]
            assert await toy.run(0, batch) == []

    await asyncio.gather(one("a"), one("b"))

    assert await count_of(store) == 2 * number
    said = await emitted(store)
    assert [sequence for sequence, _ in said] == list(range(1, 2 * number + 1))
    assert Counter(cause for _, cause in said) == Counter({f"{p}-{n}": 1 for p in "ab" for n in range(number)})
    assert await causes_of(store) == [cause for _, cause in said]


async def test_the_batch_is_decided_at_one_instant(embedded_store: Store) -> None:
    """Every decision of an attempt is given the same time: the clock's, when the attempt began."""
    seen: list[datetime] = []
    clock = ManualClock(NOW)

    def note(_: Message, now: datetime) -> None:
        seen.append(now)
        clock.advance(timedelta(seconds=1))

    toy = Committing(CounterDecider(note), answer, embedded_store, clock, 3)
    await toy.run(0, [command("acme", f"c{n}") for n in range(3)])

    assert seen == [NOW] * 3
