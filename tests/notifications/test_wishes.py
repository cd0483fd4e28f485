"""What Owners say about the requests of others: how often they hear of them, not now, and no."""

from datetime import date, timedelta
from typing import Any

import pytest

from contracts.notices import NotificationRequested
from services.notifications.timers import PAGE_SIZE
from tests.notifications.messages import (
    AI,
    ANALYTICS,
    DAY,
    HOUR,
    START,
    account,
    asks,
    buys,
    declines,
    member,
    notices,
    owner,
    said,
    snoozes,
    story,
    wants_digests,
)
from tests.scenario import Scenario

FIRST, DIGEST, DECLINED = "feature_request_first", "feature_request_digest", "feature_declined"
NEW_YORK_MORNING = START + 4 * HOUR
MONDAY = START + 5 * DAY
OCTOBER_10 = date(2026, 10, 10)


def told(scene: Scenario[Any], template: str = DECLINED) -> list[str | None]:
    """Return whom the last step told by a template, in order, over all pages."""
    return [
        reader.user_id
        for event in scene.emitted_of(NotificationRequested)
        for reader in event.recipients
        if event.template == template
    ]


def test_a_digest_comes_at_nine_of_the_accounts_zone() -> None:
    """The digest waits for 09:00 in New York, and no other comes until something is new."""
    scene = story().given(account(), owner(), asks("sam"), asks("adam"))
    assert scene.document.timers == {"digest": NEW_YORK_MORNING}

    assert notices(scene.advance(4 * HOUR)) == [(DIGEST, ["olga"])]
    scene.advance(30 * DAY).then_nothing()


@pytest.mark.parametrize(
    ("zone", "later"), [("Asia/Tokyo", 15 * HOUR), ("Australia/Sydney", 14 * HOUR), ("UTC", 24 * HOUR)]
)
def test_a_change_of_zone_moves_the_digest(zone: str, later: timedelta) -> None:
    """A digest that waits follows the account to its new zone."""
    scene = story().given(account(), owner(), asks("sam"), asks("adam")).when(account(2, zone=zone)).then_nothing()

    assert scene.document.timers == {"digest": START + later}


def test_owners_may_have_their_digest_on_mondays() -> None:
    """After DigestChanged to weekly, what gathers is told on Monday at 09:00; first notices stay immediate."""
    scene = story().given(owner(), wants_digests("weekly"))

    assert notices(scene.when(asks("sam"))) == [(FIRST, ["olga"])]
    scene.when(asks("adam")).advance(5 * DAY - HOUR).then_nothing()
    assert notices(scene.advance(HOUR)) == [(DIGEST, ["olga"])]
    assert scene.now == MONDAY


def test_owners_may_do_without_digests() -> None:
    """After DigestChanged to never no digest comes; first notices stay immediate, and news is kept."""
    scene = story().given(owner(), wants_digests("never"))

    assert notices(scene.when(asks("sam"))) == [(FIRST, ["olga"])]
    scene.when(asks("adam")).advance(30 * DAY).then_nothing()
    assert not scene.document.timers
    assert notices(scene.when(asks("sam", add_on=AI))) == [(FIRST, ["olga"])]


def test_a_change_of_cadence_holds_for_what_waits() -> None:
    """What gathered without digests is told at the first 09:00 of the new cadence, not in the middle of a day."""
    scene = story().given(owner(), asks("sam"), wants_digests("never"), asks("adam"))
    scene.advance(10 * DAY + HOUR)

    scene.when(wants_digests("daily", at=scene.now)).then_nothing().advance(22 * HOUR).then_nothing()
    assert notices(scene.advance(HOUR)) == [(DIGEST, ["olga"])]
    assert scene.now == START + 11 * DAY


def test_an_older_choice_does_not_undo_a_newer_one() -> None:
    """A choice that was delivered late changes nothing."""
    scene = story().given(owner(), wants_digests("weekly", at=START + HOUR))

    scene.when(wants_digests("never", at=START)).then_ignored("spoken again")
    scene.given(snoozes(OCTOBER_10, at=START + HOUR)).when(snoozes(date(2026, 10, 5), at=START))
    scene.then_ignored("spoken again")
    scene.given(declines(at=START + HOUR)).when(declines(at=START)).then_ignored("spoken again")


