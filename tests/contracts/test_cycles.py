"""Billing cycles: counted from the anchor, clamped to short months, returning afterwards, the same in every zone."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.accounts import BillingFrequency
from contracts.cycles import (
    Cycle,
    cycle_containing,
    local_date,
    local_midnight,
    months_after,
    months_between,
)
from tests.billing.vectors import VECTORS, Vector

MONTHLY, ANNUAL = BillingFrequency.MONTHLY, BillingFrequency.ANNUAL
BOUNDARIES = [vector for vector in VECTORS if vector.kind == "boundary"]
MONTHS = {"month": 1, "year": 12, "4 years": 48}
FREQUENCY = {"month": MONTHLY, "year": ANNUAL, "4 years": ANNUAL}

days = st.dates(date(1970, 1, 1), date(2120, 12, 31))
frequencies = st.sampled_from(BillingFrequency)
zones = st.sampled_from(sorted(available_timezones()))
unhurried = settings(deadline=None)


def starts(anchor: date, frequency: BillingFrequency, count: int) -> list[date]:
    """Walk `count` cycles from the one that contains the anchor, each found by the end of the one before."""
    found = [cycle_containing(anchor, frequency, anchor)]
    while len(found) < count:
        found.append(cycle_containing(anchor, frequency, found[-1].end))
    return [cycle.start for cycle in found]


@pytest.mark.parametrize("vector", BOUNDARIES, ids=lambda vector: vector.id)
def test_published_boundaries(vector: Vector) -> None:
    """Every published boundary is the stored anchor moved by whole months; in a zone, that date's local midnight."""
    anchor = vector.day_of(vector.change_at)
    expected = [vector.day_of(boundary) for boundary in vector.expected_boundaries]
    first = months_between(anchor, expected[0])
    step = MONTHS[vector.interval]

    assert expected == [months_after(anchor, first + step * k) for k in range(len(expected))]
    for start, end in pairwise(expected):
        first_cycle = cycle_containing(anchor, FREQUENCY[vector.interval], start)
        last_cycle = cycle_containing(anchor, FREQUENCY[vector.interval], end - timedelta(days=1))
        assert (first_cycle.start, last_cycle.end) == (start, end)
    if "timezone" in vector.tags:
        instants = [datetime.fromisoformat(boundary) for boundary in vector.expected_boundaries]
        assert [local_midnight(day, vector.zone) for day in expected] == instants


def test_every_boundary_vector_is_used() -> None:
    """The published boundaries are all there: twelve, three of them as local midnights in a zone."""
    assert len(BOUNDARIES) == 12
    assert sum("timezone" in vector.tags for vector in BOUNDARIES) == 3


def test_an_anchor_on_the_31st_clamps_and_returns() -> None:
    """An anchor on the 31st takes the last day of short months and is the 31st again in long ones."""
    assert starts(date(2026, 1, 31), MONTHLY, 6) == [
        date(2026, 1, 31),
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 4, 30),
        date(2026, 5, 31),
        date(2026, 6, 30),
    ]


def test_an_annual_anchor_on_29_february_returns_in_leap_years() -> None:
    """29 February is 28 February in common years and 29 February in the next leap year."""
    found = starts(date(2024, 2, 29), ANNUAL, 5)
    assert [day.isoformat() for day in found] == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_an_annual_cycle_from_29_february_counts_its_own_days() -> None:
    """29 Feb 2024 to 28 Feb 2025 has 365 days although 2024 has 366; 28 Feb 2027 to 29 Feb 2028 has 366."""
    anchor = date(2024, 2, 29)
    assert cycle_containing(anchor, ANNUAL, date(2024, 12, 31)).days == 365
    assert cycle_containing(anchor, ANNUAL, date(2028, 2, 28)).days == 366


def test_a_day_before_the_anchor_has_its_cycle() -> None:
    """A day before the anchor belongs to the cycle counted backwards, clamped like any other."""
    assert cycle_containing(date(2026, 3, 31), MONTHLY, date(2026, 2, 10)) == Cycle(
        date(2026, 1, 31), date(2026, 2, 28)
    )
    assert cycle_containing(date(2026, 3, 31), ANNUAL, date(2026, 3, 30)) == Cycle(date(2025, 3, 31), date(2026, 3, 31))


