"""What `addonflow clock` reads, refuses and waits for; no service runs here."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupCoordinatorNotAvailableError
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from deploy.addonflow import clock, clock_command, connections, rest
from deploy.addonflow.main import app
from deploy.addonflow.messages import BadInput, of_data
from deploy.addonflow.send import send
from deploy.addonflow.topics import create
from services.runtime import functions
from services.runtime.clock import to_milliseconds
from services.runtime.keys import deployment_key, shard_of
from services.runtime.settings import Settings
from services.runtime.store import Commit, Store
from services.runtime.virtual_clock import move_clock, virtual_now

NOW = datetime(2027, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


@given(st.lists(st.tuples(st.integers(0, 5_000), st.sampled_from("smhdw")), min_size=1, max_size=5))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    """Numbers with units, in any order and as often as one likes, add up."""
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert clock.duration(text) == timedelta(seconds=sum(number * UNITS[unit] for number, unit in parts))


@pytest.mark.parametrize("text", ["", "31", "d", "-1d", "1.5h", "1d 12h", "1y", "1D", "٣d", "1d;", "9" * 20 + "w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Anything else, and what is longer than time can be told, is refused by name."""
    with pytest.raises(BadInput, match=r"is no duration|is too long"):
        clock.duration(text)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_an_instant_is_read_in_its_zone_to_the_millisecond(moment: datetime) -> None:
    """An instant is the same in whatever offset it is written, rounded down to what timers know."""
    written = moment.astimezone(UTC) if (moment.utcoffset() or timedelta()).seconds % 60 else moment
    read = clock.instant(written.isoformat())
    assert timedelta() <= moment - read < timedelta(milliseconds=1)
    assert clock.instant(clock.shown(read)) == read


