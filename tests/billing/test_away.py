"""Billing is away while events gather: whatever it then does first, the account pays what it would have in time."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.accounts import BillingFrequency, Licenses
from contracts.events import Terms
from contracts.invoices import BASE_PLAN, InvoiceIssued, ProrationRule
from contracts.money import Money
from contracts.payload import Payload
from services.billing.account import BillingAccount
from services.billing.audit import audit
from services.billing.domain import BillingDecider
from tests.billing.bills import account_fact
from tests.billing.entitled import Entitled
from tests.billing.logged import costs
from tests.billing.scenario import ACCOUNT, terms_of
from tests.scenario import Scenario

START = datetime(2026, 9, 30, 16, tzinfo=UTC)
ZONES = ("UTC", "America/New_York", "Pacific/Honolulu", "Australia/Sydney")
PRICES = ("17.95 USD", "0.07 USD", "2650 JPY", "5.525 KWD")
anchors = st.dates(date(2026, 1, 1), date(2026, 12, 31)) | st.sampled_from([date(2024, 2, 29), date(2026, 1, 31)])
frequencies = st.sampled_from(BillingFrequency)
seats = st.integers(0, 30)


class Wish(NamedTuple):
    """What is wanted so many hours after the last wish: an end (at once or with the period), or seats and terms."""

    hours: int
    seats: int | None
    terms: dict[str, object]
    ends: bool | None


terms_wanted = st.fixed_dictionaries(
    {},
    optional={
        "frequency": frequencies,
        "cycle_anchor": anchors,
        "timezone": st.sampled_from(ZONES),
        "unit_price": st.sampled_from(PRICES).map(lambda figure: Money.parse(*figure.split())),
    },
)
hours = st.integers(0, 48) | st.integers(24, 24 * 45)
changes = st.builds(Wish, hours, st.none() | seats, terms_wanted, st.none())
ends = st.builds(Wish, hours, st.none(), st.just({}), st.booleans())
histories = st.tuples(st.lists(changes, min_size=1, max_size=6), st.lists(ends, max_size=2)).map(
    lambda two: two[0] + two[1]
)


@st.composite
def sales(draw: st.DrawFn) -> Terms:
    """Draw the terms of a purchase."""
    return terms_of(
        draw(anchors),
        draw(frequencies),
        draw(st.sampled_from(ZONES)),
        price=draw(st.sampled_from(PRICES)),
        seats=(draw(seats), 0),
    )


class Told(NamedTuple):
    """What entitlements said, each with its instant, and the instant at which billing is back."""

    events: list[tuple[datetime, Payload]]
    back: datetime


def told(terms: Terms, wishes: list[Wish], start: date | None, after: int) -> Told:
    """Let entitlements say what the wishes come to; billing is back `after` days behind the last."""
    has, bought = Entitled.buy("analytics_plus", "sub-1", terms, START, start)
    now = START
    events: list[tuple[datetime, Payload]] = [(START, bought)]
    for wish in wishes:
        now += timedelta(hours=wish.hours)
        if has.is_over(now):
            break
        if wish.ends is not None:
            events.append((now, has.cancel(now, at_once=wish.ends)))
        else:
            licenses = None if wish.seats is None else Licenses(standard=wish.seats)
            terms_changed = dict(wish.terms)
            price = terms_changed.get("unit_price")
            if isinstance(price, Money):
                terms_changed |= {"currency": price.currency, "price_version": str(price)}
            events.append((now, has.modify(now, licenses, **terms_changed)))
    return Told(events, now + timedelta(days=after))


def played(decider: BillingDecider, said: Told, late: list[bool], *, timers_first: bool) -> Scenario[BillingAccount]:
    """Play what was said; what is late waits for the next that is not, while timers fire, or do not."""
    story: Scenario[BillingAccount] = Scenario(decider, ACCOUNT, START)
    story.given(account_fact())
    waiting: list[Payload] = []
    for number, (at, event) in enumerate(said.events):
        waiting.append(event)
        if number < len(late) and late[number]:
            continue
        story = _to(story, at, timers_first=timers_first or len(waiting) == 1)
        story.when(*waiting)
        waiting = []
    _to(story, said.back, timers_first=timers_first or not waiting).when(*waiting)
    return story.advance()


def _to(story: Scenario[BillingAccount], at: datetime, *, timers_first: bool) -> Scenario[BillingAccount]:
    if timers_first:
        return story.advance(at - story.now)
    story.now = at
    return story


@settings(max_examples=300, deadline=None)
@given(
    sales(),
    histories,
    st.none() | st.dates(date(2026, 6, 1), date(2027, 3, 1)),
    st.integers(0, 200),
    st.lists(st.booleans(), min_size=9, max_size=9),
    st.sampled_from(ProrationRule),
)
def test_the_money_is_what_it_is_in_time(
    terms: Terms, wishes: list[Wish], start: date | None, after: int, late: list[bool], rule: ProrationRule
) -> None:
    """Timers first, events first and in time come to the same, but for a minor unit where added seats round alone."""
    said, decider = told(terms, wishes, start, after), BillingDecider(rule=rule)
    in_time = costs(played(decider, said, [], timers_first=True), BASE_PLAN)
    for timers_first in (True, False):
        story = played(decider, said, [False, *late], timers_first=timers_first)
        issued = [event for event in story.events if isinstance(event, InvoiceIssued)]
        assert audit(ACCOUNT, [account_fact(), *(event for _, event in said.events)], issued, story.now) == []
        paid = costs(story, BASE_PLAN)
        for each in paid.keys() | in_time.keys():
            (minor, rounded), (wanted, other) = paid.get(each, (0, 0)), in_time.get(each, (0, 0))
            assert abs(minor - wanted) <= rounded + other, each
