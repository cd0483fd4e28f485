"""09:00 of the account's clock, wherever it is and whatever happens to that clock."""

from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifications.schedule import morning, next_digest

ZONES = ["America/New_York", "Australia/Sydney", "Pacific/Apia", "Asia/Kathmandu", "Africa/Cairo", "UTC"]
NEW_YORK, SYDNEY, APIA = ZONES[:3]


def at(text: str) -> datetime:
    """Read an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "after", "digest"),
    [
        (NEW_YORK, "2026-09-30T12:59:59", "2026-09-30T13:00"),
        (NEW_YORK, "2026-09-30T13:00:00", "2026-10-01T13:00"),
        (NEW_YORK, "2026-03-07T14:00:00", "2026-03-08T13:00"),  # 23 hours: clocks go forward on the 8th
        (NEW_YORK, "2026-10-31T13:00:00", "2026-11-01T14:00"),  # 25 hours: clocks go back on the 1st
        (SYDNEY, "2026-10-02T23:00:00", "2026-10-03T22:00"),  # clocks go forward on the 4th
        (SYDNEY, "2026-04-03T22:00:00", "2026-04-04T23:00"),  # clocks go back on the 5th
        (APIA, "2011-12-29T18:59:59", "2011-12-29T19:00"),  # 09:00 of the 29th
        (APIA, "2011-12-29T19:00:00", "2011-12-30T19:00"),  # 09:00 of the 31st: Samoa had no 30th
        (APIA, "2011-12-30T19:00:00", "2011-12-31T19:00"),
    ],
)
def test_a_daily_digest_comes_at_the_next_nine_o_clock(zone: str, after: str, digest: str) -> None:
    """The next 09:00 is later than the instant, also on days of 23 and 25 hours and where a day was left out."""
    assert next_digest(at(after), "daily", zone) == at(digest)


@pytest.mark.parametrize(
    ("zone", "after", "digest"),
    [
        (NEW_YORK, "2026-09-30T13:00", "2026-10-05T13:00"),
        (NEW_YORK, "2026-10-05T12:59", "2026-10-05T13:00"),
        (NEW_YORK, "2026-10-05T13:00", "2026-10-12T13:00"),
        (NEW_YORK, "2026-10-26T13:00", "2026-11-02T14:00"),  # a week in which clocks go back
        (SYDNEY, "2026-10-04T21:59", "2026-10-04T22:00"),  # it is Monday in Sydney
    ],
)
def test_a_weekly_digest_comes_on_mondays(zone: str, after: str, digest: str) -> None:
    """The weekly digest comes at 09:00 of the account's Monday."""
    assert next_digest(at(after), "weekly", zone) == at(digest)


def test_where_a_morning_comes_twice_the_first_counts() -> None:
    """Kwajalein had 30 September 1969 twice: its 09:00 was the first."""
    first = morning(date(1969, 9, 30), "Pacific/Kwajalein")

    assert next_digest(first - timedelta(seconds=1), "daily", "Pacific/Kwajalein") == first
    assert next_digest(first, "daily", "Pacific/Kwajalein") - first > timedelta(days=1)


@given(
    st.integers(631_152_000, 2_114_380_800),  # 1990 to 2037
    st.sampled_from(ZONES),
    st.sampled_from(("daily", "weekly")),
)
def test_the_next_digest_is_nine_o_clock_and_soon(second: int, zone: str, cadence: Literal["daily", "weekly"]) -> None:
    """It is 09:00 there, later than the instant by no more than the longest day or week, and no 09:00 lies between."""
    after = datetime.fromtimestamp(second, UTC)
    digest = next_digest(after, cadence, zone)
    days = 1 if cadence == "daily" else 7

    local = digest.astimezone(ZoneInfo(zone))
    assert (local.hour, local.minute) == (9, 0)
    assert timedelta() < digest - after <= timedelta(days=days, hours=1)
    assert cadence == "daily" or local.weekday() == 0
    assert next_digest(digest - timedelta(microseconds=1), cadence, zone) == digest
