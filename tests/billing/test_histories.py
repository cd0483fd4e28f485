"""Random histories of years, whatever happens and whenever billing hears of it.

The audit finds nothing, the money is what it would be in time, and the log is the state.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contracts.accounts import AccountUpdated, BasePlan, Billing, BillingFrequency, Licenses
from contracts.backoffice import IssueCredit
from contracts.cycles import local_date
from contracts.events import SubscriptionModified, Terms
from contracts.invoices import InvoiceIssued, ProrationRule
from contracts.money import Money
from contracts.payload import Payload
from services.billing.account import BillingAccount
from services.billing.audit import audit
from services.billing.domain import BillingDecider
from services.runtime.decision import Message, Rejected, State
from tests.billing.entitled import Entitled
from tests.billing.logged import Every, Logged, caused, costs
from tests.billing.scenario import ACCOUNT
from tests.scenario import Scenario

_LATE_MAX = timedelta(days=366)  # within what billing keeps: 24 periods, of which few are shorter than a month
_MOVED_MAX = timedelta(days=1)  # a move from the far west to the far east leaves a whole local day out
_ADD_ONS = ("analytics_plus", "aircall_ai", "another")
lateness = st.sampled_from((True, True, False))
licenses = st.builds(Licenses, standard=st.integers(0, 30), additional=st.integers(0, 3))
anchors = st.dates(date(2019, 1, 1), date(2032, 12, 31)) | st.sampled_from([date(2024, 2, 29), date(2025, 1, 31)])
zones = st.sampled_from(["UTC", "America/New_York", "Pacific/Apia", "Pacific/Honolulu", "Australia/Sydney"])
prices = st.sampled_from(["17.95 USD", "0.01 USD", "2650 JPY", "5.525 KWD", "179.50 USD"])


def price(figure: str) -> Money:
    """Read "17.95 USD"."""
    return Money.parse(*figure.split())


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """Draw the terms of a sale."""
    unit_price = price(draw(prices))
    return Terms(
        price_version="2026-01",
        unit_price=unit_price,
        frequency=draw(st.sampled_from(BillingFrequency)),
        licenses=draw(licenses),
        currency=unit_price.currency,
        timezone=draw(zones),
        cycle_anchor=draw(anchors),
    )


class BillingLife(RuleBasedStateMachine):
    """One account and its log. Events may come up to `_LATE_MAX` late, timers as late as they like.

    `in_time` is the same account where nothing is ever late.
    """

    def __init__(self) -> None:
        super().__init__()
        self.entitled: dict[str, Entitled] = {}
        self.bought = 0
        self.revision = 0
        self.log: list[Message] = []
        self.waiting: list[Payload] = []
        self.waiting_since = datetime.max.replace(tzinfo=UTC)

    @initialize(
        counted_by=st.sampled_from(ProrationRule),
        start=st.dates(date(2023, 1, 1), date(2030, 1, 1)),
        is_compared=st.sampled_from((True, True, False)),
    )
    def begin(self, counted_by: ProrationRule, start: date, is_compared: bool) -> None:
        """An account nobody has said anything about. Credits name invoices, so none are given where it is compared."""
        self.is_compared = is_compared
        self.decider = BillingDecider(rule=counted_by)
        self.story = Logged(self.decider, ACCOUNT, datetime.combine(start, time(12), UTC), self.log)
        self.in_time: Scenario[BillingAccount] = Scenario(self.decider, ACCOUNT, self.story.now)

    def say(self, event: Payload, *, late: bool) -> None:
        """Deliver an event, now or when the time has gone on; in order."""
        self.in_time.advance(self.story.now - self.in_time.now).when(event)
        self.waiting.append(event)
        self.waiting_since = min(self.waiting_since, self.story.now)
        if not late:
            self.deliver()

    def deliver(self) -> None:
        """Deliver what waits."""
        self.story.when(*self.waiting)
        self.waiting, self.waiting_since = [], datetime.max.replace(tzinfo=UTC)

    @rule(
        add_on=st.sampled_from(_ADD_ONS),
        agreed=terms(),
        days=st.none() | st.integers(-366, 366),
        late=lateness,
    )
    def buy(self, add_on: str, agreed: Terms, days: int | None, late: bool) -> None:
        """Buy what is not there, from today on or, by a quote, from another day."""
        has = self.entitled.get(add_on)
        if has is not None and not has.is_over(self.story.now):
            return
        self.bought += 1
        now = self.story.now
        effective = None if days is None else now.date() + timedelta(days=days)
        self.entitled[add_on], event = Entitled.buy(add_on, f"sub-{self.bought}", agreed, now, effective)
        self.say(event, late=late)

    @precondition(lambda self: self.entitled)
    @rule(
        add_on=st.sampled_from(_ADD_ONS),
        seats=st.none() | licenses,
        changes=st.fixed_dictionaries(
            {}, optional={"frequency": st.sampled_from(BillingFrequency), "cycle_anchor": anchors, "timezone": zones}
        ),
        figure=st.none() | prices,
        late=lateness,
    )
    def modify(
        self, add_on: str, seats: Licenses | None, changes: dict[str, Any], figure: str | None, late: bool
    ) -> None:
        """Change seats, frequency, anchor, zone or price."""
        has = self.entitled.get(add_on)
        if has is None or has.is_over(self.story.now):
            return
        if figure is not None:
            changes |= {"unit_price": price(figure), "currency": price(figure).currency, "price_version": figure}
        self.say(has.modify(self.story.now, seats, **changes), late=late)

    @precondition(lambda self: self.entitled)
    @rule(add_on=st.sampled_from(_ADD_ONS), at_once=st.booleans(), late=lateness)
    def cancel(self, add_on: str, at_once: bool, late: bool) -> None:
        """Cancel, once with the period and then perhaps at once."""
        has = self.entitled.get(add_on)
        if has is None or has.is_over(self.story.now) or (has.ends_on is not None and not at_once):
            return
        self.say(has.cancel(self.story.now, at_once=at_once), late=late)

    @rule(anchor=anchors, frequency=st.sampled_from(BillingFrequency), zone=zones, plan=st.none() | prices | prices)
    def state_the_account(self, anchor: date, frequency: BillingFrequency, zone: str, plan: str | None) -> None:
        """Tell what the account is; its base plan may come and go, and charges no day that was over by then."""
        self.revision += 1
        settled = self.story.copied()
        settled.advance()
        fact = AccountUpdated(
            account_id=ACCOUNT,
            revision=self.revision,
            name="Acme",
            status="active",
            currency="USD",
            timezone=zone,
            sales_managed=False,
            payment_method_on_file=True,
            licenses=Licenses(standard=1),
            billing=Billing(frequency=frequency, cycle_anchor=anchor),
            base_plan=BasePlan(description="Professional", amount=price(plan)) if plan else None,
        )
        self.in_time.advance(self.story.now - self.in_time.now).when(fact)
        self.story.when(fact)
        before = len(settled.events)
        settled.given(fact).advance()
        issued = [each for each in settled.events[before:] if isinstance(each, InvoiceIssued)]
        days = [line.period.from_ for each in issued for line in each.lines]
        assert self.revision == 1 or all(day >= local_date(settled.now, zone) - _MOVED_MAX for day in days)

    @rule(number=st.integers(1, 40), minor=st.integers(-1, 40_000), currency=st.sampled_from(["USD", "JPY", "KWD"]))
    def credit(self, number: int, minor: int, currency: str) -> None:
        """Ask for a credit: it is given or refused, and no refusal changes anything."""
        if self.is_compared:
            return
        before = self.story.document
        self.story.when(
            IssueCredit(
                account_id=ACCOUNT,
                staff_id="stella",
                reason="a complaint",
                invoice_number=f"{ACCOUNT}-{number:06d}",
                amount=Money(amount_minor=minor, currency=currency),
            )
        )
        if isinstance(self.story.decision, Rejected):
            assert self.story.document == before

    @rule(
        hours=st.integers(0, 30) | st.integers(30, 2_500),
        seconds=st.integers(0, 3_600),
        timers_fire=st.booleans(),
    )
    def let_time_pass(self, hours: int, seconds: int, timers_fire: bool) -> None:
        """Move the clock; what is due is renewed on the way, or waits as when the service is down."""
        duration = timedelta(hours=hours, seconds=seconds)
        if self.waiting and self.story.now + duration > self.waiting_since + _LATE_MAX:
            self.deliver()
        if timers_fire:
            self.story.advance(duration)
        else:
            self.story.now += duration

    @rule(days=st.integers(25, 400))
    def let_months_pass(self, days: int) -> None:
        """Let whole cycles go by in good order."""
        self.deliver()
        self.story.advance(timedelta(days=days))

    @precondition(lambda self: self.waiting)
    @rule(days=st.integers(1, 100), timers_fire=st.booleans())
    def be_away(self, days: int, timers_fire: bool) -> None:
        """Billing hears nothing while days go by, whether its timers fire meanwhile or not, and then all at once."""
        self.let_time_pass(24 * days, 0, timers_fire)
        self.deliver()

    @rule(timers_first=st.booleans())
    def catch_up(self, timers_first: bool) -> None:
        """Billing is back where events have gathered: it hears of them first, or the timers fire before."""
        if timers_first:
            self.story.advance()
        self.deliver()

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Deliver any earlier message again: once what is due was charged, nothing is issued and nothing changes.

        A change that a later one replaced, or a credit, is kept away by the runtime (sequence, inbox).
        """
        message = data.draw(st.sampled_from(self.log))
        later = self.log[self.log.index(message) + 1 :]
        if isinstance(message, IssueCredit) or (
            isinstance(message, SubscriptionModified) and any(isinstance(each, SubscriptionModified) for each in later)
        ):
            return
        again = self.story.copied()
        again.advance()
        before = again.document
        Scenario._deliver(again, message, "again")
        assert not caused(again.decision)
        assert again.document == before

    @invariant()
    def the_audit_finds_nothing(self) -> None:
        """Once every timer that is due has fired, the invoices are what the events ask for."""
        if not self.log:
            return
        settled = self.story.copied()
        settled.advance()
        invoices = [event for event in settled.events if isinstance(event, InvoiceIssued)]
        events = [message for message in self.log if isinstance(message, Payload)]
        assert audit(ACCOUNT, events, invoices, settled.now) == []

    @invariant()
    def the_money_is_what_it_is_in_time(self) -> None:
        """Once all is heard and has fired, each subscription costs what it costs where nothing is late.

        But for a minor unit where seats that are charged beside others round by themselves.
        """
        if not self.log or not self.is_compared:
            return
        settled = self.story.copied()
        settled.when(*self.waiting).advance()
        self.in_time.advance(settled.now - self.in_time.now)
        here, there = costs(settled), costs(self.in_time)
        assert here.keys() == there.keys()
        for each, (minor, roundings) in here.items():
            assert abs(minor - there[each][0]) <= roundings + there[each][1], each

    @invariant()
    def the_log_is_the_state(self) -> None:
        """Folding what came in, and after each the invoices it caused, gives the document and the rows."""
        state: State[BillingAccount] = State(ACCOUNT, BillingAccount(), Every())
        if not self.log:
            return
        for message, events in self.story.history:
            state = reduce(self.decider.evolve, (message, *events), state)
        assert state.document == self.story.document
        assert state.written == {name: self.story.row(name) for name in self.story._rows}


TestBillingLife = BillingLife.TestCase
TestBillingLife.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
