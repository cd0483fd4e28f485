"""Proration: which part of a cycle is charged, as an exact fraction, and what that part costs.

    amount = round_half_up(unit price x seats x share)

One rounding, at the very end, half away from zero, to the currency's minor unit; nothing before it is approximate. A
share is never below 0 or above 1, so no part of a cycle costs more than the cycle. Parts that make up a cycle have
shares that add up to exactly 1. Shares stay unreduced (20/30, not 2/3), so that a line shows what was counted.

`recompute` and `derivation` need nothing but the line: an invoice can be checked and explained for ever, whatever has
since become of prices, seats and rules.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

from contracts.accounts import BillingFrequency
from contracts.cycles import Cycle, cycle_containing, local_date, local_midnight, months_between
from contracts.events import Terms
from contracts.invoices import BASE_PLAN, InvoiceKind, InvoiceLine, ProrationRule, Share
from contracts.money import Money, round_half_up

_SECOND = timedelta(seconds=1)
_DAYS_OF_EVERY_MONTH = 30
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNITS = {
    ProrationRule.DAY: "days",
    ProrationRule.SECOND: "seconds",
    ProrationRule.FIXED_30: "days of 30-day months",
}


def share_by_day(cycle: Cycle, billed_from: date, billed_to: date) -> Share:
    """Calendar days [billed_from, billed_to) of the calendar days in the cycle.

    The rule `day`: dates are local, so a day counts whole whatever the hour of the purchase, and one of 23 or 25 hours
    counts like any other.
    """
    return _share((billed_to - billed_from).days, cycle.days)


def share_by_second(cycle_start: datetime, cycle_end: datetime, billed_from: datetime, billed_to: datetime) -> Share:
    """Elapsed seconds [billed_from, billed_to) of the elapsed seconds in the cycle, all aware instants.

    The rule `second`: real time, so an hour that daylight saving adds or takes counts. A begun second counts whole.
    """
    return _share(_seconds(billed_from, billed_to), _seconds(cycle_start, cycle_end))


def share_by_fixed_30(cycle: Cycle, anchor: date, billed_from: date, billed_to: date) -> Share:
    """Days [billed_from, billed_to) of a cycle whose months, counted from `anchor`, all have 30 days.

    The rule `fixed_30`: what is left of a month counts one 30th a day, at most 30 of them; a whole month counts 30
    however many days it has. So from its last day a month counts 1/30, from its second day 30/30 when it has 31 days
    and 27/30 when it has 28. A monthly cycle has 30 days, an annual one 360.
    """
    remaining = _days_left_of_30(cycle, anchor, billed_from) - _days_left_of_30(cycle, anchor, billed_to)
    return _share(remaining, _DAYS_OF_EVERY_MONTH * months_between(cycle.start, cycle.end))


def share_between(
    rule: ProrationRule, terms: Terms, cycle: Cycle, billed: tuple[date, date], moment: datetime | None = None
) -> Share:
    """Return the share of `cycle` that the local dates `billed` [first, end) are.

    Only the rule `second` looks at `moment`, the instant of what is charged for: it counts from there when that is on
    the first day, else from the midnight that begins it. It ends with the midnight that begins the end.
    """
    first, end = billed
    match rule:
        case ProrationRule.DAY:
            return share_by_day(cycle, first, end)
        case ProrationRule.FIXED_30:
            return share_by_fixed_30(cycle, terms.cycle_anchor, first, end)
        case ProrationRule.SECOND:
            zone = terms.timezone
            begins = local_midnight(first, zone)
            if moment is not None and local_date(moment, zone) == first:
                begins = moment
            whole = (local_midnight(cycle.start, zone), local_midnight(cycle.end, zone))
            return share_by_second(*whole, begins, local_midnight(end, zone))


def amount(unit_price: Money, seats: int, share: Share) -> Money:
    """Charge `seats` for a share of a cycle: exact until the one rounding, in the currency of `unit_price`."""
    exact = Fraction(unit_price.amount_minor * seats * share.numerator, share.denominator)
    return Money(amount_minor=round_half_up(exact), currency=unit_price.currency)


def spread(minor: int, left: Sequence[int]) -> list[int]:
    """Spread `minor` units pro rata over parts of which so much is `left`: none gets more than that, the sum is exact.

    Largest remainder: each gets its share rounded down, and those that lost most by it a unit more, the first of equals
    first. ValueError when less than `minor` is left in all.
    """
    whole = sum(left)
    if not 0 <= minor <= whole:
        raise ValueError(f"{minor} cannot be spread where {whole} is left")
    parts = [divmod(minor * each, whole) if whole else (0, 0) for each in left]
    missing = minor - sum(part for part, _ in parts)
    rounded_up = set(sorted(range(len(parts)), key=lambda index: -parts[index][1])[:missing])
    return [part + (index in rounded_up) for index, (part, _) in enumerate(parts)]


def recompute(line: InvoiceLine) -> Money:
    """Compute a line's amount again from what the line itself says."""
    return amount(line.unit_price, line.quantity.total, line.share)


