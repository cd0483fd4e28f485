"""What an Owner may say of the feature requests of others: decline them, snooze them, choose how often to hear."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.backoffice import CancelSubscription
from contracts.commands import ChangeDigest, DeclineFeature, MemberCommand, SnoozeFeature
from contracts.events import DigestChanged, FeatureDeclined, FeatureRequested, FeatureSnoozed, Person
from contracts.results import Action, Ask, CommandAccepted, Reason
from services.entitlements.account import rows_of
from services.entitlements.domain import answer
from services.runtime.decision import Accepted, Cause
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    NOW,
    SUBSCRIPTION,
    account,
    acme,
    given,
    having,
    member,
    purchase,
    refused,
    request,
    says,
    staff,
    then_refused,
)

OWNER = Person(user_id="owner", role="owner", name="Owner")
OPEN = (Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)


def decline(user_id: str = "owner", **more: Any) -> DeclineFeature:
    """Return a refusal of the requests for Analytics+."""
    return says(DeclineFeature, user_id, **{"add_on": ADD_ON, **more})


def snooze(until: date, user_id: str = "owner", add_on: str = ADD_ON) -> SnoozeFeature:
    """Return a wish to hear nothing of the requests for a while."""
    return says(SnoozeFeature, user_id, add_on=add_on, until=until)


def digests(cadence: str = "weekly", user_id: str = "owner") -> ChangeDigest:
    """Return a wish to hear so often."""
    return says(ChangeDigest, user_id, cadence=cadence)


# ------------------------------------------------------------------------------------------------------------- decline


def test_an_owner_declines_the_requests() -> None:
    """FeatureDeclined names the Owner and carries the note."""
    acme().given(request()).when(decline(note="Next year.")).then(
        FeatureDeclined(account_id=ACCOUNT, add_on=ADD_ON, declined_by=OWNER, declined_at=NOW, note="Next year.")
    )


def test_after_a_refusal_members_may_request_again() -> None:
    """A refusal closes the requests made so far, of everybody; each may request once more, in the same instant too."""
    story = acme().given(request(), request("supervisor"), decline())
    for user_id in ("admin", "supervisor"):
        assert len(story.when(request(user_id)).emitted_of(FeatureRequested)) == 1
        assert refused(story.when(request(user_id))).reason is Reason.ALREADY_REQUESTED


def test_there_must_be_an_open_request() -> None:
    """Never requested, declined already, answered by a purchase, or of another add-on: nothing_requested."""
    then_refused(acme().when(decline()), Reason.NOTHING_REQUESTED, *OPEN)
    then_refused(acme().given(request(), decline()).when(decline()), Reason.NOTHING_REQUESTED, *OPEN)
    then_refused(acme().given(request(), purchase()).when(decline()), Reason.NOTHING_REQUESTED)
    story = acme().given(request()).when(decline(add_on="aircall_ai"))
    then_refused(story, Reason.NOTHING_REQUESTED, Action.REQUEST_QUOTE, Action.TRY_FOR_FREE)


def test_a_purchase_answers_the_requests() -> None:
    """Who had requested what was bought may request it again when it has ended, and counts again."""
    story = having(acme(), request()).when(purchase(), cause_id="buy")
    having(story, staff(CancelSubscription, subscription_id=SUBSCRIPTION, when="now"), request(), decline())


# -------------------------------------------------------------------------------------------------------------- snooze


@pytest.mark.parametrize("until", [date(2026, 10, 1), date(2026, 9, 30) + timedelta(days=366)])
def test_an_owner_snoozes_an_add_on(until: date) -> None:
    """FeatureSnoozed names the local date until which the Owners hear nothing, from tomorrow to a year ahead."""
    acme().when(snooze(until)).then(
        FeatureSnoozed(account_id=ACCOUNT, add_on=ADD_ON, snoozed_by=OWNER, snoozed_at=NOW, until=until)
    )


@pytest.mark.parametrize("until", [date.min, date(2026, 9, 30), date(2026, 9, 30) + timedelta(days=367), date.max])
def test_a_snooze_lasts_a_day_to_a_year(until: date) -> None:
    """A day that is not after the account's today, or more than a year ahead, is refused."""
    then_refused(acme().when(snooze(until)), Reason.CHANGE_NOT_ALLOWED, *OPEN)


def test_today_is_the_accounts_own() -> None:
    """In the evening of New York, tomorrow in UTC is not over yet."""
    evening = datetime(2026, 10, 1, 2, 0, tzinfo=UTC)
    story = given(account(), member("owner"), now=evening)
    assert isinstance(story.when(snooze(date(2026, 10, 1))).decision, Accepted)


# ------------------------------------------------------------------------------------------------------------- cadence


@pytest.mark.parametrize("cadence", ["daily", "weekly", "never"])
def test_an_owner_chooses_how_often_to_hear(cadence: str) -> None:
    """DigestChanged names the cadence and the Owner; the command costs the member's row."""
    story = acme().when(digests(cadence))
    story.then(
        DigestChanged.model_validate(
            {"account_id": ACCOUNT, "cadence": cadence, "changed_by": OWNER, "changed_at": NOW}
        )
    )
    assert story.loaded == rows_of("owner")


# --------------------------------------------------------------------------------------------------- who may say so

COMMANDS = {
    "decline": decline,
    "snooze": lambda who: snooze(date(2026, 12, 31), who),
    "digest": lambda who: digests(user_id=who),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_only_owners_say_so(name: str) -> None:
    """Identity, then role, then the account's status; whoever may not is told neither requests nor prices."""
    command: Any = COMMANDS[name]
    then_refused(given(member("owner")).when(command("owner")), Reason.ACCOUNT_UNKNOWN)
    then_refused(acme().when(command("stranger")), Reason.MEMBER_UNKNOWN, ask=Ask.OWNER)
    suspended = acme(status="suspended")
    for role in ("admin", "supervisor", "agent"):
        rejection = refused(suspended.when(command(role)))
        assert (rejection.reason, rejection.ask) == (Reason.ROLE_NOT_PERMITTED, Ask.OWNER)
        assert rejection.message == "Only an Owner decides on feature requests: ask an Owner of your account."
    then_refused(suspended.when(command("owner")), Reason.ACCOUNT_NOT_ACTIVE, ask=Ask.ACCOUNT_MANAGER)


def test_an_unknown_add_on_is_neither_declined_nor_snoozed() -> None:
    """What the catalog does not have is add_on_unknown."""
    for command in (decline(add_on="telepathy"), snooze(date(2026, 12, 31), add_on="telepathy")):
        then_refused(acme().when(command), Reason.ADD_ON_UNKNOWN)


def test_every_refusal_of_an_owner_says_what_to_do() -> None:
    """Each has a sentence that names the add-on as the catalog does."""
    assert refused(acme().when(decline())).message == (
        "Nobody is waiting for Analytics+: there is no request to decline."
    )
    assert refused(acme().when(snooze(date.max))).message == (
        "Analytics+ can be snoozed until a day after today, at most a year ahead: choose one."
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_owners_are_answered(name: str) -> None:
    """The three are answered as every command of a member's is."""
    make: Any = COMMANDS[name]
    command: MemberCommand = make("owner")
    answered = answer(command, Cause("c-1", command.ce_type), Accepted(), ("e-1",))
    assert isinstance(answered, CommandAccepted)
    assert (answered.user_id, answered.events) == ("owner", ("e-1",))
