"""What entitlements decides: facts are remembered, commands become events, refusals change nothing."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.events import AddOnPurchased, FeatureRequested, Person, QuoteRequested, Terms, TrialEnded, TrialStarted
from contracts.money import Money
from contracts.results import Action, Ask, Reason
from services.entitlements.schedule import AddOnState, Subscription, Trial
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    NOW,
    account,
    acme,
    asks,
    given,
    member,
    purchase,
    quote,
    request,
    then_refused,
    trial,
)
from tests.scenario import made

OWNER = Person(user_id="owner", role="owner", name="Owner")
ADMIN = Person(user_id="admin", role="admin", name="Admin")
TRIAL_ENDS = NOW + timedelta(days=14)

# ------------------------------------------------------------------------------------------------------------ purchase


def sold(effective: date = date(2026, 9, 30)) -> AddOnPurchased:
    """Return the purchase of command `buy` by the Owner, at NOW."""
    return AddOnPurchased(
        account_id=ACCOUNT,
        add_on=ADD_ON,
        subscription_id=made("subscription", "buy", NOW),
        purchased_by=OWNER,
        purchased_at=NOW,
        effective_date=effective,
        terms=Terms(
            price_version="2026-01",
            unit_price=Money(amount_minor=1795, currency="USD"),
            frequency=BillingFrequency.MONTHLY,
            licenses=Licenses(standard=50, additional=10),
            currency="USD",
            timezone="America/New_York",
            cycle_anchor=date(2026, 1, 20),
        ),
        origin="self_service",
    )


def test_a_purchase_carries_the_terms_it_was_made_on() -> None:
    """AddOnPurchased carries price, seats, cycle and zone as they are at that moment, and is remembered."""
    story = acme().when(purchase(), cause_id="buy").then(sold())

    assert story.document.add_ons[ADD_ON] == AddOnState(subscription=Subscription.of(sold()), requests_round=1)


@pytest.mark.parametrize(
    ("zone", "now", "day"),
    [
        ("America/New_York", datetime(2026, 10, 1, 3, 59, 59, tzinfo=UTC), date(2026, 9, 30)),
        ("America/New_York", datetime(2026, 10, 1, 4, 0, 0, tzinfo=UTC), date(2026, 10, 1)),
        ("Pacific/Kiritimati", datetime(2026, 9, 30, 10, 0, 0, tzinfo=UTC), date(2026, 10, 1)),
        ("UTC", datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC), date(2026, 9, 30)),
    ],
)
def test_the_first_billed_day_is_the_accounts_own(zone: str, now: datetime, day: date) -> None:
    """The effective date is the local date of the decision in the account's zone."""
    (purchased,) = given(account(timezone=zone), member("owner"), now=now).when(purchase()).emitted_of(AddOnPurchased)
    assert purchased.effective_date == day


def test_a_purchase_ends_a_running_trial_first() -> None:
    """A purchase during a trial is TrialEnded (purchased), then AddOnPurchased."""
    story = acme().given(trial()).when(purchase(), cause_id="buy")
    ended = TrialEnded(account_id=ACCOUNT, add_on=ADD_ON, ended_at=NOW, reason="purchased", started_by=OWNER)
    story.then(ended, sold())
    over = Trial(started_by=OWNER, started_at=NOW, ends_at=TRIAL_ENDS, ended_at=NOW)
    assert story.document.add_ons[ADD_ON].trial == over


def test_a_trial_that_ran_out_is_not_ended_again() -> None:
    """From the instant a trial ends on, a purchase is AddOnPurchased alone."""
    story = acme().given(trial())
    story.now = TRIAL_ENDS
    story.when(purchase())
    assert [type(event) for event in story.emitted] == [AddOnPurchased]


def test_a_trial_of_another_add_on_goes_on() -> None:
    """A purchase touches no other add-on."""
    story = acme().given(trial(add_on="aircall_ai")).when(purchase(), cause_id="buy").then(sold())
    assert story.document.add_ons["aircall_ai"].running_trial(NOW) is not None


def test_purchases_are_final() -> None:
    """What is purchased cannot be purchased, tried, quoted or requested again, by anyone."""
    story = acme().given(purchase())
    for command in (purchase(), quote(), trial(), trial("admin"), request()):
        then_refused(story.when(command), Reason.ALREADY_PURCHASED)


