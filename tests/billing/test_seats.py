"""More seats are charged for the rest of what is paid, fewer from the next cycle on."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import Licenses
from contracts.invoices import InvoiceKind, ProrationRule, Share
from contracts.money import Money
from services.billing.account import BillingAccount
from services.billing.domain import BillingDecider
from tests.billing.entitled import Entitled
from tests.billing.scenario import billed, given, invoices, issued, stays_quiet, terms_of
from tests.scenario import Scenario

NEW_YORK = "America/New_York"
START = datetime(2026, 9, 20, 16, tzinfo=UTC)
MIDNIGHT = datetime(2026, 10, 20, 4, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Running:
    """A subscription of five seats at 17.95, bought on the first day of its cycle, 20 September to 20 October."""

    def __init__(self, decider: BillingDecider | None = None, price: str = "17.95 USD") -> None:
        terms = terms_of(date(2026, 9, 20), timezone=NEW_YORK, price=price, seats=(5, 0))
        self.has, event = Entitled.buy("analytics_plus", "sub-1", terms, START)
        self.story = given(decider=decider)
        self.story.now = START
        self.story.given(event)

    def at(self, month: int, day: int, hour: int = 16) -> "Running":
        """Let time pass, with what is due on the way."""
        self.story.advance(datetime(2026, month, day, hour, tzinfo=UTC) - self.story.now)
        return self

    def wants(self, standard: int, additional: int = 0) -> Scenario[BillingAccount]:
        """Change the seats now."""
        return self.story.when(self.has.modify(self.story.now, Licenses(standard=standard, additional=additional)))


def test_more_seats_are_charged_for_the_rest_of_the_cycle() -> None:
    """From five seats to eight on 30 September: three more for 20 of 30 days, 35.90."""
    invoice = issued(Running().at(9, 30).wants(6, 2))
    assert billed(invoice) == ["adjustment", "analytics_plus 2026-09-30 2026-10-20 3 35.90 USD", "35.90 USD"]
    line = invoice.lines[0]
    assert line.description == "analytics_plus, 3 more seats, 30 Sep 2026 to 19 Oct 2026, 20 of 30 days"
    assert (line.share, line.quantity) == (Share(numerator=20, denominator=30), Licenses(standard=3))
    assert invoice.due_date == date(2026, 9, 30)


def test_the_next_bill_has_all_seats() -> None:
    """What was added within a cycle is part of the next one."""
    running = Running()
    running.at(9, 30).wants(8)
    assert billed(issued(running.at(10, 20).story))[1] == "analytics_plus 2026-10-20 2026-11-20 8 143.60 USD"


def test_fewer_seats_cost_nothing_now_and_less_later() -> None:
    """A decrease gives nothing back; the next cycle has the fewer seats."""
    running = Running()
    running.at(9, 30).wants(2).then_nothing()
    assert billed(issued(running.at(10, 20).story))[1] == "analytics_plus 2026-10-20 2026-11-20 2 35.90 USD"


def test_only_seats_above_the_highest_paid_are_charged() -> None:
    """Down to two, back to five and up to six: one seat is charged, from its day on."""
    running = Running()
    running.at(9, 25).wants(2).then_nothing()
    running.at(9, 30).wants(5).then_nothing()
    assert billed(issued(running.at(10, 10).wants(6)))[1] == "analytics_plus 2026-10-10 2026-10-20 1 5.98 USD"
    running.at(10, 12).wants(6).then_nothing()


def test_several_increases_of_a_day_add_up() -> None:
    """Two increases of one day are two invoices for what each added."""
    running = Running().at(9, 30)
    assert issued(running.wants(6)).total == Money.parse("11.97", "USD")
    assert issued(running.wants(8)).total == Money.parse("23.93", "USD")
    [period] = running.story.document.subscriptions["analytics_plus"].periods
    assert (period.seats, period.charges) == (8, 3)


def test_seats_after_none() -> None:
    """An account that had no seats pays for its first ones from their day on."""
    running = Running()
    running.at(9, 21).wants(0)
    running.at(10, 20)
    assert running.story.events[-1].model_dump()["total"]["amount_minor"] == 0
    assert issued(running.at(11, 19).wants(2)).total == Money.parse("1.16", "USD")  # 2 x 17.95 x 1/31


@pytest.mark.parametrize(("price", "total"), [("2650 JPY", "5300 JPY"), ("5.525 KWD", "11.050 KWD")])
def test_seats_in_other_currencies(price: str, total: str) -> None:
    """An adjustment rounds to its currency's minor unit: 3 more seats, 20 of 30 days."""
    assert str(issued(Running(price=price).at(9, 30).wants(8)).total) == total


@pytest.mark.parametrize(
    ("rule", "share"),
    [
        (ProrationRule.SECOND, Share(numerator=19 * 86_400 + 12 * 3_600, denominator=30 * 86_400)),
        (ProrationRule.FIXED_30, Share(numerator=20, denominator=30)),
    ],
)
def test_other_rules_count_adjustments(rule: ProrationRule, share: Share) -> None:
    """By seconds an increase is charged from its instant on, by 30-day months from its day on."""
    assert issued(Running(BillingDecider(rule=rule)).at(9, 30).wants(6)).lines[0].share == share


