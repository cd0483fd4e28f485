"""Feature requests reach the Owners: the first at once, the others in a digest, none of them never."""

import json
from datetime import date, timedelta

import pytest

from contracts.commands import RequestFeature
from contracts.events import AddOnGranted
from contracts.notices import NotificationRequested, Recipient, Template
from services.runtime.decision import Accepted, TimerDue
from tests.notifications.messages import (
    ACCOUNT,
    AI,
    ANALYTICS,
    DAY,
    HOUR,
    STAFF,
    START,
    account,
    asks,
    buys,
    member,
    notices,
    owner,
    said,
    story,
)
from tests.scenario import made

FIRST, DIGEST = "feature_request_first", "feature_request_digest"


def test_the_first_request_reaches_the_owners_at_once() -> None:
    """The first request for an add-on is told to the Owners when it is made, with everything the template needs."""
    scene = story().given(owner()).when(asks("sam", "supervisor", note="for reports"), cause_id="request-1")

    scene.then(
        NotificationRequested(
            account_id=ACCOUNT,
            notification_id=made(f"{FIRST}:{ANALYTICS}", "request-1", START),
            template=Template.FEATURE_REQUEST_FIRST,
            requested_at=START,
            recipients=(Recipient(user_id="olga", email="olga@acme.test", name="Olga"),),
            data={
                "add_on": ANALYTICS,
                "add_on_name": "Analytics+",
                "requested_by": {"user_id": "sam", "role": "supervisor", "name": "Sam"},
                "note": "for reports",
                "requested_at": "2026-09-30T09:00:00Z",
            },
        )
    )
    assert not scene.document.timers


def test_further_requests_wait_for_the_digest() -> None:
    """The second request is not told at once, but at the next 09:00 (of UTC, while the account's zone is unknown)."""
    scene = story().given(owner(), asks("sam")).when(asks("adam", at=START + HOUR)).then_nothing()

    assert scene.document.timers == {"digest": START + DAY}
    scene.advance(DAY - HOUR).then_nothing()
    assert notices(scene.advance(HOUR)) == [(DIGEST, ["olga"])]


def test_the_story_of_three_people() -> None:
    """A supervisor and two admins ask: one notice at once, then one digest that counts three people."""
    scene = story().given(owner())

    assert notices(scene.when(asks("sam", "supervisor", note="reports"))) == [(FIRST, ["olga"])]
    scene.when(asks("adam", at=START + HOUR), asks("anna", at=START + 2 * HOUR, note="me too")).then_nothing()

    assert notices(scene.advance(2 * DAY)) == [(DIGEST, ["olga"])]
    digest = said(scene)
    names_and_notes = [(entry["name"], entry["note"]) for entry in digest.pop("newest")]
    assert names_and_notes == [("Anna", "me too"), ("Adam", None), ("Sam", "reports")]
    assert digest == {
        "add_on": ANALYTICS,
        "add_on_name": "Analytics+",
        "people": 3,
        "roles": {"supervisor": 1, "admin": 2},
        "first_requested_at": "2026-09-30T09:00:00Z",
        "last_requested_at": "2026-09-30T11:00:00Z",
        "new_requests": 2,
    }
    assert not scene.document.timers


def test_a_demonstration_need_not_wait_for_the_morning() -> None:
    """A deployment may have its digests so long after the oldest news, whatever the hour and the account's zone."""
    scene = story(digest_delay=HOUR).given(account(), owner(), asks("sam"), asks("adam"))

    assert scene.document.timers == {"digest": START + HOUR}
    assert notices(scene.advance(HOUR)) == [(DIGEST, ["olga"])]


def test_each_add_on_has_its_own_first_notice_and_digest() -> None:
    """Add-ons are counted apart; one timer sends one digest per add-on with news, and none for one without."""
    scene = story().given(owner())
    for add_on in (ANALYTICS, AI, "unheard_of"):
        assert notices(scene.when(asks("sam", add_on=add_on))) == [(FIRST, ["olga"])]

    scene.given(asks("adam", add_on=ANALYTICS), asks("adam", add_on=AI, at=START + HOUR)).advance(DAY)

    assert [event.data["add_on"] for event in scene.emitted_of(NotificationRequested)] == [ANALYTICS, AI]
    assert len({event.notification_id for event in scene.emitted_of(NotificationRequested)}) == 2
    scene.advance(DAY).then_nothing()


