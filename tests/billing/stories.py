"""Random stories of one account, told to entitlements and to billing: what may have come before somebody asks."""

import copy
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

from contracts.accounts import BasePlan, Billing, BillingFrequency, Licenses
from contracts.backoffice import ActivateAddOn, CancelSubscription, ModifySubscription
from contracts.commands import PurchaseAddOn, RequestQuote, StartTrial
from contracts.cycles import local_date
from contracts.invoices import ProrationRule
from contracts.money import Money
from contracts.payload import Payload
from tests.billing.previewing import ACCOUNT, Looking, account, member

ADD_ONS = ("analytics_plus", "aircall_ai")
ZONES = ("UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Beirut")
_STAFF = {"account_id": ACCOUNT, "staff_id": "stella", "reason": "asked by the customer"}


class Story(Looking):
    """One account in both services: what entitlements says reaches billing at once."""

    def __init__(self, facts: dict[str, Any], now: datetime, rule: ProrationRule) -> None:
        self.facts = facts
        self.revision = 1
        super().__init__(account(**facts), member(), now=now, rule=rule)

    def copied(self) -> "Story":
        """Return the story as it is, to go on without changing this one."""
        other = copy.copy(self)
        for name in ("billing", "entitlements"):
            scenario = copy.copy(getattr(self, name))
            scenario.events, scenario._rows = list(scenario.events), dict(scenario._rows)
            setattr(other, name, scenario)
        return other

    def say(self, message: Payload) -> None:
        """Have entitlements decide, and billing hear of what came of it."""
        self.entitlements.when(message)
        self.billing.when(*self.entitlements.emitted)

    def command(self, kind: type[Payload], **said: Any) -> None:
        """Send a command of the Owner, or of staff where they are named."""
        self.say(kind.model_validate({"account_id": ACCOUNT, "user_id": "olga"} | said))

    def state(self, **changes: Any) -> None:
        """Tell both a newer fact of the account."""
        self.revision += 1
        self.facts |= changes
        fact = account(self.revision, **self.facts)
        self.billing.when(fact)
        self.say(fact)

    def wait(self, duration: timedelta, *, timers_fire: bool = True) -> None:
        """Let time pass in both, timers firing at their instants or not at all."""
        end = self.billing.now + duration
        while timers_fire:
            bills = min(self.billing.document.timers.values(), default=end)
            events = min(self.entitlements.document.timers.values(), default=end)
            if min(bills, events) >= end:
                break
            if bills <= events:
                self.billing.advance(max(timedelta(), bills - self.billing.now))
            else:
                self.entitlements.advance(max(timedelta(), events - self.entitlements.now))
                self.billing.when(*self.entitlements.emitted)
        if timers_fire:
            self.billing.advance(end - self.billing.now)
        self.billing.now = self.entitlements.now = end


class Step(NamedTuple):
    """Something that happens after a while."""

    after: timedelta
    timers_fire: bool
    happens: Callable[[Story], None]


def buying(add_on: str) -> Callable[[Story], None]:
    """Let the Owner buy."""
    return lambda story: story.command(PurchaseAddOn, add_on=add_on)


def trying(add_on: str) -> Callable[[Story], None]:
    """Let the Owner start a trial."""
    return lambda story: story.command(StartTrial, add_on=add_on)


def activating(add_on: str, days: int, minor: int) -> Callable[[Story], None]:
    """Let staff activate a quote from a day on, and the account then buy at list price again."""

    def happens(story: Story) -> None:
        managed = story.facts.get("sales_managed", False)
        story.state(sales_managed=True)
        story.command(RequestQuote, add_on=add_on)
        first = local_date(story.entitlements.now, story.facts["timezone"]) + timedelta(days=days)
        price = {"amount_minor": minor, "currency": "USD"}
        story.say(
            ActivateAddOn.model_validate({**_STAFF, "add_on": add_on, "unit_price": price, "effective_date": first})
        )
        story.state(sales_managed=managed)

    return happens


def ordering(kind: type[Payload], add_on: str, said: dict[str, Any]) -> Callable[[Story], None]:
    """Let staff order something of the add-on's subscription, if there is one."""

    def happens(story: Story) -> None:
        has = story.billing.document.subscriptions.get(add_on)
        if has is not None:
            story.say(kind.model_validate({**_STAFF, "subscription_id": has.subscription_id, **said}))

    return happens


def stating(changes: dict[str, Any]) -> Callable[[Story], None]:
    """Let the account become another."""
    return lambda story: story.state(**changes)


add_ons = st.sampled_from(ADD_ONS)
seats = st.builds(lambda standard: Licenses(standard=standard), st.sampled_from([0, 1, 7, 150, 201]))
billings = st.builds(
    lambda frequency, anchor: Billing(frequency=frequency, cycle_anchor=anchor),
    st.sampled_from(BillingFrequency),
    st.dates(date(2024, 1, 1), date(2026, 6, 30)),
)
plans = st.builds(
    lambda minor: BasePlan(description="Professional", amount=Money(amount_minor=minor, currency="USD")),
    st.integers(1, 9_999),
)
facts = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(ZONES),
        "currency": st.sampled_from(["USD", "JPY", "KWD"]),
        "billing": billings,
        "licenses": seats,
        "base_plan": st.none() | plans,
    }
)
changed = st.fixed_dictionaries(
    {},
    optional={
        "timezone": st.sampled_from(ZONES),
        "currency": st.sampled_from(["USD", "JPY", "KWD", "CHF"]),
        "billing": billings,
        "licenses": seats,
        "base_plan": st.none() | plans,
        "status": st.sampled_from(["active", "active", "suspended"]),
        "sales_managed": st.booleans(),
    },
)
terms = st.fixed_dictionaries(
    {},
    optional={
        "licenses": st.sampled_from([{"standard": 1}, {"standard": 40}]),
        "frequency": st.sampled_from(["monthly", "annual"]),
        "cycle_anchor": st.sampled_from(["2026-01-31", "2026-02-11"]),
        "unit_price": st.just({"amount_minor": 1_234, "currency": "USD"}),
    },
)
ends = st.fixed_dictionaries({"when": st.sampled_from(["now", "end_of_cycle"])})
happenings = st.one_of(
    st.builds(buying, add_ons),
    st.builds(activating, add_ons, st.sampled_from([-5, 0, 1, 30, 60]), st.integers(1, 3_000)),
    st.builds(ordering, st.just(CancelSubscription), add_ons, ends),
    st.builds(ordering, st.just(ModifySubscription), add_ons, terms),
    st.builds(stating, changed),
    st.builds(trying, add_ons),
)
waits = st.one_of(
    st.timedeltas(timedelta(), timedelta(hours=40)),
    st.timedeltas(timedelta(), timedelta(days=40)),
    st.timedeltas(timedelta(), timedelta(days=400)),
)
steps = st.lists(st.builds(Step, waits, st.sampled_from([True, True, False]), happenings), min_size=1, max_size=7)
