"""Trials end: Owners hear of it before, it lapses or converts, staff extend or end it, and a grant needs none."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.accounts import BillingFrequency, Licenses
from contracts.backoffice import EndTrial, ExtendTrial, GrantAddOn
from contracts.events import AddOnPurchased, Person, Terms, TrialEnded, TrialEndingSoon, TrialExtended
from contracts.results import Action, Reason
from services.entitlements.account import TRIAL_END, TRIAL_NOTICE, Entitlements
from services.entitlements.domain import EntitlementsDecider
from services.runtime.decision import Accepted, TimerDue
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CATALOG,
    CONVERTING,
    NOW,
    STAFF,
    account,
    acme,
    dollars,
    given,
    member,
    purchase,
    refused,
    staff,
    then_refused,
    trial,
)
from tests.scenario import Scenario, made

OWNER = Person(user_id="owner", role="owner", name="Owner")
ENDS = NOW + timedelta(days=14)
NOTICE = timedelta(days=3)
A_WEEK = timedelta(days=7)


def extend(ends_at: datetime) -> ExtendTrial:
    """Return staff's extension of the trial of Analytics+."""
    return staff(ExtendTrial, ends_at=ends_at)


def soon(ends_at: datetime = ENDS) -> TrialEndingSoon:
    """Return the notice of the Owner's trial."""
    return TrialEndingSoon(account_id=ACCOUNT, add_on=ADD_ON, started_by=OWNER, ends_at=ends_at, after_trial="lapse")


def ended(reason: str = "expired", ended_at: datetime = ENDS, add_on: str = ADD_ON, **more: Any) -> TrialEnded:
    """Return the end of the Owner's trial."""
    return TrialEnded(account_id=ACCOUNT, add_on=add_on, ended_at=ended_at, reason=reason, started_by=OWNER, **more)


# -------------------------------------------------------------------------------------------------- notice and the end


def test_a_trial_announces_its_end_three_days_before() -> None:
    """As many days before its end as the catalog says, the trial is said to end soon, and once only."""
    story = acme().given(trial())
    story.advance(timedelta(days=11) - timedelta(seconds=1)).then_nothing()
    story.advance(timedelta(seconds=1)).then(soon())
    story.advance(timedelta(days=2)).then_nothing()


def test_a_trial_that_runs_out_ends_at_its_instant() -> None:
    """At `ends_at` the trial has expired, nothing is bought, and no timer is left."""
    story = acme().given(trial()).advance(timedelta(days=14)).then(soon(), ended())
    assert story.document.timers == {}
    then_refused(story.when(trial()), Reason.TRIAL_ALREADY_USED, Action.SUBSCRIBE_NOW)


def test_what_a_late_timer_does_happened_when_it_was_due() -> None:
    """A service that was away for a month says that the trial ended then, and no more that it is going to."""
    story = acme().given(trial())
    story.now += timedelta(days=45)
    story.advance().then(ended())
    assert story.document.timers == {}


def test_a_notice_that_is_called_off_is_ignored() -> None:
    """A timer that the document does not name says nothing."""
    story = acme().given(trial(), purchase())
    story.when(TimerDue(ACCOUNT, f"{TRIAL_NOTICE}:{ADD_ON}", ENDS - NOTICE)).then_ignored("not set")


def test_a_timer_that_comes_too_early_changes_nothing() -> None:
    """A timer delivered before what the document says waits for its time."""
    story = acme().given(trial()).when(TimerDue(ACCOUNT, f"{TRIAL_END}:{ADD_ON}", NOW)).then_nothing()
    assert f"{TRIAL_END}:{ADD_ON}" in story.document.timers


@pytest.mark.parametrize(("trial_days", "notice_days"), [(3, 3), (2, 3), (14, 0)])
def test_a_trial_no_longer_than_its_notice_has_none(trial_days: int, notice_days: int) -> None:
    """Where the notice would come with the start or before, or is switched off, only the end is told."""
    add_on = CATALOG.add_ons[ADD_ON].model_copy(update={"trial_days": trial_days, "trial_notice_days": notice_days})
    decider = EntitlementsDecider(CATALOG.model_copy(update={"add_ons": {ADD_ON: add_on}}))
    story: Scenario[Entitlements] = Scenario(decider, ACCOUNT, NOW)
    story.given(account(), member("owner"), trial()).advance(timedelta(days=trial_days))
    story.then(ended(ended_at=NOW + timedelta(days=trial_days)))


