"""Up to when a shard has heard everything: read to the ends that the logs had, and every batch under way durable."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaConnectionError

from services.runtime.clock import ManualClock
from services.runtime.errors import Stopping
from services.runtime.health import Health
from services.runtime.hearing import Hearing
from services.runtime.patience import Patience
from tests.runtime.test_pipeline import Bench
from tests.runtime.toys import NOW

FACTS, EVENTS = TopicPartition("facts", 1), TopicPartition("events", 1)


class Logs:
    """Brokers and consumer: where the logs end, and what was handed out of them."""

    def __init__(self) -> None:
        self.ends = {FACTS: 0, EVENTS: 0}
        self.positions = {FACTS: 0, EVENTS: 0}
        self.fetched: dict[TopicPartition, int] = {}
        self.asked: list[set[TopicPartition]] = []
        self.troubles: list[Exception] = []
        self.clock = ManualClock(NOW)
        self.bench = Bench()
        health = Health(30)
        self.patience = Patience(health, 1)
        self.hearing = Hearing(
            self,  # type: ignore[arg-type]
            ["facts", "events"],
            self.patience,
            self.clock,
            self.bench.pipeline.newest,
        )

    async def of(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return where the logs end; the clock goes on meanwhile."""
        self.asked.append(set(partitions))
        if self.troubles:
            raise self.troubles.pop()
        self.clock.advance(timedelta(seconds=1))
        return dict(self.ends)

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that are read here."""
        return set(self.positions)

    async def position(self, partition: TopicPartition) -> int:
        """Return what was handed out."""
        if self.positions[partition] < 0:
            raise IllegalStateError("not assigned any more")
        return self.positions[partition]

    def highwater(self, partition: TopicPartition) -> int | None:
        """Return the end that the last fetch told."""
        return self.fetched.get(partition)

    async def turn(self) -> None:
        """Let the reading task come to its next read."""
        await self.bench.rest()
        await self.hearing.turn(self)
        await self.bench.rest()


@pytest.fixture
async def logs() -> Logs:
    """Give logs without any record, read here."""
    return Logs()


def listen(logs: Logs) -> "asyncio.Task[datetime]":
    """Begin to wait until shard 1 has heard everything."""
    return asyncio.create_task(logs.hearing.everything(1))


async def test_logs_without_a_record_are_heard_at_once(logs: Logs) -> None:
    """Where nothing was ever written nothing is waited for but the reading task's turn; one request tells so."""
    heard = listen(logs)
    await logs.turn()

    assert await heard == NOW
    assert logs.asked == [{FACTS, EVENTS}]


async def test_all_partitions_of_the_shard_are_read_to_the_ends_they_had(logs: Logs) -> None:
    """The backlog of every topic is waited for, and what is written after the look is not."""
    logs.ends |= {FACTS: 2, EVENTS: 5}
    heard = listen(logs)
    for facts, events in ((0, 0), (2, 4), (1, 5)):
        logs.positions |= {FACTS: facts, EVENTS: events}
        await logs.turn()
        assert not heard.done()

    logs.ends |= {FACTS: 9, EVENTS: 9}
    logs.positions |= {FACTS: 2, EVENTS: 5}
    await logs.turn()
    assert heard.done()


async def test_the_instant_is_from_before_the_look(logs: Logs) -> None:
    """The clock is read first: what is written while the ends are asked for lies behind the instant returned."""
    heard = listen(logs)
    await logs.turn()
    assert await heard == NOW < logs.clock.now()


async def test_every_batch_handed_out_by_then_is_durable(logs: Logs) -> None:
    """What was read is heard when it is durable, with all that came before it; a later batch is not waited for."""
    logs.ends[EVENTS] = 2
    heard = listen(logs)
    for batch in (1, 2):
        await logs.bench.put(batch)
        logs.positions[EVENTS] = batch
        await logs.turn()
    later = asyncio.create_task(logs.bench.put(3))
    await logs.bench.finish(2)
    assert not heard.done()
    await logs.bench.finish(1)

    assert await heard == NOW
    assert later.done()
    await logs.bench.finish(3)


async def test_the_end_of_a_batch_that_a_broker_counts_as_one_is_told_by_its_fetch(logs: Logs) -> None:
    """Inside of the last batch the end is reached by the broker's count; the fetch says how many are still to come."""
    logs.ends[EVENTS] = 6  # a batch at 5 that holds 5 to 9
    heard = listen(logs)
    logs.positions[EVENTS], logs.fetched[EVENTS] = 7, 10
    await logs.turn()
    assert not heard.done()

    logs.positions[EVENTS], logs.fetched[EVENTS] = 10, 14
    await logs.turn()
    assert heard.done()


async def test_a_log_that_always_grows_is_heard_all_the_same(logs: Logs) -> None:
    """The ends are those of the look: a reader that is never at the very end of a busy log holds up no timer."""
    logs.ends[EVENTS] = 100
    heard = listen(logs)
    for position in range(90, 140, 10):
        logs.positions[EVENTS], logs.fetched[EVENTS] = position, position + 15
        await logs.turn()
    assert heard.done()


async def test_a_partition_that_is_read_elsewhere_holds_nothing_up(logs: Logs) -> None:
    """What the group gave to another process is its business; without any partition nothing is heard."""
    logs.ends |= {FACTS: 3, EVENTS: 3}
    logs.positions = {}
    heard = listen(logs)
    await logs.turn()
    assert not heard.done()

    logs.positions = {EVENTS: -1}
    await logs.turn()
    assert not heard.done()

    logs.positions = {EVENTS: 3}
    await logs.turn()
    assert heard.done()


@pytest.mark.parametrize("how", ["given up", "closed"])
async def test_nothing_is_heard_behind_a_batch_that_was_given_up(logs: Logs, how: str) -> None:
    """Positions move over what is not handled any more: whoever listens then is told to stop."""
    logs.ends[EVENTS] = 1
    heard = listen(logs)
    if how == "given up":
        await logs.bench.put(1)
        logs.positions[EVENTS] = 1
        await logs.turn()
        await logs.bench.finish(1, Stopping())
    else:
        await logs.bench.pipeline.close()
        logs.positions[EVENTS] = 1
        await logs.turn()

    with pytest.raises(Stopping):
        await heard


async def test_brokers_that_cannot_tell_are_asked_again(logs: Logs) -> None:
    """Trouble is waited out with a new instant; a stop ends the waiting."""
    logs.troubles = [KafkaConnectionError("away")] * 2
    heard = listen(logs)
    while not logs.hearing._looks:  # noqa: ASYNC110 - the backoff tells no event
        await asyncio.sleep(0.01)
    await logs.turn()
    assert await heard == NOW
    assert len(logs.asked) == 3

    logs.troubles = [KafkaConnectionError("away")] * 1_000
    heard = listen(logs)
    await logs.bench.rest()
    logs.patience.stop()
    with pytest.raises(Stopping):
        await heard


async def test_a_look_that_is_cancelled_is_forgotten(logs: Logs) -> None:
    """A shard that was given away costs the reading task nothing any more."""
    logs.ends[EVENTS] = 1
    heard = listen(logs)
    await logs.turn()
    heard.cancel()
    with suppress(asyncio.CancelledError):
        await heard

    assert logs.hearing._looks == []
