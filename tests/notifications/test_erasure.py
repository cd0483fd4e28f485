"""Once a member is erased nothing that is kept, or said later, tells who they were; what was asked for counts on."""

from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from contracts.accounts import MemberUpdated
from contracts.events import MemberErased, Person
from contracts.notices import NotificationRequested, Template
from contracts.payload import Payload
from services.notifications.account import NotifiedAccount
from services.notifications.digest import NEWEST_MAX
from services.notifications.directory import MemberRow
from services.notifications.history import HISTORY_MAX, said_row
from services.runtime.codec import to_json
from services.runtime.decision import Ignored
from tests.notifications.messages import (
    ACCOUNT,
    AI,
    ANALYTICS,
    DAY,
    HOUR,
    STAFF,
    START,
    account,
    activates_quote,
    asks,
    asks_for_quote,
    buys,
    declines,
    declines_quote,
    invoice,
    member,
    notices,
    owner,
    quote_expires,
    said,
    story,
    trial_ends,
    trial_ends_soon,
    tries,
)
from tests.scenario import Scenario

MARK = "Marla Kerr"
"""Name, address and words of the one who is erased; nobody else's have it."""
ERASED = MemberErased(account_id=ACCOUNT, user_id="marla", erased_at=START + DAY, by=STAFF)
PERSONS = ("requested_by", "started_by", "purchased_by", "declined_by")


def marla(role: str = "supervisor", revision: int = 1, *, active: bool = True) -> MemberUpdated:
    """State who Marla is."""
    fact = member("marla", role, revision, active=active)
    return fact.model_copy(update={"name": MARK, "email": f"{MARK}@acme.test", "locale": MARK})


def by_marla(event: Payload) -> Any:
    """Return an event that Marla caused, in her words."""
    changes: dict[str, Any] = {name: _named(event, name) for name in PERSONS if name in type(event).model_fields}
    if "note" in type(event).model_fields:
        changes["note"] = f"{MARK} needs it"
    return event.model_copy(update=changes)


def _named(event: Payload, place: str) -> Person:
    person: Person = getattr(event, place)
    return Person(user_id="marla", role=person.role, name=MARK)


def kept(scene: Scenario[NotifiedAccount]) -> str:
    """Return all that is stored of the account."""
    return to_json(scene.document).decode() + b"".join(scene._rows.values()).decode()


def emitted(scene: Scenario[NotifiedAccount], since: int = 0) -> str:
    """Return all that was said, but the first so many."""
    return "".join(event.model_dump_json() for event in scene.events[since:])


# -------------------------------------------------------------------------------------------------------- what gathered


def test_requests_count_on_without_who_asked() -> None:
    """People, roles and moments stay; name and note of the one who asked go, those of others stay."""
    scene = story().given(owner(), marla(), by_marla(asks("marla", "supervisor")), asks("adam", note="mine"))
    before = scene.document.requests[ANALYTICS]
    scene.when(ERASED).then_nothing()
    after = scene.document.requests[ANALYTICS]
    assert (after.people, after.roles, after.open_requests) == (2, before.roles, before.open_requests)
    assert {(each.user_id, each.name, each.note) for each in after.newest} == {
        ("marla", None, None),
        ("adam", "Adam", "mine"),
    }
    assert scene.row(f"asked:{ANALYTICS}:marla").request.requested_at == START
    assert MARK not in kept(scene)


def test_a_digest_that_comes_later_names_them_by_id() -> None:
    """The Owners still hear how many asked, in which roles."""
    scene = story().given(owner(), asks("adam"), by_marla(asks("marla", "supervisor")), ERASED)
    scene.advance(2 * DAY)
    told = said(scene)
    assert (told["people"], told["roles"]) == (2, {"admin": 1, "supervisor": 1})
    assert MARK not in emitted(scene)


