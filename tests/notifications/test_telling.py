"""Whoever asked for an add-on hears when it is bought or tried, page by page, however many asked."""

from typing import Any

from contracts.notices import NotificationRequested, Recipient
from services.notifications.timers import PAGE_SIZE
from tests.notifications.messages import (
    AI,
    ANALYTICS,
    DAY,
    HOUR,
    START,
    asks,
    buys,
    declines,
    member,
    notices,
    owner,
    said,
    story,
    tries,
)
from tests.scenario import Scenario

PURCHASED, TRIAL = "requested_add_on_purchased", "requested_add_on_trial_started"


def told(scene: Scenario[Any], template: str = PURCHASED) -> list[str | None]:
    """Return whom the last step told by a template, in order, over all pages."""
    return [
        reader.user_id
        for event in scene.emitted_of(NotificationRequested)
        for reader in event.recipients
        if event.template == template
    ]


def test_a_purchase_tells_the_requesters() -> None:
    """Whoever asked for an add-on hears that it was purchased, by whom and from which day on, at their address."""
    scene = story().given(owner(), member("sam", "supervisor"), member("adam", "admin"), asks("sam"), asks("adam"))
    scene.when(buys(at=START)).then_nothing().advance()

    assert notices(scene) == [(PURCHASED, ["sam", "adam"])]
    assert scene.emitted_of(NotificationRequested)[0].recipients[0] == Recipient(
        user_id="sam", email="sam@acme.test", name="Sam"
    )
    assert said(scene) == {
        "add_on": ANALYTICS,
        "add_on_name": "Analytics+",
        "purchased_by": {"user_id": "olga", "role": "owner", "name": "Olga"},
        "purchased_at": "2026-09-30T09:00:00Z",
        "effective_date": "2026-09-30",
    }
    assert not scene.document.timers


def test_a_trial_tells_the_requesters() -> None:
    """Whoever asked for an add-on hears that somebody tries it, and until when."""
    scene = story().given(owner(), asks("sam"), tries("adam")).advance()

    assert notices(scene) == [(TRIAL, ["sam"])]
    assert said(scene) == {
        "add_on": ANALYTICS,
        "add_on_name": "Analytics+",
        "started_by": {"user_id": "adam", "role": "admin", "name": "Adam"},
        "started_at": "2026-09-30T09:00:00Z",
        "ends_at": "2026-10-14T09:00:00Z",
    }


def test_a_trial_and_a_purchase_tell_independently() -> None:
    """A purchase right after a trial does not replace the trial's notices: both are told to all, in pages."""
    scene = story().given(owner(), *(asks(f"u{n}") for n in range(60)))
    scene.given(tries("adam"), buys("olga")).advance()

    everybody = [f"u{n}" for n in range(60)]
    assert told(scene, TRIAL) == everybody
    assert told(scene, PURCHASED) == everybody


def test_who_did_it_is_not_told() -> None:
    """The person who starts the trial, or who buys after having asked in another role, hears nothing new."""
    scene = story().given(owner(), asks("adam"), asks("sam"), tries("adam")).advance()
    assert told(scene, TRIAL) == ["sam"]

    scene.given(member("sam", "owner"), buys("sam")).advance()
    assert told(scene) == ["adam"]


def test_removed_members_are_not_told() -> None:
    """A requester who was removed since is skipped; one who changed role is not."""
    scene = story().given(owner(), *(asks(user_id) for user_id in ("adam", "anna", "sam")))
    scene.given(member("adam", "admin", active=False), member("anna", "agent"), buys()).advance()

    assert told(scene) == ["anna", "sam"]


def test_a_requester_whose_fact_is_still_to_come_is_told_by_id() -> None:
    """A requester of whom no fact has arrived is named by id, for the sender of mail to look up."""
    scene = story().given(asks("sam"), buys()).advance()

    assert scene.emitted_of(NotificationRequested)[0].recipients == (Recipient(user_id="sam"),)


def test_nobody_asked_nobody_is_told() -> None:
    """A purchase or trial of an add-on that nobody asked for sends nothing and sets no timer."""
    scene = story().given(owner(), asks("sam", add_on=AI)).when(buys(), tries()).then_nothing()

    assert not scene.document.timers
    scene.advance(HOUR).then_nothing()


def test_only_the_requester_bought_it() -> None:
    """A page without anybody to tell sends nothing and ends the telling."""
    scene = story().given(asks("sam"), member("sam", "owner"), buys("sam")).advance().then_nothing()

    assert not scene.document.timers


def test_a_person_who_asked_twice_is_told_once() -> None:
    """Requesters are distinct people."""
    scene = story().given(owner(), asks("sam"), asks("sam", at=START + HOUR), buys(at=START + HOUR)).advance(HOUR)

    assert told(scene) == ["sam"]


def test_telling_120_requesters_goes_in_pages() -> None:
    """120 requesters are told in three notices of at most 50, each person once, with ids of their own."""
    everybody = [f"u{n}" for n in range(120)]
    scene = story().given(owner(), *(member(each, "admin") for each in everybody), *(asks(each) for each in everybody))
    scene.given(buys()).advance()

    pages = scene.emitted_of(NotificationRequested)
    assert [len(page.recipients) for page in pages] == [50, 50, 20]
    assert told(scene) == everybody
    assert len({page.notification_id for page in pages}) == 3
    assert not scene.document.timers


