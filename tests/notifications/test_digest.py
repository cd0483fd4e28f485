"""How requests add up: the aggregate on its own."""

from datetime import datetime, timedelta

import pytest

from services.notifications.digest import (
    NEWEST_MAX,
    Aggregate,
    Request,
    add,
    after_digest,
    after_first_notice,
    after_purchase,
    digest,
    first_notice,
    latest,
)
from tests.notifications.messages import HOUR, START


def request(user_id: str, role: str = "admin", at: datetime = START, note: str | None = None) -> Request:
    """Make a request."""
    return Request(user_id=user_id, role=role, name=user_id.capitalize(), note=note, requested_at=at)


def aggregate_of(*requests: Request) -> Aggregate:
    """Add up requests in order."""
    aggregate, earlier = None, dict[str, Request]()
    for each in requests:
        aggregate = add(aggregate, each, earlier.get(each.user_id), is_news=True)
        earlier[each.user_id] = latest(earlier.get(each.user_id), each)
    assert aggregate is not None
    return aggregate


def test_three_people_are_counted_by_role() -> None:
    """A supervisor and two admins are three people: one supervisor, two admins."""
    aggregate = aggregate_of(request("sam", "supervisor"), request("adam"), request("anna"))

    assert aggregate.people == 3
    assert aggregate.roles == {"supervisor": 1, "admin": 2}


def test_a_person_counts_once() -> None:
    """A person who asks twice is one person with two requests, and their later note is the one shown."""
    aggregate = aggregate_of(request("adam", note="please"), request("adam", at=START + HOUR, note="please!"))

    assert (aggregate.people, aggregate.roles) == (1, {"admin": 1})
    assert [entry.note for entry in aggregate.newest] == ["please!"]
    assert digest(aggregate)["new_requests"] == 2


def test_asking_again_without_a_note_keeps_the_earlier_one() -> None:
    """A note is not lost when its author asks again without one."""
    aggregate = aggregate_of(request("adam", note="for reports"), request("adam", at=START + HOUR))

    assert [(entry.note, entry.requested_at) for entry in aggregate.newest] == [("for reports", START + HOUR)]


def test_an_older_request_of_the_same_person_does_not_replace_a_newer_one() -> None:
    """Requests delivered in the wrong order leave the words and the role of the newer one."""
    aggregate = aggregate_of(
        request("adam", "admin", START + HOUR, note="newer"), request("adam", "supervisor", START, note="older")
    )

    assert aggregate.roles == {"admin": 1}
    assert [entry.note for entry in aggregate.newest] == ["newer"]


def test_a_person_who_asks_in_another_role_moves() -> None:
    """A person counts under the role of their latest request only."""
    aggregate = aggregate_of(request("sam", "supervisor"), request("sam", "admin", START + HOUR))

    assert aggregate.roles == {"admin": 1}


def test_first_and_last_are_by_the_instant_of_the_request() -> None:
    """First and last follow the requests' own instants, whatever the order of delivery."""
    aggregate = aggregate_of(*(request(f"u{hours}", at=START + hours * HOUR) for hours in (2, 0, 3, 1)))

    assert aggregate.first_requested_at == START
    assert aggregate.last_requested_at == START + 3 * HOUR
    assert [entry.user_id for entry in aggregate.newest] == ["u3", "u2", "u1", "u0"]


def test_only_the_newest_are_kept() -> None:
    """An aggregate of many people names the NEWEST_MAX newest and counts all."""
    aggregate = aggregate_of(*(request(f"u{n}", at=START + n * HOUR) for n in range(25)))

    assert aggregate.people == 25
    assert [entry.user_id for entry in aggregate.newest] == [f"u{n}" for n in range(24, 24 - NEWEST_MAX, -1)]


def test_the_first_notice_leaves_later_requests_as_news() -> None:
    """The first notice tells one request; those that came before it was sent are told by the digest, not too late."""
    told = after_first_notice(aggregate_of(request("sam", "supervisor"), request("adam", at=START + HOUR)))

    assert told.news is not None
    assert (told.news.requests, told.news.since, told.news.opener) == (1, START, None)


def test_after_a_notice_there_is_no_opener() -> None:
    """Once Owners heard of an add-on, later requests wait for the digest."""
    aggregate = add(after_first_notice(aggregate_of(request("sam"))), request("adam"), None, is_news=True)

    assert aggregate.news is not None
    assert aggregate.news.opener is None


def test_a_digest_leaves_nothing_to_tell() -> None:
    """After a digest there is no news, and the counts stay."""
    told = after_digest(aggregate_of(request("sam"), request("adam")))

    assert told.news is None
    assert told.people == 2
    assert digest(told)["new_requests"] == 0


def test_history_is_no_news() -> None:
    """A request that was answered before it arrived is counted and not told."""
    aggregate = add(None, request("adam"), None, is_news=False)

    assert (aggregate.people, aggregate.news) == (1, None)


@pytest.mark.parametrize(("purchased_after", "dropped"), [(HOUR, True), (0 * HOUR, True), (-HOUR, False)])
def test_a_purchase_drops_only_what_was_asked_before_it(purchased_after: timedelta, dropped: bool) -> None:
    """A purchase leaves nothing to ask for, but a request made after it stays news."""
    aggregate = after_purchase(aggregate_of(request("adam")), START + purchased_after)

    assert (aggregate.news is None) is dropped
    assert aggregate.people == 1


def test_notices_are_plain_data() -> None:
    """What a first notice and a digest say is JSON: strings, numbers, lists and dictionaries, instants in RFC 3339."""
    adam = request("adam", note="for reports")

    assert first_notice(adam) == {
        "requested_by": {"user_id": "adam", "role": "admin", "name": "Adam"},
        "note": "for reports",
        "requested_at": "2026-09-30T09:00:00Z",
    }
    assert digest(aggregate_of(adam)) == {
        "people": 1,
        "roles": {"admin": 1},
        "first_requested_at": "2026-09-30T09:00:00Z",
        "last_requested_at": "2026-09-30T09:00:00Z",
        "new_requests": 1,
        "newest": [
            {
                "user_id": "adam",
                "role": "admin",
                "requested_at": "2026-09-30T09:00:00Z",
                "name": "Adam",
                "note": "for reports",
            }
        ],
    }
