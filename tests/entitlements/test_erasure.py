"""An erased member is nobody any more: what they did stays under their id, and nothing says who they were."""

import json
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from contracts.accounts import MemberUpdated
from contracts.backoffice import ActivateAddOn, DeclineQuote, EraseMember
from contracts.commands import DeclineFeature
from contracts.events import AddOnPurchased, MemberErased
from contracts.results import Action, Ask, Reason
from services.entitlements.account import Entitlements, Member
from services.runtime.codec import to_json
from services.runtime.decision import Message, Rejected, State
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CONVERTING,
    DECIDER,
    NOW,
    STAFF,
    UNLIKE,
    account,
    acme,
    asks,
    dollars,
    given,
    having,
    member,
    quote,
    refused,
    request,
    says,
    staff,
    then_refused,
    trial,
)
from tests.scenario import Scenario

ERASE = staff(EraseMember, user_id="owner")
ERASED = MemberErased(account_id=ACCOUNT, user_id="owner", erased_at=NOW, by=STAFF)
MARK = "Marla Kerr"
"""A name, an address and a note that stand for a person; nobody else's has it."""


def removed(*before: Message, **changes: Any) -> Scenario[Entitlements]:
    """Begin a story in which the Owner did something, and was removed."""
    return having(acme(**changes), *before, member("owner", revision=2, removed=True))


def kept(story: Scenario[Entitlements]) -> str:
    """Return all that is stored of the account."""
    return to_json(story.document).decode() + b"".join(story._rows.values()).decode()


# ---------------------------------------------------------------------------------------------------------- the command


def test_a_removed_member_is_erased() -> None:
    """The event names them by id; what is left is what tells a stale fact, and the role."""
    story = removed().when(ERASE).then(ERASED)
    assert story.row("member:owner") == Member(revision=2, role="owner", status="removed", erased_at=NOW)
    assert story.row("member:admin").name == "Admin"
    assert "Owner" not in kept(story)


def test_it_costs_one_row() -> None:
    """It reads the member's row and the document, however many members there are."""
    assert removed().when(ERASE).loaded == ("member:owner",)


def test_a_member_who_is_active_is_not_erased() -> None:
    """First the account system removes them, or its next fact would have them back."""
    story = acme().when(ERASE)
    then_refused(story, Reason.CHANGE_NOT_ALLOWED)
    assert refused(story).message == "The member is still active: remove them in the account system first."
    assert story.row("member:owner").name == "Owner"


def test_nobody_is_erased_twice() -> None:
    """The second time there is nothing left to erase, and no second event."""
    then_refused(having(removed(), ERASE).when(ERASE), Reason.CHANGE_NOT_ALLOWED)


def test_who_is_not_known_is_not_erased() -> None:
    """First the account, then the member."""
    then_refused(given(member("owner", removed=True)).when(ERASE), Reason.ACCOUNT_UNKNOWN)
    then_refused(acme().when(staff(EraseMember, user_id="stranger")), Reason.MEMBER_UNKNOWN)


# -------------------------------------------------------------------------------------------------- what they had begun


def test_what_they_started_goes_on_without_their_name() -> None:
    """A trial that converts is bought by their id; the event has no name, and neither has what is stored."""
    story = having(acme(), trial("owner", CONVERTING), member("owner", revision=2, removed=True), ERASE)
    assert "Owner" not in kept(story)

    story.advance(timedelta(days=60))

    bought = next(event for event in story.events if isinstance(event, AddOnPurchased))
    assert (bought.purchased_by.user_id, bought.purchased_by.role, bought.purchased_by.name) == ("owner", "owner", None)
    after = story.events[story.events.index(ERASED) :]
    assert after[1:]
    assert not [event for event in after if "Owner" in event.model_dump_json()]


@pytest.mark.parametrize("order", [staff(DeclineQuote), staff(ActivateAddOn, unit_price=dollars(900))])
def test_their_quote_is_answered_without_their_name(order: Message) -> None:
    """An open quote can still be declined or activated: it is the account's."""
    story = having(removed(quote(note="mine"), sales_managed=True), ERASE).when(order)
    [event] = story.emitted
    assert '"user_id":"owner"' in event.model_dump_json()
    assert "Owner" not in event.model_dump_json()


def test_another_members_trial_keeps_its_name() -> None:
    """Only who was erased is forgotten."""
    story = having(acme(), trial("admin"), member("owner", revision=2, removed=True), ERASE)
    has = story.document.add_ons[ADD_ON].trial
    assert has is not None
    assert has.started_by.name == "Admin"


# ---------------------------------------------------------------------------------------------------------- later facts


@pytest.mark.parametrize("revision", [1, 2, 3, 9])
@pytest.mark.parametrize("is_removed", [True, False])
def test_no_later_fact_brings_them_back(revision: int, is_removed: bool) -> None:
    """Whatever the account system says then, nothing says who they were, and they are a member no more."""
    story = having(removed(), ERASE).when(member("owner", "admin", revision=revision, removed=is_removed))
    row = story.row("member:owner")
    assert (row.revision, row.role) == ((revision, "admin") if revision > 2 else (2, "owner"))
    assert (row.status, row.name, row.email, row.erased_at) == ("removed", None, None, NOW)
    for action in Action:
        then_refused(story.when(asks(action, "owner")), Reason.MEMBER_UNKNOWN, ask=Ask.OWNER)


