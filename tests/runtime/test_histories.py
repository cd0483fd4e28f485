"""Any history, on the embedded Valkey: redelivered, reordered, by two processes at once, each message counts once."""

import asyncio
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from services.runtime import functions
from services.runtime.delivery import Delivery
from services.runtime.store import Store
from tests.runtime.counting import causes_of, committing, emitted, ids_emitted
from tests.runtime.toys import command, event

_histories = itertools.count()
message = st.one_of(st.tuples(st.just("command"), st.integers(1, 6)), st.tuples(st.just("event"), st.integers(1, 6)))
wishes = st.sampled_from(["count", "count", "row", "ask", "ignore", "reject", "fail"])
history = st.tuples(
    st.lists(wishes, min_size=12, max_size=12),
    st.lists(
        st.tuples(st.integers(0, 1), st.lists(message, min_size=1, max_size=6), st.booleans()), min_size=1, max_size=8
    ),
)


async def deliver(store: Store, wishes_of: list[str], batches: list[tuple[int, list[tuple[str, int]], bool]]) -> None:
    """Deliver batches by two processes; a batch marked so runs at the same time as the one behind it."""
    processes = [committing(store, conflicts_max=100), committing(store, conflicts_max=100)]

    def delivery(kind: str, number: int) -> Delivery:
        wish = wishes_of[number - 1 if kind == "command" else number + 5]
        return command("acme", f"c{number}", wish) if kind == "command" else event("acme", number, wish)

    running: list[Any] = []
    for process, batch, together in batches:
        running.append(processes[process].run(0, [delivery(*each) for each in batch]))
        if not together:
            await asyncio.gather(*running)
            running.clear()
    await asyncio.gather(*running)


@given(story=history)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_state_is_the_fold_of_the_distinct_messages(
    embedded_valkey_url: str, story: tuple[list[str], list[tuple[int, list[tuple[str, int]], bool]]]
) -> None:
    """Whatever is delivered again, in whatever order, by two processes at once: each message has its effect once.

    The state counts the distinct messages that take effect, and what was emitted counts 1..n without a gap.
    """
    wishes_of, batches = story

    async def check() -> None:
        async with Redis.from_url(embedded_valkey_url) as redis:
            await functions.ensure_loaded(redis)
            store = Store(redis, f"history-{next(_histories)}.", "toy", 1, 3_600_000)
            await deliver(store, wishes_of, batches)
            await verify(store, wishes_of, batches)

    asyncio.run(check())


async def verify(store: Store, wishes_of: list[str], batches: list[tuple[int, list[tuple[str, int]], bool]]) -> None:
    """Check state and emissions against the distinct messages that were delivered."""
    effective = ("count", "row", "ask")
    seen = {each for _, batch, _ in batches for each in batch}
    commands = {f"c{number}": wishes_of[number - 1] for kind, number in seen if kind == "command"}
    events = {number: wishes_of[number + 5] for kind, number in seen if kind == "event"}
    said = await emitted(store)
    ids = await ids_emitted(store)
    from_commands = [cause for _, cause in said if cause in commands]
    from_events = [cause for _, cause in said if cause not in commands]

    assert sorted(from_commands) == sorted(name for name, wish in commands.items() if wish in effective)
    assert len(from_events) == len(set(from_events))
    # Events before the first one seen are before the start of a trimmed log, and not applied.
    assert {f"event-acme-{number}" for number, wish in events.items() if wish in effective} >= set(from_events)
    assert await causes_of(store) == [cause for _, cause in said]
    assert len(ids) == len(set(ids))
    assert [sequence for sequence, _ in said] == list(range(1, len(said) + 1))
