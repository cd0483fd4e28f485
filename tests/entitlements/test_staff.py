"""Who is no member of staff gets nothing of theirs, staff are answered by their id, and credits are billing's."""

from datetime import date, timedelta
from typing import Any, ClassVar

import pytest

from contracts.accounts import AccountManager, Billing, BillingFrequency, Licenses
from contracts.backoffice import (
    ActivateAddOn,
    CancelSubscription,
    DeclineQuote,
    EndTrial,
    ExtendTrial,
    GrantAddOn,
    IssueCredit,
    ModifySubscription,
    StaffCommand,
)
from contracts.commands import BackOfficeAttempt
from contracts.results import Ask, CommandAccepted, CommandRejected, Reason
from services.entitlements.domain import answer
from services.runtime.decision import Accepted, Cause, Rejected
from tests.entitlements.scenario import (
    ACCOUNT,
    NOW,
    SUBSCRIPTION,
    acme,
    dollars,
    given,
    member,
    refused,
    staff,
    subscribed,
    then_refused,
)

TODAY, NEXT = date(2026, 9, 30), date(2026, 10, 20)
TEN, SEVENTY = Licenses(standard=10), Licenses(standard=70)
ANNUAL = Billing(frequency=BillingFrequency.ANNUAL, cycle_anchor=date(2026, 1, 20))


ORDERS: dict[str, StaffCommand] = {
    "activate": staff(ActivateAddOn, unit_price=dollars(1500)),
    "decline": staff(DeclineQuote),
    "extend": staff(ExtendTrial, ends_at=NOW + timedelta(days=30)),
    "end": staff(EndTrial),
    "grant": staff(GrantAddOn, until="2026-12-31"),
    "modify": staff(ModifySubscription, subscription_id=SUBSCRIPTION, licenses=TEN),
    "cancel": staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="now"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_staff_are_told_what_is_unknown(order: str) -> None:
    """First the account, then the add-on or the subscription."""
    command = ORDERS[order]
    then_refused(given(member("owner")).when(command), Reason.ACCOUNT_UNKNOWN)
    if order in {"modify", "cancel"}:
        then_refused(acme().when(command), Reason.SUBSCRIPTION_UNKNOWN)
        return
    elsewhere = command.model_copy(update={"add_on": "telepathy"})
    then_refused(acme().when(elsewhere), Reason.ADD_ON_UNKNOWN)


@pytest.mark.parametrize("order", ORDERS)
def test_a_staff_command_loads_no_row(order: str) -> None:
    """It costs the document, whatever the number of members."""
    assert acme().when(ORDERS[order]).loaded == ()


def test_credits_are_billings_to_answer() -> None:
    """IssueCredit is ignored here, so that it has one answer."""
    credit = staff(IssueCredit, invoice_number="acme-000001", amount=dollars(100))
    subscribed().when(credit).then_ignored("billing").then_nothing()


class Attempt(BackOfficeAttempt):
    """A member's EndTrial, as it is read from the members' topic."""

    ce_type: ClassVar[str] = EndTrial.ce_type


@pytest.mark.parametrize("user_id", ["owner", "agent", "stranger", None])
def test_a_members_back_office_command_is_refused(user_id: str | None) -> None:
    """Whoever sends it and whatever it says, it is refused, and the account manager is named."""
    story = subscribed(account_manager=AccountManager(name="Ada")).when(Attempt(account_id=ACCOUNT, user_id=user_id))
    then_refused(story, Reason.CHANGE_NOT_ALLOWED, ask=Ask.ACCOUNT_MANAGER)
    assert refused(story).message == (
        "Members cannot change subscriptions, trials or quotes: ask your account manager, Ada."
    )


def test_an_unknown_account_manager_is_still_whom_to_ask() -> None:
    """Where no fact names one, also for an unknown account, the sentence does without the name."""
    for story in (acme(), given()):
        then_refused(story.when(Attempt(account_id=ACCOUNT)), Reason.CHANGE_NOT_ALLOWED, ask=Ask.ACCOUNT_MANAGER)
        assert refused(story).message.endswith("ask your account manager.")


def test_staff_are_answered_by_their_id() -> None:
    """The answer to a back-office command is as a member's, and its `user_id` is the staff's."""
    cause = Cause("c-1", "addons.EndTrial.v1")
    common: dict[str, Any] = {
        "account_id": ACCOUNT,
        "command_id": "c-1",
        "command_type": cause.type,
        "user_id": "sue",
    }
    assert answer(staff(EndTrial), cause, Accepted(), ("e-1",)) == CommandAccepted(**common, events=("e-1",))
    refusal = Rejected(Reason.TRIAL_NOT_ACTIVE, "No.")
    expected = CommandRejected(**common, reason=Reason.TRIAL_NOT_ACTIVE, message="No.")
    assert answer(staff(EndTrial), cause, refusal, ()) == expected


@pytest.mark.parametrize(("user_id", "addressed"), [("owner", "owner"), (None, "unknown")])
def test_an_attempt_is_answered_even_without_a_sender(user_id: str | None, addressed: str) -> None:
    """An answer names who sent the command, or `unknown`."""
    attempt = BackOfficeAttempt(account_id=ACCOUNT, user_id=user_id)
    refusal = Rejected(Reason.CHANGE_NOT_ALLOWED, "No.", ask=Ask.ACCOUNT_MANAGER)
    assert answer(attempt, Cause("c-1", "addons.EndTrial.v1"), refusal, ()).user_id == addressed
