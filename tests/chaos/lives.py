"""A shard's life at random, on the real functions: deliveries again and in any order, replies lost, processes anew.

Two processes believe that they own the shard. Each handles what it is given and relays the outbox; what goes wrong is
what goes wrong in the large: a commit whose reply is lost, a batch that is written and not acknowledged, a process that
forgets all it knew, functions that are flushed, two who decide the same at once. Hypothesis draws what happens and
shrinks what breaks.
"""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Sequence
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as LostReply

from contracts.payload import Payload
from services.runtime.clock import ManualClock, to_milliseconds
from services.runtime.delivery import Delivery
from services.runtime.errors import TROUBLE
from services.runtime.health import Health
from services.runtime.patience import Patience
from services.runtime.relay import Relay
from services.runtime.settings import Settings
from services.runtime.store import FIRST, Commit, Store
from tests.runtime.counting import causes_of, committing, emitted, ids_emitted
from tests.runtime.test_relay import Kafka
from tests.runtime.toys import NOW, command, event

T = TypeVar("T")
HISTORIES = int(os.environ.get("ADDONFLOW_CHAOS_HISTORIES", "25"))
"""How many lives are lived: a few in every run of the tests, thousands in `make chaos`."""
_STEPS = 25
_CONFLICTS_MAX = 100
_SETTINGS = Settings(partitions=1, relay_records_max=3)
_EFFECTIVE = ("count", "row", "ask", "wake")
_numbers = itertools.count()
_messages = st.lists(
    st.tuples(st.sampled_from(["command", "event"]), st.integers(1, 9)), min_size=1, max_size=6, unique=True
)
_processes = st.integers(0, 1)


class Forgetful(Store):
    """A store whose replies may be lost on the way: what was written stays written."""

    lose_next = False

    async def commit(self, shard: int, commits: Sequence[Commit]) -> list[bool]:
        """Commit, and perhaps lose what came of it."""
        written = await super().commit(shard, commits)
        if self.lose_next:
            self.lose_next = False
            raise LostReply("the reply was lost")
        return written


