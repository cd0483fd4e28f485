"""The calculation that a played year is checked against, checked itself against figures worked out by hand."""

from dataclasses import replace
from datetime import date

from deploy.addonflow.year import ALDER, BEGINS, CEDAR, ENDS, expected_charges, moments
from deploy.addonflow.year_check import Charge, Plan, charges

PLAN = Plan("acme", 1_000, anchor=date(2027, 1, 31), starts=date(2027, 1, 31), seats={date(2027, 1, 31): 1})


def said(plan: Plan, last_day: date) -> list[tuple[date, str, int]]:
    """Return day, kind and total of what is billed."""
    return [(charge.day, charge.kind, charge.total_minor) for charge in charges(plan, last_day)]


def test_the_published_example_to_the_cent() -> None:
    """17.95, one seat, cycle from the 20th, bought on the 30th: 11.97, and with the base plan of 24.95 then 42.90."""
    assert said(CEDAR, date(2028, 11, 1)) == [
        (date(2028, 9, 30), "immediate", 1_197),
        (date(2028, 10, 20), "renewal", 4_290),
    ]


def test_boundaries_clamp_to_short_months_and_return() -> None:
    """An anchor on a 31st has boundaries on the last day of every short month, and on the 31st again after it."""
    days = [day for day, kind, _ in said(PLAN, date(2028, 3, 31)) if kind == "renewal"]
    assert days[:3] == [date(2027, 2, 28), date(2027, 3, 31), date(2027, 4, 30)]
    assert days[-2:] == [date(2028, 2, 29), date(2028, 3, 31)]


def test_more_seats_are_charged_above_the_highest_paid() -> None:
    """Of 1, 3, 2, 3 and 4 seats in one cycle the additional two and then one are charged, for the days left."""
    seats = {date(2027, 1, 31): 1} | {date(2027, 2, 10 + n): count for n, count in enumerate((3, 2, 3, 4))}
    assert said(replace(PLAN, seats=seats), date(2027, 2, 28)) == [
        (date(2027, 1, 31), "immediate", 1_000),
        (date(2027, 2, 10), "adjustment", 1_286),  # 2,000 x 18/28 = 1,285.7
        (date(2027, 2, 13), "adjustment", 536),  # 1,000 x 15/28 = 535.7
        (date(2027, 2, 28), "renewal", 4_000),
    ]


def test_a_cancellation_gives_back_the_unused_part_of_each_charge() -> None:
    """Each charge of the cycle gives back the days it will not be used for, and nothing is charged any more."""
    canceled = replace(PLAN, starts=date(2027, 2, 10), seats={date(2027, 2, 10): 1}, credited_from=date(2027, 2, 20))
    assert said(canceled, date(2027, 12, 31)) == [
        (date(2027, 2, 10), "immediate", 643),
        (date(2027, 2, 20), "credit", -286),  # 643 x 8/18 = 285.8
    ]


def test_the_year_has_what_it_is_told_for() -> None:
    """The year bills a leap day, a month-end anchor, growth on a day of 23 hours, a credit and a base plan."""
    billed = expected_charges()
    assert Charge("birch", date(2028, 2, 29), "renewal", 3_000_000) in billed
    assert Charge("alder", date(2028, 2, 29), "renewal", 5_385) in billed
    assert Charge("alder", date(2028, 3, 12), "adjustment", 2_200) in billed
    assert Charge("alder", ALDER.credited_from or date.min, "credit", -5_501) in billed
    assert sum(charge.total_minor for charge in billed if charge.account_id == "birch") == 327_869 + 3_000_000
    assert sum(charge.total_minor for charge in billed if charge.account_id != "birch") == 88_235


def test_what_happens_is_in_order_of_time() -> None:
    """The moments of the year follow each other and lie within it."""
    instants = [moment.at for moment in moments("of {}".format)]
    assert instants == sorted(instants)
    assert BEGINS <= instants[0] < instants[-1] < ENDS