@pytest.mark.parametrize("add_on", ["unheard_of", "a:b", "a b", "10% für alle"])
def test_an_unknown_add_on_goes_by_its_id(add_on: str) -> None:
    """An add-on that the catalog does not list, whatever its id, is told under its id and its requesters are paged."""
    scene = story().given(owner()).when(asks("sam", add_on=add_on))

    assert said(scene)["add_on_name"] == add_on
    scene.when(buys(add_on=add_on))
    assert all(" " not in name for name in scene.document.timers)
    assert notices(scene.advance()) == [("requested_add_on_purchased", ["sam"])]


def test_the_same_person_asking_twice_is_counted_once() -> None:
    """A second request of the same person is told with its note, and counts no second person."""
    scene = story().given(owner(), asks("sam", note="please"), asks("sam", at=START + HOUR, note="please!"))

    digest = said(scene.advance(2 * DAY))
    assert (digest["people"], digest["roles"], digest["new_requests"]) == (1, {"admin": 1}, 1)
    assert [entry["note"] for entry in digest["newest"]] == ["please!"]
    assert scene.row(f"requester:{ANALYTICS}:2") is None


def test_every_owner_is_told_also_one_who_joined_later() -> None:
    """An Owner who joins between the first notice and the digest receives the digest."""
    scene = story().given(owner(), asks("sam"), asks("adam"), owner("otto"))

    assert notices(scene.advance(DAY)) == [(DIGEST, ["olga", "otto"])]


@pytest.mark.parametrize(
    "change", [member("otto", "owner", 2, active=False), member("otto", "admin", 2)], ids=["removed", "demoted"]
)
def test_who_is_no_owner_any_more_is_not_told(change: object) -> None:
    """An Owner who was removed or demoted before a notice does not receive it."""
    scene = story().given(owner(), owner("otto"), asks("sam"), asks("adam"), change)  # type: ignore[arg-type]

    assert notices(scene.advance(DAY)) == [(DIGEST, ["olga"])]


def test_an_owner_is_reached_at_their_latest_address() -> None:
    """A newer fact about an Owner changes name and address in the next notice."""
    scene = story().given(owner(), member("olga", "owner", 2, name="Olga II")).when(asks("sam"))

    (notice,) = scene.emitted_of(NotificationRequested)
    assert [reader.name for reader in notice.recipients] == ["Olga II"]


@pytest.mark.parametrize("revision", [1, 2])
def test_a_stale_fact_about_a_member_is_ignored(revision: int) -> None:
    """A fact whose revision is not higher than the known one changes nobody's role."""
    scene = story().given(member("olga", "owner", 2)).when(member("olga", "agent", revision)).then_ignored("stale")

    assert notices(scene.when(asks("sam"))) == [(FIRST, ["olga"])]


def test_a_removed_owner_stays_removed() -> None:
    """A stale fact that arrives after a removal does not bring an Owner back."""
    scene = story().given(member("olga", "owner", 2, active=False)).when(owner(revision=1)).then_ignored("stale")

    scene.when(asks("sam")).then_nothing()


def test_members_who_are_no_owners_are_not_told() -> None:
    """Requests are for Owners: admins, supervisors and agents hear nothing of them."""
    roles = ("admin", "supervisor", "agent", "someone_new")
    scene = story().given(*(member(role, role) for role in roles)).when(asks("sam")).then_nothing()

    scene.advance(7 * DAY).then_nothing()


def test_without_an_owner_the_first_notice_waits_for_one() -> None:
    """A request made before any Owner is known is told when the first one joins, by the first notice."""
    scene = story().given(asks("sam", "supervisor")).advance(7 * DAY).then_nothing()

    assert notices(scene.when(owner())) == [(FIRST, ["olga"])]
    assert said(scene)["requested_by"]["user_id"] == "sam"
    scene.advance(7 * DAY).then_nothing()


def test_the_order_of_topics_does_not_change_what_owners_hear() -> None:
    """Requests that overtake the fact about the Owner lead to the same first notice and the same digest."""
    requests = (asks("sam", "supervisor"), asks("adam"), asks("anna"))
    late, early = story().given(*requests).when(owner()), story().given(owner()).when(*requests)

    assert [event.data for event in late.emitted_of(NotificationRequested)] == [
        event.data for event in early.emitted_of(NotificationRequested)
    ]
    assert said(late.advance(DAY)) == said(early.advance(DAY))


