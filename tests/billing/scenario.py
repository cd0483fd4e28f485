"""The story of one account's purchases: given(...).when(purchase(...)), and what billing makes of it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from contracts.accounts import BillingFrequency, Licenses
from contracts.cycles import local_date
from contracts.events import AddOnPurchased, Person, Terms
from contracts.invoices import InvoiceIssued
from contracts.money import Money
from services.billing.account import BillingAccount
from services.billing.domain import BillingDecider
from services.runtime.decision import Accepted, Ignored, Message
from tests.scenario import Scenario

ACCOUNT = "acme"
NOW = datetime(2026, 9, 30, 16, 0, 1, tzinfo=UTC)


def given(*messages: Message, decider: BillingDecider | None = None) -> Scenario[BillingAccount]:
    """Begin a story at NOW with what already happened; every message must have been billed."""
    story: Scenario[BillingAccount] = Scenario(decider or BillingDecider(), ACCOUNT, NOW)
    for message in messages:
        issued(story.when(message))
    return story


def issued(story: Scenario[BillingAccount]) -> InvoiceIssued:
    """Return the one invoice that the last message caused; AssertionError when it caused anything else."""
    assert isinstance(story.decision, Accepted), story.decision
    (invoice,) = story.emitted
    assert isinstance(invoice, InvoiceIssued)
    return invoice


def invoices(story: Scenario[BillingAccount]) -> list[InvoiceIssued]:
    """Return all that the last step issued; AssertionError when it emitted anything else."""
    issued_now = [event for event in story.emitted if isinstance(event, InvoiceIssued)]
    assert len(issued_now) == len(story.emitted)
    return issued_now


def billed(invoice: InvoiceIssued) -> list[str]:
    """Return an invoice in words: its kind, each line's days, seats and amount, and its total."""
    lines = [
        f"{line.add_on} {line.period.from_} {line.period.to} {line.quantity.total} {line.amount}"
        for line in invoice.lines
    ]
    return [str(invoice.kind), *lines, str(invoice.total)]


def stays_quiet(story: Scenario[BillingAccount]) -> str:
    """Return why the last message was ignored; AssertionError when it was not."""
    assert isinstance(story.decision, Ignored), story.decision
    return story.decision.why


def terms_of(
    anchor: date,
    frequency: BillingFrequency = BillingFrequency.MONTHLY,
    timezone: str = "UTC",
    *,
    price: str = "17.95 USD",
    seats: Sequence[int] = (1, 0),
) -> Terms:
    """Return the terms of a sale; `seats` are the standard and the additional licenses."""
    figure, currency = price.split()
    return Terms(
        price_version="2026-01",
        unit_price=Money.parse(figure, currency),
        frequency=frequency,
        licenses=Licenses(standard=seats[0], additional=seats[1]),
        currency=currency,
        timezone=timezone,
        cycle_anchor=anchor,
    )


def purchase(
    subscription_id: str = "sub-1",
    *,
    add_on: str = "analytics_plus",
    at: str = "2026-09-30T16:00:00Z",
    timezone: str = "America/New_York",
    anchor: str = "2026-09-20",
    frequency: BillingFrequency = BillingFrequency.MONTHLY,
    price: str = "17.95 USD",
    seats: Sequence[int] = (1, 0),
) -> AddOnPurchased:
    """Return a self-service purchase at an instant; its first billed day is that instant's local date."""
    instant = datetime.fromisoformat(at)
    return AddOnPurchased(
        account_id=ACCOUNT,
        add_on=add_on,
        subscription_id=subscription_id,
        purchased_by=Person(user_id="olivia", role="owner"),
        purchased_at=instant,
        effective_date=local_date(instant, timezone),
        terms=terms_of(date.fromisoformat(anchor), frequency, timezone, price=price, seats=seats),
        origin="self_service",
    )
