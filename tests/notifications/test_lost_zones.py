"""A stored zone that this machine's zone data does not have any more counts as UTC, until a fact names another."""

from datetime import UTC, date, datetime
from typing import Any

from contracts.events import AddOnPurchased
from tests.notifications.messages import (
    ANALYTICS,
    DAY,
    HOUR,
    START,
    account,
    asks,
    buys,
    notices,
    owner,
    snoozes,
    story,
)
from tests.notifications.test_telling import PURCHASED
from tests.scenario import Scenario

DIGEST = "feature_request_digest"


def lost(scene: Scenario[Any]) -> Scenario[Any]:
    """Have the stored zone be one that nobody knows."""
    return scene.rewrite("America/New_York", "Mars/Base")


def test_digests_come_at_nine_of_utc() -> None:
    """The document is read, requests are counted, the digest comes once, and the timer is at rest."""
    scene = lost(story().given(account(), owner(), asks("sam"))).given(asks("adam", at=START + HOUR))
    assert scene.document.timers["digest"] == datetime(2026, 10, 1, 9, tzinfo=UTC)
    assert notices(scene.advance(2 * DAY)) == [(DIGEST, ["olga"])]
    assert scene.document.timers == {}


def test_a_timer_set_by_the_lost_zone_fires_once() -> None:
    """A digest that was due at 09:00 of the zone while that was known is told then, or after it by UTC, but once."""
    scene = lost(story().given(account(), owner(), asks("sam"), asks("adam", at=START + HOUR)))
    assert notices(scene.advance(3 * DAY)) == [(DIGEST, ["olga"])]
    assert scene.document.timers == {}


def test_a_new_zone_heals_the_account() -> None:
    """From the next fact on its zone counts, also for what was set by UTC."""
    scene = lost(story().given(account(), owner(), asks("sam"))).given(asks("adam", at=START + HOUR))
    scene.given(account(2, zone="Asia/Kathmandu"))
    assert scene.document.timers["digest"] == datetime(2026, 10, 1, 3, 15, tzinfo=UTC)


def test_a_snooze_ends_at_nine_of_utc() -> None:
    """What gathered during a snooze is told on its morning."""
    scene = lost(story().given(account(), owner(), snoozes(date(2026, 10, 10)))).given(asks("sam"))
    assert scene.document.timers["digest"] == datetime(2026, 10, 10, 9, tzinfo=UTC)
    assert notices(scene.advance(11 * DAY)) == [(DIGEST, ["olga"])]


def test_a_purchase_of_a_lost_zone_is_told() -> None:
    """An event that holds the zone is read; what begins on a later day is told at 09:00 of UTC of that day."""
    event = buys(add_on=ANALYTICS).model_dump_json().replace("America/New_York", "Mars/Base")
    bought = AddOnPurchased.model_validate_json(event).model_copy(update={"effective_date": date(2026, 10, 10)})
    scene = story().given(owner(), asks("sam"), bought)
    scene.advance(datetime(2026, 10, 10, 8, 59, tzinfo=UTC) - START).then_nothing()
    assert notices(scene.advance(HOUR)) == [(PURCHASED, ["sam"])]
