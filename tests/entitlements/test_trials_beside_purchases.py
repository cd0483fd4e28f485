"""A trial beside a subscription that was agreed on and begins later: it goes on until then, and no longer.

The account of these stories is in New York. Its trial began on 30 September 2026 and ends on 14 October at 16:00 UTC.
"""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import Billing, BillingFrequency
from contracts.backoffice import ActivateAddOn, CancelSubscription, EndTrial, ExtendTrial
from contracts.events import AddOnPurchased, Person, TrialEnded, TrialEndingSoon
from contracts.results import Action, Reason
from services.entitlements import queries
from services.entitlements.account import Entitlements
from services.entitlements.queries import Access
from services.entitlements.schedule import AddOnState
from services.runtime.decision import Accepted
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CONVERTING,
    NOW,
    STAFF,
    account,
    acme,
    asks,
    dollars,
    having,
    quote,
    refused,
    staff,
    then_refused,
    trial,
)
from tests.scenario import Scenario

ENDS = NOW + timedelta(days=14)
OWNER = Person(user_id="owner", role="owner", name="Owner")
OCTOBER_12 = datetime(2026, 10, 12, 4, tzinfo=UTC)  # midnight in New York
OCTOBER_20 = datetime(2026, 10, 20, 4, tzinfo=UTC)


def agreed(first: str, add_on: str = ADD_ON) -> Scenario[Entitlements]:
    """Begin a story with a trial that runs and a quote that staff activated from a first day on."""
    story = having(acme(sales_managed=True), trial(add_on=add_on), asks(Action.REQUEST_QUOTE, "owner", add_on))
    story.when(staff(ActivateAddOn, add_on=add_on, unit_price=dollars(1500), effective_date=first))
    assert [type(event) for event in story.emitted] == [AddOnPurchased]
    return story.given()


def has(story: Scenario[Entitlements]) -> AddOnState:
    """Return what the account has of Analytics+."""
    return story.document.add_ons[ADD_ON]


def ended(ended_at: datetime, reason: str, add_on: str = ADD_ON) -> TrialEnded:
    """Return the end of the trial."""
    return TrialEnded(account_id=ACCOUNT, add_on=add_on, ended_at=ended_at, reason=reason, started_by=OWNER)


def soon(ends_at: datetime, add_on: str = ADD_ON) -> TrialEndingSoon:
    """Return the notice of an end after which nothing is bought."""
    return TrialEndingSoon(account_id=ACCOUNT, add_on=add_on, started_by=OWNER, ends_at=ends_at, after_trial="lapse")


def test_a_trial_goes_on_until_the_first_day_that_was_agreed() -> None:
    """Its end is not announced, as access goes on; it ends as purchased at the midnight that begins the first day."""
    story = agreed("2026-10-12")
    assert has(story).running_trial(OCTOBER_12 - timedelta(seconds=1)) is not None
    assert has(story).running_trial(OCTOBER_12) is None
    story.advance(OCTOBER_12 - NOW - timedelta(seconds=1)).then_nothing()
    story.advance(timedelta(seconds=1)).then(ended(OCTOBER_12, "purchased"))
    story.advance(timedelta(days=60)).then_nothing()
    assert story.document.timers == {}


def test_a_trial_that_ends_before_the_first_day_runs_out() -> None:
    """Its end is announced and told as ever: there is no access until the first day."""
    story = agreed("2026-10-20").advance(timedelta(days=14))
    story.then(soon(ENDS), ended(ENDS, "expired"))
    story.advance(timedelta(days=60)).then_nothing()


@pytest.mark.parametrize(("first", "until"), [("2026-10-12", OCTOBER_12), ("2026-10-20", ENDS)])
def test_what_is_shown_of_a_trial_is_its_end_or_the_first_day(first: str, until: datetime) -> None:
    """Until whichever is earlier the account has a trial; from the first day on it has a subscription."""
    story = agreed(first)
    held = queries.held(has(story), date(2026, 10, 1), NOW + timedelta(days=1))
    assert (held.access, held.until) == (Access.TRIAL, until)
    story.advance(timedelta(days=30))
    assert queries.held(has(story), date(2026, 10, 30), story.now).access is Access.ACTIVE