@pytest.mark.parametrize("after_midnight", [timedelta(0), SECOND])
def test_more_seats_on_the_first_day_of_a_cycle(after_midnight: timedelta) -> None:
    """At midnight or a second later it is charged for the whole cycle, whether the timer or the event comes first."""
    on_time, first = Running(), Running()
    on_time.at(10, 20, 4)
    for running in (on_time, first):
        running.story.now = MIDNIGHT + after_midnight
        running.wants(6)
    assert billed(on_time.story.events[-1]) == billed(first.story.events[-1])  # type: ignore[arg-type]
    assert [billed(each)[0] for each in invoices(first.story)] == ["renewal", "adjustment"]
    assert billed(invoices(first.story)[1])[1] == "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD"


def test_an_increase_that_arrives_after_the_next_cycle_was_charged() -> None:
    """Decided a second before midnight, heard of after the renewal: a day of the old cycle and all of the new one."""
    running = Running()
    change = running.has.modify(MIDNIGHT - SECOND, Licenses(standard=6))
    running.at(10, 20, 5)
    invoice = issued(running.story.when(change))
    assert billed(invoice)[1:] == [
        "analytics_plus 2026-10-19 2026-10-20 1 0.60 USD",
        "analytics_plus 2026-10-20 2026-11-20 1 17.95 USD",
        "18.55 USD",
    ]
    assert billed(issued(running.at(11, 20).story))[1] == "analytics_plus 2026-11-20 2026-12-20 6 107.70 USD"


def test_a_late_increase_is_charged_for_every_cycle_since() -> None:
    """Heard of after two renewals, an increase is charged for the rest of its own cycle and both others in full."""
    running = Running()
    change = running.has.modify(MIDNIGHT - SECOND, Licenses(standard=6))
    running.at(11, 20)
    assert [(line.period.from_.month, line.days.billed) for line in issued(running.story.when(change)).lines] == [
        (10, 1),
        (10, 31),
        (11, 30),
    ]


def test_late_terms_begin_with_their_own_day() -> None:
    """Terms announced for a cycle that was charged already: what was charged is given back and charged anew."""
    running = Running()
    change = running.has.modify(MIDNIGHT - SECOND, unit_price=Money.parse("10.00", "USD"))
    running.at(10, 20, 5)
    assert [billed(invoice) for invoice in invoices(running.story.when(change))] == [
        ["credit", "analytics_plus 2026-10-20 2026-11-20 1 -89.75 USD", "-89.75 USD"],
        ["renewal", "analytics_plus 2026-10-20 2026-11-20 5 50.00 USD", "50.00 USD"],
    ]
    assert issued(running.at(11, 20).story).total == Money.parse("50.00", "USD")


def test_more_seats_are_charged_up_to_the_end() -> None:
    """Where a subscription ends with the cycle that was announced, seats are charged up to there and not renewed."""
    running = Running().at(9, 30)
    running.story.given(running.has.cancel(running.story.now, at_once=False))
    assert billed(issued(running.wants(6)))[1] == "analytics_plus 2026-09-30 2026-10-20 1 11.97 USD"
    running.at(12, 1).story.then_nothing()
    running.wants(9).then_nothing()


def test_no_seats_are_charged_from_the_end_on() -> None:
    """Seats wanted on the day on which a subscription ends cost nothing, though the period was paid."""
    running = Running().at(9, 30)
    running.story.given(running.has.cancel(running.story.now, at_once=True))
    running.wants(9).then_nothing()


def test_what_starts_in_the_future_can_be_changed_before() -> None:
    """Seats added before the first billed day are charged for the whole part that was paid in advance."""
    running = Running()
    terms = terms_of(date(2026, 9, 20), seats=(1, 0))
    has, event = Entitled.buy("aircall_ai", "sub-2", terms, START, date(2026, 11, 30))
    running.story.given(event)
    change = has.modify(START + timedelta(days=2), Licenses(standard=2))
    assert billed(issued(running.story.when(change)))[1] == "aircall_ai 2026-11-30 2026-12-20 1 11.97 USD"


def test_seats_count_before_the_terms_that_announce_them() -> None:
    """Where new terms begin later than the next charge, that charge has the new seats all the same."""
    running = Running().at(9, 30)
    change = running.has.modify(running.story.now, Licenses(standard=2))
    running.story.given(change.model_copy(update={"terms_from": date(2026, 11, 20)}))
    assert billed(issued(running.at(10, 20).story))[1] == "analytics_plus 2026-10-20 2026-11-20 2 35.90 USD"


def test_an_adjustment_is_numbered_like_any_invoice() -> None:
    """Adjustments take the account's next number."""
    running = Running().at(9, 30)
    assert [issued(running.wants(count)).invoice_number for count in (6, 7)] == ["acme-000002", "acme-000003"]
    assert [event.kind for event in invoices(running.story)] == [InvoiceKind.ADJUSTMENT]


def test_changes_of_what_is_not_known_are_ignored() -> None:
    """A change of a subscription that was never bought costs nothing."""
    running = Running()
    change = running.has.modify(START, Licenses(standard=9)).model_copy(update={"subscription_id": "sub-9"})
    assert stays_quiet(running.story.when(change)) == "subscription sub-9 is not known"


def test_a_change_from_before_the_last_one_is_ignored() -> None:
    """A change that was lost and comes after a later day's does not undo it."""
    running = Running()
    lost = running.has.modify(START + timedelta(days=1), Licenses(standard=1))
    running.at(9, 30).wants(6)
    assert stays_quiet(running.story.when(lost)) == "subscription sub-1 was changed later than this"
