"""What is read of dead letters and their marks, and which are not replayed, on the embedded broker."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from rich.console import Console

from contracts.backoffice import EndTrial
from contracts.topics import ACCOUNTS, BACKOFFICE, COMMANDS, EVENTS, Topic
from deploy.addonflow.dead_letters import (
    DROPPED,
    REPLAYED,
    SETTLES,
    Choice,
    Letter,
    Settled,
    letter_of,
    mark,
    read_letters,
)
from deploy.addonflow.dead_letters_replay import Doing, deal, obstacle
from deploy.addonflow.history import logs
from deploy.addonflow.records import printable
from deploy.addonflow.topics import create
from services.runtime.settings import Settings
from tests.e2e.bad_input import request
from tests.e2e.records import record
from tests.runtime.logs import read

pytestmark = pytest.mark.embedded
NOW = datetime(2026, 9, 30, 12, tzinfo=UTC)
COMMAND = request("r1")
ABOUT = [("dlq_reason", b"handler_failed"), ("dlq_detail", b"why"), ("dlq_offset", b"0")]
CUT = ("dlq_truncated_from_bytes", str(len(COMMAND.value or b"")).encode())


def letter(service: str = "entitlements", topic: Topic = COMMANDS, **changes: Any) -> Letter:
    """Return a dead letter, by default of a command that can be read."""
    headers = changes.get("headers", [*COMMAND.headers, *ABOUT])
    value, at = changes.get("value", COMMAND.value), int(changes.get("at", NOW).timestamp() * 1_000)
    record = ConsumerRecord("t", 0, 7, at, 0, b"acme", value, None, -1, -1, tuple(headers))
    return letter_of(record, (topic.dead_letters_of(service), 0))


def test_what_a_sender_wrote_like_us_is_the_senders() -> None:
    """Only the last headers are the service's: a record that looks like a dead letter, or a mark, keeps its own."""
    own = (("dlq_reason", b"mine"), (SETTLES, b"1"), ("dlq_detail", b"mine too"))
    found = letter(headers=[*own, *ABOUT])
    assert found.original.headers == own
    assert (found.reason, found.detail, found.origin_offset, found.truncated_from) == ("handler_failed", "why", 0, None)


def test_a_record_without_a_value_is_that() -> None:
    """A record that had neither key nor value, kept with an empty one, has none again."""
    assert letter(value=b"", headers=[*ABOUT, ("dlq_tombstone", b"true")]).original.value is None


HOURS = Settings().inbox_retention_hours
LONG_AGO = NOW - timedelta(hours=HOURS)
SETTLED = Settled(REPLAYED, "mara", "", LONG_AGO)
OBSTACLES: dict[str, tuple[Letter, Settled | None, str | None]] = {
    "a command": (letter(at=LONG_AGO), None, None),
    "replayed long ago": (letter(), SETTLED, "too long ago"),
    "replayed just now": (letter(), SETTLED._replace(at=NOW), None),
    "dropped long ago": (letter(), SETTLED._replace(outcome=DROPPED), None),
    "others decided it": (letter("billing", BACKOFFICE, at=LONG_AGO), None, "cannot read it either"),
    "no JSON": (letter(value=b"{"), None, "cannot read it either: not_json"),
    "no value": (letter(value=None), None, "cannot read it either: tombstone"),
    "cut": (letter(value=b"{", headers=[CUT, *ABOUT]), None, "it was cut"),
    "without sequence": (letter("billing", EVENTS), None, "cannot read it either: sequence_missing"),
}


@pytest.mark.parametrize("case", OBSTACLES)
def test_what_would_come_to_nothing_good_is_not_replayed(case: str) -> None:
    """What cannot be read, was cut, or was replayed too long ago to be known again is left open, with the reason."""
    found, settled, why = OBSTACLES[case]
    told = obstacle(found, Settings(), NOW, settled)
    assert (told is None) if why is None else (why in (told or ""))


