"""What an account may use, by the pure functions: for every state, until its end and whatever became of the account."""

from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.backoffice import CancelSubscription, ExtendTrial, GrantAddOn
from contracts.results import Reason
from services.entitlements import checks
from services.entitlements.account import Entitlements, member_row
from services.entitlements.checks import Entitlement
from services.entitlements.queries import Access
from services.runtime.decision import Rejected, State
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CATALOG,
    CONVERTING,
    NOW,
    SUBSCRIPTION,
    account,
    acme,
    given,
    having,
    member,
    staff,
    subscribed,
    trial,
)
from tests.scenario import Scenario

Story = Scenario[Entitlements]


def state_of(story: Story, *users: str) -> State[Entitlements]:
    """Return the state at the end of a story, with these members loaded."""
    rows = {member_row(user): story.row(member_row(user)) for user in users}
    return State(ACCOUNT, story.document, rows)


def told(story: Story, add_on: str = ADD_ON, now: datetime | None = None) -> Entitlement:
    """Return what is told of an add-on."""
    found = checks.entitlement_of(state_of(story), CATALOG, add_on, 7, now or story.now)
    assert isinstance(found, Entitlement)
    return found


def test_a_subscription_is_told_with_its_first_day() -> None:
    """What was bought is active since its first billed local day, without an end."""
    found = told(subscribed())
    assert (found.entitled, found.access, found.since, found.until) == (True, Access.ACTIVE, date(2026, 9, 30), None)


def test_a_canceled_subscription_lasts_to_its_last_local_day() -> None:
    """Until midnight of the account's own zone the add-on may be used, and then not."""
    end = staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="end_of_cycle")
    story = having(subscribed(), end)
    midnight = datetime(2026, 10, 20, 4, tzinfo=UTC)  # of New York
    assert told(story).until == date(2026, 10, 20)
    assert told(story, now=midnight - timedelta(seconds=1)).access is Access.ACTIVE
    assert told(story, now=midnight).access is Access.NONE


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_what_is_paid_lasts_whatever_became_of_the_account(status: str) -> None:
    """The add-on of an account that is not active any more stays until its end."""
    assert told(subscribed().given(account(2, status=status))).entitled


@pytest.mark.parametrize(
    ("after", "left"),
    [
        (timedelta(), 14),
        (timedelta(seconds=1), 14),
        (timedelta(days=1), 13),
        (timedelta(days=13, seconds=1), 1),
        (timedelta(days=14, seconds=-1), 1),
        (timedelta(days=14), None),
    ],
)
def test_days_of_a_trial_count_from_its_start(after: timedelta, left: int | None) -> None:
    """A day of a trial has 24 hours, and one that has begun is left; at its end it is no trial any more."""
    assert told(having(acme(), trial()), now=NOW + after).trial_days_left == left


def test_an_extended_trial_has_the_days_it_got() -> None:
    """An extension is seen in the end and in the days."""
    found = told(having(acme(), trial(), staff(ExtendTrial, ends_at=NOW + timedelta(days=20))))
    assert (found.until, found.trial_days_left) == (NOW + timedelta(days=20), 20)


def test_a_grant_lasts_before_its_day() -> None:
    """A grant gives access until the day it ends on begins in the account's zone, and has no days of a trial."""
    story = having(acme(), staff(GrantAddOn, until=date(2026, 10, 2)))
    assert (told(story).access, told(story).until, told(story).trial_days_left) == (
        Access.GRANTED,
        date(2026, 10, 2),
        None,
    )
    assert told(story, now=datetime(2026, 10, 2, 4, tzinfo=UTC)).access is Access.NONE


def test_all_are_told_in_the_order_of_the_catalog() -> None:
    """Each add-on of the catalog is told once, whatever the account has."""
    shown = checks.entitlements_of(state_of(having(acme(), trial(add_on=CONVERTING))), CATALOG, 7, NOW)
    assert [each.add_on for each in shown.entitlements] == list(CATALOG.add_ons)
    assert {each.version for each in shown.entitlements} == {shown.version} == {7}


def test_what_the_catalog_no_longer_sells_may_be_used() -> None:
    """An add-on that was taken from the catalog stays with who bought it, and is unknown to who did not."""
    fewer = CATALOG.model_copy(update={"add_ons": {name: CATALOG.add_ons[name] for name in ("aircall_ai",)}})
    shown = checks.entitlements_of(state_of(subscribed()), fewer, 7, NOW)
    assert [(each.add_on, each.entitled) for each in shown.entitlements] == [("aircall_ai", False), (ADD_ON, True)]
    bought = checks.entitlement_of(state_of(subscribed()), fewer, ADD_ON, 7, NOW)
    assert bought == shown.entitlements[1]
    refused = checks.entitlement_of(state_of(acme()), fewer, ADD_ON, 7, NOW)
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.ADD_ON_UNKNOWN


@pytest.mark.parametrize(
    ("story", "member_id", "reason"),
    [
        (given(), None, Reason.ACCOUNT_UNKNOWN),
        (given(member("owner")), "owner", Reason.ACCOUNT_UNKNOWN),
        (acme(), None, None),
        (acme(), "agent", None),
        (acme(), "stranger", Reason.MEMBER_UNKNOWN),
        (acme().given(member("agent", revision=2, removed=True)), "agent", Reason.MEMBER_UNKNOWN),
        (acme(status="suspended"), "agent", None),
    ],
)
def test_who_may_ask(story: Story, member_id: str | None, reason: Reason | None) -> None:
    """Members who are there, of any role and any account that is known, and who is no member by another right."""
    refusal = checks.refusal(state_of(story, *([member_id] if member_id else [])), member_id)
    assert (refusal and refusal.reason) == reason


def test_the_text_of_what_may_be_used_differs_only_by_that() -> None:
    """Days that pass and other facts leave it as it is; the end of a trial, an extension and a purchase do not."""
    story = having(acme(), trial())
    text = checks.usable_text(state_of(story), CATALOG, NOW)
    assert checks.usable_text(state_of(story), CATALOG, NOW + timedelta(days=13)) == text
    assert checks.usable_text(state_of(story.given(account(2, name="New"))), CATALOG, NOW) == text
    others = [
        checks.usable_text(state_of(story), CATALOG, NOW + timedelta(days=14)),
        checks.usable_text(
            state_of(having(acme(), trial(), staff(ExtendTrial, ends_at=NOW + timedelta(days=20)))), CATALOG, NOW
        ),
        checks.usable_text(state_of(subscribed()), CATALOG, NOW),
    ]
    assert len({text, *others}) == 4