def test_a_purchase_calls_the_timers_off() -> None:
    """A trial ended by a purchase neither announces its end nor ends again."""
    acme().given(trial(), purchase()).advance(timedelta(days=30)).then_nothing()


def test_a_purchase_after_the_end_leaves_the_end_to_its_timer() -> None:
    """A trial is ended exactly once, as expired, even where a purchase comes before its late timer."""
    story = acme().given(trial())
    story.now = ENDS
    assert [type(event) for event in story.when(purchase()).emitted] == [AddOnPurchased]
    story.advance().then(ended())


# ------------------------------------------------------------------------------------------------------------- convert


def converted(story: Scenario[Entitlements]) -> list[AddOnPurchased]:
    """Let the trial of the add-on that converts run out, and return what was bought."""
    story.advance(A_WEEK)
    assert story.emitted_of(TrialEnded) == [ended(ended_at=NOW + A_WEEK, add_on=CONVERTING)]
    return list(story.emitted_of(AddOnPurchased))


def test_a_trial_that_converts_is_bought_as_it_ends() -> None:
    """Right after its end it is bought by who started it, from the local date of the end on, at list price."""
    ends_at = NOW + A_WEEK
    name = f"timer:{ACCOUNT}:{TRIAL_END}:{CONVERTING}:{ends_at.isoformat()}"
    assert converted(acme().given(trial(add_on=CONVERTING))) == [
        AddOnPurchased(
            account_id=ACCOUNT,
            add_on=CONVERTING,
            subscription_id=made("subscription", name, ends_at),
            purchased_by=OWNER,
            purchased_at=ends_at,
            effective_date=date(2026, 10, 7),
            terms=Terms(
                price_version="2026-01",
                unit_price=dollars(500),
                frequency=BillingFrequency.MONTHLY,
                licenses=Licenses(standard=50, additional=10),
                currency="USD",
                timezone="America/New_York",
                cycle_anchor=date(2026, 1, 20),
            ),
            origin="trial",
        )
    ]


def test_the_first_billed_day_of_a_conversion_is_the_accounts_own() -> None:
    """The day is the local date on which the trial ends, however late its timer is."""
    evening = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)  # 30 September in New York
    story = given(account(), member("owner"), now=evening).given(trial(add_on=CONVERTING))
    story.now += timedelta(days=60)
    (purchased,) = story.advance().emitted_of(AddOnPurchased)
    assert (purchased.effective_date, purchased.purchased_at) == (date(2026, 10, 7), evening + A_WEEK)


@pytest.mark.parametrize(
    "changes",
    [
        {"sales_managed": True},
        {"licenses": Licenses(standard=201)},
        {"currency": "CHF"},
        {"payment_method_on_file": False},
        {"status": "suspended"},
        {"status": "closed"},
    ],
)
def test_a_trial_lapses_where_the_account_could_not_buy(changes: dict[str, Any]) -> None:
    """An account that needs a quote, has no payment method or is not active as the trial ends buys nothing by it."""
    assert converted(acme().given(trial(add_on=CONVERTING), account(2, **changes))) == []


def test_a_trial_lapses_where_the_add_on_is_free_anyway() -> None:
    """While a grant runs nothing is charged for."""
    assert (
        converted(acme().given(trial(add_on=CONVERTING), staff(GrantAddOn, add_on=CONVERTING, until="2026-10-08")))
        == []
    )


def test_a_trial_does_not_convert_what_was_bought_before_its_late_timer() -> None:
    """Where a purchase comes between the end and its timer, there is one subscription, not two."""
    story = acme().given(trial(add_on=CONVERTING))
    story.now += A_WEEK
    story.given(purchase(add_on=CONVERTING))
    assert story.advance().emitted == [ended(ended_at=NOW + A_WEEK, add_on=CONVERTING)]


def test_what_staff_end_does_not_convert() -> None:
    """Only a trial that runs out converts."""
    story = acme().given(trial(add_on=CONVERTING), staff(EndTrial, add_on=CONVERTING)).advance(timedelta(days=30))
    story.then_nothing()


