"""A year of an account at random: facts, members, staff, late timers and a clock that is moved, also back.

The model below is written from what the contracts promise of each event; it shares no rule with the service.
"""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.accounts import Billing, BillingFrequency, Licenses
from contracts.backoffice import (
    ActivateAddOn,
    CancelSubscription,
    DeclineQuote,
    EndTrial,
    ExtendTrial,
    GrantAddOn,
    ModifySubscription,
)
from contracts.commands import DeclineFeature, SnoozeFeature
from contracts.cycles import cycle_containing, local_date
from contracts.events import (
    AddOnPurchased,
    QuoteDeclined,
    QuoteExpired,
    QuoteRequested,
    SubscriptionCanceled,
    SubscriptionModified,
    Terms,
    TrialEnded,
    TrialStarted,
)
from contracts.payload import Payload
from contracts.results import Action
from services.entitlements.account import UNTOUCHED, Entitlements
from services.runtime.decision import Accepted, Message, Rejected, Row, State
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    CONVERTING,
    DECIDER,
    NOW,
    UNLIKE,
    account,
    asks,
    dollars,
    member,
    says,
    staff,
)
from tests.scenario import Scenario

add_ons = st.sampled_from([ADD_ON, ADD_ON, CONVERTING])
members = st.sampled_from(["owner", "owner", "owner", "admin", "supervisor"])
licenses = st.builds(Licenses, standard=st.sampled_from([0, 1, 2, 3, 5, 300]))
anchors = st.sampled_from([date(2024, 2, 29), date(2026, 1, 1), date(2026, 1, 31), date(2028, 6, 15)])
frequencies = st.sampled_from(BillingFrequency)
cycles = st.builds(Billing, frequency=frequencies, cycle_anchor=anchors)
days_from_today = st.integers(-400, 400).map(lambda days: NOW.date() + timedelta(days=days))
changes = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([*["active"] * 12, "suspended", "closed"]),
        "currency": st.sampled_from([*["USD"] * 4, "GBP", "CHF"]),
        "timezone": st.sampled_from(["America/New_York", "Pacific/Kiritimati", "Pacific/Honolulu", "Pacific/Apia"]),
        "sales_managed": st.sampled_from([False, False, True]),
        "payment_method_on_file": st.sampled_from([True, True, False]),
        "licenses": licenses,
        "billing": cycles,
    },
)


class Agreed(NamedTuple):
    """A subscription as its events tell it: terms by their first day, the latest change's day, the end."""

    add_on: str
    first: date
    terms: tuple[tuple[date, Terms], ...]
    changed: date
    ends_on: date | None = None

    def on(self, day: date) -> Terms:
        """Return the terms in force on a day."""
        return [terms for first, terms in self.terms if first <= day][-1]


