"""Quotes: staff turn one into a subscription or decline it, and one that nobody answers expires."""

from datetime import date, timedelta
from typing import Any

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.backoffice import ActivateAddOn, CancelSubscription, DeclineQuote
from contracts.events import (
    AddOnPurchased,
    Person,
    QuoteDeclined,
    QuoteExpired,
    QuoteRequested,
    Terms,
    TrialEnded,
)
from contracts.results import Action, Ask, Reason
from services.entitlements.account import Entitlements
from services.runtime.decision import Accepted
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    NOW,
    STAFF,
    account,
    acme,
    dollars,
    having,
    purchase,
    quote,
    staff,
    then_refused,
    trial,
)
from tests.scenario import Scenario, made

OWNER = Person(user_id="owner", role="owner", name="Owner")
QUOTE = made("quote", "ask", NOW)
THIRTY_DAYS = timedelta(days=30)
TODAY = date(2026, 9, 30)


def quoted(**changes: Any) -> Scenario[Entitlements]:
    """Begin a story with an open quote for Analytics+, asked for by the Owner."""
    story = acme(**{"sales_managed": True, **changes}).when(quote(), cause_id="ask")
    assert isinstance(story.decision, Accepted), story.decision
    return story.given()


def activate(**more: Any) -> ActivateAddOn:
    """Return staff's activation at 15.00 a seat."""
    return staff(ActivateAddOn, **{"unit_price": dollars(1500), **more})


def activated(**changes: Any) -> AddOnPurchased:
    """Return the purchase that command `offer` made of the quote."""
    terms = Terms(
        price_version=f"quote:{QUOTE}",
        unit_price=dollars(1500),
        frequency=BillingFrequency.MONTHLY,
        licenses=Licenses(standard=50, additional=10),
        currency="USD",
        timezone="America/New_York",
        cycle_anchor=date(2026, 1, 20),
    )
    facts: dict[str, Any] = {
        "effective_date": TODAY,
        "terms": terms.model_copy(update=changes.pop("terms", {})),
        **changes,
    }
    return AddOnPurchased(
        account_id=ACCOUNT,
        add_on=ADD_ON,
        subscription_id=made("subscription", "offer", NOW),
        purchased_by=OWNER,
        purchased_at=NOW,
        origin="quote",
        quote_id=QUOTE,
        by=STAFF,
        **facts,
    )


# ------------------------------------------------------------------------------------------------------------ activate


def test_an_activated_quote_is_a_purchase_on_negotiated_terms() -> None:
    """ActivateAddOn makes AddOnPurchased of origin quote, by the requester, from today on, with the account's seats."""
    story = quoted().when(activate(), cause_id="offer").then(activated())
    assert story.document.add_ons[ADD_ON].quote is None
    assert story.document.timers == {}


def test_staff_may_agree_on_everything() -> None:
    """Seats, frequency, currency, first day and reference are staff's where they state them."""
    offer = activate(
        unit_price={"amount_minor": 9_900, "currency": "CHF"},
        licenses={"standard": 80},
        frequency="annual",
        effective_date="2026-11-01",
        reference="contract 7",
    )
    quoted().when(offer, cause_id="offer").then(
        activated(
            effective_date=date(2026, 11, 1),
            reference="contract 7",
            terms={
                "price_version": "quote:contract 7",
                "unit_price": offer.unit_price,
                "currency": "CHF",
                "frequency": BillingFrequency.ANNUAL,
                "licenses": Licenses(standard=80),
            },
        )
    )


def test_an_activation_ends_a_running_trial() -> None:
    """As a purchase does, with who of the staff acted."""
    story = quoted().given(trial()).when(activate(), cause_id="offer")
    ended = TrialEnded(account_id=ACCOUNT, add_on=ADD_ON, ended_at=NOW, reason="purchased", started_by=OWNER, by=STAFF)
    story.then(ended, activated())


@pytest.mark.parametrize("days", [-366, 366])
def test_the_first_day_is_within_a_year(days: int) -> None:
    """A subscription may begin 366 days back or ahead."""
    first = TODAY + timedelta(days=days)
    quoted().when(activate(effective_date=first), cause_id="offer").then(activated(effective_date=first))


@pytest.mark.parametrize(
    "wrong",
    [
        {"effective_date": TODAY + timedelta(days=367)},
        {"effective_date": TODAY - timedelta(days=367)},
        {"effective_date": date.max},
        {"effective_date": date.min},
        {"unit_price": dollars(-1)},
    ],
)
def test_an_impossible_offer_is_refused(wrong: dict[str, Any]) -> None:
    """A first day more than 366 days away, or a negative price, is refused, and the quote stays open."""
    story = then_refused(quoted().when(activate(**wrong)), Reason.CHANGE_NOT_ALLOWED)
    assert story.document.add_ons[ADD_ON].open_quote(NOW) is not None


