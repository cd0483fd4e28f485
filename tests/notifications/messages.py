"""The messages of a notifications story, with everything filled in that the story does not turn on."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from contracts.accounts import AccountManager, AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.backoffice import Staff
from contracts.catalog import Catalog
from contracts.commands import Cadence
from contracts.events import (
    AddOnPurchased,
    DigestChanged,
    FeatureDeclined,
    FeatureRequested,
    FeatureSnoozed,
    Person,
    QuoteDeclined,
    QuoteExpired,
    QuoteRequested,
    SubscriptionCanceled,
    Terms,
    TrialEnded,
    TrialEndingSoon,
    TrialExtended,
    TrialStarted,
)
from contracts.invoices import BilledDays, InvoiceIssued, InvoiceKind, InvoiceLine, Period, ProrationRule, Share
from contracts.money import Money
from contracts.notices import NotificationRequested
from services.notifications.account import NotifiedAccount
from services.notifications.domain import NotificationsDecider
from tests.scenario import Scenario

ACCOUNT = "acme"
START = datetime(2026, 9, 30, 9, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ANALYTICS = "analytics_plus"
AI = "aircall_ai"
STAFF = Staff(staff_id="mia", reason="a difficult customer")
SEATS = Licenses(standard=1)
USD_11_97 = Money(amount_minor=1197, currency="USD")
CATALOG = Catalog.model_validate(
    {
        "self_service_seat_limit": 100,
        "add_ons": {
            ANALYTICS: {"name": "Analytics+", "trial_days": 14, "prices": ()},
            AI: {"name": "Aircall AI", "trial_days": 7, "prices": ()},
        },
    }
)


def story(digest_delay: timedelta | None = None) -> Scenario[NotifiedAccount]:
    """Begin the story of an account nobody has said anything about, on START."""
    return Scenario(NotificationsDecider(CATALOG, digest_delay), ACCOUNT, START)


def person(user_id: str, role: str = "owner") -> Person:
    """Name a member as events do."""
    return Person(user_id=user_id, role=role, name=user_id.capitalize())


def member(
    user_id: str, role: str, revision: int = 1, *, active: bool = True, name: str | None = None
) -> MemberUpdated:
    """State a member's role; their name is their id capitalised unless given, their address `<id>@acme.test`."""
    return MemberUpdated(
        account_id=ACCOUNT,
        revision=revision,
        user_id=user_id,
        role=role,
        status="active" if active else "removed",
        name=name or user_id.capitalize(),
        email=f"{user_id}@acme.test",
    )


def owner(user_id: str = "olga", revision: int = 1) -> MemberUpdated:
    """State that a member is an active Owner."""
    return member(user_id, "owner", revision)


def account(revision: int = 1, manager: AccountManager | None = None, zone: str = "America/New_York") -> AccountUpdated:
    """State an account, with or without an account manager."""
    return AccountUpdated(
        account_id=ACCOUNT,
        revision=revision,
        name="Acme Inc",
        status="active",
        currency="USD",
        timezone=zone,
        sales_managed=True,
        payment_method_on_file=True,
        licenses=SEATS,
        billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 9, 20)),
        account_manager=manager,
    )


def asks(
    user_id: str, role: str = "admin", add_on: str = ANALYTICS, at: datetime = START, note: str | None = None
) -> FeatureRequested:
    """A member requests an add-on."""
    person = Person(user_id=user_id, role=role, name=user_id.capitalize())
    return FeatureRequested(account_id=ACCOUNT, add_on=add_on, requested_by=person, requested_at=at, note=note)


def buys(user_id: str = "olga", add_on: str = ANALYTICS, at: datetime = START) -> AddOnPurchased:
    """An Owner purchases an add-on."""
    terms = Terms(
        price_version="2026-01",
        unit_price=Money(amount_minor=1795, currency="USD"),
        frequency=BillingFrequency.MONTHLY,
        licenses=SEATS,
        currency="USD",
        timezone="America/New_York",
        cycle_anchor=date(2026, 9, 20),
    )
    return AddOnPurchased(
        account_id=ACCOUNT,
        add_on=add_on,
        subscription_id=f"subscription-{add_on}",
        purchased_by=Person(user_id=user_id, role="owner", name=user_id.capitalize()),
        purchased_at=at,
        effective_date=date(2026, 9, 30),
        terms=terms,
        origin="self_service",
    )


def tries(user_id: str = "adam", add_on: str = ANALYTICS, at: datetime = START) -> TrialStarted:
    """A member starts a free trial."""
    person = Person(user_id=user_id, role="admin", name=user_id.capitalize())
    return TrialStarted(account_id=ACCOUNT, add_on=add_on, started_by=person, started_at=at, ends_at=at + 14 * DAY)