def test_a_first_notice_that_waits_for_an_owner_goes_out_without_their_name() -> None:
    """Whoever becomes an Owner later is told that somebody asked, and not who that was or what they wrote."""
    scene = story().given(by_marla(asks("marla", "supervisor")), ERASED).when(owner())
    told = said(scene)
    assert told["requested_by"] == {"user_id": "marla", "role": "supervisor", "name": None}
    assert told["note"] is None


def test_a_quote_that_waits_is_passed_on_without_their_note() -> None:
    """What is held for readers to come has neither name nor words."""
    scene = story().given(by_marla(asks_for_quote()), ERASED).when(account(), owner())
    assert notices(scene) == [(Template.QUOTE_REQUESTED, ["olga"])]
    assert said(scene)["requested_by"]["user_id"] == "marla"
    assert MARK not in emitted(scene) + kept(scene)


def test_those_still_to_be_told_are_not_told_who_refused() -> None:
    """What an Owner wrote as they turned requests down goes with them, also where the telling is under way."""
    scene = story().given(owner(), asks("adam"), by_marla(declines(START + HOUR)), ERASED).advance(HOUR)
    assert notices(scene) == [(Template.FEATURE_DECLINED, ["adam"])]
    assert said(scene)["declined_by"]["user_id"] == "marla"
    assert MARK not in emitted(scene, since=1) + kept(scene)


def test_what_was_said_is_kept_without_them() -> None:
    """Every notification of the history has lost name and words, and is otherwise as it was."""
    scene = story().given(owner(), by_marla(asks("marla")), by_marla(asks_for_quote()), account(), invoice())
    numbers = range(1, scene.document.notifications + 1)
    before = [scene.row(said_row(number)) for number in numbers]
    assert sum(MARK in row.model_dump_json() for row in before) == 2
    scene.given(ERASED)
    for row, after in zip(before, (scene.row(said_row(number)) for number in numbers), strict=True):
        assert after.model_copy(update={"data": row.data}) == row
        assert after.data.keys() == row.data.keys()
    assert MARK not in kept(scene)


# -------------------------------------------------------------------------------------------------------------- readers


def test_an_erased_owner_reads_nothing_more() -> None:
    """Whoever was an Owner as the erasure came is one no longer, also where the fact of it is still to come."""
    scene = story().given(marla("owner"), ERASED)
    assert not scene.document.has_owners
    scene.when(asks("adam")).then_nothing()
    scene.when(marla("owner", 7)).then_nothing()
    assert scene.when(owner()).emitted_of(NotificationRequested)


def test_who_asked_and_was_erased_is_not_told() -> None:
    """A page of those who asked passes over them."""
    scene = story().given(
        owner(), marla(), by_marla(asks("marla")), asks("adam"), ERASED, buys("olga", at=START + HOUR)
    )
    scene.advance(HOUR)
    assert notices(scene) == [(Template.REQUESTED_ADD_ON_PURCHASED, ["adam"])]


