"""Billing cycles: local dates [start, end), every boundary counted from the account's stored anchor.

Never from the previous boundary: an anchor on the 29th to 31st clamps to the last day of a short month and returns in
the next long one (31 Jan, 28 Feb, 31 Mar), and an annual anchor on 29 February returns in every leap year. So
boundaries strictly increase, every day belongs to exactly one cycle, and finding it costs the same however old the
anchor is.

Cycles are dates, not instants: daylight saving and zones move the instants of a boundary, never the days in a cycle.
A zone that was known when it was agreed on, and that zone data has lost since, counts as UTC.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from contracts.accounts import BillingFrequency
from contracts.payload import zone_of

_MONTHS = {BillingFrequency.MONTHLY: 1, BillingFrequency.ANNUAL: 12}

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Cycle:
    """Local dates from `start` up to, not including, `end`; ValueError unless it has at least one day."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError(f"a cycle has at least one day: {self.start} to {self.end}")

    @property
    def days(self) -> int:
        """Calendar days in the cycle."""
        return (self.end - self.start).days


def months_between(earlier: date, later: date) -> int:
    """Count calendar months from one date's month to another's, whatever their days; negative when `later` is not."""
    return (later.year - earlier.year) * 12 + later.month - earlier.month


def months_after(anchor: date, months: int) -> date:
    """Return the boundary `months` calendar months after the anchor (before it when negative).

    It is the anchor's day of that month, or the month's last day when the month is too short.
    """
    years, month = divmod(anchor.month - 1 + months, 12)
    year = anchor.year + years
    return date(year, month + 1, min(anchor.day, monthrange(year, month + 1)[1]))


def cycle_containing(anchor: date, frequency: BillingFrequency, day: date) -> Cycle:
    """Return the one cycle that `day` falls in; `anchor` may lie after it."""
    length = _MONTHS[frequency]
    index = months_between(anchor, day) // length
    if months_after(anchor, index * length) > day:
        index -= 1
    return Cycle(months_after(anchor, index * length), months_after(anchor, (index + 1) * length))


def local_date(instant: datetime, timezone: str) -> date:
    """Return the calendar date that people in `timezone` (an IANA name) have at an aware instant."""
    return instant.astimezone(zone_of(timezone) or _UTC).date()


def local_midnight(day: date, timezone: str) -> datetime:
    """Return the UTC instant at which `day` begins in `timezone`.

    Where clocks are put forward over midnight, or a zone skips the whole day, that is the moment of the change; where
    midnight comes twice, the first.
    """
    return local_instant(day, time.min, timezone)


def local_instant(day: date, at: time, timezone: str) -> datetime:
    """Return the UTC instant of a wall-clock time in `timezone`: the first of two, or the next where there is none."""
    return datetime.combine(day, at, zone_of(timezone) or _UTC).astimezone(UTC)