def test_a_snoozed_add_on_is_quiet_until_the_morning() -> None:
    """Neither first notice nor digest comes before 09:00 of the date, then one digest tells all that gathered."""
    scene = story().given(account(), owner(), snoozes(OCTOBER_10))
    scene.when(asks("sam"), asks("adam"), asks("sam", note="still")).then_nothing()

    scene.advance(10 * DAY + 4 * HOUR - timedelta(seconds=1)).then_nothing()
    assert notices(scene.advance(timedelta(seconds=1))) == [(DIGEST, ["olga"])]
    assert (said(scene)["people"], said(scene)["new_requests"]) == (2, 3)
    assert scene.now.isoformat() == "2026-10-10T13:00:00+00:00"
    scene.advance(30 * DAY).then_nothing()


def test_a_snooze_holds_back_what_was_to_be_told_already() -> None:
    """News from before the snooze waits with what follows; other add-ons are told as ever."""
    scene = story().given(owner(), *(asks(who, add_on=add_on) for who in ("sam", "adam") for add_on in (ANALYTICS, AI)))
    scene.given(snoozes(OCTOBER_10, at=START + HOUR)).advance(9 * DAY)

    assert [event.data["add_on"] for event in scene.emitted_of(NotificationRequested)] == [AI]
    scene.advance(DAY)
    assert [event.data["add_on"] for event in scene.emitted_of(NotificationRequested)] == [ANALYTICS]


def test_after_a_snooze_everything_is_as_before() -> None:
    """A first notice is immediate again, and a digest comes the next morning."""
    scene = story().given(owner(), snoozes(date(2026, 10, 1))).advance(DAY).advance(HOUR)

    assert notices(scene.when(asks("sam", at=scene.now))) == [(FIRST, ["olga"])]
    scene.given(asks("adam", at=scene.now)).advance(22 * HOUR).then_nothing()
    assert notices(scene.advance(HOUR)) == [(DIGEST, ["olga"])]


def test_a_snooze_is_not_longer_for_a_weekly_digest() -> None:
    """What gathered is told on the morning that the Owner named, whatever day of the week it is."""
    saturday = story().given(owner(), wants_digests("weekly"), asks("sam"), snoozes(OCTOBER_10), asks("adam"))

    assert notices(saturday.advance(10 * DAY)) == [(DIGEST, ["olga"])]


def test_without_digests_a_snooze_ends_with_the_first_notice() -> None:
    """Where no digests are wanted, the first notice that was held back comes in the morning; the rest is kept."""
    scene = story().given(owner(), wants_digests("never"), snoozes(OCTOBER_10), asks("sam"), asks("adam"))

    assert notices(scene.advance(30 * DAY)) == [(FIRST, ["olga"])]
    assert said(scene)["requested_by"]["user_id"] == "sam"
    assert not scene.document.timers


def test_digests_chosen_after_a_snooze_come_in_the_morning() -> None:
    """What a snooze and a time without digests left untold waits for the first 09:00 of the new cadence."""
    scene = story().given(owner(), wants_digests("never"), asks("sam"), asks("adam"), snoozes(date(2026, 10, 1)))
    scene.advance(DAY + HOUR)

    scene.given(wants_digests("daily", at=scene.now)).advance(22 * HOUR).then_nothing()
    assert notices(scene.advance(HOUR)) == [(DIGEST, ["olga"])]


def test_a_snooze_may_be_shortened() -> None:
    """A newer snooze replaces the one before it."""
    scene = story().given(owner(), asks("sam"), snoozes(OCTOBER_10), asks("adam"), snoozes(date(2026, 10, 2)))

    assert notices(scene.advance(2 * DAY)) == [(DIGEST, ["olga"])]


def test_a_snooze_without_an_owner_waits_for_one() -> None:
    """What gathered goes to the Owner who joins after the snooze; before its end they hear nothing either."""
    scene = story().given(snoozes(OCTOBER_10), asks("sam"))
    scene.when(owner()).then_nothing()
    assert notices(scene.advance(10 * DAY)) == [(DIGEST, ["olga"])]

    late = story().given(snoozes(OCTOBER_10), asks("sam")).advance(11 * DAY).then_nothing()
    assert notices(late.when(owner())) == [(FIRST, ["olga"])]


