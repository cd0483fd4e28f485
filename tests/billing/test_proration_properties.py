"""Proration: what holds for every amount, whatever the rule, the price, the seats, the cycle and the zone."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.accounts import BillingFrequency
from contracts.cycles import Cycle, cycle_containing, local_midnight
from contracts.events import Terms
from contracts.invoices import ProrationRule, Share
from contracts.money import Money
from services.billing.proration import amount, share_between, share_by_day, share_by_fixed_30, share_by_second
from tests.billing.scenario import terms_of

MARCH = Cycle(date(2026, 3, 1), date(2026, 4, 1))  # clocks go forward in it

unhurried = settings(deadline=None)
days = st.dates(date(1990, 1, 1), date(2090, 12, 31))
zones = st.sampled_from(
    ["UTC", "America/New_York", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kolkata", "Europe/Paris"]
)
seats = st.integers(0, 10_000_000)
prices = st.builds(
    lambda minor, currency: Money(amount_minor=minor, currency=currency),
    st.integers(0, 10_000_000),
    st.sampled_from(["USD", "JPY", "KWD"]),
)


@st.composite
def sales(draw: st.DrawFn) -> tuple[ProrationRule, Terms, Cycle]:
    """Draw a rule, terms, and one of the terms' cycles."""
    terms = terms_of(draw(days), draw(st.sampled_from(BillingFrequency)), draw(zones))
    cycle = cycle_containing(terms.cycle_anchor, terms.frequency, draw(days))
    return draw(st.sampled_from(ProrationRule)), terms, cycle


def share_of_days(sale: tuple[ProrationRule, Terms, Cycle], first: date, end: date) -> Share:
    """Return the share of whole local days [first, end) by any rule."""
    rule, terms, cycle = sale
    if rule is ProrationRule.DAY:
        return share_by_day(cycle, first, end)
    if rule is ProrationRule.FIXED_30:
        return share_by_fixed_30(cycle, terms.cycle_anchor, first, end)
    instants = (local_midnight(day, terms.timezone) for day in (cycle.start, cycle.end, first, end))
    return share_by_second(*instants)


@unhurried
@given(sales(), prices, seats, st.lists(st.integers(0, 366), max_size=12))
def test_parts_of_a_cycle_add_up_to_the_whole(
    sale: tuple[ProrationRule, Terms, Cycle], price: Money, count: int, cuts: list[int]
) -> None:
    """However a cycle is cut, the shares add up to exactly 1, the amounts to the price within half a unit a part."""
    cycle = sale[2]
    inner = {cycle.start + timedelta(days=cut) for cut in cuts if cut < cycle.days}
    shares = [share_of_days(sale, *part) for part in pairwise(sorted({cycle.start, cycle.end} | inner))]
    charged = sum(amount(price, count, share).amount_minor for share in shares)

    assert sum(Fraction(share.numerator, share.denominator) for share in shares) == 1
    assert abs(charged - price.amount_minor * count) * 2 <= len(shares)


@unhurried
@given(sales(), prices, seats, st.integers(0, 365), st.integers(0, 365))
def test_a_later_purchase_never_costs_more(
    sale: tuple[ProrationRule, Terms, Cycle], price: Money, count: int, one: int, another: int
) -> None:
    """From the first day to the last, the amount to the end of the cycle only falls; the first day costs it all."""
    cycle = sale[2]
    earlier, later = sorted((one % cycle.days, another % cycle.days))
    charged = [
        amount(price, count, share_of_days(sale, cycle.start + timedelta(days=offset), cycle.end)).amount_minor
        for offset in (0, earlier, later)
    ]
    assert price.amount_minor * count == charged[0] >= charged[1] >= charged[2]


@unhurried
@given(sales(), prices, seats, days, st.integers(-40, 800))
def test_never_negative_and_never_more_than_the_full_price(
    sale: tuple[ProrationRule, Terms, Cycle], price: Money, count: int, first: date, length: int
) -> None:
    """Whatever dates are asked for, inside the cycle or far outside it, a share stays within 0 and 1."""
    end = first + timedelta(days=length)
    assert 0 <= amount(price, count, share_of_days(sale, first, end)).amount_minor <= price.amount_minor * count


@unhurried
@given(sales(), st.integers(0, 365), st.integers(0, 86_399))
def test_a_purchase_inside_the_cycle_is_never_free(
    sale: tuple[ProrationRule, Terms, Cycle], offset: int, second: int
) -> None:
    """A purchase on any day of the cycle, its last second included, is charged something by every rule."""
    rule, terms, cycle = sale
    day = cycle.start + timedelta(days=offset % cycle.days)
    begin, end = (local_midnight(edge, terms.timezone) for edge in (day, day + timedelta(days=1)))
    moment = min(begin + timedelta(seconds=second), max(begin, end - timedelta(seconds=1)))
    assert share_between(rule, terms, cycle, (day, cycle.end), moment).numerator > 0 or begin == end


@unhurried
@given(sales(), st.integers(0, 365), zones, zones)
@example((ProrationRule.DAY, terms_of(MARCH.start), MARCH), 7, "UTC", "America/New_York")
def test_zones_and_daylight_saving_do_not_move_the_day_count(
    sale: tuple[ProrationRule, Terms, Cycle], offset: int, one: str, another: str
) -> None:
    """By day, the same local dates give the same share in every zone, whether clocks change in between or not."""
    _, terms, cycle = sale
    day = cycle.start + timedelta(days=offset % cycle.days)
    shares = [
        share_between(
            ProrationRule.DAY,
            terms.model_copy(update={"timezone": zone}),
            cycle,
            (day, cycle.end),
            local_midnight(day, zone),
        )
        for zone in (one, another)
    ]
    assert shares[0] == shares[1] == Share(numerator=(cycle.end - day).days, denominator=cycle.days)