@pytest.mark.parametrize("first", ["2026-10-02", "2026-10-07", "2026-11-01"])
def test_a_trial_does_not_convert_beside_what_was_agreed(first: str) -> None:
    """An add-on that is bought as its trial ends is not bought again where a subscription is agreed for later."""
    story = agreed(first, CONVERTING).advance(timedelta(days=60))
    assert len(story.emitted_of(TrialEnded)) == 1
    assert not story.emitted_of(AddOnPurchased)
    assert all(notice.after_trial == "lapse" for notice in story.emitted_of(TrialEndingSoon))


def test_what_comes_after_a_trial_that_converts_is_announced() -> None:
    """The notice of a trial at whose end the add-on is bought says so."""
    (notice,) = acme().given(trial(add_on=CONVERTING)).advance(timedelta(days=4)).emitted
    assert isinstance(notice, TrialEndingSoon)
    assert notice.after_trial == "convert"


@pytest.mark.parametrize("action", Action)
def test_before_its_first_day_nobody_is_told_that_it_is_ready(action: Action) -> None:
    """Whoever asks is told on which day it begins, and from that day on that it is ready to use."""
    who = "admin" if action is Action.REQUEST_FEATURE else "owner"
    story = then_refused(agreed("2026-10-20").when(asks(action, who)), Reason.ALREADY_PURCHASED)
    assert refused(story).message == "Your account already has Analytics+: it begins on 2026-10-20."
    story.now = OCTOBER_20
    then_refused(story.when(asks(action, who)), Reason.ALREADY_PURCHASED)
    assert refused(story).message == "Your account already has Analytics+: it is ready to use."


def test_a_trial_whose_timer_is_late_ended_as_the_subscription_began() -> None:
    """A service that was away past the first day says that the trial ended then, whatever the account's zone is now."""
    story = agreed("2026-10-12")
    story.now = OCTOBER_20 + timedelta(days=40)
    yearly = Billing(frequency=BillingFrequency.ANNUAL, cycle_anchor=date(2026, 1, 1))
    story.given(account(2, sales_managed=True, timezone="Asia/Tokyo", billing=yearly))
    story.advance().then(ended(OCTOBER_12, "purchased"))


def test_a_trial_goes_on_where_what_was_agreed_is_canceled() -> None:
    """Canceled before its first day, a subscription ends no trial, which is announced and ends by itself."""
    story = agreed("2026-10-12")
    subscription = has(story).subscription
    assert subscription is not None
    having(story, staff(CancelSubscription, subscription_id=subscription.id, when="now"))
    story.advance(timedelta(days=14)).then(soon(ENDS), ended(ENDS, "expired"))


def test_canceled_on_its_first_day_it_has_ended_the_trial() -> None:
    """A trial that the first day ended does not come back, even where its timer is late."""
    story = agreed("2026-10-12")
    story.now = OCTOBER_12
    subscription = has(story).subscription
    assert subscription is not None
    having(story, staff(CancelSubscription, subscription_id=subscription.id, when="now"))
    assert has(story).running_trial(story.now) is None
    story.advance().then(ended(OCTOBER_12, "purchased"))


def test_staff_extend_a_trial_up_to_the_first_day() -> None:
    """A trial is extended to bridge the days before; an end after the first day adds nothing, an earlier is refused."""
    story = agreed("2026-10-20").given(staff(ExtendTrial, ends_at=ENDS + timedelta(days=2)))
    assert isinstance(story.when(staff(ExtendTrial, ends_at=OCTOBER_20 + timedelta(days=9))).decision, Accepted)
    then_refused(story.when(staff(ExtendTrial, ends_at=OCTOBER_20 + timedelta(days=8))), Reason.CHANGE_NOT_ALLOWED)
    story.advance(timedelta(days=40)).then(ended(OCTOBER_20, "purchased"))


def test_staff_end_a_trial_before_the_first_day() -> None:
    """EndTrial ends it now, and the first day ends nothing a second time."""
    story = agreed("2026-10-12").when(staff(EndTrial))
    (over,) = story.emitted_of(TrialEnded)
    assert (over.reason, over.by) == ("back_office", STAFF)
    story.advance(timedelta(days=60)).then_nothing()


def test_an_activation_from_an_earlier_day_ends_the_trial_at_once() -> None:
    """What began yesterday is there: the trial ends with the activation."""
    story = having(acme(sales_managed=True), trial(), quote())
    story.when(staff(ActivateAddOn, unit_price=dollars(1500), effective_date="2026-09-29"))
    assert [type(event) for event in story.emitted] == [TrialEnded, AddOnPurchased]