def test_zero_seats_may_be_bought() -> None:
    """An account without seats buys at list price; it will be charged 0."""
    story = acme(licenses=Licenses(standard=0)).when(purchase(expected={"amount_minor": 0, "currency": "USD"}))
    (purchased,) = story.emitted_of(AddOnPurchased)
    assert purchased.terms.licenses.total == 0


def test_the_expected_price_is_the_full_price_of_a_cycle() -> None:
    """17.95 × 60 seats is what the buyer must have been shown; then the purchase goes through."""
    acme().when(purchase(expected={"amount_minor": 107_700, "currency": "USD"}), cause_id="buy").then(sold())


@pytest.mark.parametrize(
    ("amount_minor", "currency"),
    [(107_701, "USD"), (107_699, "USD"), (107_700, "EUR"), (-107_700, "USD"), (10**60, "USD")],
)
def test_another_expected_price_is_refused(amount_minor: int, currency: str) -> None:
    """An amount or currency other than today's is price_changed, and the plain purchase stays open."""
    story = acme().when(purchase(expected={"amount_minor": amount_minor, "currency": currency}))
    then_refused(story, Reason.PRICE_CHANGED, Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)


def test_a_payment_method_is_needed_to_buy() -> None:
    """Without a payment method the Owner is told so and sent to nobody; a quote does not open instead."""
    story = acme(payment_method_on_file=False).when(purchase())
    then_refused(story, Reason.PAYMENT_METHOD_REQUIRED, Action.TRY_FOR_FREE)


# --------------------------------------------------------------------------------------------------------------- quote


def test_a_quote_request_names_the_seats_it_is_for() -> None:
    """A sales-managed account's Owner gets a quote id, derived from the command, and the note travels along."""
    story = acme(sales_managed=True).when(quote(note="For two years?"), cause_id="ask")
    story.then(
        QuoteRequested(
            account_id=ACCOUNT,
            add_on=ADD_ON,
            quote_id=made("quote", "ask", NOW),
            requested_by=OWNER,
            requested_at=NOW,
            licenses=Licenses(standard=50, additional=10),
            note="For two years?",
            expires_at=NOW + timedelta(days=30),
        )
    )
    pending = story.document.add_ons[ADD_ON].quote
    assert pending is not None
    assert pending.id == made("quote", "ask", NOW)


def test_one_quote_is_open_at_a_time() -> None:
    """While a quote is pending neither a second one nor a purchase is open; the account manager is."""
    story = acme(sales_managed=True).given(quote())
    for command in (quote(), purchase()):
        then_refused(story.when(command), Reason.QUOTE_PENDING, Action.TRY_FOR_FREE, ask=Ask.ACCOUNT_MANAGER)


def test_a_purchase_closes_a_pending_quote() -> None:
    """An account that came to buy at list price may do so with a quote pending, and the quote is closed by it."""
    story = acme(sales_managed=True).given(quote(), account(2))
    then_refused(
        story.when(quote()),
        Reason.QUOTE_PENDING,
        Action.SUBSCRIBE_NOW,
        Action.TRY_FOR_FREE,
        ask=Ask.ACCOUNT_MANAGER,
    )
    story.when(purchase(), cause_id="buy").then(sold())
    assert story.document.add_ons[ADD_ON].quote is None


# --------------------------------------------------------------------------------------------------------------- trial


def test_a_trial_lasts_its_days_of_24_hours() -> None:
    """An admin's trial of 14 days ends 14 × 24 hours later, over any change of the clocks."""
    before_the_change = datetime(2026, 10, 30, 16, 0, tzinfo=UTC)
    story = given(account(), member("admin"), now=before_the_change).when(trial("admin"))
    story.then(
        TrialStarted(
            account_id=ACCOUNT,
            add_on=ADD_ON,
            started_by=ADMIN,
            started_at=before_the_change,
            ends_at=datetime(2026, 11, 13, 16, 0, tzinfo=UTC),
            notice_at=datetime(2026, 11, 10, 16, 0, tzinfo=UTC),
        )
    )


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        (timedelta(days=14) - timedelta(microseconds=1), Reason.TRIAL_ACTIVE),
        (timedelta(days=14), Reason.TRIAL_ALREADY_USED),
        (timedelta(days=5_000), Reason.TRIAL_ALREADY_USED),
    ],
)
def test_one_trial_per_add_on_and_account_ever(later: timedelta, reason: Reason) -> None:
    """A second trial is refused for ever, whoever asks: as active until the end, as used from that instant on."""
    story = acme().given(trial("admin"))
    story.now += later
    then_refused(story.when(trial()), reason, Action.SUBSCRIBE_NOW)


