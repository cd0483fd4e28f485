"""A log with every kind of invoice, and the ways in which one can be wrong."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.accounts import Licenses
from contracts.backoffice import IssueCredit
from contracts.events import FeatureRequested, Person
from contracts.invoices import BASE_PLAN, BilledDays, InvoiceIssued, Period, Share
from contracts.money import Money
from contracts.payload import Payload
from tests.billing.bills import account_fact
from tests.billing.entitled import Entitled
from tests.billing.scenario import ACCOUNT, given, invoices, terms_of

START = datetime(2026, 9, 30, 16, tzinfo=UTC)
END = datetime(2027, 1, 10, tzinfo=UTC)
Log = tuple[list[Payload], list[InvoiceIssued]]
REQUEST = FeatureRequested(
    account_id=ACCOUNT, add_on="x", requested_by=Person(user_id="sam", role="agent"), requested_at=START
)


def history() -> Log:
    """Return a log with every kind of invoice.

    1 purchase, 2 three more seats, 3 renewal with the base plan, 4 a credit of an amount, 5 another purchase,
    6 and 7 renewals, 8 the credit of the first subscription's unused days.
    """
    has, bought = Entitled.buy("analytics_plus", "sub-1", terms_of(date(2026, 9, 20), seats=(2, 0)), START)
    story = given().given(account_fact(), bought)
    story.now = START
    events: list[Payload] = [REQUEST, bought]
    events.append(has.modify(story.now + timedelta(days=5), Licenses(standard=5)))
    story.advance(timedelta(days=5)).when(events[-1])
    story.advance(timedelta(days=20)).when(
        IssueCredit(
            account_id=ACCOUNT,
            staff_id="stella",
            reason="sorry",
            invoice_number="acme-000003",
            amount=Money.parse("10.00", "USD"),
        )
    )
    _, another = Entitled.buy("aircall_ai", "sub-2", terms_of(date(2026, 9, 20), price="9.00 USD"), story.now)
    events.append(another)
    story.when(another).advance(timedelta(days=60))
    events.append(has.cancel(story.now, at_once=True))
    story.when(events[-1]).advance(END - story.now - timedelta(days=5))
    story.emitted = story.events
    return events, invoices(story)


def with_line(log: Log, number: int, index: int = 0, *, total: bool = True, **changes: Any) -> None:
    """Change a line of an invoice, and its total with it."""
    invoice = log[1][number - 1]
    lines = list(invoice.lines)
    lines[index] = lines[index].model_copy(update=changes)
    figures = {"lines": tuple(lines)}
    if total:
        minor = sum(line.amount.amount_minor for line in lines)
        figures["total"] = Money(amount_minor=minor, currency=invoice.currency)  # type: ignore[assignment]
    log[1][number - 1] = invoice.model_copy(update=figures)


def renumbered(log: Log, issued: list[InvoiceIssued]) -> None:
    """Replace the invoices, numbered without a gap."""
    log[1][:] = [
        each.model_copy(update={"invoice_number": f"{ACCOUNT}-{number:06d}"}) for number, each in enumerate(issued, 1)
    ]


def days(log: Log, number: int, index: int, first: str, end: str) -> None:
    """Move a charge to other days, its share and amount consistent."""
    line = log[1][number - 1].lines[index]
    period = Period(from_=date.fromisoformat(first), to=date.fromisoformat(end))
    billed = (period.to - period.from_).days
    exact = line.unit_price.amount_minor * line.quantity.total * billed * 2 + line.days.in_cycle
    with_line(
        log,
        number,
        index,
        period=period,
        days=BilledDays(billed=billed, in_cycle=line.days.in_cycle),
        share=Share(numerator=billed, denominator=line.days.in_cycle),
        amount=Money(amount_minor=exact // (2 * line.days.in_cycle), currency=line.amount.currency),
    )


def usd(figure: str) -> Money:
    """Return an amount in US dollars."""
    return Money.parse(figure, "USD")


def seats(log: Log, number: int, count: int) -> None:
    """Charge another number of seats, the amount consistent."""
    line = log[1][number - 1].lines[-1]
    exact = line.unit_price.amount_minor * count * line.share.numerator * 2 + line.share.denominator
    amount = Money(amount_minor=exact // (2 * line.share.denominator), currency="USD")
    with_line(log, number, -1, quantity=Licenses(standard=count), amount=amount)


def base_plan_twice(log: Log) -> None:
    """Have the base plan on two bills for the same days."""
    base = log[1][2].lines[0]
    renewal = log[1][5]
    log[1][5] = renewal.model_copy(update={"lines": (base, *renewal.lines[1:]), "total": renewal.total})


def other_terms(log: Log) -> None:
    """Charge a renewal at a price nobody agreed to."""
    with_line(log, 6, -1, unit_price=usd("1.00"), amount=usd("5.00"))


BROKEN: dict[str, tuple[Callable[[Log], Any], str, str]] = {
    "a gap": (
        lambda log: log[1].pop(3),
        "acme-000005",
        "stands where acme-000004 belongs: numbers have a gap or an order",
    ),
    "an order": (lambda log: log[1].reverse(), "acme-000008", "stands where acme-000001 belongs"),
    "another account's": (
        lambda log: log[1].__setitem__(0, log[1][0].model_copy(update={"account_id": "other"})),
        "acme-000001",
        "stands where acme-000001 belongs",
    ),
    "a total": (
        lambda log: log[1].__setitem__(0, log[1][0].model_copy(update={"total": usd("1.00")})),
        "acme-000001",
        "adds up to something else than 1.00 USD",
    ),
    "no lines": (
        lambda log: log[1].__setitem__(0, log[1][0].model_copy(update={"lines": (), "total": usd("0.00")})),
        "acme-000001",
        "has no lines",
    ),
    "two currencies": (
        lambda log: log[1].__setitem__(0, log[1][0].model_copy(update={"currency": "EUR"})),
        "acme-000001",
        "has more than one currency",
    ),
    "an amount": (
        lambda log: with_line(log, 1, amount=usd("23.94")),
        "acme-000001",
        "the line of sub-1 says 23.94 USD, but comes to 23.93 USD",
    ),
    "days of a line": (
        lambda log: with_line(log, 1, days=BilledDays(billed=19, in_cycle=30)),
        "acme-000001",
        "the line of sub-1 counts 19 of 30 days for a period of 20",
    ),
    "a share": (
        lambda log: with_line(log, 1, share=Share(numerator=21, denominator=30), amount=usd("25.13")),
        "acme-000001",
        "the line of sub-1 charges 21/30, but counts 20 days",
    ),
    "a charge that credits": (
        lambda log: with_line(log, 3, credits="acme-000001"),
        "acme-000003",
        "the line of base_plan is none of an invoice of kind renewal",
    ),
    "a credit that charges": (
        lambda log: with_line(log, 4, unit_price=usd("10.00"), amount=usd("10.00")),
        "acme-000004",
        "the line of base_plan is none of an invoice of kind credit",
    ),
    "a negative charge": (
        lambda log: with_line(log, 1, unit_price=usd("-17.95"), amount=usd("-23.93")),
        "acme-000001",
        "the line of sub-1 is none of an invoice of kind immediate",
    ),
    "too much credit of a line": (
        lambda log: with_line(log, 4, unit_price=usd("-24.96"), amount=usd("-24.96")),
        "acme-000003",
        "gave back more than it charged for base_plan",
    ),
    "credit of nothing": (
        lambda log: with_line(log, 4, credits="acme-000099"),
        "acme-000004",
        "gives back from acme-000099, which charged no such",
    ),
    "credit of a credit": (
        lambda log: with_line(log, 8, credits="acme-000004"),
        "acme-000008",
        "gives back from acme-000004, which charged no such",
    ),
    "credit before its charge": (
        lambda log: with_line(log, 4, credits="acme-000007"),
        "acme-000004",
        "gives back from acme-000007, which charged no such",
    ),
    "a purchase without a charge": (
        lambda log: renumbered(log, log[1][1:]),
        "sub-1",
        "has 0 immediate lines for its purchase",
    ),
    "a purchase charged twice": (
        lambda log: renumbered(log, [log[1][0], *log[1]]),
        "sub-1",
        "has 2 immediate lines for its purchase",
    ),
    "a renewal before the purchase": (
        lambda log: renumbered(log, [log[1][2], *log[1]]),
        "sub-1",
        "is renewed before its purchase is charged",
    ),
    "a charge without a purchase": (
        lambda log: log[0].pop(1),
        "sub-1",
        "is charged, but was never bought",
    ),
    "a change without a purchase": (
        lambda log: log[0].pop(1),
        "sub-1",
        "is changed or ended, but was never bought",
    ),
    "bought twice": (lambda log: log[0].append(log[0][1]), "sub-1", "was bought twice"),
    "another first day": (
        lambda log: days(log, 5, 0, "2026-10-26", "2026-11-20"),
        "sub-2",
        "is charged from 2026-10-26 on, but begins on 2026-10-25",
    ),
    "a day left out": (
        lambda log: days(log, 6, 1, "2026-11-21", "2026-12-20"),
        "sub-2",
        "has days left out between 2026-11-20 and 2026-11-21",
    ),
    "a day charged twice": (
        lambda log: days(log, 3, 1, "2026-10-19", "2026-11-20"),
        "sub-1",
        "has days charged twice between 2026-10-19 and 2026-10-20",
    ),
    "a cycle charged twice": (
        lambda log: renumbered(log, [*log[1], log[1][6]]),
        "sub-2",
        "has days charged twice between 2026-12-20 and 2027-01-20",
    ),
    "a renewal missing": (
        lambda log: renumbered(log, log[1][:6]),
        "sub-2",
        "is not renewed since 2026-12-20",
    ),
    "a charge that stops anywhere": (
        lambda log: days(log, 7, 1, "2026-12-20", "2027-01-15"),
        "sub-2",
        "is charged from 2026-12-20 to 2027-01-15, where nothing ends",
    ),
    "a price nobody agreed to": (
        other_terms,
        "sub-1",
        "is charged from 2026-11-20 to 2026-12-20 by terms that were not in force",
    ),
    "more seats at another price": (
        lambda log: with_line(log, 2, unit_price=usd("1.00"), amount=usd("1.50")),
        "sub-1",
        "has more seats from 2026-10-05 on at other terms than its cycle",
    ),
    "seats not charged": (
        lambda log: seats(log, 2, 2),
        "sub-1",
        "has 5 seats on 2026-10-05, but 4 are charged",
    ),
    "more seats than it had": (
        lambda log: seats(log, 2, 4),
        "sub-1",
        "is charged for 6 seats from 2026-10-05 on, more than it had",
    ),
    "a renewal for other seats": (
        lambda log: seats(log, 6, 4),
        "sub-1",
        "has 5 seats on 2026-11-20, but 4 are charged",
    ),
    "unused days kept": (
        lambda log: log[1].pop(),
        "sub-1",
        "ended on 2026-12-24, but acme-000007 charges it until 2027-01-20",
    ),
    "used days given back": (
        lambda log: with_line(
            log,
            8,
            period=Period(from_=date(2026, 12, 23), to=date(2027, 1, 20)),
            days=BilledDays(billed=28, in_cycle=31),
        ),
        "sub-1",
        "has days from 2026-12-23 on given back, but was used until 2026-12-24",
    ),
    "an amount given back that was not charged": (
        lambda log: with_line(log, 8, unit_price=usd("-80.00"), amount=usd("-69.68")),
        "sub-1",
        "has -69.68 USD given back for 2026-12-24 to 2027-01-20, which was not charged",
    ),
    "the base plan twice": (base_plan_twice, BASE_PLAN, "is billed twice on 2026-10-20"),
    "a part of the base plan": (
        lambda log: days(log, 3, 0, "2026-10-20", "2026-11-19"),
        BASE_PLAN,
        "is not billed from 2026-11-19 to 2026-11-20",
    ),
}