def test_an_empty_page_does_not_stop_the_telling() -> None:
    """When everybody on a page was removed, the page sends nothing and the next one is told."""
    everybody = [f"u{n}" for n in range(PAGE_SIZE + 1)]
    gone = (member(each, "admin", active=False) for each in everybody[:PAGE_SIZE])
    scene = story().given(owner(), *(asks(each) for each in everybody), *gone, buys()).advance()

    assert told(scene) == [f"u{PAGE_SIZE}"]


def test_exactly_one_page_needs_no_second() -> None:
    """A full last page sets no timer for an empty one."""
    scene = story().given(owner(), *(asks(f"u{n}") for n in range(PAGE_SIZE)), buys()).advance()

    assert len(told(scene)) == PAGE_SIZE
    assert not scene.document.timers


def test_who_asks_after_the_purchase_is_not_told_of_it() -> None:
    """A request made after a purchase, while its telling is under way, is not answered by that purchase."""
    scene = story().given(owner(), asks("sam"), buys(at=START), asks("adam", at=START + HOUR)).advance()

    assert told(scene) == ["sam"]


def test_a_request_that_arrives_late_is_told_after_all() -> None:
    """A request made before a trial and a purchase but delivered after both were told is answered by both."""
    scene = story().given(owner(), asks("sam"), tries(at=START + HOUR), buys(at=START + 2 * HOUR)).advance(2 * HOUR)

    scene.given(asks("anna", at=START)).advance()
    assert (told(scene, TRIAL), told(scene)) == (["anna"], ["anna"])


def test_a_request_that_arrives_while_telling_is_under_way_joins_it() -> None:
    """A late request extends the telling that has not ended, so nobody is told twice."""
    scene = story().given(owner(), asks("sam"), buys(at=START + HOUR), asks("anna", at=START)).advance(HOUR)

    assert told(scene) == ["sam", "anna"]


def test_what_was_answered_long_ago_is_not_told_again() -> None:
    """A purchase or a refusal answers the requests so far; what is told later reaches only who asked since."""
    scene = story().given(owner(), asks("ann"), buys()).advance(DAY)
    scene.given(asks("bob", at=scene.now)).advance(DAY)
    assert told(scene.given(tries(at=scene.now)).advance(DAY), TRIAL) == ["bob"]
    assert told(scene.given(declines(at=scene.now)).advance(DAY), "feature_declined") == ["bob"]
    assert told(scene.given(buys(at=scene.now)).advance(DAY)) == []
    scene.given(asks("ann", at=scene.now)).advance(DAY)
    assert told(scene.given(buys(at=scene.now)).advance(DAY)) == ["ann"]


def test_a_trial_answers_nobody() -> None:
    """Who was told of a trial is told of the purchase, and of a refusal, too."""
    scene = story().given(owner(), asks("sam"), tries()).advance(HOUR)
    assert told(scene.given(declines(at=scene.now)).advance(), "feature_declined") == ["sam"]


def test_a_late_request_is_told_of_its_own_answer_only() -> None:
    """Made before a refusal and delivered after the purchase that came later, a request was answered by the refusal."""
    scene = story().given(owner(), declines(at=START + HOUR), buys(at=START + DAY)).advance(2 * DAY)
    scene.given(asks("anna", at=START)).advance()
    assert (told(scene, "feature_declined"), told(scene)) == (["anna"], [])


def test_a_late_answer_reaches_whom_it_answered() -> None:
    """A refusal delivered after the purchase that followed it is told to who asked before it, and was not told then."""
    scene = story().given(owner(), asks("ann"), buys(at=START + HOUR)).advance(DAY)
    scene.given(asks("bob", at=START + 2 * DAY), buys(at=START + 4 * DAY), declines(at=START + 3 * DAY))
    assert told(scene.advance(4 * DAY), "feature_declined") == ["bob"]


def test_what_happened_in_one_moment_happened_in_the_order_it_was_told() -> None:
    """Decided in one batch, a request before a refusal is answered by it, and one after it by the next answer."""
    scene = story().given(owner(), asks("ann"), declines(), asks("bob"), asks("ann", add_on=AI)).advance(HOUR)
    assert told(scene, "feature_declined") == ["ann"]
    scene.given(asks("bob", at=START - HOUR)).given(buys(at=scene.now))
    assert told(scene.advance()) == ["bob"]

    scene = story().given(owner(), asks("ann"), declines()).given(asks("ann", at=START - HOUR)).advance(HOUR)
    assert told(scene.given(buys(at=scene.now)).advance()) == []


def test_telling_begun_again_starts_over() -> None:
    """A second purchase of the same add-on replaces a telling that is under way: everybody is told of the newer one."""
    scene = story().given(owner(), *(asks(f"u{n}") for n in range(60)), buys("olga"), buys("otto")).advance()

    assert told(scene) == [f"u{n}" for n in range(60)]
    assert {event.data["purchased_by"]["user_id"] for event in scene.emitted_of(NotificationRequested)} == {"otto"}


def test_add_ons_whose_names_look_alike_are_kept_apart() -> None:
    """An add-on's id may contain what separates the parts of a name: its requesters are still its own."""
    scene = story().given(owner(), asks("c", add_on="a:b"), asks("b:c", add_on="a"))

    assert {add_on: each.people for add_on, each in scene.document.requests.items()} == {"a:b": 1, "a": 1}
    assert told(scene.given(buys(add_on="a")).advance()) == ["b:c"]
    assert told(scene.given(buys(add_on="a:b")).advance()) == ["c"]
