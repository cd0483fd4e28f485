"""The virtual clock: one time for all processes of a deployment, that only moves forwards and only when it is moved."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts import topics
from services.billing.app import build
from services.runtime.clock import Clock, ManualClock, SystemClock
from services.runtime.committing import Committing
from services.runtime.errors import ConfigurationError
from services.runtime.handling import Handling
from services.runtime.health import Health
from services.runtime.keys import clock_key, shard_of
from services.runtime.patience import Patience
from services.runtime.settings import Settings
from services.runtime.store import Store
from services.runtime.virtual_clock import ClockRefused, VirtualClock, check_clock, move_clock, virtual_now
from tests.runtime import toys
from tests.runtime.toys import NOW, CounterDecider, CounterDocument

DAY = timedelta(days=1)


async def test_the_first_process_begins_it_at_the_machines_time_and_then_it_stands_still(
    embedded_redis: Redis, namespace: str
) -> None:
    """Without a key it begins now; for a second process, later, it is still the same instant."""
    first, second = VirtualClock(embedded_redis, namespace), VirtualClock(embedded_redis, namespace)
    await first.refresh()
    begun = first.now()
    await asyncio.sleep(0.01)
    await second.refresh()
    await first.refresh()

    assert first.now() == second.now() == begun == await virtual_now(embedded_redis, namespace)
    assert timedelta() <= SystemClock().now() - begun < timedelta(minutes=1)


async def test_of_two_first_processes_one_begins_it(embedded_redis: Redis, namespace: str) -> None:
    """A process that found no key, but comes second with its own time, takes the first one's."""

    class JustMissed:
        set = embedded_redis.set

        async def get(self, _: str) -> None:
            return None

    await move_clock(embedded_redis, namespace, NOW)
    second = VirtualClock(JustMissed(), namespace)  # type: ignore[arg-type]
    await second.refresh()
    assert second.now() == NOW == await virtual_now(embedded_redis, namespace)


async def test_every_process_hears_of_a_move_when_it_refreshes(embedded_redis: Redis, namespace: str) -> None:
    """A move is obeyed by everyone, to the millisecond, at the next refresh and not before."""
    clocks = [VirtualClock(embedded_redis, namespace) for _ in range(3)]
    await move_clock(embedded_redis, namespace, NOW)
    for clock in clocks:
        await clock.refresh()
    await move_clock(embedded_redis, namespace, NOW + timedelta(microseconds=1_999))

    assert [clock.now() for clock in clocks] == [NOW] * 3
    for clock in clocks:
        await clock.refresh()
    assert [clock.now() for clock in clocks] == [NOW + timedelta(milliseconds=1)] * 3


async def test_a_begin_before_the_machines_time_is_kept(embedded_redis: Redis, namespace: str) -> None:
    """A rehearsal may begin in the past: the machine's time plays no part once there is a virtual one."""
    past = datetime(2001, 2, 3, tzinfo=UTC)
    await move_clock(embedded_redis, namespace, past)
    clock = VirtualClock(embedded_redis, namespace)
    await clock.refresh()
    assert clock.now() == past


async def test_it_cannot_be_asked_before_it_was_refreshed(embedded_redis: Redis, namespace: str) -> None:
    """Nobody decides by a time that was never looked up."""
    with pytest.raises(RuntimeError, match="refreshed"):
        VirtualClock(embedded_redis, namespace).now()


async def test_a_move_backwards_is_refused_with_one_sentence(embedded_redis: Redis, namespace: str) -> None:
    """An earlier instant is refused, naming both; the same one is harmless; the clock stays."""
    await move_clock(embedded_redis, namespace, NOW)
    with pytest.raises(ClockRefused) as refused:
        await move_clock(embedded_redis, namespace, NOW - timedelta(milliseconds=1))
    await move_clock(embedded_redis, namespace, NOW)

    assert str(refused.value) == (
        "the clock stands at 2026-09-30T12:00:00.000000Z and never goes backwards, not to 2026-09-30T11:59:59.999000Z"
    )
    assert await virtual_now(embedded_redis, namespace) == NOW


async def test_two_who_move_it_at_once_never_move_it_back(embedded_redis: Redis, namespace: str) -> None:
    """Of moves at the same time the latest instant stands, whoever comes last."""
    await asyncio.gather(
        *(move_clock(embedded_redis, namespace, NOW + DAY * days) for days in (3, 9, 1, 27, 5)), return_exceptions=True
    )
    assert await virtual_now(embedded_redis, namespace) == NOW + DAY * 27


async def test_replies_that_overtake_each_other_do_not_turn_it_back(namespace: str) -> None:
    """A process that hears of the older of two moves last stays at the newer one."""

    class Late:
        replies = [b"2000", b"1000"]  # noqa: RUF012 - one test's replies

        async def get(self, _: str) -> bytes:
            return self.replies.pop(0)

    clock = VirtualClock(Late(), namespace)  # type: ignore[arg-type]
    await clock.refresh()
    await clock.refresh()
    assert clock.now() == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)


async def test_a_lost_key_is_put_back(embedded_redis: Redis, namespace: str) -> None:
    """A process that runs while Redis forgets the time goes on from what it knows, and so does everyone else."""
    clock = VirtualClock(embedded_redis, namespace)
    await move_clock(embedded_redis, namespace, NOW + 400 * DAY)
    await clock.refresh()
    await embedded_redis.delete(clock_key(namespace))
    await clock.refresh()

    assert clock.now() == await virtual_now(embedded_redis, namespace) == NOW + 400 * DAY


