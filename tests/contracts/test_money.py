"""Money: whole minor units of one currency, one rounding, no mixing."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.money import Money, minor_unit_digits, round_half_up

HALF = Fraction(1, 2)
decimals = st.decimals(min_value=-(10**12), max_value=10**12, places=6)
amounts = st.integers(min_value=-(10**15), max_value=10**15)


def usd(minor: int) -> Money:
    """Return an amount in cents."""
    return Money(amount_minor=minor, currency="USD")


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        (HALF, 1),
        (-HALF, -1),
        (Fraction(5, 2), 3),
        (Fraction(-5, 2), -3),
        (Fraction(49, 100), 0),
        (Fraction(-49, 100), 0),
        (Fraction(1795 * 2, 3), 1197),
        (Fraction(7), 7),
        (Fraction(0), 0),
    ],
)
def test_halves_are_rounded_away_from_zero(exact: Fraction, rounded: int) -> None:
    """A half goes away from zero, for credits as for charges; everything else to the nearest whole."""
    assert round_half_up(exact) == rounded


@given(decimals)
def test_rounding_is_that_of_decimal(figure: Decimal) -> None:
    """The rounding is ROUND_HALF_UP of the standard library's decimal arithmetic."""
    assert round_half_up(Fraction(figure)) == int(figure.to_integral_value(ROUND_HALF_UP))


@given(amounts)
def test_every_half_goes_away_from_zero(whole: int) -> None:
    """The rounding of n + 1/2 is n + 1 above zero and n below it, whatever n is."""
    assert round_half_up(whole + HALF) == (whole + 1 if whole >= 0 else whole)


@given(st.fractions())
def test_rounding_moves_by_half_a_unit_at_most(exact: Fraction) -> None:
    """A rounded amount is never more than half a minor unit from the exact one, and its mirror is the credit's."""
    assert abs(round_half_up(exact) - exact) <= HALF
    assert round_half_up(-exact) == -round_half_up(exact)


@pytest.mark.parametrize(("currency", "digits"), [("JPY", 0), ("USD", 2), ("EUR", 2), ("KWD", 3), ("CLF", 4)])
def test_minor_units_are_those_of_iso_4217(currency: str, digits: int) -> None:
    """A currency has the digits of ISO 4217's list: 0, 2, 3 or 4."""
    assert minor_unit_digits(currency) == digits


@pytest.mark.parametrize(
    ("figure", "currency", "minor", "shown"),
    [
        ("17.95", "USD", 1795, "17.95 USD"),
        ("2650", "JPY", 2650, "2650 JPY"),
        ("5.525", "KWD", 5525, "5.525 KWD"),
        ("1.2345", "CLF", 12345, "1.2345 CLF"),
        ("9", "EUR", 900, "9.00 EUR"),
        ("0.05", "USD", 5, "0.05 USD"),
        ("-0.05", "USD", -5, "-0.05 USD"),
    ],
)
def test_figures_are_read_and_shown_in_the_currencys_digits(figure: str, currency: str, minor: int, shown: str) -> None:
    """A decimal figure becomes minor units, and is shown with exactly the currency's digits."""
    amount = Money.parse(figure, currency)
    assert amount == Money(amount_minor=minor, currency=currency)
    assert str(amount) == shown


@given(amounts, st.sampled_from(["JPY", "USD", "KWD", "CLF"]))
def test_what_is_shown_can_be_read_back(minor: int, currency: str) -> None:
    """Showing an amount and reading it again changes nothing."""
    amount = Money(amount_minor=minor, currency=currency)
    assert Money.parse(str(amount).removesuffix(f" {currency}"), currency) == amount


@pytest.mark.parametrize(("figure", "currency"), [("0.5", "JPY"), ("17.955", "USD"), ("1.2345", "KWD")])
def test_a_figure_with_too_many_digits_is_refused(figure: str, currency: str) -> None:
    """A figure finer than the currency's minor unit is refused, never rounded."""
    with pytest.raises(ValueError, match="more digits"):
        Money.parse(figure, currency)


@pytest.mark.parametrize("figure", ["", "abc", "NaN", "Infinity"])
def test_what_is_no_figure_is_refused(figure: str) -> None:
    """Text that is no finite decimal figure is a ValueError, so that a price list with it is refused in one line."""
    with pytest.raises(ValueError, match=r".+"):
        Money.parse(figure, "USD")


@given(amounts, amounts)
def test_amounts_of_one_currency_add_up(one: int, other: int) -> None:
    """Adding amounts of one currency adds their minor units."""
    assert usd(one) + usd(other) == usd(one + other)


def test_amounts_of_different_currencies_never_meet() -> None:
    """Adding amounts of different currencies raises."""
    with pytest.raises(ValueError, match="cannot add EUR to USD"):
        usd(1) + Money(amount_minor=1, currency="EUR")


def test_an_amount_does_not_change() -> None:
    """An amount is a value: none of its fields can be set."""
    with pytest.raises(ValidationError, match="frozen"):
        usd(1).amount_minor = 2  # type: ignore[misc]


@pytest.mark.parametrize("minor", ["11.97", 11.97, None, "a lot"])
def test_only_whole_minor_units_are_amounts(minor: object) -> None:
    """An amount that is not a whole number of minor units is refused."""
    with pytest.raises(ValidationError):
        Money.model_validate({"amount_minor": minor, "currency": "USD"})


@pytest.mark.parametrize("currency", ["usd", "US", "USDT", "", "U5D"])
def test_a_currency_is_three_capital_letters(currency: str) -> None:
    """A currency that does not look like an ISO 4217 code is refused; one that does is accepted, known or not."""
    with pytest.raises(ValidationError):
        Money.model_validate({"amount_minor": 1, "currency": currency})
    assert Money(amount_minor=1, currency="XYZ").currency == "XYZ"
