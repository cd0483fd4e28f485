"""How many requests for an add-on came on which local day: enough to draw a month, and no more.

A day is the account's own when the request arrived. Days older than TREND_DAYS before the latest are forgotten, so a
trend's size depends neither on its age nor on how many people asked; the total is kept for ever.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

from contracts.payload import Value

TREND_DAYS: Final = 30


class Trend(Value):
    """All requests ever, and those of each of the last days that had any."""

    requests: int = 0
    days: Mapping[date, int] = {}


def add(trend: Trend | None, day: date) -> Trend:
    """Count a request of a local day; one of long ago counts in the total alone."""
    before = trend or Trend()
    days = {**before.days, day: before.days.get(day, 0) + 1}
    first = _first(max(days))
    return Trend(
        requests=before.requests + 1, days={each: count for each, count in sorted(days.items()) if each >= first}
    )


def until(trend: Trend, today: date) -> Mapping[date, int]:
    """Return the requests of the TREND_DAYS days up to `today`, by day; a day without any is left out."""
    return {day: count for day, count in trend.days.items() if _first(today) <= day <= today}


def _first(last: date) -> date:
    return last - timedelta(days=TREND_DAYS - 1)
