"""When Owners hear what gathered: at 09:00 by the account's own clock.

What stays true (`tests/notifications/test_schedule.py`):
- Between two digests there is a day, or for the weekly one a week, of the account's calendar, however long it lasts.
- A zone that this machine's zone data does not have, or not any more, counts as UTC.
- Where clocks change, 09:00 is still one moment: the first where it comes twice, the next where a day has none.
"""

from datetime import date, datetime, time, timedelta
from typing import Final, Literal

from contracts.cycles import local_date, local_instant

_MORNING: Final = time(9)
_MONDAY: Final = 0
_DAY: Final = timedelta(days=1)


def morning(day: date, timezone: str) -> datetime:
    """Return the UTC instant of 09:00 on a local date in `timezone` (an IANA name)."""
    return local_instant(day, _MORNING, timezone)


def next_digest(after: datetime, cadence: Literal["daily", "weekly"], timezone: str) -> datetime:
    """Return the first 09:00 in `timezone` that is later than an aware instant; `weekly`: of a Monday."""
    day = local_date(after, timezone)
    while (cadence == "weekly" and day.weekday() != _MONDAY) or morning(day, timezone) <= after:
        day += _DAY
    return morning(day, timezone)
