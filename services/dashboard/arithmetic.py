"""The price of a purchase as arithmetic: every figure that leads to the amount, in the reader's own locale."""

from typing import NamedTuple

from services.dashboard.cards import per
from services.dashboard.locales import Formats
from services.dashboard.shapes import Preview, ShownPrice


class Step(NamedTuple):
    """One line of the arithmetic: what it is, the figure, and where the figure comes from."""

    what: str
    figure: str
    why: str


class Sum(NamedTuple):
    """The arithmetic of a purchase made today: its steps, the equation they make, and the amount."""

    steps: tuple[Step, ...]
    equation: str
    amount: str
    period: str
    next_bill: str | None


def sum_of(preview: Preview, formats: Formats) -> Sum:
    """Return how the amount of a purchase made now comes about."""
    today, seats = preview.today, preview.licenses
    billed, in_cycle = today.days.billed, today.days.in_cycle
    number = formats.number
    period = formats.period(today.period.from_, today.period.to)
    unit = formats.money(preview.unit_price)
    steps = (
        Step("Price of a seat", unit, f"per {per(preview.frequency)}, price list {preview.price_version}"),
        Step(
            "Seats", number(seats.total), f"{number(seats.standard)} standard + {number(seats.additional)} additional"
        ),
        Step("Days", f"{number(billed)} of {number(in_cycle)}", f"{period}, today included"),
    )
    share = today.share
    equation = f"{unit} × {number(seats.total)} × {number(share.numerator)}/{number(share.denominator)}"
    return Sum(steps, equation, formats.money(today.amount), period, _next_bill(preview, formats))


def _next_bill(preview: Preview, formats: Formats) -> str | None:
    bill = preview.next_bill
    if bill is None:
        return None
    whole = f"Your next bill, on {formats.day(bill.date)}, has {formats.money(bill.amount)} for it"
    if bill.total is not None and bill.total != bill.amount:
        return f"{whole}, {formats.money(bill.total)} in all."
    return f"{whole}."


def at_most(price: ShownPrice, formats: Formats) -> str:
    """Say what a purchase can cost at most where the exact share of today cannot be had."""
    full = formats.money(price.full_price)
    return (
        f"{formats.money(price.unit_price)} × {formats.number(price.seats)} = {full} a {per(price.frequency)}. "
        f"Today only the days that are left of your billing cycle are charged, so {full} at most."
    )
