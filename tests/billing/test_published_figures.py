"""Proration against the published figures of other billing systems, to the cent."""

import pytest

from contracts.invoices import Share
from contracts.money import Money
from services.billing.proration import amount, share_by_day, share_by_second
from tests.billing.vectors import VECTORS, Vector

BY_DAY = [vector for vector in VECTORS if vector.default_rule_amount is not None]
BY_SECOND = [
    vector
    for vector in BY_DAY
    if vector.rule in {"second", "duration (ns ratio)"} and vector.rounds_as_we_do and vector.id != "om-zero-length"
]


@pytest.mark.parametrize("vector", BY_DAY, ids=lambda vector: vector.id)
def test_published_figures_by_day(vector: Vector) -> None:
    """The rule `day` gives the published figure, or what whole local days give where the publisher counts otherwise."""
    share = share_by_day(vector.cycle, *vector.billed)
    assert amount(vector.unit_price, vector.quantity, share) == Money.parse(vector.default_rule_amount, vector.currency)


@pytest.mark.parametrize("vector", [v for v in BY_DAY if v.rule.startswith("day")], ids=lambda vector: vector.id)
def test_published_days(vector: Vector) -> None:
    """Where the publisher counts days, we count the same days of the same cycle."""
    share = share_by_day(vector.cycle, *vector.billed)
    assert share == Share(numerator=vector.numerator, denominator=vector.denominator)


@pytest.mark.parametrize("vector", BY_SECOND, ids=lambda vector: vector.id)
def test_published_figures_by_second(vector: Vector) -> None:
    """The rule `second` gives the figures of those who count seconds, and counts the same seconds."""
    fields = ("period_start", "period_end", "billed_from", "billed_to")
    share = share_by_second(*(vector.instant(field) for field in fields))
    counted = min(vector.numerator, vector.denominator)  # one figure bills longer than the cycle: that costs the cycle
    assert share == Share(numerator=counted, denominator=vector.denominator)
    assert amount(vector.unit_price, vector.quantity, share) == Money.parse(vector.expected_amount, vector.currency)


def test_every_vector_is_used() -> None:
    """No published figure is lost on the way: 67 by day, 21 of them by second too."""
    assert (len(VECTORS), len(BY_DAY), len(BY_SECOND)) == (79, 67, 21)
