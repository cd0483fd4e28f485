"""Money as integer minor units with a currency, and the one rounding of the system.

A currency's minor unit is ISO 4217's: 17.95 USD is 1795, 323 JPY is 323, 1.234 KWD is 1234. Amounts of different
currencies never meet: adding them raises. No binary fraction touches an amount anywhere (`tests/architecture`).
"""

from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Self

from contracts.payload import CurrencyCode, Value

_DIGITS_OTHER_THAN_TWO = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}


def minor_unit_digits(currency: str) -> int:
    """Return how many decimal digits `currency` has (ISO 4217; 2 where the standard's list has no exception)."""
    return _DIGITS_OTHER_THAN_TWO.get(currency, 2)


def round_half_up(amount: Fraction) -> int:
    """Round an exact amount to a whole number, halves away from zero: the only rounding of money in the system."""
    doubled = abs(amount.numerator) * 2 + amount.denominator
    whole = doubled // (2 * amount.denominator)
    return whole if amount >= 0 else -whole


class Money(Value):
    """An amount in minor units of `currency`; negative for a credit."""

    amount_minor: int
    currency: CurrencyCode

    @classmethod
    def parse(cls, amount: str, currency: str) -> Self:
        """Read a decimal figure ("17.95"); ValueError when it is none, or has more digits than the currency."""
        try:
            minor = Decimal(amount).scaleb(minor_unit_digits(currency))
        except InvalidOperation as error:
            raise ValueError(f"{amount!r} is not a decimal figure") from error
        if not minor.is_finite():
            raise ValueError(f"{amount!r} is not a decimal figure")
        if minor != minor.to_integral_value():
            raise ValueError(f"{amount} has more digits than {currency} has")
        return cls(amount_minor=int(minor), currency=currency)

    def __add__(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise ValueError(f"cannot add {other.currency} to {self.currency}")
        return Money(amount_minor=self.amount_minor + other.amount_minor, currency=self.currency)

    def __str__(self) -> str:
        """Return the amount for people: "11.97 USD"."""
        digits = minor_unit_digits(self.currency)
        return f"{Decimal(self.amount_minor).scaleb(-digits):.{digits}f} {self.currency}"
