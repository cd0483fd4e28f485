"""Progress: each part that can stand still is seen doing so, by name, while the others go on."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from aiokafka import TopicPartition

from contracts.topics import COMMANDS
from services.runtime import metrics
from services.runtime.clock import ManualClock, machine_milliseconds, to_milliseconds
from services.runtime.health import Health
from services.runtime.patience import Patience
from services.runtime.pipeline import Pipeline
from services.runtime.progress import Progress
from services.runtime.settings import Settings
from services.runtime.store import Commit, Store
from tests.runtime.relays import relay_of, say
from tests.runtime.toys import NOW

PARTITION = TopicPartition(COMMANDS.name, 0)
SETTINGS = Settings(partitions=4, log_check_ms=5, batch_records_max=10)


class Process:
    """A process that owns shard 0: its consumer stands at `at` of `end`; nobody runs its relay or its timers."""

    def __init__(self, store: Store) -> None:
        self.at = self.end = 0
        self.store = store
        self.clock = ManualClock(NOW)
        self.health = Health(30)
        self.health.started()
        self.pipeline = Pipeline(self._nothing, lambda _: None)
        self.relay = relay_of(store, self)
        self.patience = Patience(self.health, 50)
        self.progress = Progress(
            self,  # type: ignore[arg-type]
            store,
            self.relay,
            self,  # type: ignore[arg-type]
            self.clock,
            self.health,
            self.patience,
            SETTINGS,
        )

    @property
    def subscription(self) -> "Process":
        """Stand for the subscription, its consumer, the shards and the ends of the logs."""
        return self

    consumer = shards = subscription
    owned = (0,)

    def assignment(self) -> set[TopicPartition]:
        """Read one partition."""
        return {PARTITION}

    async def position(self, _: TopicPartition) -> int:
        """Return where it is read."""
        return self.at

    async def of(self, _: object) -> dict[TopicPartition, int]:
        """Return where it ends."""
        return {PARTITION: self.end}

    async def _nothing(self, _: object) -> None:
        return None

    async def after(self, seconds: int, patch: pytest.MonkeyPatch) -> str | None:
        """Look, let time pass, look again; return why the process is not ready."""
        await self.look()
        later = asyncio.get_running_loop().time() + seconds
        patch.setattr("services.runtime.health._now", lambda: later)
        await self.look()
        return self.health.ready()

    async def look(self) -> None:
        """Look at everything once."""
        await self.progress.look_at_kafka()
        await self.progress.look_at_redis()


@pytest.fixture
async def process(embedded_store: Store) -> Process:
    """Give a process where nothing waits."""
    return Process(embedded_store)


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    """Give a way to let time pass that ends before the loop does."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def gauge(name: str, **labels: str) -> float | None:
    """Return the value of a gauge, None when it has none."""
    return metrics.REGISTRY.get_sample_value(name, labels)


async def test_where_nothing_waits_all_is_well(process: Process, patch: pytest.MonkeyPatch) -> None:
    """An idle process is ready however long it is idle."""
    assert await process.after(10_000, patch) is None


async def test_a_consumer_that_stands_still_is_seen(process: Process, patch: pytest.MonkeyPatch) -> None:
    """Records wait and none is handed out: not ready, and the partition is named."""
    process.at, process.end = 3, 10
    assert await process.after(31, patch) == f"partition 0 of {COMMANDS.name}: no progress for 31 s"
    assert gauge("addonflow_consumer_lag_records", topic=COMMANDS.name, partition="0") == 7


async def test_a_batch_that_never_ends_is_seen(process: Process, patch: pytest.MonkeyPatch) -> None:
    """All records are handed out, but a batch does not come to its end: not ready."""
    end = asyncio.Event()

    async def batch() -> None:
        await end.wait()

    await process.pipeline.put(batch(), {})
    assert await process.after(31, patch) == "batches under way: no progress for 31 s"

    end.set()
    await process.pipeline.settled()
    await process.look()
    assert process.health.ready() is None