def asks_for_quote(quote_id: str = "quote-1", add_on: str = ANALYTICS) -> QuoteRequested:
    """An Owner requests a quote."""
    return QuoteRequested(
        account_id=ACCOUNT,
        add_on=add_on,
        quote_id=quote_id,
        requested_by=Person(user_id="olga", role="owner", name="Olga"),
        requested_at=START,
        licenses=SEATS,
        note="for the whole floor",
        expires_at=START + 30 * DAY,
    )


def declines_quote(quote_id: str = "quote-1", user_id: str = "olga") -> QuoteDeclined:
    """The back office makes no offer."""
    return QuoteDeclined(
        account_id=ACCOUNT,
        add_on=ANALYTICS,
        quote_id=quote_id,
        requested_by=person(user_id),
        declined_at=START,
        by=STAFF,
    )


def quote_expires(quote_id: str = "quote-1", user_id: str = "olga") -> QuoteExpired:
    """Nobody answered a quote."""
    return QuoteExpired(
        account_id=ACCOUNT, add_on=ANALYTICS, quote_id=quote_id, requested_by=person(user_id), expired_at=START
    )


def activates_quote(user_id: str = "olga") -> AddOnPurchased:
    """The back office turns a quote into a subscription."""
    update = {"origin": "quote", "quote_id": "quote-1", "reference": "C-17", "by": STAFF}
    return buys(user_id).model_copy(update=update)


def trial_ends_soon(user_id: str = "adam", add_on: str = ANALYTICS) -> TrialEndingSoon:
    """A trial ends three days from START."""
    return TrialEndingSoon(
        account_id=ACCOUNT, add_on=add_on, started_by=person(user_id, "admin"), ends_at=START + 3 * DAY
    )


def trial_ends(user_id: str | None = "adam", reason: str = "expired") -> TrialEnded:
    """A trial is over; the event need not name who started it."""
    starter = person(user_id, "admin") if user_id else None
    return TrialEnded(account_id=ACCOUNT, add_on=ANALYTICS, ended_at=START, reason=reason, started_by=starter, by=STAFF)


def trial_is_extended() -> TrialExtended:
    """The back office lets a trial end later."""
    return TrialExtended(account_id=ACCOUNT, add_on=ANALYTICS, ends_at=START + 10 * DAY, extended_at=START, by=STAFF)


def is_canceled(cause: str = "back_office") -> SubscriptionCanceled:
    """A subscription ends."""
    return SubscriptionCanceled(
        account_id=ACCOUNT,
        add_on=ANALYTICS,
        subscription_id="subscription-1",
        canceled_at=START,
        effective_date=date(2026, 10, 20),
        cause=cause,
        by=STAFF,
    )


def declines(at: datetime = START, add_on: str = ANALYTICS, note: str | None = None) -> FeatureDeclined:
    """An Owner turns down the requests for an add-on."""
    return FeatureDeclined(account_id=ACCOUNT, add_on=add_on, declined_by=person("olga"), declined_at=at, note=note)


def snoozes(until: date, at: datetime = START, add_on: str = ANALYTICS) -> FeatureSnoozed:
    """An Owner wants to hear nothing of an add-on for a while."""
    return FeatureSnoozed(account_id=ACCOUNT, add_on=add_on, snoozed_by=person("olga"), snoozed_at=at, until=until)


def wants_digests(cadence: Cadence, at: datetime = START) -> DigestChanged:
    """An Owner chooses how often digests come."""
    return DigestChanged(account_id=ACCOUNT, cadence=cadence, changed_by=person("olga"), changed_at=at)


def invoice(number: int = 1, kind: InvoiceKind = InvoiceKind.IMMEDIATE, add_on: str = ANALYTICS) -> InvoiceIssued:
    """Billing issues an invoice over 11.97 USD."""
    line = InvoiceLine(
        subscription_id=f"subscription-{add_on}",
        add_on=add_on,
        description="30 September to 20 October",
        period=Period(from_=date(2026, 9, 30), to=date(2026, 10, 20)),
        quantity=SEATS,
        unit_price=Money(amount_minor=1795, currency="USD"),
        days=BilledDays(billed=20, in_cycle=30),
        share=Share(numerator=20, denominator=30),
        price_version="2026-01",
        rule=ProrationRule.DAY,
        timezone="America/New_York",
        amount=USD_11_97,
    )
    return InvoiceIssued(
        account_id=ACCOUNT,
        invoice_number=f"{ACCOUNT}-{number:06d}",
        kind=kind,
        issued_at=START,
        due_date=date(2026, 10, 14),
        currency="USD",
        lines=(line,),
        total=USD_11_97,
    )


def notices(scene: Scenario[Any]) -> list[tuple[str, list[str | None]]]:
    """Return template and recipients (user id, else address) of what the last step emitted."""
    return [
        (event.template, [reader.user_id or reader.email for reader in event.recipients])
        for event in scene.emitted_of(NotificationRequested)
    ]


def said(scene: Scenario[Any]) -> dict[str, Any]:
    """Return the data of the one notice that the last step emitted."""
    (event,) = scene.emitted_of(NotificationRequested)
    return dict(event.data)
