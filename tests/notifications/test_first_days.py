"""What was bought for a later day is told to whoever asked for it on the morning of that day, and not before."""

from datetime import UTC, date, datetime

import pytest

from contracts.events import AddOnPurchased
from tests.notifications.messages import DAY, HOUR, START, asks, buys, is_canceled, notices, owner, said, story
from tests.notifications.test_telling import PURCHASED, told


def buys_from(first: date) -> AddOnPurchased:
    """A purchase, now, of a subscription that begins on another day."""
    return buys().model_copy(update={"effective_date": first})


def test_nobody_is_told_of_a_purchase_before_it_is_there() -> None:
    """A purchase that begins on a later day is told to who asked at 09:00 of that day, in the zone of its terms."""
    scene = story().given(owner(), asks("sam"), asks("adam")).when(buys_from(date(2026, 10, 20))).then_nothing()

    scene.advance(datetime(2026, 10, 20, 12, 59, 59, tzinfo=UTC) - START).then_nothing()
    assert notices(scene.advance(HOUR)) == [(PURCHASED, ["sam", "adam"])]
    assert said(scene)["effective_date"] == "2026-10-20"
    assert not scene.document.timers


@pytest.mark.parametrize("first", [date(2026, 9, 30), date(2026, 9, 1)])
def test_what_has_begun_is_told_at_once(first: date) -> None:
    """A purchase that counts from today or an earlier day on is there."""
    assert told(story().given(owner(), asks("sam"), buys_from(first)).advance()) == ["sam"]


def test_a_purchase_that_never_began_is_not_told() -> None:
    """Canceled for its first day or an earlier one, it reaches nobody who asked; canceled for a later day it does."""
    scene = story().given(owner(), asks("sam"), buys_from(date(2026, 10, 20)))
    late = is_canceled().model_copy(update={"effective_date": date(2026, 10, 21)})
    assert told(scene.given(late).advance(30 * DAY)) == ["sam"]

    scene = story().given(owner(), asks("sam"), buys_from(date(2026, 10, 20)))
    assert told(scene.given(is_canceled()).advance(30 * DAY)) == []
    assert not scene.document.timers