async def test_deployments_have_times_of_their_own(embedded_redis: Redis, namespace: str) -> None:
    """A namespace's time is nobody else's."""
    await move_clock(embedded_redis, namespace, NOW)
    await move_clock(embedded_redis, f"{namespace}other.", NOW + DAY)
    assert await virtual_now(embedded_redis, namespace) == NOW


async def test_a_process_with_another_time_than_its_deployment_does_not_start(
    embedded_redis: Redis, namespace: str
) -> None:
    """Where a virtual time is kept, the machine's clock is refused with one line; where none is, it is taken."""
    await check_clock(embedded_redis, namespace, SystemClock())
    assert await virtual_now(embedded_redis, namespace) is None
    await check_clock(embedded_redis, namespace, VirtualClock(embedded_redis, namespace))

    with pytest.raises(ConfigurationError, match="ADDONFLOW_VIRTUAL_CLOCK=true") as error:
        await check_clock(embedded_redis, namespace, SystemClock())
    assert "\n" not in str(error.value)


async def test_a_key_that_holds_no_time_is_named(embedded_redis: Redis, namespace: str) -> None:
    """Nonsense in Redis stops the start, and every move, with one line that names the key."""
    await embedded_redis.set(clock_key(namespace), "noon")
    clock = VirtualClock(embedded_redis, namespace)

    for asked in (check_clock(embedded_redis, namespace, clock), move_clock(embedded_redis, namespace, NOW)):
        with pytest.raises(ConfigurationError, match=f"the key {clock_key(namespace)} holds b?'noon'"):
            await asked


@pytest.fixture
async def restricted(embedded_redis: Redis, embedded_valkey_url: str) -> "AsyncIterator[Redis]":
    """Give a client that Redis denies the key of the clock."""
    await embedded_redis.execute_command("ACL", "SETUSER", "shy", "on", "nopass", "+@all", "~{*")
    async with Redis.from_url(embedded_valkey_url, username="shy", password="none") as client:
        yield client
    await embedded_redis.execute_command("ACL", "DELUSER", "shy")


async def test_a_key_that_redis_denies_is_a_misconfiguration(restricted: Redis, namespace: str) -> None:
    """A virtual clock without permission for its key stops the start with one line; the machine's needs none."""
    await check_clock(restricted, namespace, SystemClock())
    with pytest.raises(ConfigurationError, match="Redis denies the key") as error:
        await check_clock(restricted, namespace, VirtualClock(restricted, namespace))
    assert "\n" not in str(error.value)


class Decisions:
    """The counter service with a clock, and the instants by which it decided."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.instants: list[datetime] = []
        health = Health(30)
        decider = CounterDecider(lambda _, now: self.instants.append(now))
        self.handling: Handling[CounterDocument] = Handling(
            committing=Committing(decider, toys.answer, store, clock, 20),
            topics=(topics.COMMANDS,),
            dead_letters=None,  # type: ignore[arg-type]
            patience=Patience(health, 100),
            clock=clock,
            settings=Settings(partitions=4),
            wake=lambda _: None,
        )

    async def handle(self, command_id: str) -> None:
        """Handle a command as it comes from Kafka."""
        value = b'{"account_id": "acme", "user_id": "ann", "add_on": "count"}'
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", b"addons.StartTrial.v1"),
            ("ce_id", command_id.encode()),
            ("ce_source", b"/dashboard"),
            ("ce_time", b"2026-09-30T12:00:00Z"),
            ("ce_subject", b"acme"),
        ]
        await self.handling.handle_records([toys.kafka_record(value, headers, partition=shard_of("acme", 4))])


async def test_a_batch_is_decided_by_the_time_that_redis_holds(
    embedded_store: Store, embedded_redis: Redis, namespace: str
) -> None:
    """What is sent after a move is decided at the instant moved to, not by one heard of earlier."""
    decisions = Decisions(embedded_store, VirtualClock(embedded_redis, namespace))
    for days, command_id in enumerate(("c-1", "c-2", "c-3")):
        await move_clock(embedded_redis, namespace, NOW + DAY * days)
        await decisions.handle(command_id)

    assert decisions.instants == [NOW, NOW + DAY, NOW + DAY * 2]


async def test_without_a_virtual_clock_redis_is_not_asked_for_the_time(
    embedded_store: Store, embedded_redis: Redis, namespace: str
) -> None:
    """The clocks of the machines cost no call: what a virtual one would hold plays no part."""
    await move_clock(embedded_redis, namespace, NOW + DAY)
    decisions = Decisions(embedded_store, ManualClock(NOW))
    before = (await embedded_redis.info("commandstats")).get("cmdstat_get", {}).get("calls", 0)
    await decisions.handle("c-1")

    assert decisions.instants == [NOW]
    assert (await embedded_redis.info("commandstats")).get("cmdstat_get", {}).get("calls", 0) == before


def test_what_a_machine_measures_stays_real() -> None:
    """With a virtual clock, decisions obey it, but how long the outbox is kept is the machine's business.

    The entries of the outbox are named by Redis's own time; a rehearsed year would otherwise forget all of them.
    """
    process: Any = build(Settings(virtual_clock=True))
    plain: Any = build(Settings())

    assert isinstance(process._clock, VirtualClock)
    assert isinstance(process._relay._clock, SystemClock)
    assert isinstance(plain._clock, SystemClock)