@pytest.mark.parametrize(
    "event",
    [
        asks("marla"),
        asks_for_quote(),
        declines(START + HOUR),
        buys("marla"),
        tries("marla"),
        trial_ends_soon("marla"),
        trial_ends("marla"),
        activates_quote("marla"),
        declines_quote(),
        quote_expires(),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_comes_late_is_heard_without_them(event: Payload) -> None:
    """An event from before that fills a gap, of whatever type, leaves nothing of them, and no notice has it."""
    scene = story().given(account(), owner(), asks("adam"), ERASED).when(by_marla(event))
    assert not isinstance(scene.decision, Ignored)
    scene.advance(2 * DAY)
    assert MARK not in kept(scene) + emitted(scene)


# -------------------------------------------------------------------------------------------------------- the directory


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_in_whatever_order_it_comes_they_end_erased(order: tuple[int, ...]) -> None:
    """Facts and the erasure are on topics without an order: the row ends the same."""
    messages = (marla("owner", 1), marla("owner", 2, active=False), marla("owner", 3), ERASED)
    scene = story().given(*(messages[number] for number in order))
    assert scene.row("member:marla") == MemberRow(revision=3, role="owner", active=False, erased_at=ERASED.erased_at)
    assert not scene.document.has_owners
    assert MARK not in kept(scene)


def test_whom_no_fact_has_told_of_is_erased_all_the_same() -> None:
    """The event leaves a row that no fact of any revision brings back."""
    scene = story().given(ERASED)
    assert scene.row("member:marla") == MemberRow(revision=-1, role="", active=False, erased_at=ERASED.erased_at)
    scene.given(marla(revision=0))
    assert scene.row("member:marla").revision == 0
    assert MARK not in kept(scene)


# ----------------------------------------------------------------------------------------------------------------- cost


def test_an_erasure_reads_what_is_kept_of_what_was_said_and_no_member_more() -> None:
    """It reads the member, their requests and the ring; it writes what named them; a repetition writes nothing new."""
    scene = story().given(owner(), by_marla(asks("marla")), by_marla(asks("marla", add_on=AI)))
    scene.given(*(invoice(number) for number in range(1, HISTORY_MAX + 20)))
    for number in range(NEWEST_MAX + 5):
        scene.given(member(f"u{number}", "admin"), asks(f"u{number}"))
    scene.given(by_marla(asks_for_quote()), account())
    before = dict(scene._rows)

    scene.when(ERASED)

    asked = {f"asked:{add_on}:marla" for add_on in (ANALYTICS, AI)}
    ring = {said_row(number) for number in range(HISTORY_MAX)}
    assert set(scene.loaded) == {"owners", "member:marla", *asked, *ring}
    last = said_row(scene.document.notifications)
    assert {name for name, row in scene._rows.items() if before.get(name) != row} == {"member:marla", last, *asked}
    stored = dict(scene._rows)
    scene.when(ERASED).then_nothing()
    assert scene._rows == stored


# ----------------------------------------------------------------------------------------------------- whatever happens

EVENTS = [
    *(asks("marla", "supervisor"), asks("marla", "owner", AI), asks_for_quote(), asks_for_quote("quote-2", AI)),
    *(buys("marla"), tries("marla"), tries("marla", AI), declines(START + HOUR), declines(START + DAY, AI)),
    *(trial_ends_soon("marla"), trial_ends("marla"), activates_quote("marla"), declines_quote(), quote_expires()),
]
STEPS = st.one_of(
    st.sampled_from([by_marla(event) for event in EVENTS]),
    st.sampled_from([by_marla(event) for event in EVENTS]),
    st.builds(marla, st.sampled_from(["owner", "supervisor"]), st.integers(0, 9), active=st.booleans()),
    st.sampled_from([owner(), member("olga", "owner", 2, active=False), owner("otto"), account(), invoice()]),
    st.sampled_from([asks("adam", note="adam's"), buys("olga"), declines(START + 2 * HOUR)]),
    st.integers(1, 30).map(lambda hours: timedelta(hours=hours)),
)


def play(scene: Scenario[NotifiedAccount], steps: list[Any]) -> None:
    """Live through messages and hours."""
    for step in steps:
        if isinstance(step, timedelta):
            scene.advance(step)
        else:
            scene.when(step)


@settings(max_examples=300, deadline=None)
@drawn(st.lists(STEPS, max_size=25), st.lists(STEPS, max_size=25))
def test_once_erased_nothing_says_who_they_were(before: list[Any], after: list[Any]) -> None:
    """Whatever was heard before and comes later: no stored byte and no later notice has name, address or words."""
    scene = story()
    play(scene, before)
    scene.given(ERASED)
    said_before = len(scene.events)
    assert MARK not in kept(scene)
    for step in [*after, owner("olive"), account(2), 60 * DAY]:
        play(scene, [step])
        assert MARK not in kept(scene)
    assert MARK not in emitted(scene, said_before)


def test_the_mark_would_be_found() -> None:
    """Without an erasure the mark is where these tests look for it."""
    scene = story().given(marla("owner"), *(by_marla(event) for event in EVENTS), account())
    for text in (kept(scene), emitted(scene)):
        assert MARK in text
    assert MARK in scene.row("owners").model_dump_json()