# ------------------------------------------------------------------------------------------------------- staff: extend


def test_staff_extend_a_trial() -> None:
    """TrialExtended carries the later end and who acted; notice and end follow it."""
    later = ENDS + A_WEEK
    story = acme().given(trial()).when(extend(later))
    story.then(
        TrialExtended(
            account_id=ACCOUNT, add_on=ADD_ON, ends_at=later, extended_at=NOW, by=STAFF, notice_at=later - NOTICE
        )
    )
    story.advance(timedelta(days=21)).then(soon(later), ended(ended_at=later))


def test_an_extended_trial_announces_its_end_again() -> None:
    """A trial that had announced its end does so again when the new moment for it is still ahead."""
    later = ENDS + A_WEEK
    story = acme().given(trial()).advance(timedelta(days=12)).then(soon())
    story.given(extend(later)).advance(timedelta(days=9)).then(soon(later), ended(ended_at=later))


def test_an_extended_trial_whose_notice_would_be_past_has_none() -> None:
    """Extended by an hour on its last day, a trial ends without another notice."""
    later = ENDS + timedelta(hours=1)
    story = acme().given(trial()).advance(timedelta(days=13)).given(extend(later))
    story.advance(timedelta(days=2)).then(ended(ended_at=later))


@pytest.mark.parametrize("ends_at", [NOW, ENDS, ENDS - timedelta(seconds=1), NOW + timedelta(days=366, seconds=1)])
def test_a_trial_is_only_extended_to_a_later_end(ends_at: datetime) -> None:
    """An end not after the present one, or more than a year ahead, is refused."""
    then_refused(acme().given(trial()).when(extend(ends_at)), Reason.CHANGE_NOT_ALLOWED)


def test_an_end_at_the_end_of_time_is_refused() -> None:
    """The last instant a calendar knows is an answer, not a crash."""
    then_refused(acme().given(trial()).when(extend(datetime.max.replace(tzinfo=UTC))), Reason.CHANGE_NOT_ALLOWED)


@pytest.mark.parametrize("kind", [ExtendTrial, EndTrial])
def test_only_a_running_trial_is_extended_or_ended(kind: type[Any]) -> None:
    """Before it, from its end on, after a purchase and after staff ended it, no trial is active."""
    command = staff(kind, ends_at=ENDS + A_WEEK)
    then_refused(acme().when(command), Reason.TRIAL_NOT_ACTIVE)
    then_refused(acme().given(trial(), purchase()).when(command), Reason.TRIAL_NOT_ACTIVE)
    then_refused(acme().given(trial(), staff(EndTrial)).when(command), Reason.TRIAL_NOT_ACTIVE)
    late = acme().given(trial())
    late.now = ENDS
    then_refused(late.when(command), Reason.TRIAL_NOT_ACTIVE)


def test_staff_end_a_trial() -> None:
    """EndTrial ends it now, carries who acted, and calls the timers off."""
    story = acme().given(trial()).when(staff(EndTrial)).then(ended("back_office", NOW, by=STAFF))
    story.advance(timedelta(days=30)).then_nothing()
    then_refused(story.when(trial()), Reason.TRIAL_ALREADY_USED, Action.SUBSCRIBE_NOW)


# --------------------------------------------------------------------------------------------------------------- grant


def test_a_grant_leaves_a_running_trial_alone() -> None:
    """A trial goes on beside a grant, and ends at its time."""
    story = acme().given(trial(), staff(GrantAddOn, until="2027-01-01"))
    story.advance(timedelta(days=14)).then(soon(), ended())


def test_nobody_wastes_the_one_trial_on_what_is_free() -> None:
    """While a grant runs a trial is refused and not offered; from its last day on it is open again."""
    story = acme().given(staff(GrantAddOn, until="2026-10-02")).when(trial())
    then_refused(story, Reason.CHANGE_NOT_ALLOWED, Action.SUBSCRIBE_NOW)
    assert refused(story).message == "Your account has Analytics+ for free until 2026-10-02: no trial is needed."
    story.now = datetime(2026, 10, 2, 4, 0, tzinfo=UTC)  # midnight in New York
    assert isinstance(story.when(trial()).decision, Accepted)