def test_a_boundary_starts_the_next_cycle() -> None:
    """Cycles are half-open: the end of one is the first day of the next, never a day of both."""
    anchor = date(2026, 9, 20)
    assert cycle_containing(anchor, MONTHLY, date(2026, 10, 19)).end == date(2026, 10, 20)
    assert cycle_containing(anchor, MONTHLY, date(2026, 10, 20)).start == date(2026, 10, 20)


def test_a_cycle_has_at_least_one_day() -> None:
    """A cycle that ends where it starts is a defect, not a division by zero later."""
    with pytest.raises(ValueError, match="at least one day"):
        Cycle(date(2026, 1, 1), date(2026, 1, 1))


@unhurried
@given(days, frequencies, days)
@example(date(2024, 2, 29), ANNUAL, date(2025, 2, 28))
@example(date(2026, 1, 31), MONTHLY, date(2026, 2, 28))
def test_every_day_belongs_to_exactly_one_cycle(anchor: date, frequency: BillingFrequency, day: date) -> None:
    """The cycle of a day contains it, every other day of that cycle has the same cycle, and its neighbours adjoin."""
    cycle = cycle_containing(anchor, frequency, day)
    assert cycle.start <= day < cycle.end
    assert cycle_containing(anchor, frequency, cycle.start) == cycle
    assert cycle_containing(anchor, frequency, cycle.end - timedelta(days=1)) == cycle
    assert cycle_containing(anchor, frequency, cycle.end).start == cycle.end
    assert cycle_containing(anchor, frequency, cycle.start - timedelta(days=1)).end == cycle.start


@unhurried
@given(days, st.integers(-600, 600), st.sampled_from([1, 3, 12, 48]))
def test_boundaries_strictly_increase(anchor: date, index: int, step: int) -> None:
    """A later boundary is a later date, whatever clamps: for months, quarters, years and four years."""
    assert months_after(anchor, index * step // 12) < months_after(anchor, index * step // 12 + step)


@unhurried
@given(days, st.integers(-1_200, 1_200))
def test_clamped_anchors_return(anchor: date, months: int) -> None:
    """A boundary is the anchor's day of the month, or the month's last day exactly when the month is too short."""
    boundary = months_after(anchor, months)
    next_day = boundary + timedelta(days=1)
    assert months_between(anchor, boundary) == months
    assert boundary.day == anchor.day or (boundary.day < anchor.day and next_day.day == 1)


@unhurried
@given(days, zones)
@example(date(2026, 3, 8), "America/New_York")
@example(date(2018, 11, 4), "America/Sao_Paulo")  # 00:00 did not exist: the day began at 01:00
@example(date(2010, 11, 7), "America/St_Johns")  # 00:00 came twice
def test_local_midnight_begins_the_day(day: date, zone: str) -> None:
    """The instant of a local midnight has that local date, and the second before has an earlier one."""
    midnight = local_midnight(day, zone)
    assert midnight.tzinfo is UTC
    assert local_date(midnight, zone) >= day
    assert local_date(midnight - timedelta(seconds=1), zone) < day


def test_a_skipped_day_begins_with_the_next() -> None:
    """Samoa had no 30 December 2011: its midnight is the moment of the skip, which begins the 31st."""
    assert local_midnight(date(2011, 12, 30), "Pacific/Apia") == local_midnight(date(2011, 12, 31), "Pacific/Apia")


def test_one_instant_has_different_dates() -> None:
    """The same instant is the 30th in New York and the 1st in Tokyo, so a purchase there falls on another day."""
    instant = datetime(2026, 10, 1, 2, 30, tzinfo=UTC)
    assert local_date(instant, "America/New_York") == date(2026, 9, 30)
    assert local_date(instant, "Asia/Tokyo") == date(2026, 10, 1)


@unhurried
@given(days, frequencies, days, zones)
def test_zones_do_not_move_the_days_of_a_cycle(anchor: date, frequency: BillingFrequency, day: date, zone: str) -> None:
    """The local midnights of a cycle are its dates' first instants in every zone, in the order of the dates."""
    cycle = cycle_containing(anchor, frequency, day)
    start, end = local_midnight(cycle.start, zone), local_midnight(cycle.end, zone)
    assert start < end
    assert abs((end - start) - timedelta(days=cycle.days)) <= timedelta(hours=26)
