"""Load, decide, commit beside other processes: what another wrote meanwhile is seen, and every effect comes once."""

from datetime import datetime
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from contracts.results import CommandAccepted, CommandRejected
from services.runtime.clock import ManualClock, to_milliseconds
from services.runtime.committing import Committing
from services.runtime.decision import Cause, Decision, Message, State
from services.runtime.delivery import Delivery
from services.runtime.errors import ConflictsExhausted
from services.runtime.store import FIRST, Store, Wanted
from tests.runtime.counting import causes_of, committing, count_of, emitted
from tests.runtime.toys import NOW, TOTAL, CounterDecider, CounterDocument, answer, command, event

ALARM_MS = to_milliseconds(NOW)


class Interference:
    """Lets another process write the account before a commit, a number of times; `wish` is what it does then."""

    def __init__(self, store: Store, times: int, wish: str = "count", name: str = "elsewhere-{left}") -> None:
        self.store = Interfering(store, self)
        self.left, self.wish, self.name = times, wish, name

    async def strike(self) -> None:
        """Send the account a command from elsewhere."""
        if self.left:
            self.left -= 1
            sent = command("acme", self.name.format(left=self.left), self.wish)
            await committing(self.store.inner).run(0, [sent])


class Interfering:
    """A store that is interfered with before each commit."""

    def __init__(self, inner: Store, interference: Interference) -> None:
        self.inner, self.interference = inner, interference

    async def load(self, shard: int, wanted: list[Wanted]) -> Any:
        """Load."""
        return await self.inner.load(shard, wanted)

    async def commit(self, shard: int, commits: list[Any]) -> Any:
        """Commit, too late."""
        await self.interference.strike()
        return await self.inner.commit(shard, commits)


async def test_a_conflict_is_decided_again_on_what_is_there_now(embedded_store: Store) -> None:
    """A batch that meets a conflict is decided anew: its effects come once, behind the other process's."""
    interference = Interference(embedded_store, times=2)

    await committing(interference.store).run(0, [command("acme", "c1"), command("acme", "c2")])  # type: ignore[arg-type]

    order = ["elsewhere-1", "elsewhere-0", "c1", "c2"]
    assert await causes_of(embedded_store) == order
    assert await emitted(embedded_store) == list(enumerate(order, 1))


@pytest.mark.parametrize("wish", ["reject", "count"])
async def test_a_command_that_another_process_answers_meanwhile_is_answered_once(
    embedded_store: Store, wish: str
) -> None:
    """One answered elsewhere between load and commit is repeated here, also when the account's version did not move.

    Its neighbours in the commit have their effect all the same, each once.
    """
    interference = Interference(embedded_store, times=1, wish=wish, name="c2")
    batch = [command("acme", f"c{n}", wish) for n in (1, 2, 3)]

    assert await committing(interference.store).run(0, batch) == []  # type: ignore[arg-type]

    kind = CommandRejected.ce_type if wish == "reject" else CommandAccepted.ce_type
    assert [cause for _, cause in await emitted(embedded_store, kind)] == ["c2", "c1", "c3"]
    assert await causes_of(embedded_store) == ([] if wish == "reject" else ["c2", "c1", "c3"])


class Consistent(CounterDecider):
    """Raises where it is shown a document and a row `total` that were not stored together."""

    def decide(self, state: State[CounterDocument], message: Message, cause: Cause, now: datetime) -> Decision:
        """Compare the two, which count the same."""
        total: Any = state.rows.get(TOTAL)
        if TOTAL in state.rows and state.document.count != (total.count if total else 0):
            raise ValueError("document and row are of different versions")
        return super().decide(state, message, cause, now)


async def test_no_decision_sees_a_document_and_rows_of_different_versions(embedded_store: Store) -> None:
    """When the account moves between its load and that of rows asked for, it is all loaded again; nothing fails."""

    class MovedBetweenLoads(Interfering):
        async def load(self, shard: int, wanted: list[Wanted]) -> Any:
            if TOTAL in wanted[0].rows:
                await self.interference.strike()
            return await self.inner.load(shard, wanted)

        async def commit(self, shard: int, commits: list[Any]) -> Any:
            return await self.inner.commit(shard, commits)

    moving = MovedBetweenLoads(embedded_store, Interference(embedded_store, times=2, wish="ask"))
    toy = Committing(Consistent(), answer, moving, ManualClock(NOW), 5)  # type: ignore[arg-type]

    assert await toy.run(0, [command("acme", "c1", "ask"), command("globex", "g1")]) == []

    assert await causes_of(embedded_store) == ["elsewhere-1", "elsewhere-0", "c1"]
    assert (await embedded_store.load(0, [Wanted("acme", [], [TOTAL])]))[0].rows == [b'{"count":3}']
    assert await count_of(embedded_store, "globex") == 1


async def test_conflicts_are_bounded(embedded_store: Store) -> None:
    """An account that changes every time gives up after `conflicts_max` attempts, with nothing of the batch written."""
    interference = Interference(embedded_store, times=100)

    with pytest.raises(ConflictsExhausted, match="after 5 attempts"):
        await committing(interference.store, conflicts_max=5).run(0, [command("acme", "c1")])  # type: ignore[arg-type]

    assert [cause for _, cause in await emitted(embedded_store) if cause == "c1"] == []


async def test_a_lost_reply_and_a_second_run_have_one_effect(embedded_store: Store) -> None:
    """When the commit was written and its reply lost, running the batch again recognises everything of it."""

    class ReplyLost(Interfering):
        async def commit(self, shard: int, commits: list[Any]) -> Any:
            await self.inner.commit(shard, commits)
            raise RedisConnectionError("the reply was lost")

    batch = [command("acme", "c1"), event("acme", 1), command("globex", "c2", "reject")]
    losing = ReplyLost(embedded_store, Interference(embedded_store, 0))
    with pytest.raises(RedisConnectionError):
        await committing(losing).run(0, batch)  # type: ignore[arg-type]
    written = await embedded_store.outbox(0, FIRST, 100)

    await committing(embedded_store).run(0, batch)

    assert await embedded_store.outbox(0, FIRST, 100) == written
    assert await count_of(embedded_store) == 2


async def test_a_failed_timer_beside_a_conflict_has_one_effect(embedded_store: Store) -> None:
    """A batch of a failing timer and commands that meets a conflict puts the timer off and counts the commands once."""
    toy = committing(embedded_store)
    await toy.run(0, [*(command("acme", f"c{n}") for n in range(11)), command("acme", "set", f"wake:{ALARM_MS}")])
    interference = Interference(embedded_store, times=1)

    due = Delivery.of_timer("acme", "alarm", ALARM_MS)
    (failure,) = await committing(interference.store).run(0, [due, command("acme", "last")])  # type: ignore[arg-type]

    assert failure.delivery is due
    assert (await causes_of(embedded_store))[-2:] == ["elsewhere-0", "last"]
    later = ALARM_MS + 60_000
    assert await embedded_store.due_timers(0, later, 10) == [("acme", "alarm", later)]
