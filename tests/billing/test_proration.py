"""Proration: the worked example, how each rule counts, and what a line says of itself."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.cycles import Cycle, cycle_containing
from contracts.invoices import BASE_PLAN, BilledDays, InvoiceKind, InvoiceLine, Period, ProrationRule, Share
from contracts.money import Money
from services.billing.proration import (
    amount,
    days_in_words,
    derivation,
    recompute,
    share_between,
    share_by_day,
    share_by_fixed_30,
)
from tests.billing.scenario import terms_of

MONTHLY, ANNUAL = BillingFrequency.MONTHLY, BillingFrequency.ANNUAL
MARCH = Cycle(date(2026, 3, 1), date(2026, 4, 1))  # clocks go forward in it
SEPTEMBER = Cycle(date(2026, 9, 20), date(2026, 10, 20))


def usd(figure: str) -> Money:
    """Return an amount in US dollars."""
    return Money.parse(figure, "USD")


def test_the_worked_example() -> None:
    """17.95 a month, cycle 20 September to 20 October, bought 30 September: 20/30, 11.97."""
    share = share_by_day(SEPTEMBER, date(2026, 9, 30), SEPTEMBER.end)
    assert share == Share(numerator=20, denominator=30)
    assert amount(usd("17.95"), 1, share) == usd("11.97")


# ---------------------------------------------------------------------------------------------------- how rules count


def test_a_zero_length_part_costs_nothing() -> None:
    """No days, no charge: some systems charge the full price here."""
    share = share_by_day(SEPTEMBER, SEPTEMBER.start, SEPTEMBER.start)
    assert amount(usd("100.00"), 1, share) == usd("0.00")


def test_a_part_longer_than_the_cycle_costs_the_cycle() -> None:
    """A share is never above 1, nor below 0 when the part ends before it begins."""
    after, before = SEPTEMBER.end + timedelta(days=40), SEPTEMBER.start - timedelta(days=40)
    assert share_by_day(SEPTEMBER, SEPTEMBER.start, after) == Share(numerator=30, denominator=30)
    assert share_by_day(SEPTEMBER, SEPTEMBER.end, before) == Share(numerator=0, denominator=30)
    anchor = SEPTEMBER.start
    assert share_by_fixed_30(SEPTEMBER, anchor, before, after) == Share(numerator=30, denominator=30)


def test_rounding_is_once_and_away_from_zero() -> None:
    """Half a minor unit rounds up for a charge and down for a credit, after everything is multiplied, not before."""
    half = Share(numerator=1, denominator=2)
    assert amount(usd("0.01"), 1, half) == usd("0.01")
    assert amount(usd("-0.01"), 1, half) == usd("-0.01")
    assert amount(usd("0.01"), 2, half) == usd("0.01")  # 2 x 0.005: rounding each seat would give 0.02
    third = Share(numerator=1, denominator=3)
    assert amount(usd("1.00"), 3, third) == usd("1.00")  # 3 x 0.3333...: rounding each seat would give 0.99


def test_an_amount_is_exact_whatever_its_size() -> None:
    """A figure beyond what a binary fraction holds is charged to the last minor unit, a half of one included."""
    large = Money(amount_minor=2**53 + 1, currency="USD")
    assert amount(large, 7, Share(numerator=30, denominator=30)).amount_minor == 7 * (2**53 + 1)
    assert amount(large, 1, Share(numerator=1, denominator=2)).amount_minor == 2**52 + 1


@pytest.mark.parametrize(
    ("price", "currency", "charged"),
    [("1000", "JPY", "667"), ("5.525", "KWD", "3.683"), ("17.95", "USD", "11.97"), ("1", "KWD", "0.667")],
)
def test_each_currency_rounds_to_its_minor_unit(price: str, currency: str, charged: str) -> None:
    """20/30 of a price has no decimals in yen, two in dollars and three in Kuwaiti dinars."""
    share = Share(numerator=20, denominator=30)
    assert amount(Money.parse(price, currency), 1, share) == Money.parse(charged, currency)


def test_the_day_rule_ignores_the_hour() -> None:
    """By day, a purchase a minute after local midnight and one a minute before the next cost the same."""
    terms = terms_of(SEPTEMBER.start, timezone="America/New_York")
    morning, night = datetime(2026, 9, 30, 4, 1, tzinfo=UTC), datetime(2026, 10, 1, 3, 59, tzinfo=UTC)
    shares = {
        share_between(ProrationRule.DAY, terms, SEPTEMBER, (date(2026, 9, 30), SEPTEMBER.end), moment).numerator
        for moment in (morning, night)
    }
    assert shares == {20}


def test_the_second_rule_counts_real_time_across_daylight_saving() -> None:
    """A cycle in which clocks go forward is an hour shorter by second; by day it is not."""
    terms = terms_of(date(2026, 3, 1), timezone="America/New_York")
    cycle, noon = MARCH, datetime(2026, 3, 31, 16, tzinfo=UTC)
    share = share_between(ProrationRule.SECOND, terms, cycle, (date(2026, 3, 31), cycle.end), noon)
    assert share == Share(numerator=12 * 3_600, denominator=743 * 3_600)
    assert share_between(ProrationRule.DAY, terms, cycle, (date(2026, 3, 31), cycle.end), noon) == Share(
        numerator=1, denominator=31
    )


def test_the_second_rule_counts_a_begun_second() -> None:
    """A purchase within a second is billed from the beginning of that second."""
    terms, almost = terms_of(SEPTEMBER.start), datetime(2026, 10, 19, 23, 59, 59, 999_999, tzinfo=UTC)
    share = share_between(ProrationRule.SECOND, terms, SEPTEMBER, (date(2026, 10, 19), SEPTEMBER.end), almost)
    assert share.numerator == 1


def test_the_second_rule_bills_another_day_from_its_midnight() -> None:
    """When the first billed day is not the day of the purchase, seconds count from that day's local midnight."""
    terms = terms_of(SEPTEMBER.start, timezone="Asia/Tokyo")
    earlier = datetime(2026, 9, 25, 12, tzinfo=UTC)
    share = share_between(ProrationRule.SECOND, terms, SEPTEMBER, (date(2026, 9, 30), SEPTEMBER.end), earlier)
    assert share == Share(numerator=20 * 86_400, denominator=30 * 86_400)