def test_an_erasure_that_comes_before_every_fact_stays() -> None:
    """A rebuild may read the event first: whom no fact had told of is erased, and stays so."""
    rows: defaultdict[str, Any] = defaultdict(lambda: None)
    state = DECIDER.evolve(State(ACCOUNT, DECIDER.initial(), rows), ERASED)
    assert state.row("member:owner") == Member(revision=-1, role="", status="removed", erased_at=NOW)
    for fact in (member("owner", revision=0), member("owner", "agent", revision=5)):
        state = DECIDER.evolve(state, fact)
    assert state.row("member:owner") == Member(revision=5, role="agent", status="removed", erased_at=NOW)


# ----------------------------------------------------------------------------------------------------- whatever happens


def fact(revision: int, role: str = "owner", *, is_removed: bool = False) -> MemberUpdated:
    """State the member `owner`, whose name and address have the mark, in any role."""
    said = member("owner", role, revision=revision, removed=is_removed)
    return said.model_copy(update={"name": MARK, "email": f"{MARK}@acme.example", "locale": MARK})


STEPS = st.one_of(
    st.builds(fact, st.integers(11, 20), st.sampled_from(["owner", "admin"]), is_removed=st.booleans()),
    st.sampled_from([ERASE, ERASE, fact(21, is_removed=True), account(2, sales_managed=True)]),
    st.builds(asks, st.sampled_from(Action), st.just("owner"), st.sampled_from([ADD_ON, CONVERTING])),
    st.sampled_from(
        [
            quote(note=MARK),
            request("owner", note=MARK),
            request(note="plain"),
            says(DeclineFeature, add_on=ADD_ON, note=MARK),
        ]
    ),
    st.sampled_from([staff(DeclineQuote), staff(ActivateAddOn, unit_price=dollars(1)), trial("admin")]),
    st.integers(1, 40).map(lambda days: timedelta(days=days)),
)


def play(steps: list[Message | timedelta]) -> tuple[Scenario[Entitlements], list[Message]]:
    """Live through facts, commands, days and erasures; return the story, and the facts that were taken."""
    story, taken = acme(), list[Message]([account(), *map(member, ("owner", "admin", "supervisor", "agent"))])
    for step in steps:
        if isinstance(step, timedelta):
            story.advance(step)
            continue
        story.when(step)
        if isinstance(step, MemberUpdated) and not isinstance(story.decision, Rejected):
            taken.append(step)
    return story, taken


@settings(max_examples=300, deadline=None)
@drawn(st.lists(STEPS, max_size=20))
def test_once_erased_nothing_says_who_they_were(steps: list[Any]) -> None:
    """Whatever happens before and after: no stored byte and no later event has name, address, locale or note."""
    story, _ = play([fact(10), *steps, fact(30, is_removed=True), ERASE, *steps, fact(40)])
    erased = next(number for number, event in enumerate(story.events) if isinstance(event, MemberErased))
    assert MARK not in kept(story)
    assert not [event for event in story.events[erased:] if MARK in event.model_dump_json()]
    assert sum(isinstance(event, MemberErased) for event in story.events) == 1


@settings(max_examples=150, deadline=None)
@drawn(st.lists(STEPS, max_size=20), st.randoms(use_true_random=False))
def test_the_log_read_in_any_order_ends_erased(steps: list[Any], order: Any) -> None:
    """Facts and events, each in their order and mixed in any way, come to what is stored: erased."""
    story, facts = play([fact(10), *steps, fact(30, is_removed=True), ERASE])
    queues: list[list[Any]] = [story.events.copy(), _newer_ones(facts)]
    state: State[Entitlements] = State(ACCOUNT, DECIDER.initial(), defaultdict(lambda: None))
    while any(queues):
        state = UNLIKE.evolve(state, order.choice([queue for queue in queues if queue]).pop(0))
    assert MARK not in to_json(state.document).decode()
    assert {name: row for name, row in state.written.items() if name.startswith("member:")} == {
        name: story.row(name) for name in story._rows if name.startswith("member:")
    }


def _newer_ones(facts: list[Any]) -> list[Any]:
    """Return the facts that were not stale when they came."""
    seen: dict[str, int] = {}
    newer = []
    for each in facts:
        if not isinstance(each, MemberUpdated) or each.revision > seen.get(each.user_id, -1):
            newer.append(each)
            seen[getattr(each, "user_id", "")] = each.revision
    return newer


def test_the_mark_would_be_found() -> None:
    """Without an erasure the mark is where these tests look for it."""
    story, _ = play([fact(10), trial(), fact(30, is_removed=True)])
    assert MARK in kept(story)
    assert json.loads(story._rows["member:owner"])["email"] == f"{MARK}@acme.example"
    assert MARK in story.events[-1].model_dump_json()
