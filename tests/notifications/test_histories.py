"""Whatever Owners wish, in whatever order readers come: nothing is lost, told twice, or told too soon."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.commands import Cadence
from contracts.events import AddOnPurchased, FeatureDeclined, FeatureRequested, TrialStarted
from contracts.invoices import InvoiceKind
from contracts.notices import NotificationRequested
from tests.notifications.messages import (
    AI,
    ANALYTICS,
    DAY,
    HOUR,
    account,
    asks,
    buys,
    declines,
    declines_quote,
    invoice,
    is_canceled,
    member,
    owner,
    snoozes,
    story,
    trial_ends,
    trial_ends_soon,
    tries,
    wants_digests,
)
from tests.scenario import Scenario

FIRST, DIGEST = "feature_request_first", "feature_request_digest"
TOLD = {
    FeatureDeclined: ("feature_declined", "declined_at"),
    AddOnPurchased: ("requested_add_on_purchased", "purchased_at"),
    TrialStarted: ("requested_add_on_trial_started", "started_at"),
}
ZONES = ["America/New_York", "Australia/Sydney", "Asia/Kathmandu", "UTC"]
Step = tuple[str, str, str]

add_ons = st.sampled_from([ANALYTICS, AI])
asking = st.tuples(st.just("ask"), st.sampled_from(["sam", "adam", "anna"]), add_ons)
joining = st.tuples(st.sampled_from(["join", "leave"]), st.sampled_from(["olga", "otto"]), st.just(""))
declining = st.tuples(st.sampled_from(["decline", "buy", "try"]), st.just("olga"), add_ons)
snoozing = st.tuples(st.just("snooze"), st.sampled_from(["1", "2", "9", "40"]), add_ons)
choosing = st.tuples(st.just("choose"), st.sampled_from(get_args(Cadence)), st.just(""))
moving = st.tuples(st.just("move"), st.sampled_from(ZONES), st.just(""))
waiting = st.tuples(st.just("wait"), st.sampled_from(["1", "20", "30", "200"]), st.just(""))
wishes = st.lists(st.one_of(asking, asking, joining, declining, snoozing, choosing, moving, waiting), max_size=40)


@dataclass
class Life:
    """What happened to an account, minute after minute, and what was dropped unread because it was turned down."""

    scene: Scenario[Any] = field(default_factory=story)
    zone: str = "UTC"
    made: list[FeatureRequested] = field(default_factory=list)
    told_of: list[FeatureDeclined | AddOnPurchased | TrialStarted] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    snoozed: list[tuple[str, datetime, datetime]] = field(default_factory=list)
    chosen: list[tuple[datetime, str]] = field(default_factory=list)

    def live(self, steps: list[Step]) -> None:
        """Take the steps."""
        for revision, (step, what, add_on) in enumerate(steps, start=1):
            self.scene.advance(timedelta(minutes=1))
            match step:
                case "ask":
                    self.made.append(asks(what, "admin", add_on, self.scene.now))
                    self.scene.when(self.made[-1])
                case "join":
                    self.scene.when(owner(what, revision))
                case "leave":
                    self.scene.when(member(what, "owner", revision, active=False))
                case "move":
                    self.zone = what
                    self.scene.when(account(revision, zone=what))
                case "wait":
                    self.scene.advance(int(what) * HOUR)
                case _:
                    self._wish(step, what, add_on)

    def _wish(self, step: str, what: str, add_on: str) -> None:
        now = self.scene.now
        match step:
            case "decline" | "buy":
                self.dropped[add_on] = sum(each.add_on == add_on for each in self.made) - self.told()[add_on]
                self.told_of.append(declines(now, add_on) if step == "decline" else buys("olga", add_on, now))
                self.scene.when(self.told_of[-1])
            case "try":
                self.told_of.append(tries("otto", add_on, now))
                self.scene.when(self.told_of[-1])
            case "snooze":
                until = now.astimezone(ZoneInfo(self.zone)).date() + int(what) * DAY
                morning = datetime.combine(until, time(9), ZoneInfo(self.zone))
                self.snoozed.append((add_on, now, morning))
                self.scene.when(snoozes(until, now, add_on))
            case "choose":
                self.chosen.append((now, what))
                self.scene.when(wants_digests(what, now))  # type: ignore[arg-type]

    def notices(self, *templates: str) -> Iterator[NotificationRequested]:
        """Yield what was told by some templates."""
        for event in self.scene.events:
            if isinstance(event, NotificationRequested) and event.template in templates:
                yield event

    def told(self) -> Counter[str]:
        """Count by add-on the requests that Owners were told of."""
        told = Counter[str]()
        for notice in self.notices(FIRST, DIGEST):
            told[notice.data["add_on"]] += notice.data["new_requests"] if notice.template == DIGEST else 1
        return told


def lived(steps: list[Step]) -> Life:
    """Live a life."""
    life = Life()
    life.live(steps)
    return life


@settings(max_examples=200, deadline=None)
@given(wishes)
def test_every_request_is_told_or_turned_down(steps: list[Step]) -> None:
    """Once there is an Owner who wants digests and every snooze is over, each request was told once or turned down."""
    life = lived([*steps, ("join", "olive", ""), ("choose", "daily", "")])
    life.scene.advance(60 * DAY)

    for add_on in (ANALYTICS, AI):
        made = sum(each.add_on == add_on for each in life.made)
        assert life.told()[add_on] == made - life.dropped[add_on]
        firsts = sum(notice.data["add_on"] == add_on for notice in life.notices(FIRST))
        assert firsts <= 1 + sum(each.add_on == add_on for each in life.told_of if isinstance(each, FeatureDeclined))
    assert not life.scene.document.timers


@settings(max_examples=200, deadline=None)
@given(wishes)
def test_everything_is_told_to_whoever_asked_since_the_last_answer(steps: list[Step]) -> None:
    """Each refusal, purchase and trial reaches exactly who asked after the refusal or purchase before it, each once."""
    life = lived(steps)
    life.scene.advance()

    answers: dict[str, datetime] = {}
    for event in life.told_of:
        template, moment = TOLD[type(event)]
        at: datetime = getattr(event, moment)
        asked = {
            each.requested_by.user_id
            for each in life.made
            if each.add_on == event.add_on
            and each.requested_at < at
            and (event.add_on not in answers or each.requested_at > answers[event.add_on])
        }
        said_at = event.model_dump(mode="json")[moment]
        told = [
            reader.user_id
            for notice in life.notices(template)
            for reader in notice.recipients
            if (notice.data["add_on"], notice.data[moment]) == (event.add_on, said_at)
        ]
        assert sorted(told, key=str) == sorted(asked)
        if not isinstance(event, TrialStarted):
            answers[event.add_on] = at


@settings(max_examples=200, deadline=None)
@given(wishes.map(lambda steps: [("move", "Australia/Sydney", ""), *(step for step in steps if step[0] != "move")]))
def test_nothing_is_said_of_an_add_on_that_is_snoozed(steps: list[Step]) -> None:
    """Between a snooze and 09:00 of its date, or a newer snooze, no notice of requests for that add-on goes out."""
    life = lived(steps)
    life.scene.advance(60 * DAY)

    for number, (add_on, since, until) in enumerate(life.snoozed):
        newer = (at for other, at, _ in life.snoozed[number + 1 :] if other == add_on)
        end = min(until, next(newer, until))
        for notice in life.notices(FIRST, DIGEST):
            assert notice.data["add_on"] != add_on or not since <= notice.requested_at < end


@settings(max_examples=200, deadline=None)
@given(wishes)
def test_digests_wait_for_the_morning_of_the_cadence(steps: list[Step]) -> None:
    """A digest that waits waits for 09:00 of the account's zone, and none goes out while none are wanted."""
    life = lived(steps)

    due = life.scene.document.timers.get("digest")
    if due is not None:
        assert due.astimezone(ZoneInfo(life.zone)).time() == time(9)
    for notice in life.notices(DIGEST):
        chosen = [cadence for at, cadence in life.chosen if at < notice.requested_at]
        assert not chosen or chosen[-1] != "never"