@pytest.mark.parametrize(
    ("anchor", "frequency", "day", "counted"),
    [
        (date(2026, 9, 20), MONTHLY, date(2026, 9, 30), "20/30"),
        (date(2026, 1, 1), MONTHLY, date(2026, 1, 1), "30/30"),
        (date(2026, 1, 1), MONTHLY, date(2026, 1, 2), "30/30"),  # 30 of its 31 days are left
        (date(2026, 1, 1), MONTHLY, date(2026, 1, 31), "1/30"),
        (date(2026, 2, 1), MONTHLY, date(2026, 2, 1), "30/30"),  # 28 days, and still a whole month
        (date(2026, 2, 1), MONTHLY, date(2026, 2, 2), "27/30"),
        (date(2026, 1, 1), ANNUAL, date(2026, 1, 1), "360/360"),
        (date(2026, 1, 1), ANNUAL, date(2026, 2, 1), "330/360"),
        (date(2026, 1, 1), ANNUAL, date(2026, 12, 22), "10/360"),
        (date(2024, 2, 29), ANNUAL, date(2025, 3, 29), "330/360"),  # months from the anchor, not from 28 February
    ],
)
def test_the_fixed_30_rule_counts_months_of_30_days(
    anchor: date, frequency: BillingFrequency, day: date, counted: str
) -> None:
    """Every month has 30 days: what is left of one counts a 30th a day, at most 30, and a whole month counts 30."""
    cycle = cycle_containing(anchor, frequency, day)
    share = share_between(
        ProrationRule.FIXED_30,
        terms_of(anchor, frequency),
        cycle,
        (day, cycle.end),
        datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert f"{share.numerator}/{share.denominator}" == counted


# ------------------------------------------------------------------------------------------- what a line says of itself


def line(
    count: int = 1,
    rule: ProrationRule = ProrationRule.DAY,
    share: tuple[int, int] = (20, 30),
    zone: str = "America/New_York",
) -> InvoiceLine:
    """Return the line of the worked example, or of more seats, another rule or another zone."""
    counted = Share(numerator=share[0], denominator=share[1])
    return InvoiceLine(
        subscription_id="sub-1",
        add_on="analytics_plus",
        description="",
        period=Period(from_=date(2026, 9, 30), to=date(2026, 10, 20)),
        quantity=Licenses(standard=count),
        unit_price=usd("17.95"),
        days=BilledDays(billed=20, in_cycle=30),
        share=counted,
        price_version="2026-01",
        rule=rule,
        timezone=zone,
        amount=amount(usd("17.95"), count, counted),
    )


@pytest.mark.parametrize(
    ("subject", "sentence"),
    [
        (
            line(),
            "17.95 USD x 1 seat x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 11.97 USD",
        ),
        (
            line(count=1_200),
            "17.95 USD x 1200 seats x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 14360.00 USD",
        ),
        (
            line(count=0),
            "17.95 USD x 0 seats x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 0.00 USD",
        ),
        (
            line(rule=ProrationRule.SECOND, share=(1_684_800, 2_592_000)),
            "17.95 USD x 1 seat x 1684800/2592000 seconds (30 Sep 2026 to 19 Oct 2026, America/New_York) = 11.67 USD",
        ),
        (
            line(rule=ProrationRule.FIXED_30, zone="UTC"),
            "17.95 USD x 1 seat x 20/30 days of 30-day months (30 Sep 2026 to 19 Oct 2026, UTC) = 11.97 USD",
        ),
    ],
    ids=["one seat", "many seats", "no seats", "second", "fixed_30"],
)
def test_a_line_explains_itself(subject: InvoiceLine, sentence: str) -> None:
    """The derivation of a line is its arithmetic in words, with the first and last day paid for."""
    assert derivation(subject) == sentence


def test_the_line_of_an_adjustment_names_the_seats_added() -> None:
    """Told that it is an adjustment's, a line says how many seats came to those already paid."""
    assert derivation(line(count=2), InvoiceKind.ADJUSTMENT) == (
        "17.95 USD x 2 more seats x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 23.93 USD"
    )
    assert derivation(line(), InvoiceKind.RENEWAL) == derivation(line())


def test_the_line_of_the_base_plan_has_no_seats() -> None:
    """The base plan is one thing with one price."""
    base = line(share=(30, 30), zone="UTC").model_copy(update={"subscription_id": BASE_PLAN, "add_on": BASE_PLAN})
    assert derivation(base) == (
        "17.95 USD for the base plan x 30/30 days (30 Sep 2026 to 19 Oct 2026, UTC) = 17.95 USD"
    )


@pytest.mark.parametrize(
    ("share", "price", "sentence"),
    [
        (
            (20, 30),
            "-30.00",
            "-30.00 USD, charged by acme-000001, x 20/30 days not used (30 Sep 2026 to 19 Oct 2026, UTC) = -20.00 USD",
        ),
        ((1, 1), "-5.00", "-5.00 USD of what acme-000001 charged (30 Sep 2026 to 19 Oct 2026, UTC) = -5.00 USD"),
    ],
    ids=["unused days", "an amount"],
)
def test_the_line_of_a_credit_names_what_it_gives_back_from(share: tuple[int, int], price: str, sentence: str) -> None:
    """A credit's line says which invoice charged, and which part of that was not used."""
    counted = Share(numerator=share[0], denominator=share[1])
    changes = {"unit_price": usd(price), "credits": "acme-000001", "amount": amount(usd(price), 1, counted)}
    assert derivation(line(share=share, zone="UTC").model_copy(update=changes)) == sentence


def test_a_part_that_ends_within_the_cycle() -> None:
    """Every rule counts a part that neither begins nor ends with the cycle: ten days of thirty."""
    terms = terms_of(SEPTEMBER.start)
    part = (date(2026, 9, 25), date(2026, 10, 5))
    shares = [share_between(rule, terms, SEPTEMBER, part) for rule in ProrationRule]
    assert [share.numerator * 3 == share.denominator for share in shares] == [True] * 3


def test_a_line_can_be_recomputed() -> None:
    """A line's amount follows from the line alone; one that was tampered with does not."""
    honest = line(count=7)
    assert recompute(honest) == honest.amount == usd("83.77")
    assert recompute(honest.model_copy(update={"quantity": Licenses(standard=8)})) != honest.amount


def test_a_single_day_is_named_once() -> None:
    """A period of one day reads as that day."""
    assert days_in_words(date(2026, 10, 19), date(2026, 10, 20)) == "19 Oct 2026"
