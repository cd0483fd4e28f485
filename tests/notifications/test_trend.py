"""Requests by local day: a month of them, however old the add-on and however many asked."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notifications import trend
from services.notifications.trend import TREND_DAYS, Trend

FIRST = date(2026, 1, 1)
days = st.lists(st.integers(0, 90).map(lambda count: FIRST + timedelta(days=count)), min_size=1, max_size=60)


def counted(*when: date) -> Trend:
    """Count requests of these days, in this order."""
    made = None
    for day in when:
        made = trend.add(made, day)
    assert made is not None
    return made


@given(days)
def test_a_trend_counts_the_last_month(when: list[date]) -> None:
    """Whatever order requests come in, the days of the month up to the latest have their counts, and no other day."""
    first = max(when) - timedelta(days=TREND_DAYS - 1)
    made, latest = counted(*when), max(when)
    expected = {day: when.count(day) for day in sorted(set(when)) if day >= first}
    # Days that had left the month before an earlier request came into it are not counted back in: none can be.
    assert dict(made.days) == expected
    assert trend.until(made, latest) == expected
    assert made.requests == len(when)


@given(days)
def test_a_trend_is_bounded(when: list[date]) -> None:
    """No trend has more days than TREND_DAYS."""
    assert len(counted(*when).days) <= TREND_DAYS


def test_a_trend_moves_on_without_requests() -> None:
    """A day is shown for TREND_DAYS days, its own included, and a day to come is not shown."""
    made = counted(FIRST)
    last = FIRST + timedelta(days=TREND_DAYS - 1)
    assert trend.until(made, last) == {FIRST: 1}
    assert trend.until(made, last + timedelta(days=1)) == {}
    assert trend.until(made, FIRST - timedelta(days=1)) == {}