HAPPENS = {"soon": trial_ends_soon(), "ended": trial_ends(), "canceled": is_canceled(), "quote": declines_quote()}
happening = st.tuples(st.sampled_from([*HAPPENS, "bill"]), st.just(""), st.just(""))
coming = st.tuples(st.sampled_from(["join", "leave"]), st.sampled_from(["olga", "otto", "adam"]), st.just(""))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(happening, coming), max_size=40))
def test_every_notice_finds_its_readers_once(steps: list[Step]) -> None:
    """Once everybody is there nothing is held; invoices were told once; nobody who was removed, or twice, was told."""
    scene, bills, active = story(), 0, {"olga": False, "otto": False, "adam": True}
    everybody = [("join", who, "") for who in active]
    for revision, (step, who, _) in enumerate([*steps, *everybody], start=1):
        role = "admin" if who == "adam" else "owner"
        match step:
            case "join" | "leave":
                active[who] = step == "join"
                scene.when(member(who, role, revision, active=active[who]))
            case "bill":
                bills += 1
                scene.when(invoice(bills, InvoiceKind.RENEWAL))
            case _:
                scene.when(HAPPENS[step])
        for notice in scene.emitted_of(NotificationRequested):
            readers = [reader.user_id for reader in notice.recipients]
            assert len(set(readers)) == len(readers)
            known = {reader for reader in readers if scene.row(f"member:{reader}") is not None}
            assert all(active[reader] for reader in known)
            owners_only = notice.template in ("invoice", "subscription_canceled")
            assert not owners_only or "adam" not in readers

    assert scene.document.held == {}
    told = Counter(
        event.data["invoice_number"]
        for event in scene.events
        if isinstance(event, NotificationRequested) and event.template == "invoice"
    )
    assert told == Counter(f"acme-{number:06d}" for number in range(1, bills + 1))