class AYear(RuleBasedStateMachine):
    """One account; after each step what it emitted is held against what was promised before."""

    def __init__(self) -> None:
        super().__init__()
        self.story: Scenario[Entitlements] = Scenario(DECIDER, ACCOUNT, NOW)
        self.facts: list[Message] = []
        self.seen = 0
        self.subscriptions: dict[str, Agreed] = {}
        self.open_quotes: dict[str, str] = {}
        self.trials: dict[str, str] = {}
        self.known: dict[str, Any] = {}

    # ----------------------------------------------------------------------------------------------------- what happens

    @initialize(more=changes)
    def begin(self, more: dict[str, Any]) -> None:
        """Have an account and its people."""
        self._fact(account(1, **more))
        self.known = more
        for role in ("owner", "admin", "supervisor"):
            self._fact(member(role))

    @rule(more=changes)
    def account_changes(self, more: dict[str, Any]) -> None:
        """Let some of the account's fields change."""
        self.known = self.known | more
        self._fact(account(len(self.facts) + 1, **self.known))

    @precondition(lambda self: self.subscriptions)
    @rule(seats=licenses, billed=st.none() | cycles, days=st.integers(0, 9))
    def seats_and_cycle_change(self, seats: Licenses, billed: Billing | None, days: int) -> None:
        """Let the account change in what its subscriptions follow, and be used for a while."""
        self.account_changes({"licenses": seats} | ({"billing": billed} if billed is not None else {}))
        self.time_passes(days, 0)

    @rule(action=st.sampled_from(Action), who=members, add_on=add_ons)
    def member_asks(self, action: Action, who: str, add_on: str) -> None:
        """Send one of the four commands of the table."""
        self._command(asks(action, who, add_on))

    @rule(add_on=add_ons)
    def owner_gets_it(self, add_on: str) -> None:
        """Buy, or have a quote."""
        self._command(asks(Action.SUBSCRIBE_NOW, "owner", add_on))
        self._command(asks(Action.REQUEST_QUOTE, "owner", add_on))

    @rule(add_on=add_ons, days=st.integers(0, 12))
    def owner_tries_it(self, add_on: str, days: int) -> None:
        """Start a trial, and use it for a while."""
        self._command(asks(Action.TRY_FOR_FREE, "owner", add_on))
        self.time_passes(days, 0)

    @rule(who=members, add_on=add_ons, until=days_from_today)
    def owner_speaks(self, who: str, add_on: str, until: date) -> None:
        """Decline a request and snooze others."""
        self._command(asks(Action.REQUEST_FEATURE, "admin", add_on))
        self._command(says(DeclineFeature, who, add_on=add_on))
        self._command(says(SnoozeFeature, who, add_on=add_on, until=until))

    @rule(
        add_on=add_ons,
        first=st.none() | st.none() | days_from_today,
        seats=st.none() | licenses,
        how=st.none() | frequencies,
    )
    def quote_is_activated(self, add_on: str, first: Any, seats: Any, how: Any) -> None:
        """Activate, whether a quote is open or not."""
        agreed = {"unit_price": dollars(1234), "effective_date": first, "licenses": seats, "frequency": how}
        self._command(staff(ActivateAddOn, add_on=add_on, **agreed))

    @rule(
        add_on=add_ons, kind=st.sampled_from([DeclineQuote, EndTrial, GrantAddOn, ExtendTrial]), until=days_from_today
    )
    def staff_act(self, add_on: str, kind: type[Payload], until: date) -> None:
        """Decline, end, grant or extend."""
        ends_at = self.story.now + timedelta(days=abs(until.toordinal()) % 40)
        self._command(staff(kind, add_on=add_on, until=until, ends_at=ends_at))

    @precondition(lambda self: self.subscriptions)
    @rule(
        add_on=add_ons,
        wanted=st.fixed_dictionaries(
            {},
            optional={
                "licenses": licenses,
                "follow_account": st.just(value=True),
                "frequency": frequencies,
                "unit_price": st.sampled_from([dollars(0), dollars(999), dollars(-1)]),
                "cycle_anchor": anchors,
            },
        ),
    )
    def staff_modify(self, add_on: str, wanted: dict[str, Any]) -> None:
        """Modify what the add-on's subscription is, if any."""
        self._command(staff(ModifySubscription, subscription_id=self._latest(add_on), **wanted))

    @precondition(lambda self: self.subscriptions)
    @rule(add_on=add_ons, when=st.sampled_from(["now", "end_of_cycle"]))
    def staff_cancel(self, add_on: str, when: str) -> None:
        """Cancel what the add-on's subscription is, if any."""
        self._command(staff(CancelSubscription, subscription_id=self._latest(add_on), when=when))

    @rule(days=st.integers(0, 40), hours=st.integers(0, 23))
    def time_passes(self, days: int, hours: int) -> None:
        """Let time pass, every timer firing at its instant."""
        self.story.advance(timedelta(days=days, hours=hours))
        self._judge()
        assert all(due > self.story.now for due in self.story.document.timers.values())

    @rule(days=st.integers(-40, 60))
    def clock_jumps(self, days: int) -> None:
        """Move the clock, back or ahead; what came due on the way is late."""
        self.story.now += timedelta(days=days)

    def _latest(self, add_on: str) -> str:
        subscription = self.story.document.add_ons.get(add_on, UNTOUCHED).subscription
        return subscription.id if subscription is not None else "s-unknown"

    def _fact(self, fact: Message) -> None:
        self.story.when(fact)
        assert isinstance(self.story.decision, Accepted)
        self.facts.append(fact)
        self._judge()

    def _command(self, command: Payload) -> None:
        self.story.when(command)
        # Exactly one outcome: events, or a refusal with a sentence and none.
        if isinstance(self.story.decision, Rejected):
            assert self.story.decision.message.endswith(".")
            assert self.story.emitted == []
        else:
            assert isinstance(self.story.decision, Accepted)
            assert self.story.emitted
        self._judge()

    # ------------------------------------------------------------------------------------------------ what must be true

    @invariant()
    def the_events_alone_rebuild_the_account(self) -> None:
        """Facts and events, in whatever order the two kinds come and whatever the catalog, give what is stored."""
        state: State[Entitlements] = State(ACCOUNT, DECIDER.initial(), defaultdict(lambda: None))
        for message in (*self.story.events, *self.facts):
            state = UNLIKE.evolve(state, message)
        assert state.document == self.story.document
        written: dict[str, Row | None] = dict(state.written)
        assert written == {name: self.story.row(name) for name in self.story._rows}

    @invariant()
    def no_day_belongs_to_two_subscriptions_of_an_add_on(self) -> None:
        """Of one add-on each begins where the one before it ended, or later; one without any day is in nobody's way."""
        ended: dict[str, date] = {}
        for each in (one for one in self.subscriptions.values() if one.ends_on != one.first):
            assert ended.get(each.add_on, date.min) <= each.first
            ended[each.add_on] = each.ends_on or date.max
            assert each.ends_on is None or each.ends_on >= each.first

    def _judge(self) -> None:
        for event in self.story.events[self.seen :]:
            self._judge_one(event)
        self.seen = len(self.story.events)

    def _judge_one(self, event: Payload) -> None:
        match event:
            case AddOnPurchased():
                first, terms = event.effective_date, event.terms
                self.subscriptions[event.subscription_id] = Agreed(event.add_on, first, ((first, terms),), first)
                assert event.quote_id == (self.open_quotes.pop(event.add_on, None) if event.origin == "quote" else None)
                self.open_quotes.pop(event.add_on, None)
            case SubscriptionModified():
                self._judge_change(event)
            case SubscriptionCanceled():
                agreed = self.subscriptions[event.subscription_id]
                assert agreed.ends_on is None or event.effective_date < agreed.ends_on
                assert event.effective_date >= agreed.changed
                begun = local_date(event.canceled_at, "Pacific/Kiritimati") >= agreed.first  # somewhere on earth
                assert begun or agreed.changed > agreed.first or event.effective_date == agreed.first
                # Decided on this day at the earliest, whatever the zone of the terms in force.
                day = min(event.effective_date, local_date(event.canceled_at, "Etc/GMT+12"))
                ended = agreed._replace(ends_on=event.effective_date, changed=max(agreed.changed, day))
                self.subscriptions[event.subscription_id] = ended
            case QuoteRequested():
                assert event.add_on not in self.open_quotes
                self.open_quotes[event.add_on] = event.quote_id
            case QuoteDeclined() | QuoteExpired():
                assert self.open_quotes.pop(event.add_on) == event.quote_id
            case TrialStarted():
                assert event.add_on not in self.trials
                self.trials[event.add_on] = "runs"
            case TrialEnded():
                assert self.trials[event.add_on] == "runs"
                self.trials[event.add_on] = "over"

    def _judge_change(self, event: SubscriptionModified) -> None:
        """Hold a change to the promise: only seats change before `terms_from`, which begins the next period."""
        agreed = self.subscriptions[event.subscription_id]
        day, in_force = event.licenses_from, agreed.on(event.licenses_from)
        assert agreed.ends_on is None or day < agreed.ends_on <= event.terms_from
        assert day >= agreed.changed
        assert event.terms_from == cycle_containing(in_force.cycle_anchor, in_force.frequency, day).end
        assert not [first for first, _ in agreed.terms if day < first < event.terms_from]
        assert event.licenses == event.terms.licenses
        kept = [(first, terms) for first, terms in agreed.terms if first <= day]
        after = agreed._replace(terms=(*kept, (event.terms_from, event.terms)), changed=day)
        self.subscriptions[event.subscription_id] = after


AYear.TestCase.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)
TestAYear = AYear.TestCase