def test_an_admin_may_request_the_feature_during_a_trial() -> None:
    """A running trial does not stop its admin from asking the Owners for the add-on."""
    story = acme().given(trial("admin")).when(trial("admin"))
    then_refused(story, Reason.TRIAL_ACTIVE, Action.REQUEST_FEATURE)
    assert len(story.when(request()).emitted_of(FeatureRequested)) == 1


# ----------------------------------------------------------------------------------------------------- feature request


def test_a_feature_request_says_who_asked() -> None:
    """The request carries the member as the directory knows them, and the note."""
    story = acme().when(request(note="Queue times!"))
    story.then(
        FeatureRequested(account_id=ACCOUNT, add_on=ADD_ON, requested_by=ADMIN, requested_at=NOW, note="Queue times!")
    )


def test_the_same_person_requests_an_add_on_once() -> None:
    """A second request of one person for one add-on is refused; others and other add-ons are not."""
    story = acme().given(request())
    then_refused(story.when(request()), Reason.ALREADY_REQUESTED, Action.TRY_FOR_FREE, ask=Ask.OWNER)
    assert story.when(request("supervisor"), asks(Action.REQUEST_FEATURE, "admin", "aircall_ai")).emitted


# ------------------------------------------------------------------------------------------------ identity and add-ons


def test_an_unknown_account_is_refused() -> None:
    """Nobody may do anything in an account no fact has told of, even a member a fact has told of."""
    story = given(member("owner"))
    for action in Action:
        then_refused(story.when(asks(action, "owner")), Reason.ACCOUNT_UNKNOWN)


def test_a_member_may_come_before_the_account() -> None:
    """Facts come in any order: a member told of first may buy once the account is known."""
    given(member("owner")).given(account()).when(purchase(), cause_id="buy").then(sold())


def test_an_unknown_add_on_is_refused() -> None:
    """An add-on that the catalog does not have is a refusal for whoever may use the flow, and no more than that."""
    story = acme().when(asks(Action.SUBSCRIBE_NOW, "owner", "telepathy:{add_on}"))
    then_refused(story, Reason.ADD_ON_UNKNOWN)
    then_refused(story.when(asks(Action.SUBSCRIBE_NOW, "agent", "telepathy")), Reason.ROLE_NOT_PERMITTED, ask=Ask.OWNER)


def test_a_role_claimed_in_a_command_changes_nothing() -> None:
    """The role comes from the directory: an agent who claims to be an Owner is an agent."""
    claims = {"role": "owner", "status": "active", "member": {"role": "owner"}}
    then_refused(acme().when(purchase("agent", **claims)), Reason.ROLE_NOT_PERMITTED, ask=Ask.OWNER)


def test_a_changed_role_counts_from_then_on() -> None:
    """An agent who becomes an Owner may buy, and a removed Owner is no member any more."""
    story = acme().given(member("agent", "owner", revision=2), member("owner", revision=2, removed=True))
    then_refused(story.when(purchase()), Reason.MEMBER_UNKNOWN, ask=Ask.OWNER)
    assert story.when(purchase("agent")).emitted_of(AddOnPurchased)


def test_an_inactive_account_sends_its_people_on() -> None:
    """Members of a suspended account are sent to an Owner, and the Owner to the account manager."""
    story = acme(status="suspended")
    then_refused(story.when(request()), Reason.ACCOUNT_NOT_ACTIVE, ask=Ask.OWNER)
    then_refused(story.when(purchase()), Reason.ACCOUNT_NOT_ACTIVE, ask=Ask.ACCOUNT_MANAGER)