def test_news_waits_for_an_owner_and_goes_out_when_one_joins() -> None:
    """When the last Owner leaves, no digest is due; when another joins, what is overdue goes out at once."""
    scene = story().given(owner(), asks("sam"), asks("adam")).given(member("olga", "owner", 2, active=False))
    assert not scene.document.timers
    scene.advance(7 * DAY).then_nothing()

    scene.when(owner("otto")).then_nothing()
    assert notices(scene.advance()) == [(DIGEST, ["otto"])]
    assert said(scene)["people"] == 2


def test_a_purchase_drops_the_news() -> None:
    """After the purchase of an add-on there is nothing left to ask for; news of other add-ons is still told."""
    scene = story().given(owner(), asks("sam"), asks("adam"), asks("sam", add_on=AI), asks("adam", add_on=AI))

    scene.given(buys(at=START + HOUR)).advance(HOUR)
    assert [event.data["add_on"] for event in scene.advance(DAY).emitted_of(NotificationRequested)] == [AI]


def test_a_purchase_without_other_news_calls_off_the_digest() -> None:
    """When the purchased add-on was the only news, no timer is left to fire for nothing."""
    scene = story().given(owner(), asks("sam"), asks("adam"), buys(at=START + HOUR)).advance(HOUR)

    assert not scene.document.timers


def test_requests_after_a_purchase_are_news_again_beside_the_history() -> None:
    """When an add-on is asked for again after its purchase, the next digest tells it; earlier people still count."""
    scene = story().given(owner(), asks("sam"), buys(at=START + HOUR)).advance(HOUR)

    digest = said(scene.given(asks("adam", at=START + 2 * HOUR)).advance(2 * DAY))
    assert (digest["people"], digest["new_requests"]) == (2, 1)


def test_a_request_delivered_after_the_purchase_it_preceded_is_not_told() -> None:
    """A request that was made before the purchase and arrives after it is history."""
    scene = story().given(owner(), buys(at=START + HOUR)).when(asks("sam", at=START)).then_nothing()

    assert scene.document.requests[ANALYTICS].people == 1
    assert "digest" not in scene.document.timers


def test_a_timer_that_was_called_off_is_ignored() -> None:
    """A digest timer that was cleared between coming due and being handled sends nothing."""
    scene = story().given(owner(), asks("sam"))

    scene.when(TimerDue(ACCOUNT, "digest", START)).then_nothing().then_ignored("called off")


def test_a_timer_that_was_set_anew_keeps_waiting() -> None:
    """A digest timer handled before its new instant sends nothing and stays set."""
    scene = story().given(owner(), asks("sam"), asks("adam"))

    scene.when(TimerDue(ACCOUNT, "digest", START)).then_nothing()
    assert scene.decision == Accepted()
    assert scene.document.timers == {"digest": START + DAY}


def test_a_digest_due_between_two_milliseconds_is_sent_once() -> None:
    """Timers come due by the millisecond; a request with microseconds does not make its digest wait for itself."""
    at = START + timedelta(microseconds=1_999)
    scene = story(digest_delay=DAY).given(owner(), asks("sam"), asks("adam", at=at))

    assert notices(scene.advance(DAY + timedelta(milliseconds=1))) == [(DIGEST, ["olga"])]


@pytest.mark.parametrize(
    "message",
    [
        AddOnGranted(account_id=ACCOUNT, add_on=ANALYTICS, until=date(2026, 12, 1), granted_at=START, by=STAFF),
        RequestFeature(account_id=ACCOUNT, user_id="sam", add_on=ANALYTICS),
    ],
    ids=["grant", "command"],
)
def test_messages_of_no_concern_are_ignored(message: AddOnGranted | RequestFeature) -> None:
    """Nobody is told of a grant or of a command."""
    story().given(owner()).when(message).then_nothing().then_ignored("nobody is told")


def test_notice_data_is_json() -> None:
    """Everything a notice says survives JSON unchanged."""
    scene = story().given(owner(), asks("sam"), asks("adam"), buys()).advance(DAY)

    assert scene.events
    for event in scene.events:
        assert isinstance(event, NotificationRequested)
        assert json.loads(json.dumps(event.data)) == event.data