@pytest.mark.parametrize("text", ["", "tomorrow", "2027-03-01", "2027-03-01T00:00:00", "2027-13-01T00:00:00Z"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    """A day or an instant without its zone is not guessed at."""
    with pytest.raises(BadInput, match="is no instant with its zone"):
        clock.instant(text)


def test_time_has_an_end() -> None:
    """A duration that leads beyond the last year is wrong usage, not an accident."""
    with pytest.raises(BadInput, match="is too long"):
        clock.after(NOW, "500000w")


@pytest.fixture
def deployment(settings: Settings, redis_url: str) -> Settings:
    """Give a deployment with its topics and a Redis, and nothing that runs."""
    asyncio.run(create(settings, replication_factor=1, wait_seconds=5))
    return settings.model_copy(update={"redis_url": redis_url})


async def set_timer(settings: Settings, service: str, account_id: str, name: str, due: datetime) -> None:
    """Set a timer as a service's commit does."""
    async with Redis.from_url(settings.redis_url) as redis:
        await functions.ensure_loaded(redis)
        store = Store(redis, settings.namespace, service, settings.partitions, 1_000)
        await store.commit(
            shard_of(account_id, settings.partitions),
            [Commit(account_id, 0, sequences=b"x", timers=(name, to_milliseconds(due)))],
        )


async def begin(settings: Settings, at: datetime = NOW) -> None:
    """Begin the deployment's virtual time."""
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.hset(deployment_key(settings.namespace), "partitions", str(settings.partitions))
        await move_clock(redis, settings.namespace, at)


async def time_of(settings: Settings) -> datetime | None:
    """Return the deployment's virtual time."""
    async with Redis.from_url(settings.redis_url) as redis:
        return await virtual_now(redis, settings.namespace)


def invoke(settings: Settings, *words: str) -> Result:
    """Run the command against a deployment."""
    environment = {"ADDONFLOW_NAMESPACE": settings.namespace}
    kafka = () if words[1] == "show" else ("--kafka", settings.kafka_bootstrap)
    return CliRunner().invoke(app, [*words, *kafka, "--redis", settings.redis_url], env=environment)


@pytest.mark.embedded
def test_time_passes_to_the_very_instant(deployment: Settings) -> None:
    """With nothing due, `advance` and `set` are one step each and say where the clock stands; `--quiet` is quiet."""
    asyncio.run(begin(deployment))

    advanced = invoke(deployment, "clock", "advance", "1d12h")
    assert advanced.exit_code == 0, advanced.output
    assert advanced.stdout.splitlines() == [
        "2027-01-12T00:00:00Z     nothing was due",
        "the clock stands at 2027-01-12T00:00:00Z after 1 step",
    ]
    quiet = invoke(deployment, "clock", "set", "2027-03-01T01:00:00+01:00", "--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert asyncio.run(time_of(deployment)) == datetime(2027, 3, 1, tzinfo=UTC)


@pytest.mark.embedded
def test_backwards_is_refused_with_one_sentence(deployment: Settings) -> None:
    """An instant before the clock's is refused with status 1, and the clock stays."""
    asyncio.run(begin(deployment))
    result = invoke(deployment, "clock", "set", "2027-01-10T11:59:59Z")

    assert result.exit_code == 1
    assert result.stderr == (
        "addonflow: the clock stands at 2027-01-10T12:00:00Z and never goes backwards, not to 2027-01-10T11:59:59Z\n"
    )
    assert asyncio.run(time_of(deployment)) == NOW


@pytest.mark.embedded
@pytest.mark.parametrize("words", [("advance", "1 day"), ("set", "tomorrow")])
def test_wrong_words_are_refused_before_anything_is_asked(words: tuple[str, ...]) -> None:
    """What cannot be read is status 2 and one line, whether or not a server answers."""
    nowhere = Settings(kafka_bootstrap="127.0.0.1:1", redis_url="redis://127.0.0.1:1/0")
    result = invoke(nowhere, "clock", *words)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)


@pytest.mark.embedded
def test_a_deployment_without_a_virtual_clock_is_not_moved(deployment: Settings) -> None:
    """Where services use the machines' clocks, moving is status 78 and says how to have one; showing works."""
    moved = invoke(deployment, "clock", "advance", "1d")
    shown = invoke(deployment, "clock", "show")

    assert moved.exit_code == 78
    assert "ADDONFLOW_VIRTUAL_CLOCK=true" in moved.stderr
    assert asyncio.run(time_of(deployment)) is None
    assert shown.exit_code == 0
    assert "on the clocks of the machines" in shown.stdout


@pytest.mark.embedded
def test_redis_away_is_one_line(deployment: Settings) -> None:
    """Without Redis every command of the clock is status 69 and one line with the address."""
    away = deployment.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    for words in (("show",), ("advance", "1d")):
        result = invoke(away, "clock", *words)
        assert result.exit_code == 69
        assert result.stderr.startswith("addonflow: Redis at 127.0.0.1:1/0 does not answer")
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.embedded
def test_what_is_next_is_shown(deployment: Settings) -> None:
    """`show` names the time, and the timers that come next, of all services."""
    asyncio.run(begin(deployment))
    for account_id, hours in (("acme", 5), ("birch", 2), ("cedar", 2)):
        asyncio.run(set_timer(deployment, "billing", account_id, "renewal", NOW + hours * HOUR))

    shown = invoke(deployment, "clock", "show").stdout.splitlines()
    assert shown[0] == "2027-01-10T12:00:00Z on the virtual clock"
    assert shown[1].startswith("next: 2027-01-10T14:00:00Z billing renewal ×2 (")
    assert [name for name in ("acme", "birch", "cedar") if name in shown[1]] == ["birch", "cedar"]


@pytest.mark.embedded
def test_a_timer_that_nobody_fires_stops_the_clock_at_its_instant(deployment: Settings) -> None:
    """When a step does not come to rest in its time, status 1 names what is under way; the clock goes no further."""
    asyncio.run(begin(deployment))
    asyncio.run(set_timer(deployment, "billing", "acme", "renewal", NOW + HOUR))
    result = invoke(deployment, "clock", "advance", "2d", "--step-timeout", "0.2")

    assert result.exit_code == 1
    assert "not at rest after 0.2 s: billing has due timers in 1 shard" in result.stderr
    assert asyncio.run(time_of(deployment)) == NOW + HOUR


async def fire(settings: Settings, again: Mapping[str, list[timedelta]]) -> None:
    """Fire the timers of billing as it would: each is set anew so much later as `again` says, then cleared."""
    async with Redis.from_url(settings.redis_url) as redis:
        store = Store(redis, settings.namespace, "billing", settings.partitions, 1_000)
        while True:
            now_ms = to_milliseconds(await virtual_now(redis, settings.namespace) or NOW)
            for shard in range(settings.partitions):
                for account_id, name, _ in await store.due_timers(shard, now_ms, 10):
                    due_ms = now_ms + again[account_id].pop() // timedelta(milliseconds=1) if again[account_id] else -1
                    await store.commit(shard, [Commit(account_id, 1, timers=(name, due_ms))])
            await asyncio.sleep(0.005)


@pytest.mark.embedded
async def test_the_clock_does_not_stop_for_what_is_put_off(
    deployment: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """A timer that cannot be decided is told, tried again at each stop, and makes no stop of its own."""
    await begin(deployment)
    for account_id, hours in (("acme", 1), ("birch", 2)):
        await set_timer(deployment, "billing", account_id, "renewal", NOW + hours * HOUR)
    again = {"acme": [timedelta(minutes=1)] * 9, "birch": [timedelta(seconds=30)]}  # acme fails, birch does not
    service = asyncio.create_task(fire(deployment, again))
    await clock_command._move(deployment, lambda now: now + 3 * HOUR, 5, quiet=False)
    service.cancel()
    word = "; not decided, see the service's log: billing renewal (acme)"
    assert capsys.readouterr().out.splitlines() == [
        f"2027-01-10T13:00:00Z     billing renewal (acme){word}",
        f"2027-01-10T14:00:00Z     billing renewal ×2 (acme, birch){word}",
        "2027-01-10T14:00:30Z     billing renewal (birch)",
        f"2027-01-10T15:00:00Z     billing renewal (acme){word}",
        "the clock stands at 2027-01-10T15:00:00Z after 4 steps",
    ]


@pytest.mark.embedded
async def test_a_record_that_nobody_reads_is_not_rest(deployment: Settings) -> None:
    """What was sent and not read by every reader of its topic keeps the deployment from rest, naming who and where."""
    await begin(deployment)
    command = of_data(
        "StartTrial", {"account_id": "acme", "user_id": "ann", "add_on": "aircall_ai"}, None, checked=True
    )
    async with rest.reach(deployment) as reached:
        await rest.until_at_rest(reached, 5)
        await send(deployment, [command], on_sent=lambda *_: None, on_answer=lambda _: None)
        with pytest.raises(rest.NotAtRest, match=r"entitlements has 1 record to read in t\d+\.addons\.commands\.v1;"):
            await rest.until_at_rest(reached, 0.2)


@pytest.mark.embedded
async def test_a_record_that_is_not_published_is_not_rest(deployment: Settings) -> None:
    """A commit's records keep the deployment from rest until the relay has saved that they are published."""
    async with Redis.from_url(deployment.redis_url) as redis:
        await functions.ensure_loaded(redis)
        store = Store(redis, deployment.namespace, "entitlements", deployment.partitions, 1_000)
        await store.commit(2, [Commit("acme", 0, sequences=b"x", records=(b"a record",))])
        async with rest.reach(deployment) as reached:
            with pytest.raises(rest.NotAtRest, match="entitlements has unpublished records in 1 shard"):
                await rest.until_at_rest(reached, 0.1)
            [(last, _)] = await store.outbox(2, "0-0", 10)
            await store.advance_relay(2, "0-0", last, {})
            await rest.until_at_rest(reached, 5)


@pytest.mark.embedded
async def test_what_was_said_while_kafka_was_looked_at_is_looked_at_again(deployment: Settings) -> None:
    """Rest is not believed when a cursor moved between the two looks at Redis: its record may be unread."""
    async with Redis.from_url(deployment.redis_url) as redis, rest.reach(deployment) as reached:
        await functions.ensure_loaded(redis)
        store = Store(redis, deployment.namespace, "billing", deployment.partitions, 1_000)
        asked: list[int] = []
        unread = reached.unread

        async def meanwhile() -> str | None:
            found = await unread()
            asked.append(1)
            if len(asked) == 1:  # published and saved behind the back of this look
                await store.commit(0, [Commit("acme", 0, sequences=b"x", records=(b"a record",))])
                [(last, _)] = await store.outbox(0, "0-0", 10)
                await store.advance_relay(0, "0-0", last, {})
            return found

        reached.unread = meanwhile  # type: ignore[method-assign]
        await rest.until_at_rest(reached, 5)
        assert len(asked) == 2


@pytest.mark.embedded
async def test_a_broker_that_cannot_tell_yet_is_waited_for(
    deployment: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group's coordinator that is just being chosen is asked again; in the end its absence is named."""
    committed, errors = connections.committed, [GroupCoordinatorNotAvailableError("choosing")]

    async def choosing(*arguments: Any) -> Mapping[TopicPartition, int]:
        if errors:
            raise errors[0]
        return await committed(*arguments)

    monkeypatch.setattr(connections, "committed", choosing)
    async with rest.reach(deployment) as reached:
        with pytest.raises(rest.NotAtRest, match=r"Kafka cannot tell what is read: .*choosing"):
            await rest.until_at_rest(reached, 0.1)
        waiting = asyncio.create_task(rest.until_at_rest(reached, 5))
        await asyncio.sleep(0)
        errors.clear()
        await waiting
