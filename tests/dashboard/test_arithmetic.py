"""The price as arithmetic: every figure that leads to the amount, as the reader writes figures."""

from services.dashboard.arithmetic import at_most, sum_of
from services.dashboard.locales import formats_for
from tests.dashboard.shown import PRICE, preview, usd


def test_every_figure_is_named() -> None:
    """Unit price, seats and days each stand on a line of their own, and make the equation of the amount."""
    said = sum_of(preview(), formats_for("en-US"))
    assert [(step.what, step.figure) for step in said.steps] == [
        ("Price of a seat", "$17.95"),
        ("Seats", "7"),
        ("Days", "20 of 30"),
    ]
    assert said.steps[1].why == "5 standard + 2 additional"
    assert (said.equation, said.amount) == ("$17.95 × 7 × 20/30", "$83.77")


def test_the_next_bill_is_told() -> None:
    """The next bill's day, the add-on's part of it, and its total where that is more."""
    said = sum_of(preview(), formats_for("en-US")).next_bill
    assert said == "Your next bill, on October 20, 2026, has $125.65 for it, $300.30 in all."
    assert sum_of(preview(next_bill=None), formats_for("en")).next_bill is None


def test_figures_are_the_readers() -> None:
    """A German reads commas, whatever the account's currency is."""
    said = sum_of(preview(), formats_for("de"))
    assert (said.equation, said.amount) == ("17,95\u00a0$ × 7 × 20/30", "83,77\u00a0$")


def test_without_a_preview_the_most_is_told() -> None:
    """Where the exact amount cannot be had, the full cycle is the bound that is named."""
    said = at_most(PRICE, formats_for("en-US"))
    assert said.startswith("$17.95 × 7 = $125.65 a month.")
    assert said.endswith("so $125.65 at most.")
    assert PRICE.full_price == usd(12565)