async def test_a_relay_that_stands_still_is_seen(process: Process, patch: pytest.MonkeyPatch) -> None:
    """Records are committed and nobody publishes them: not ready; gauges tell how many, for how long."""
    await say(process.store, 1, 2, 3)
    patch.setattr("services.runtime.progress.machine_milliseconds", lambda: machine_milliseconds() + 5_000)
    assert await process.after(31, patch) == "relay of shard 0: no progress for 31 s"
    assert gauge("addonflow_relay_lag_entries", shard="0") == 3
    assert gauge("addonflow_outbox_entries", shard="0") == 3
    assert 5 <= (gauge("addonflow_relay_lag_seconds", shard="0") or 0) < 60


async def test_an_outage_of_kafka_hides_no_backlog(process: Process) -> None:
    """While Kafka does not answer, what waits to be published is shown all the same, and grows older."""

    async def never(_: object) -> dict[TopicPartition, int]:
        return await asyncio.get_running_loop().create_future()

    process.of = never  # type: ignore[method-assign]
    looked: asyncio.Queue[str] = asyncio.Queue()
    process.health.looked = lambda where, waiting: looked.put_nowait(where)  # type: ignore[method-assign]  # noqa: ARG005
    await say(process.store, 1)
    watching = asyncio.create_task(process.progress.watch())
    async with asyncio.timeout(10):
        assert [await looked.get(), await looked.get()] == ["Redis", "Redis"]
    watching.cancel()
    assert gauge("addonflow_relay_lag_entries", shard="0") == 1


async def test_timers_that_stand_still_are_seen(process: Process, patch: pytest.MonkeyPatch) -> None:
    """A timer is due and nobody feeds it: not ready; gauges tell how many, for how long."""
    await set_timer(process.store)
    process.clock.advance(timedelta(seconds=90))
    assert await process.after(31, patch) == "timers of shard 0: no progress for 31 s"
    assert gauge("addonflow_timers_overdue", shard="0") == 1
    assert gauge("addonflow_timers_overdue_seconds", shard="0") == 60


async def test_timers_that_wait_for_the_log_do_not_stand_still(process: Process, patch: pytest.MonkeyPatch) -> None:
    """While more than a batch of the shard's records is to be read first, timers wait rightly: ready."""
    await set_timer(process.store)
    process.clock.advance(timedelta(seconds=90))
    process.end = SETTINGS.batch_records_max + 1
    await process.look()
    process.at = 1  # what is read makes progress
    process.end += 1
    assert await process.after(31, patch) == f"partition 0 of {COMMANDS.name}: no progress for 31 s"
    process.at += 1
    process.end += 1
    await process.look()
    assert process.health.ready() is None


async def test_gauges_of_a_shard_go_with_it(process: Process) -> None:
    """A shard that is another process's now has no gauge here: two processes never tell of one shard for long."""
    await process.look()
    assert gauge("addonflow_gaps_open", shard="0") == 0
    process.owned = ()  # type: ignore[assignment]
    await process.look()
    assert gauge("addonflow_gaps_open", shard="0") is None


async def test_a_gap_is_shown_while_it_is_open(process: Process) -> None:
    """Missing sequences are counted as long as they are missing."""
    await process.store.commit(0, [Commit("acme", 0, sequences=b"x", gaps=[COMMANDS.name, "4-5"])])
    await process.look()
    assert gauge("addonflow_gaps_open", shard="0") == 1
    await process.store.commit(0, [Commit("acme", 1, sequences=b"x", gaps=[COMMANDS.name, ""])])
    await process.look()
    assert gauge("addonflow_gaps_open", shard="0") == 0


async def test_a_blocked_loop_is_measured(process: Process) -> None:
    """What keeps the event loop from its other work shows as its lateness, until the next look."""
    ticking = asyncio.create_task(process.progress.tick())
    await asyncio.sleep(0)
    blocked_until = machine_milliseconds() + 400
    while machine_milliseconds() < blocked_until:
        pass
    await asyncio.sleep(0.01)
    await process.look()
    process.patience.stop()
    await asyncio.wait({ticking})
    assert ticking.exception() is not None
    assert 0.1 < (gauge("addonflow_event_loop_lag_seconds") or 0) < 10


async def set_timer(store: Store) -> None:
    """Have a timer due half a minute from now."""
    due_ms = to_milliseconds(NOW + timedelta(seconds=30))
    await store.commit(0, [Commit("acme", 0, sequences=b"x", timers=["renewal", due_ms])])