def test_whoever_asked_hears_that_it_was_turned_down() -> None:
    """Requesters are told by whom, when and why, but for who did it; the news is dropped."""
    scene = story().given(owner(), asks("sam"), asks("adam"), asks("olga"))
    scene.when(declines(at=START + HOUR, note="next year")).then_nothing()

    assert notices(scene.advance(HOUR)) == [(DECLINED, ["sam", "adam"])]
    assert said(scene) == {
        "add_on": ANALYTICS,
        "add_on_name": "Analytics+",
        "declined_by": {"user_id": "olga", "role": "owner", "name": "Olga"},
        "declined_at": "2026-09-30T10:00:00Z",
        "note": "next year",
    }
    scene.advance(30 * DAY).then_nothing()
    assert not scene.document.timers


def test_requests_after_a_refusal_begin_again() -> None:
    """The next request has a first notice at once, and those after it a digest, which still counts everybody."""
    scene = story().given(owner(), asks("sam"), asks("adam"), declines()).advance(HOUR)

    assert notices(scene.when(asks("anna", at=scene.now))) == [(FIRST, ["olga"])]
    scene.when(asks("sam", at=scene.now)).then_nothing()
    digest = said(scene.advance(DAY))
    assert (digest["people"], digest["new_requests"]) == (3, 1)


def test_a_second_refusal_tells_only_who_asked_since() -> None:
    """Whoever was told of the first refusal and did not ask again is not told of the second."""
    scene = story().given(owner(), asks("sam"), asks("adam"), declines()).advance(HOUR)
    scene.given(asks("adam", at=scene.now), asks("anna", at=scene.now), declines(at=scene.now)).advance()

    assert told(scene) == ["adam", "anna"]


def test_a_refusal_during_the_telling_of_another_loses_nobody() -> None:
    """A second refusal before everybody heard of the first is told to all of them."""
    everybody = [f"u{n}" for n in range(PAGE_SIZE + 5)]
    scene = story().given(owner(), *(asks(each) for each in everybody), declines(at=START + HOUR))

    scene.given(declines(at=START + 2 * HOUR, note="no")).advance(2 * HOUR)
    assert told(scene) == everybody
    assert {event.data["note"] for event in scene.emitted_of(NotificationRequested)} == {"no"}


def test_a_refusal_is_told_in_pages() -> None:
    """120 requesters hear it in three notices, also when it is not the first refusal; removed members do not."""
    everybody = [f"u{n}" for n in range(120)]
    scene = story().given(owner(), asks("sam"), declines()).advance()
    scene.given(*(asks(each, at=START + HOUR) for each in everybody), member("u7", "admin", active=False))
    scene.given(declines(at=START + 2 * HOUR)).advance(2 * HOUR)

    assert told(scene) == [each for each in everybody if each != "u7"]
    assert len(scene.emitted_of(NotificationRequested)) == 3
    assert len(scene.loaded) <= 3 * PAGE_SIZE


def test_a_request_delivered_after_the_refusal_it_preceded_is_answered_by_it() -> None:
    """It is counted and not told to the Owners; its member hears of the refusal."""
    scene = story().given(owner(), declines(at=START + HOUR)).when(asks("sam", at=START)).then_nothing()

    assert told(scene.advance(HOUR)) == ["sam"]
    assert scene.document.requests[ANALYTICS].news is None


def test_a_request_after_a_refusal_that_arrives_before_it_stays_news() -> None:
    """A refusal that was delivered late does not answer a request made after it."""
    scene = story().given(owner(), asks("sam"), asks("adam", at=START + 2 * HOUR), declines(at=START + HOUR))

    assert notices(scene.advance(2 * DAY)) == [(DECLINED, ["sam", "adam"]), (DIGEST, ["olga"])]


def test_a_purchase_after_a_refusal_is_told_to_whoever_asked_again() -> None:
    """Whoever was refused has their answer: only who asked since hears when it is bought after all."""
    scene = story().given(owner(), asks("sam"), asks("adam"), declines()).advance(HOUR)
    scene.given(asks("adam", at=scene.now)).advance(HOUR)

    assert told(scene.given(buys(at=scene.now)).advance(), "requested_add_on_purchased") == ["adam"]


def test_what_nobody_asked_for_is_turned_down_in_silence() -> None:
    """A refusal without requests sends nothing and sets no timer."""
    scene = story().given(owner(), asks("sam", add_on=AI)).when(declines()).then_nothing()

    assert not scene.document.timers
