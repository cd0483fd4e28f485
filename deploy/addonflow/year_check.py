"""What a year must cost, worked out day by day with nothing but the calendar: none of the services' code is used.

A plan says what a subscription's people and staff do, on local dates; `charges` walks through its days and says what is
billed on which. Amounts are minor units of the plan's currency.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """A subscription: `seats` from which local day on how many; `credited_from` is the day a cancellation counts from.

    `base_minor` is what the account pays for the product itself with each renewal. `yearly`: cycles are years.
    """

    account_id: str
    unit_price_minor: int
    anchor: date
    starts: date
    seats: Mapping[date, int]
    yearly: bool = False
    base_minor: int = 0
    credited_from: date | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What an invoice must come to: the local day it is about, its kind, and its total."""

    account_id: str
    day: date
    kind: str
    total_minor: int


@dataclass(slots=True)
class _Cycle:
    """The cycle that is walked through: what was charged in it, each with its first day, and for how many seats."""

    start: date
    end: date
    highest: int
    charged: list[tuple[date, int]] = field(default_factory=list)


def charges(plan: Plan, last_day: date) -> Iterator[Charge]:
    """Yield what is billed for a subscription up to and including `last_day`."""
    seats = plan.seats[plan.starts]
    cycle = _Cycle(_begin(plan, plan.starts), _end(plan, plan.starts), seats)
    amount = _part(plan.unit_price_minor * seats, plan.starts, cycle)
    cycle.charged.append((plan.starts, amount))
    yield Charge(plan.account_id, plan.starts, "immediate", amount)
    day = plan.starts + _DAY
    while day <= last_day:
        wanted = plan.seats.get(day, seats)
        if day == plan.credited_from:
            back = sum(
                _rounded(amount * (cycle.end - day).days, (cycle.end - first).days) for first, amount in cycle.charged
            )
            yield Charge(plan.account_id, day, "credit", -back)
            return
        if day == cycle.end:
            cycle = _Cycle(day, _end(plan, day), seats)
            amount = plan.unit_price_minor * seats
            cycle.charged.append((day, amount))
            yield Charge(plan.account_id, day, "renewal", amount + plan.base_minor)
        if wanted > cycle.highest:
            amount = _part(plan.unit_price_minor * (wanted - cycle.highest), day, cycle)
            cycle.highest = wanted
            cycle.charged.append((day, amount))
            yield Charge(plan.account_id, day, "adjustment", amount)
        seats = wanted
        day += _DAY


def _is_boundary(plan: Plan, day: date) -> bool:
    in_month = plan.anchor.month == day.month or not plan.yearly
    return in_month and day.day == min(plan.anchor.day, monthrange(day.year, day.month)[1])


def _begin(plan: Plan, day: date) -> date:
    while not _is_boundary(plan, day):
        day -= _DAY
    return day


def _end(plan: Plan, day: date) -> date:
    day += _DAY
    while not _is_boundary(plan, day):
        day += _DAY
    return day


def _part(whole: int, day: date, cycle: _Cycle) -> int:
    return _rounded(whole * (cycle.end - day).days, (cycle.end - cycle.start).days)


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)