class ShardLife(RuleBasedStateMachine):
    """One shard, one account, two processes."""

    runner: ClassVar[asyncio.Runner]
    redis: ClassVar[Redis]

    def __init__(self) -> None:
        super().__init__()
        self.namespace = f"life-{os.getpid()}-{next(_numbers)}."
        self.kafka = Kafka()
        self.seen: set[tuple[str, int]] = set()
        self.alarms = 0
        self.stores = [self.new_store(), self.new_store()]
        self.relays = [self.new_relay(store) for store in self.stores]

    def run(self, action: Awaitable[T]) -> T:
        """Wait for something."""

        async def waited() -> T:
            return await action

        return self.runner.run(waited())

    def new_store(self) -> Forgetful:
        """Return a store that knows nothing yet."""
        return Forgetful(self.redis, self.namespace, "toy", 1, 3_600_000)

    def new_relay(self, store: Store) -> Relay:
        """Return a relay that knows nothing yet."""
        return Relay(store, self.kafka, self.kafka, Patience(Health(30), 100), ManualClock(NOW), _SETTINGS)  # type: ignore[arg-type]

    @initialize(
        wishes=st.lists(
            st.sampled_from(["count", "count", "row", "ask", "wake", "ignore", "reject"]), min_size=18, max_size=18
        )
    )
    def begin(self, wishes: list[str]) -> None:
        """Settle what each message asks for."""
        self.wishes = wishes

    def delivery(self, kind: str, number: int) -> Delivery:
        """Return a message; the same number is the same message."""
        wish = self.wish(kind, number)
        asked = f"wake:{to_milliseconds(NOW) - number}" if wish == "wake" else wish
        return (
            command("acme", f"c{number}", asked)
            if kind == "command"
            else event("acme", number, asked)._replace(trimmed=False)
        )

    def wish(self, kind: str, number: int) -> str:
        """Return what a message asks for."""
        return self.wishes[number - 1 if kind == "command" else number + 8]

    async def handle(self, process: int, batch: Sequence[Delivery]) -> None:
        """Handle a batch as the service does: again, while there is trouble."""
        while True:
            try:
                failures = await committing(self.stores[process], _CONFLICTS_MAX).run(0, batch)
            except TROUBLE:
                continue
            assert [each for each in failures if isinstance(each.delivery.message, Payload)] == []
            return  # the toy's timer may fail: it is put off

    @rule(process=_processes, messages=_messages)
    def deliver(self, process: int, messages: list[tuple[str, int]]) -> None:
        """Deliver messages, new ones and known ones, in any order."""
        self.seen |= set(messages)
        self.run(self.handle(process, [self.delivery(*each) for each in messages]))

    @rule(messages=_messages, others=_messages)
    def deliver_at_once(self, messages: list[tuple[str, int]], others: list[tuple[str, int]]) -> None:
        """Have both processes handle at the same time."""
        self.seen |= {*messages, *others}
        batches = [[self.delivery(*each) for each in part] for part in (messages, others)]

        async def both() -> None:
            await asyncio.gather(self.handle(0, batches[0]), self.handle(1, batches[1]))

        self.run(both())

    @rule(process=_processes)
    def lose_the_next_reply(self, process: int) -> None:
        """Have the reply to the next commit be lost."""
        self.stores[process].lose_next = True

    @rule(process=_processes)
    def fire(self, process: int) -> None:
        """Feed due timers as the shard's owner does."""

        async def feed() -> None:
            due = await self.stores[process].due_timers(0, to_milliseconds(NOW), 10)
            if due:
                await self.handle(process, [Delivery.of_timer(*each) for each in due])

        self.run(feed())

    @rule(process=_processes, written=st.none() | st.integers(0, 3))
    def relay(self, process: int, written: int | None) -> None:
        """Publish some; `written`: so many of them reach the log, and their acknowledgement nobody."""
        self.kafka.fail_after = written

        async def publish() -> None:
            try:
                await self.relays[process].publish_some(0)
            except TROUBLE:
                return

        self.run(publish())
        self.kafka.fail_after = None

    @rule(process=_processes)
    def save_the_cursor(self, process: int) -> None:
        """Have a relay save where it stands."""
        self.run(self.relays[process].save(0))

    @rule(process=_processes)
    def kill(self, process: int) -> None:
        """Begin a process anew: it knows nothing but what is stored."""
        self.stores[process] = self.new_store()
        self.relays[process] = self.new_relay(self.stores[process])

    @rule()
    def flush_functions(self) -> None:
        """Have the server forget the functions."""
        self.run(self.redis.function_flush("SYNC"))

    def teardown(self) -> None:
        """Drain as a fresh process does, and check."""
        self.run(self.verify())

    async def verify(self) -> None:
        """Hold state, outbox and log against the distinct messages that were delivered."""
        fresh = self.new_store()
        relay = self.new_relay(fresh)
        while await relay.publish_some(0):
            pass
        said, ids = await emitted(fresh), await ids_emitted(fresh)
        assert len(ids) == len(set(ids))
        assert [sequence for sequence, _ in said] == list(range(1, len(said) + 1))
        taken = [cause for _, cause in said if not cause.startswith("timer:")]
        effective = [each for each in self.seen if self.wish(*each) in _EFFECTIVE]
        expected = sorted(f"c{number}" if kind == "command" else f"event-acme-{number}" for kind, number in effective)
        assert sorted(taken) == expected
        counted = [cause for cause in await causes_of(fresh) if cause]
        assert counted == taken
        first = list(dict.fromkeys(self.kafka.ids))
        assert first == ids, "what is committed is published, in the order of the commits"
        by_id: dict[str, Any] = {}
        for name, out in zip(self.kafka.ids, self.kafka.log, strict=True):
            assert by_id.setdefault(name, out) == out, "what is published twice is the same to the byte"
        assert await fresh.outbox(0, FIRST, 1) or not ids


def live(redis_url: str, lives: int) -> None:
    """Live so many lives on a Redis; AssertionError, with the shortest life that fails, when a promise is broken."""
    with asyncio.Runner() as runner:
        ShardLife.runner, ShardLife.redis = runner, Redis.from_url(redis_url)
        try:
            run_state_machine_as_test(
                ShardLife,
                settings=settings(
                    max_examples=lives,
                    stateful_step_count=_STEPS,
                    deadline=None,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
                ),
            )
        finally:
            runner.run(ShardLife.redis.aclose())