@pytest.mark.parametrize(("age", "left"), [(timedelta(hours=HOURS), True), (timedelta(hours=HOURS - 1), False)])
def test_a_command_that_others_decided_is_replayed_while_they_know_it(age: timedelta, left: bool) -> None:
    """A command of staff is read by two services: one that decided it would decide it again without its answer."""
    end = record(EndTrial(account_id="acme", add_on="aircall_ai", staff_id="mara", reason="asked"), "end")
    found = letter("billing", BACKOFFICE, value=end.value, headers=[*end.headers, *ABOUT], at=NOW - age)
    told = obstacle(found, Settings(), NOW)
    assert ("entitlements may have decided it" in (told or "")) == left


def test_a_terminal_is_not_driven_by_what_is_shown() -> None:
    """Escape sequences and other control characters are shown as text."""
    assert printable("a\x1b[2Jb\rü\n") == "a\\x1b[2Jb\\rü\n"


async def put(settings: Settings, topic: str, value: bytes | None, headers: Any) -> None:
    """Write a record of acme into partition 0."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, enable_idempotence=False) as producer:
        await producer.send_and_wait(settings.namespace + topic, value, key=b"acme", partition=0, headers=list(headers))


async def states(settings: Settings, **what: Any) -> list[str]:
    """Return what was done about each letter."""
    choice = Choice(now=NOW, **what)
    async with logs(settings) as log:
        return [each.outcome if each else "open" async for _, each in read_letters(log, 3, choice)]


def doing(outcome: str, **options: Any) -> Doing:
    """Return what Mara does."""
    return Doing(Settled(outcome, "mara", "why", NOW), **({"limit": 10} | options))


async def test_marks_settle_what_they_name_and_nothing_else(settings: Settings) -> None:
    """A letter is dealt with by a mark with its offset; a mark that cannot be read settles nothing, and is shown."""
    await create(settings, replication_factor=1, wait_seconds=5)
    name = COMMANDS.dead_letters_of("entitlements")
    for _ in range(3):
        await put(settings, name, COMMAND.value, [*COMMAND.headers, *ABOUT])
    console = Console(quiet=True)
    await deal(settings, Choice(now=NOW, ids=(f"{name}/0/1",)), doing(DROPPED), console)
    assert await states(settings) == ["open", "dropped", "open"]
    await put(settings, name, b"{", [(SETTLES, b"0")])
    assert await states(settings) == ["open", "dropped", "open", "open"]

    outcome = await deal(settings, Choice(now=NOW, reason="handler_failed"), doing(REPLAYED, limit=1), console)
    assert (outcome.done, outcome.settled_before, outcome.more) == (1, 1, True)
    assert await states(settings, account="acme") == ["replayed", "dropped", "open", "open"]
    assert await states(settings, account="acm") == []
    assert await states(settings, service="billing") == []
    assert await states(settings, topic=ACCOUNTS.name) == []


async def test_what_was_cut_is_replayed_from_where_it_came_from(settings: Settings) -> None:
    """The topic still holds the whole record: that is published, not what of it fitted into the dead letter."""
    await create(settings, replication_factor=1, wait_seconds=5)
    await put(settings, COMMANDS.name, COMMAND.value, COMMAND.headers)
    await put(settings, COMMANDS.dead_letters_of("entitlements"), (COMMAND.value or b"")[:9], [CUT, *ABOUT])
    outcome = await deal(settings, Choice(now=NOW), doing(REPLAYED), Console(quiet=True))
    assert outcome.done == 1, outcome.left
    first, again = await read(settings.kafka_bootstrap, settings.namespace + COMMANDS.name)
    assert (again.key, again.value, again.headers) == (first.key, first.value, first.headers)


def test_a_mark_says_who_and_why() -> None:
    """A mark is a record of its own that a person can read."""
    key, value, headers = mark(letter(), SETTLED._replace(why="a typo"))
    assert (key, headers[-1]) == (b"7", (SETTLES, b"7"))
    assert b'"by": "mara", "why": "a typo"' in value
