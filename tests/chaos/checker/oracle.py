"""What subscriptions must cost, worked out from what was sold with nothing but the calendar and whole numbers.

It shares no code with billing and no rule of its text: cycles are walked month by month, parts are counted in days.
"""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo


def expected_minor(purchase: Mapping[str, Any], changes: Iterable[Mapping[str, Any]], now: datetime) -> int:
    """Return what a subscription comes to until an instant, in minor units of its currency, credits left out.

    `purchase` is the data of its AddOnPurchased, `changes` those of its SubscriptionModified in order: of seats alone.
    """
    terms = purchase["terms"]
    price, yearly = terms["unit_price"]["amount_minor"], terms["frequency"] == "annual"
    anchor, today = date.fromisoformat(terms["cycle_anchor"]), now.astimezone(ZoneInfo(terms["timezone"])).date()
    seats = _seats(terms["licenses"])
    day = date.fromisoformat(purchase["effective_date"])
    start, end = _cycle(anchor, day, yearly=yearly)
    paid, most = _part(price * seats, (end - day).days, (end - start).days), seats
    for change in (*changes, None):
        until = today if change is None else date.fromisoformat(change["licenses_from"])
        while end <= until:
            start, end = _cycle(anchor, end, yearly=yearly)
            paid, most = paid + price * seats, seats
        if change is not None:
            seats = _seats(change["licenses"])
            if seats > most:
                paid += _part(price * (seats - most), (end - until).days, (end - start).days)
                most = seats
    return paid


def line_minor(line: Mapping[str, Any]) -> int:
    """Return what an invoice's line must come to by its own derivation."""
    whole = line["unit_price"]["amount_minor"] * _seats(line["quantity"]) * line["share"]["numerator"]
    return _part(whole, 1, line["share"]["denominator"])


def _seats(licenses: Mapping[str, int]) -> int:
    return licenses["standard"] + licenses["additional"]


def _part(whole: int, numerator: int, denominator: int) -> int:
    doubled = (2 * abs(whole) * numerator + denominator) // (2 * denominator)
    return doubled if whole >= 0 else -doubled


def _cycle(anchor: date, day: date, *, yearly: bool) -> tuple[date, date]:
    """Return the cycle that a day is in, walking back and ahead from it over the anchor's days."""
    months = [(day.year + (day.month - 1 + step) // 12, (day.month - 1 + step) % 12 + 1) for step in range(-13, 14)]
    boundaries = [
        date(year, month, min(anchor.day, monthrange(year, month)[1]))
        for year, month in months
        if not yearly or month == anchor.month
    ]
    return max(each for each in boundaries if each <= day), min(each for each in boundaries if each > day)
