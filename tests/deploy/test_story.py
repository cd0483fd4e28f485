"""The story as data, and how what comes is judged against it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.accounts import AccountUpdated
from contracts.money import round_half_up
from contracts.topics import RESULTS, Kind
from deploy.addonflow.player import Failure, Stage, difference, fault, play
from deploy.addonflow.records import Seen
from deploy.addonflow.script import Cycle, Expected, Step, Story
from deploy.addonflow.story import write

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
instants = st.datetimes(datetime(2026, 1, 1), datetime(2032, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


@given(instants)
@example(datetime(2028, 2, 29, 23, 30, tzinfo=UTC))
@example(datetime(2027, 1, 10, 4, 59, tzinfo=UTC))
@example(datetime(2026, 12, 31, 17, tzinfo=UTC))
def test_today_is_always_inside_the_cycle_and_far_from_midnight(now: datetime) -> None:
    """At any moment a zone is found in which it is day, and the cycle is a month around today that nothing clamps."""
    cycle = Cycle.around(now)
    local = now.astimezone(ZoneInfo(cycle.timezone))

    assert local.date() == cycle.today
    assert 6 <= local.hour < 18
    assert cycle.start + timedelta(days=10) <= cycle.today < cycle.end
    assert cycle.start.day == cycle.end.day <= 28
    assert 28 <= (cycle.end - cycle.start).days <= 31


@given(instants, st.integers(1, 100_000))
def test_the_amount_is_the_exact_share_rounded_once(now: datetime, price: int) -> None:
    """The story's own arithmetic is unit price times seats times days left of the days in the cycle."""
    cycle = Cycle.around(now)
    share = Fraction((cycle.end - cycle.today).days, (cycle.end - cycle.start).days)
    assert cycle.prorated(price) == round_half_up(price * 7 * share)


def test_a_known_day_costs_a_known_amount() -> None:
    """On 23 November 2026: 17.95 USD for 7 seats and 20 of 30 days is 83.77 USD."""
    cycle = Cycle.around(NOON)
    assert (cycle.start.isoformat(), cycle.today.isoformat(), cycle.end.isoformat()) == (
        "2026-11-13",
        "2026-11-23",
        "2026-12-13",
    )
    assert cycle.prorated(1795) == 8377


def test_two_runs_share_nothing() -> None:
    """Accounts and ids of two runs have nothing in common, so a deployment can hear the story again and again."""
    one, two = write("one", NOON), write("two", NOON)
    ids = [{message.id for step in story.steps for message in step.sends} for story in (one, two)]
    assert not one.accounts & two.accounts
    assert not ids[0] & ids[1]


def test_facts_come_before_everything_that_depends_on_them() -> None:
    """The first step states all facts and nothing else; no later step states any."""
    first, *rest = write("run", NOON).steps
    assert {message.topic.kind for message in first.sends} == {Kind.FACTS}
    assert not [m for step in rest for m in step.sends if m.topic.kind is Kind.FACTS]
    accounts = [AccountUpdated.model_validate_json(m.value) for m in first.sends if m.type == AccountUpdated.ce_type]
    assert [account.sales_managed for account in accounts] == [False, True]


def seen(kind: str = "CommandAccepted", topic: str = RESULTS.name, value: bytes = b"{}", **data: Any) -> Seen:
    """Return a record that came."""
    return Seen(NOON, topic, 0, 0, kind, "id", "acme", 1, {}, data, value)


EXPECTED = Expected(
    "accepted", RESULTS.name, {"data": {"command_id": "c-1"}}, {"type": "CommandAccepted"}, silent_about=("price",)
)