def derivation(line: InvoiceLine, kind: InvoiceKind | None = None) -> str:
    """Explain a line in one sentence: "17.95 USD x 1 seat x 20/30 days (30 Sep 2026 to 19 Oct 2026, UTC) = 11.97 USD".

    The dates are the first and the last day paid for. The line of an adjustment (say so by `kind`) names the seats that
    came to those already paid; that of the base plan has no seats; a credit's names the invoice it gives back from.
    """
    share = f"{line.share.numerator}/{line.share.denominator} {_UNITS[line.rule]}"
    dates = f"({days_in_words(line.period.from_, line.period.to)}, {line.timezone})"
    if line.credits is not None:
        if line.share.numerator == line.share.denominator == 1:
            return f"{line.unit_price} of what {line.credits} charged {dates} = {line.amount}"
        return f"{line.unit_price}, charged by {line.credits}, x {share} not used {dates} = {line.amount}"
    if line.subscription_id == BASE_PLAN:
        return f"{line.unit_price} for the base plan x {share} {dates} = {line.amount}"
    count = seats_in_words(line.quantity.total, more=kind is InvoiceKind.ADJUSTMENT)
    return f"{line.unit_price} x {count} x {share} {dates} = {line.amount}"


def seats_in_words(count: int, *, more: bool = False) -> str:
    """Say "1 seat", "12 seats", or "12 more seats"."""
    return f"{count} {'more ' if more else ''}{'seat' if count == 1 else 'seats'}"


def days_in_words(first: date, end: date) -> str:
    """Name the first and the last day of [first, end): "30 Sep 2026 to 19 Oct 2026", or the one day."""
    last = end - timedelta(days=1)
    return day_in_words(first) if last <= first else f"{day_in_words(first)} to {day_in_words(last)}"


def day_in_words(day: date) -> str:
    """Name a day: "30 Sep 2026"."""
    return f"{day.day} {_MONTH_NAMES[day.month - 1]} {day.year}"  # strftime would speak the machine's language


def _days_left_of_30(cycle: Cycle, anchor: date, day: date) -> int:
    """Return how many days are left from `day` to the end of the cycle when every month has 30."""
    if day >= cycle.end:
        return 0
    month = cycle_containing(anchor, BillingFrequency.MONTHLY, max(day, cycle.start))
    # No month has more than 31 days, so after its first day no more than 30 are left.
    begun = _DAYS_OF_EVERY_MONTH if day <= month.start else (month.end - day).days
    return begun + _DAYS_OF_EVERY_MONTH * months_between(month.end, cycle.end)


def _seconds(start: datetime, end: datetime) -> int:
    return (end.replace(microsecond=0) - start.replace(microsecond=0)) // _SECOND


def _share(part: int, whole: int) -> Share:
    return Share(numerator=min(max(part, 0), whole), denominator=whole)
