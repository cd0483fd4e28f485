"""What is heard after the charges it should have changed comes to the money that it would have come to in time."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.invoices import InvoiceIssued
from contracts.money import Money
from contracts.payload import Payload
from services.billing.account import BillingAccount
from services.billing.audit import audit
from services.billing.schedule import PERIODS_KEPT
from tests.billing.bills import bought
from tests.billing.entitled import Entitled
from tests.billing.running import credit
from tests.billing.scenario import ACCOUNT, billed, invoices, terms_of
from tests.scenario import Scenario

START = datetime(2027, 1, 1, 12, tzinfo=UTC)
HEARD = datetime(2027, 1, 15, 12, tzinfo=UTC)
BACK = datetime(2027, 4, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Late:
    """A subscription bought on 1 January, the first day of its cycle; billing is away while events gather."""

    def __init__(
        self, seats: int = 10, price: str = "10.00 USD", frequency: BillingFrequency = BillingFrequency.MONTHLY
    ) -> None:
        terms = terms_of(date(2027, 1, 1), frequency, price=price, seats=(seats, 0))
        self.has, event = Entitled.buy("analytics_plus", "sub-1", terms, START)
        self.story: Scenario[BillingAccount] = bought(event)
        self.said: list[Payload] = [event]

    def heard(self, *events: Payload, at: datetime = BACK, timers_first: bool = True) -> "Late":
        """Let billing be back, and hear of events after the timers that are due have fired, or before them."""
        self.said += events
        self.story.now = at
        if timers_first:
            self.story.advance()
        self.story.when(*events)
        return self

    @property
    def total(self) -> str:
        """What the account paid in all, and what the audit finds."""
        settled = self.story.advance()
        issued = [event for event in settled.events if isinstance(event, InvoiceIssued)]
        found = [finding.sentence for finding in audit(ACCOUNT, self.said, issued, settled.now)]
        minor = sum(invoice.total.amount_minor for invoice in issued)
        return " ".join([str(Money(amount_minor=minor, currency=issued[0].currency)), *found])


def canceled(late: Late) -> Payload:
    """Cancel at once, on 15 January."""
    return late.has.cancel(HEARD, at_once=True)


def fewer(late: Late) -> Payload:
    """Have two seats from 15 January on."""
    return late.has.modify(HEARD, Licenses(standard=2))


def more(late: Late) -> Payload:
    """Have 20 seats from 15 January on."""
    return late.has.modify(HEARD, Licenses(standard=20))


def annual(late: Late) -> Payload:
    """Pay by the year from 1 February on, counted from there."""
    return late.has.modify(
        HEARD,
        frequency=BillingFrequency.ANNUAL,
        unit_price=Money.parse("100.00", "USD"),
        cycle_anchor=date(2027, 2, 1),
    )


@pytest.mark.parametrize("timers_first", [True, False])
@pytest.mark.parametrize(
    ("seats", "event", "total"),
    [
        (10, canceled, "45.16 USD"),
        (10, fewer, "160.00 USD"),
        (1, more, "714.19 USD"),
        (10, annual, "1100.00 USD"),
    ],
)
def test_an_event_of_january_heard_in_april(
    seats: int, event: Callable[[Late], Payload], total: str, timers_first: bool
) -> None:
    """Billing is away from January to April: the timers that fire first change nothing of what is paid in the end."""
    late = Late(seats)
    assert late.heard(event(late), timers_first=timers_first).total == total


def test_fewer_seats_are_credited_and_charged_anew() -> None:
    """From 10 seats to 2 on 15 January, heard on 10 April: February to April are credited whole and charged for two."""
    late = Late()
    issued = invoices(late.heard(fewer(late)).story)
    assert [billed(invoice) for invoice in issued] == [
        [
            "credit",
            "analytics_plus 2027-02-01 2027-03-01 1 -100.00 USD",
            "analytics_plus 2027-03-01 2027-04-01 1 -100.00 USD",
            "analytics_plus 2027-04-01 2027-05-01 1 -100.00 USD",
            "-300.00 USD",
        ],
        ["renewal", "analytics_plus 2027-02-01 2027-03-01 2 20.00 USD", "20.00 USD"],
        ["renewal", "analytics_plus 2027-03-01 2027-04-01 2 20.00 USD", "20.00 USD"],
        ["renewal", "analytics_plus 2027-04-01 2027-05-01 2 20.00 USD", "20.00 USD"],
    ]
    assert [line.credits for line in issued[0].lines] == ["acme-000002", "acme-000003", "acme-000004"]
    assert issued[0].lines[0].description == "analytics_plus, 1 Feb 2027 to 28 Feb 2027, 28 of 28 days charged anew"
    assert [invoice.invoice_number[-1] for invoice in issued] == ["5", "6", "7", "8"]
    assert {invoice.due_date for invoice in issued} == {BACK.date()}


def test_terms_of_the_last_second_of_a_year() -> None:
    """From annual to monthly a second before midnight, heard 2 s later: the year is credited, a month charged."""
    late = Late(price="100.00 USD", frequency=BillingFrequency.ANNUAL)
    midnight = datetime(2028, 1, 1, tzinfo=UTC)
    nine = Money.parse("9.00", "USD")
    change = late.has.modify(midnight - SECOND, frequency=BillingFrequency.MONTHLY, unit_price=nine)
    assert [billed(each)[1:] for each in invoices(late.heard(change, at=midnight + SECOND).story)] == [
        ["analytics_plus 2028-01-01 2029-01-01 1 -1000.00 USD", "-1000.00 USD"],
        ["analytics_plus 2028-01-01 2028-02-01 10 90.00 USD", "90.00 USD"],
    ]
    assert late.total == "1090.00 USD"


@pytest.mark.parametrize("decided", [timedelta(0), SECOND])
def test_fewer_seats_of_a_period_that_had_begun_wait_for_the_next(decided: timedelta) -> None:
    """Decided at the midnight a period begins or later, fewer seats give nothing back of it, whenever heard."""
    late = Late()
    change = late.has.modify(datetime(2027, 2, 1, tzinfo=UTC) + decided, Licenses(standard=2))
    late.heard(change, at=datetime(2027, 2, 10, tzinfo=UTC)).story.then_nothing()
    assert late.heard(at=BACK).total == "240.00 USD"


def test_seats_up_and_down_while_billing_was_away() -> None:
    """To 20, to 5 and to 12 seats in February and March: as in time, April is charged for what was wanted last."""
    changes = [(2, 10, 20), (2, 20, 5), (3, 5, 12)]
    totals = []
    for timers_first in (True, False):
        late = Late()
        events = [
            late.has.modify(datetime(2027, month, day, 9, tzinfo=UTC), Licenses(standard=seats))
            for month, day, seats in changes
        ]
        totals.append(late.heard(*events, timers_first=timers_first).total)
    assert totals[0] == totals[1]
    assert totals[0] == "498.83 USD"  # 100 + 100 + 100 x 19/28 + 50 + 70 x 27/31 + 120


def test_what_was_credited_is_not_credited_again() -> None:
    """Of a charge that was credited in part only the rest comes back, and the new charge stands."""
    late = Late()
    late.story.now = BACK
    late.story.advance()
    late.story.given(credit("30.00 USD", "acme-000003"))
    assert [str(invoice.total) for invoice in invoices(late.heard(fewer(late)).story)] == [
        "-270.00 USD",
        "20.00 USD",
        "20.00 USD",
        "20.00 USD",
    ]
    assert late.total == "160.00 USD"


def test_a_charge_of_nothing_is_replaced_too() -> None:
    """Without seats there is nothing to give back, yet the log says that the days were charged anew."""
    late = Late(0)
    assert [billed(each) for each in invoices(late.heard(annual(late), at=BACK - timedelta(days=50)).story)] == [
        ["credit", "analytics_plus 2027-02-01 2027-03-01 1 0.00 USD", "0.00 USD"],
        ["renewal", "analytics_plus 2027-02-01 2028-02-01 0 0.00 USD", "0.00 USD"],
    ]
    assert late.total == "0.00 USD"


def test_fewer_seats_before_the_first_day() -> None:
    """50 seats from 1 March, paid in advance, become 5 in January: March is given back, and charged when it begins."""
    late = Late()
    terms = terms_of(date(2027, 3, 1), price="10.00 USD", seats=(50, 0))
    has, event = Entitled.buy("aircall_ai", "sub-2", terms, START, date(2027, 3, 1))
    change = has.modify(HEARD, Licenses(standard=5)).model_copy(update={"licenses_from": date(2027, 3, 1)})
    late.story.given(event)
    late.said.append(event)
    assert [billed(each) for each in invoices(late.heard(change, at=HEARD).story)] == [
        ["credit", "aircall_ai 2027-03-01 2027-04-01 1 -500.00 USD", "-500.00 USD"],
    ]
    late.story.advance(datetime(2027, 3, 2, tzinfo=UTC) - HEARD)
    assert [line.amount.amount_minor for line in invoices(late.story)[-1].lines] == [5_000, 10_000]
    assert late.total == "350.00 USD"


def test_an_end_reaches_all_that_is_kept_and_the_audit_finds_the_rest() -> None:
    """Heard of after 30 periods, an end is credited in the last 24 of them; the audit names those before."""
    late = Late()
    late.heard(canceled(late), at=datetime(2029, 6, 10, tzinfo=UTC))
    assert [len(invoice.lines) for invoice in invoices(late.story)] == [PERIODS_KEPT]
    assert late.total == "600.00 USD " + " ".join(
        f"ended on 2027-01-15, but acme-{number:06d} charges it until {until}"
        for number, until in enumerate(
            ["2027-02-01", "2027-03-01", "2027-04-01", "2027-05-01", "2027-06-01", "2027-07-01"], 1
        )
    )


def test_a_change_reaches_all_that_is_kept_and_the_audit_finds_the_rest() -> None:
    """Heard of after 30 periods, fewer seats are made good in the last 24 of them; the audit names those before."""
    late = Late()
    late.heard(fewer(late), at=datetime(2029, 6, 10, tzinfo=UTC))
    assert len(invoices(late.story)) == 1 + PERIODS_KEPT
    assert late.total.count("is charged for 10 seats") == 30 - 1 - PERIODS_KEPT
    assert "is charged for 10 seats from 2027-06-01 on, more than it had" in late.total


def test_an_end_heard_twice_gives_nothing_more() -> None:
    """What a late event made good is not made good again."""
    late = Late()
    for event in (fewer(late), canceled(late)):
        late.heard(event)
        late.story.when(event).then_nothing()
    assert late.total == "45.16 USD"
