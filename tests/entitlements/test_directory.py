"""What entitlements remembers of accounts and members, what a command costs, and how it is answered."""

import pytest

from contracts.results import Action, Ask, CommandAccepted, CommandRejected, Reason
from services.entitlements.account import Entitlements, rows_of
from services.entitlements.domain import EntitlementsDecider, answer
from services.runtime.decision import Accepted, Cause, Decider, Rejected, State, TimerDue
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CATALOG,
    DECIDER,
    NOW,
    account,
    acme,
    asks,
    given,
    member,
    purchase,
    refused,
    request,
    trial,
)

# --------------------------------------------------------------------------------------------------------------- facts


@pytest.mark.parametrize("revision", [4, 5])
def test_a_stale_account_fact_is_ignored(revision: int) -> None:
    """An account fact of the same or a lower revision than the known one changes nothing."""
    story = given(account(5)).when(account(revision, status="closed")).then_ignored("revision")
    assert story.document.account is not None
    assert (story.document.account.revision, story.document.account.status) == (5, "active")


@pytest.mark.parametrize("revision", [4, 5])
def test_a_stale_member_fact_is_ignored(revision: int) -> None:
    """A member fact of the same or a lower revision changes nothing, also after a removal."""
    story = given(member("owner", revision=5, removed=True)).when(member("owner", revision=revision))
    story.then_ignored("revision")
    assert story.row("member:owner").status == "removed"


def test_a_newer_account_fact_keeps_what_the_account_has() -> None:
    """Facts of the account system never touch add-ons."""
    story = acme().given(purchase()).when(account(2, status="closed"))
    assert story.document.add_ons[ADD_ON].subscription is not None
    assert story.document.account is not None
    assert story.document.account.status == "closed"


def test_revision_zero_is_a_first_revision() -> None:
    """A subject's first fact is taken whatever its revision."""
    story = given(account(0), member("owner", revision=0))
    assert story.document.account is not None
    assert story.row("member:owner").role == "owner"


def test_what_is_of_no_concern_is_ignored() -> None:
    """A timer and entitlements' own events change nothing."""
    purchased = acme().when(purchase())
    acme().when(TimerDue(ACCOUNT, "anything", NOW)).then_ignored("of no concern")
    acme().when(*purchased.emitted).then_ignored("of no concern")


# ---------------------------------------------------------------------------------------------------------------- cost


def test_a_member_more_costs_a_command_nothing() -> None:
    """With 10,000 members who all asked, a command loads the two rows it loads with one, and the document is as big."""
    small, big = acme().given(request()), acme().given(request())
    big._rows |= {f"member:u{number}": big._rows["member:admin"] for number in range(10_000)}
    big._rows |= {f"request:{ADD_ON}:u{number}": big._rows[f"request:{ADD_ON}:admin"] for number in range(10_000)}
    for story in (small, big):
        for action in Action:
            assert story.when(asks(action, "supervisor")).loaded == rows_of("supervisor", ADD_ON)
    assert big.document_bytes == small.document_bytes
    assert "u9999" not in repr(big.document)


def test_open_actions_are_what_a_refusal_offers() -> None:
    """Whoever asks beforehand is told what a refused command would have been told."""
    story = acme().when(request("owner"))
    rows = {name: story.row(name) for name in rows_of("owner", ADD_ON)}
    state = State(ACCOUNT, story.document, rows)
    assert DECIDER.open_actions(state, "owner", ADD_ON, NOW) == refused(story).allowed_instead


def test_it_is_a_decider() -> None:
    """The runtime can run it, and its rows are known by their prefix."""
    decider: Decider[Entitlements] = EntitlementsDecider(CATALOG)
    assert {name.partition(":")[0] for name in rows_of("owner", ADD_ON)} == set(decider.row_types)


# ------------------------------------------------------------------------------------------------------------- answers


def test_an_accepted_command_is_answered_with_its_events() -> None:
    """CommandAccepted names the command, who sent it, and the ids of what it caused, in order."""
    cause = Cause("c-1", "addons.PurchaseAddOn.v1")
    assert answer(purchase(), cause, Accepted(), ("e-1", "e-2")) == CommandAccepted(
        account_id=ACCOUNT, command_id="c-1", command_type=cause.type, user_id="owner", events=("e-1", "e-2")
    )


def test_a_refused_command_is_answered_with_its_reason() -> None:
    """CommandRejected carries the reason, the sentence, what is allowed instead and whom to ask."""
    refusal = Rejected(Reason.TRIAL_ALREADY_USED, "Once only.", (Action.REQUEST_FEATURE,), Ask.OWNER)
    assert answer(trial(), Cause("c-1", "addons.StartTrial.v1"), refusal, ()) == CommandRejected(
        account_id=ACCOUNT,
        command_id="c-1",
        command_type="addons.StartTrial.v1",
        user_id="owner",
        reason=Reason.TRIAL_ALREADY_USED,
        message="Once only.",
        allowed_instead=(Action.REQUEST_FEATURE,),
        ask=Ask.OWNER,
    )


def test_only_commands_are_answered() -> None:
    """To answer a fact is a defect."""
    with pytest.raises(TypeError, match="no command"):
        answer(account(), Cause("f-1", "addons.AccountUpdated.v1"), Accepted(), ())
