"""A batch on the embedded Valkey: one commit of many messages leaves what a commit for each would have left."""

import asyncio
import itertools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from services.runtime import functions
from services.runtime.delivery import Delivery
from services.runtime.store import FIRST, Store, Wanted
from tests.runtime.counting import ALARM_MS, committing
from tests.runtime.toys import TOTAL, command, event, fact

_batches = itertools.count()
# Not "fail-store": a row that cannot be stored may be written again in the same batch, and then nothing is amiss.
WISHES = ("count", "row", "note", "ask", "ignore", "reject", "fail", "fail-evolve", "fail-document")
INSTANTS = (ALARM_MS - 1, ALARM_MS, ALARM_MS + 1)
COMMANDS = [f"c{number}" for number in range(5)]
ROWS = [TOTAL, "person:ann", "person:bob"]

wishes = st.sampled_from([*WISHES, *(f"wake:{instant}" for instant in INSTANTS)])
deliveries = st.one_of(
    st.builds(command, st.just("acme"), st.sampled_from(COMMANDS), wishes, st.sampled_from(["ann", "bob"])),
    st.builds(fact, st.just("acme"), st.sampled_from(["f1", "f2"]), wishes),
    st.builds(event, st.just("acme"), st.integers(1, 6), wishes),
    st.builds(Delivery.of_timer, st.just("acme"), st.just("alarm"), st.sampled_from(INSTANTS)),
)


async def left_by(redis: Redis, batches: list[list[Delivery]]) -> dict[str, Any]:
    """Run batches in a shard of their own; return what failed and all that is stored, but how often it was written."""
    store = Store(redis, f"batch-{next(_batches)}.", "toy", 1, 3_600_000)
    failed = [failure for batch in batches for failure in await committing(store).run(0, batch)]
    (loaded,) = await store.load(0, [Wanted("acme", COMMANDS, ROWS)])
    return {
        "failed": [failure.delivery for failure in failed],
        "account": (loaded.version > 0, loaded.sequences, loaded.document, loaded.rows, loaded.answers),
        "outbox": [record for _, record in await store.outbox(0, FIRST, 10_000)],
        "timers": await store.due_timers(0, 10**15, 100),
        "gaps": await store.gaps(0),
    }


@given(story=st.lists(deliveries, min_size=1, max_size=10))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_batch_leaves_what_its_messages_one_by_one_leave(embedded_valkey_url: str, story: list[Delivery]) -> None:
    """State, rows, answers, every record to the byte, timers, gaps and what failed are the same; commits are fewer."""

    async def check() -> None:
        async with Redis.from_url(embedded_valkey_url) as redis:
            await functions.ensure_loaded(redis)
            assert await left_by(redis, [story]) == await left_by(redis, [[each] for each in story])

    asyncio.run(check())