@pytest.mark.parametrize(
    ("came", "verdict"),
    [
        ([seen(command_id="c-1")], None),
        ([seen(command_id="c-1"), seen(command_id="c-2")], None),
        ([], "nothing came"),
        ([seen(command_id="c-2")], "nothing came"),
        ([seen(command_id="c-1", topic="elsewhere")], "nothing came"),
        ([seen(command_id="c-1"), seen(command_id="c-1")], "it came 2 times"),
        ([seen("CommandRejected", command_id="c-1")], "type: expected 'CommandAccepted', came 'CommandRejected'"),
        ([seen(command_id="c-1", value=b"a Price")], "it tells 'price': a price"),
    ],
)
def test_an_outcome_is_one_record_as_stated(came: list[Seen], verdict: str | None) -> None:
    """A record that is missing, came twice, differs, or tells too much is a fault that says so."""
    assert fault(EXPECTED, came) == verdict


@pytest.mark.parametrize(
    ("expected", "came", "verdict"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b: expected 1, came 2"),
        ({"a": 1}, {}, "a: expected 1, came None"),
        ({"a": {"b": 1}}, {"a": 5}, "a: expected {'b': 1}, came 5"),
        ([{"x": 1}, {"x": 2}], [{"x": 2, "y": 0}, {"x": 1}], None),
        ([{"x": 1}, {"x": 1}], [{"x": 1}, {"x": 2}], ": expected an item {'x': 1}, came [{'x': 1}, {'x': 2}]"),
        ({"l": [1]}, {"l": [1, 2]}, "l: expected 1 items, came [1, 2]"),
        ({"l": []}, {"l": ["request_quote"]}, "l: expected 0 items, came ['request_quote']"),
        ({"l": [{"x": 1}]}, {"l": [{"x": 3}]}, "l[0].x: expected 1, came 3"),
    ],
)
def test_a_difference_names_the_part(expected: Any, came: Any, verdict: str | None) -> None:
    """What is expected must be in what came: mappings by key, lists by length and items in any order."""
    assert difference(expected, came) == verdict


class StageOfMemory(Stage):
    """A stage on which each sending is followed by records known before."""

    def __init__(self, batches: Sequence[Sequence[Seen]]) -> None:
        self.seen = []
        self._batches = list(batches)

    async def send(self, messages: Sequence[Any]) -> int:  # noqa: ARG002 - the story ends here
        """Send nothing, and have no facts."""
        return 0

    async def collect(self) -> None:
        """Take in the next batch."""
        await asyncio.sleep(0)
        self.seen.extend(self._batches.pop(0) if self._batches else [])


class Silent:
    """An audience that says nothing."""

    def step(self, number: int, step: Step) -> None:
        """Hear that a step begins."""

    def settled(self, facts: int) -> None:
        """Hear that facts took effect."""

    def outcome(self, expected: Expected, seen: Seen) -> None:
        """Hear of an outcome."""


TWO = Expected("answered", RESULTS.name, {"data": {"command_id": "c-2"}}, {})
STORY = Story(frozenset({"acme"}), (Step("first", expects=(EXPECTED,)), Step("second", expects=(TWO,))))


@pytest.mark.parametrize(
    ("batches", "failure"),
    [
        ([[seen(command_id="c-1")], [seen(command_id="c-2")]], None),
        ([[seen(command_id="c-1")]], Failure("second", "answered", "nothing came within 0.1 s")),
        (
            [[seen("CommandRejected", command_id="c-1")]],
            Failure("first", "accepted", "type: expected 'CommandAccepted', came 'CommandRejected'"),
        ),
        (
            [[seen(command_id="c-1")], [seen(command_id="c-1"), seen(command_id="c-2")]],
            Failure("first", "accepted (at the end of the story)", "it came 2 times"),
        ),
        (
            [[seen(command_id="c-1")], [seen(command_id="c-2"), seen("Surprise", value=b"boo", command_id="c-3")]],
            Failure(
                "the whole story",
                "nothing else comes of its accounts",
                f"1 more, first Surprise on {RESULTS.name}: b'boo'",
            ),
        ),
    ],
)
async def test_a_story_holds_only_when_exactly_its_outcomes_come(
    batches: list[list[Seen]], failure: Failure | None
) -> None:
    """Missing, wrong, repeated and unexpected records each fail the story, with what was expected and what came."""
    assert await play(STORY, StageOfMemory(batches), Silent(), 0.1, 0.1) == failure