def test_a_price_of_nothing_is_a_price() -> None:
    """Staff may agree on zero."""
    story = quoted().when(activate(unit_price=dollars(0)))
    assert [type(event) for event in story.emitted] == [AddOnPurchased]


def test_without_an_open_quote_nothing_is_activated() -> None:
    """Never asked, or declined, is no_quote_pending; an activation twice is already_purchased."""
    then_refused(acme().when(activate()), Reason.NO_QUOTE_PENDING)
    then_refused(quoted().given(staff(DeclineQuote)).when(activate()), Reason.NO_QUOTE_PENDING)
    then_refused(quoted().given(activate()).when(activate()), Reason.ALREADY_PURCHASED)


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_an_inactive_account_gets_no_subscription(status: str) -> None:
    """Staff have an account reactivated before they activate anything."""
    then_refused(quoted().given(account(2, status=status)).when(activate()), Reason.ACCOUNT_NOT_ACTIVE)


def test_no_day_belongs_to_two_subscriptions() -> None:
    """A subscription that begins in the past begins where the one before it ended, or later."""
    story = acme().when(purchase(), cause_id="buy").advance(timedelta(days=10))
    bought = made("subscription", "buy", NOW)
    having(story, staff(CancelSubscription, subscription_id=bought, when="now"))
    having(story, account(2, sales_managed=True), quote())
    then_refused(story.when(activate(effective_date="2026-10-09")), Reason.CHANGE_NOT_ALLOWED)
    (again,) = story.when(activate(effective_date="2026-10-10")).emitted_of(AddOnPurchased)
    assert again.effective_date == date(2026, 10, 10)


# ------------------------------------------------------------------------------------------------------------- decline


def test_a_declined_quote_is_closed() -> None:
    """QuoteDeclined names the requester and who of the staff acted; another quote may be requested."""
    story = quoted().when(staff(DeclineQuote))
    story.then(
        QuoteDeclined(account_id=ACCOUNT, add_on=ADD_ON, quote_id=QUOTE, requested_by=OWNER, declined_at=NOW, by=STAFF)
    )
    story.advance(timedelta(days=60)).then_nothing()
    assert len(story.when(quote()).emitted_of(QuoteRequested)) == 1


def test_only_an_open_quote_is_declined() -> None:
    """Never asked, declined already and activated already are no_quote_pending."""
    then_refused(acme().when(staff(DeclineQuote)), Reason.NO_QUOTE_PENDING)
    then_refused(quoted().given(staff(DeclineQuote)).when(staff(DeclineQuote)), Reason.NO_QUOTE_PENDING)
    then_refused(quoted().given(activate()).when(staff(DeclineQuote)), Reason.NO_QUOTE_PENDING)


# -------------------------------------------------------------------------------------------------------------- expire


def expired() -> QuoteExpired:
    """Return the end of the quote that nobody answered."""
    return QuoteExpired(
        account_id=ACCOUNT, add_on=ADD_ON, quote_id=QUOTE, requested_by=OWNER, expired_at=NOW + THIRTY_DAYS
    )


def test_an_unanswered_quote_expires() -> None:
    """After as many days as the catalog says it is closed, and another may be requested."""
    story = quoted().advance(THIRTY_DAYS - timedelta(seconds=1)).then_nothing()
    then_refused(story.when(quote()), Reason.QUOTE_PENDING, Action.TRY_FOR_FREE, ask=Ask.ACCOUNT_MANAGER)
    story.advance(timedelta(seconds=1)).then(expired())
    assert len(story.when(quote()).emitted_of(QuoteRequested)) == 1


def test_an_expired_quote_is_closed_however_late_its_timer_is() -> None:
    """From the instant it expires staff can neither activate nor decline it, and an Owner is told to request one."""
    story = quoted()
    story.now += THIRTY_DAYS
    for command in (activate(), staff(DeclineQuote)):
        then_refused(story.when(command), Reason.NO_QUOTE_PENDING)
    story.when(purchase())
    then_refused(story, Reason.QUOTE_REQUIRED, Action.REQUEST_QUOTE, Action.TRY_FOR_FREE, ask=Ask.ACCOUNT_MANAGER)
    story.advance().then(expired())


def test_a_new_quote_closes_the_one_whose_timer_is_late() -> None:
    """The expired one is said to have expired first, once, and the new one has its full time."""
    story = quoted()
    story.now += THIRTY_DAYS + timedelta(hours=1)
    story.when(quote())
    assert story.emitted[0] == expired()
    assert [type(event) for event in story.emitted] == [QuoteExpired, QuoteRequested]
    story.advance(THIRTY_DAYS - timedelta(seconds=1)).then_nothing()
    assert len(story.advance(timedelta(seconds=1)).emitted_of(QuoteExpired)) == 1


def test_a_purchase_at_list_price_calls_the_expiry_off() -> None:
    """A quote that was closed by a purchase does not expire."""
    quoted().given(account(2), purchase()).advance(timedelta(days=60)).then_nothing()
