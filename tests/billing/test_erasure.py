"""Billing keeps nothing of who a member is; an erased one sees nothing any more, and what was charged stays."""

from collections import defaultdict
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from contracts.accounts import MemberUpdated
from contracts.backoffice import Staff
from contracts.events import MemberErased
from contracts.results import Ask, Reason
from services.billing.account import BillingAccount
from services.billing.directory import MemberRow, owner_refusal
from services.billing.domain import BillingDecider
from services.runtime.codec import to_json
from services.runtime.decision import Accepted, Rejected, State
from tests.billing.scenario import ACCOUNT, NOW, given, purchase
from tests.scenario import Scenario

MARK = "Marla Kerr"
ERASED = MemberErased(account_id=ACCOUNT, user_id="olga", erased_at=NOW, by=Staff(staff_id="sue", reason="asked"))


def olga(revision: int = 1, *, active: bool = True) -> MemberUpdated:
    """State an Owner whose name and address are the mark."""
    status: Any = "active" if active else "removed"
    return MemberUpdated(
        account_id=ACCOUNT, revision=revision, user_id="olga", role="owner", status=status, name=MARK, email=MARK
    )


def kept(story: Scenario[BillingAccount]) -> str:
    """Return all that is stored of the account."""
    return to_json(story.document).decode() + b"".join(story._rows.values()).decode()


def test_an_erasure_leaves_the_ledger_and_charges_nothing() -> None:
    """It reads and writes the member's row alone: invoices and purchases stay as they are."""
    story = given(purchase()).given(olga(), olga(2, active=False))
    before = dict(story._rows)
    story.when(ERASED).then_nothing()
    assert isinstance(story.decision, Accepted)
    assert story.loaded == ("member:olga",)
    assert story.row("member:olga") == MemberRow(revision=2, role="owner", active=False, erased_at=NOW)
    assert {name for name in story._rows if story._rows[name] != before[name]} == {"member:olga"}


@pytest.mark.parametrize("revision", [1, 2, 3])
def test_who_was_erased_is_no_owner_again(revision: int) -> None:
    """Whatever fact comes later, they see nothing of what is charged."""
    story = given().given(olga(), olga(2, active=False), ERASED, olga(revision))
    state = State(ACCOUNT, story.document, {"member:olga": story.row("member:olga")})
    refusal = owner_refusal(state, "olga", account_known=True)
    assert isinstance(refusal, Rejected)
    assert (refusal.reason, refusal.ask) == (Reason.MEMBER_UNKNOWN, Ask.OWNER)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_whatever_order_it_comes_they_end_erased(order: tuple[int, ...]) -> None:
    """Facts and the erasure are on topics without an order: the row ends the same, and nothing says who they were."""
    messages = (olga(1), olga(2, active=False), olga(3), ERASED)
    story = given().given(*(messages[number] for number in order))
    assert story.row("member:olga") == MemberRow(revision=3, role="owner", active=False, erased_at=NOW)
    assert MARK not in kept(story)


def test_whom_no_fact_has_told_of_is_erased_all_the_same() -> None:
    """The event leaves a row that the first fact, of any revision, does not bring back."""
    rows: defaultdict[str, Any] = defaultdict(lambda: None)
    state = BillingDecider().evolve(State(ACCOUNT, BillingAccount(), rows), ERASED)
    assert state.row("member:olga") == MemberRow(revision=-1, role="", active=False, erased_at=NOW)


def test_renewals_go_on() -> None:
    """What an erased Owner bought is billed on, and no invoice says who they were."""
    bought = purchase()
    named = bought.model_copy(update={"purchased_by": bought.purchased_by.model_copy(update={"name": MARK})})
    story = given(named).given(olga(), olga(2, active=False), ERASED)
    story.advance(timedelta(days=90))
    assert story.emitted
    assert MARK not in kept(story) + "".join(event.model_dump_json() for event in story.events)
