"""Whatever the order of requests, joins, leaves and days: nothing is lost, nobody is counted twice."""

from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.events import FeatureRequested
from contracts.notices import NotificationRequested, Template
from contracts.payload import Payload
from tests.notifications.messages import AI, ANALYTICS, DAY, HOUR, asks, member, owner, story
from tests.scenario import Scenario

Step = tuple[str, str, str]

requests = st.tuples(st.just("ask"), st.sampled_from(["sam", "adam", "anna", "bob"]), st.sampled_from([ANALYTICS, AI]))
joins = st.tuples(st.just("join"), st.sampled_from(["olga", "otto"]), st.just(""))
leaves = st.tuples(st.sampled_from(["leave", "demote"]), st.sampled_from(["olga", "otto"]), st.just(""))
waits = st.tuples(st.just("wait"), st.sampled_from(["1", "20", "30"]), st.just(""))
lives = st.lists(st.one_of(requests, joins, leaves, waits), max_size=30)


def play(life: list[Step]) -> tuple[Scenario[Any], list[FeatureRequested]]:
    """Live through the steps, each a minute after the one before; return the scene and the requests made."""
    scene, made = story(), list[FeatureRequested]()
    for revision, (step, who, add_on) in enumerate(life, start=1):
        scene.advance(timedelta(minutes=1))
        match step:
            case "ask":
                made.append(asks(who, "supervisor" if who == "sam" else "admin", add_on, scene.now))
                scene.when(made[-1])
            case "join":
                scene.when(owner(who, revision))
            case "leave":
                scene.when(member(who, "owner", revision, active=False))
            case "demote":
                scene.when(member(who, "admin", revision))
            case "wait":
                scene.advance(int(who) * HOUR)
    return scene, made


def notifications(events: list[Payload], template: Template) -> list[NotificationRequested]:
    """Pick the notices made by one template."""
    return [event for event in events if isinstance(event, NotificationRequested) and event.template == template]


@settings(max_examples=120, deadline=None)
@given(lives)
def test_every_request_is_told_once_there_is_an_owner(life: list[Step]) -> None:
    """After all timers fired, the first notices and digests of an add-on tell exactly the requests made for it."""
    scene, made = play(life)
    scene.when(owner("olive"))
    scene.advance(2 * DAY)

    told = Counter(notice.data["add_on"] for notice in notifications(scene.events, Template.FEATURE_REQUEST_FIRST))
    assert set(told.values()) <= {1}
    for notice in notifications(scene.events, Template.FEATURE_REQUEST_DIGEST):
        assert notice.data["new_requests"] > 0
        told[notice.data["add_on"]] += notice.data["new_requests"]
    assert told == Counter(request.add_on for request in made)
    assert not scene.document.timers


@settings(max_examples=120, deadline=None)
@given(lives)
def test_counts_are_of_distinct_people(life: list[Step]) -> None:
    """People, roles, first and last of an aggregate, and of each digest when it is sent, are those of the requests."""
    scene, made = play(life)

    for add_on, aggregate in scene.document.requests.items():
        mine = [request for request in made if request.add_on == add_on]
        people = {request.requested_by.user_id: request.requested_by.role for request in mine}
        assert aggregate.people == len(people)
        assert aggregate.roles == Counter(people.values())
        assert aggregate.first_requested_at == min(request.requested_at for request in mine)
        assert aggregate.last_requested_at == max(request.requested_at for request in mine)
    for notice in notifications(scene.events, Template.FEATURE_REQUEST_DIGEST):
        before = [
            each for each in made if each.add_on == notice.data["add_on"] and each.requested_at < notice.requested_at
        ]
        assert notice.data["people"] == len({each.requested_by.user_id for each in before})


@settings(max_examples=120, deadline=None)
@given(lives)
def test_only_those_who_are_owners_then_are_told(life: list[Step]) -> None:
    """At every moment the Owners of the account are those who joined and neither left nor were demoted since."""
    scene, _ = play(life)

    owners = {who: step == "join" for step, who, _ in life if step in ("join", "leave", "demote")}
    scene.when(asks("zoe", add_on="never_asked_for"))
    readers = [reader.user_id for event in scene.emitted_of(NotificationRequested) for reader in event.recipients]
    assert sorted(map(str, readers)) == sorted(who for who, is_owner in owners.items() if is_owner)


@settings(max_examples=120, deadline=None)
@given(lives)
def test_news_waits_no_longer_than_a_day(life: list[Step]) -> None:
    """While the account has an Owner, no news is older than the 09:00 before."""
    scene, _ = play(life)

    if scene.document.has_owners:
        scene.advance()
        for aggregate in scene.document.requests.values():
            assert aggregate.news is None or aggregate.news.since > scene.now - DAY
