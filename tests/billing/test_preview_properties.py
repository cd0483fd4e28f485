"""A preview is the invoice, before there is one: for every account, day, zone, currency, frequency, anchor and rule."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.accounts import AccountUpdated, BasePlan, Billing, BillingFrequency, Licenses
from contracts.cycles import local_midnight
from contracts.invoices import InvoiceIssued, InvoiceKind, ProrationRule
from contracts.money import Money
from services.billing.account import RENEWAL
from services.billing.audit import audit
from services.billing.charges import Charging
from services.billing.queries import upcoming
from tests.billing.previewing import ACCOUNT, Looking, account, member

# Zones whose midnight moves: with the sun, by half an hour, over midnight itself, far from UTC, and a day left out.
ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Asia/Beirut",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "Asia/Kathmandu",
)
_FIRST, _LAST = date(2023, 12, 1), date(2029, 3, 31)
facts = st.builds(
    lambda zone, currency, frequency, anchor, standard, additional, plan: account(
        base_plan=BasePlan(description="Professional", amount=Money(amount_minor=plan, currency=currency))
        if plan
        else None,
        timezone=zone,
        currency=currency,
        billing=Billing(frequency=frequency, cycle_anchor=anchor),
        licenses=Licenses(standard=standard, additional=additional),
    ),
    st.sampled_from(ZONES),
    st.sampled_from(["USD", "JPY", "KWD"]),
    st.sampled_from(BillingFrequency),
    st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    st.integers(0, 150),
    st.integers(0, 50),
    st.integers(0, 9_999),
)
rules = st.sampled_from(ProrationRule)
instants = st.builds(
    lambda microseconds: datetime(2023, 12, 1, tzinfo=UTC) + timedelta(microseconds=microseconds),
    st.integers(0, 1_940 * 86_400_000_000),
)
around_midnight = st.builds(
    lambda day, zone, seconds: local_midnight(day, zone) + timedelta(seconds=seconds),
    st.dates(_FIRST, _LAST),
    st.sampled_from(ZONES),
    st.integers(-1_000, 1_000),
)
waits = st.timedeltas(timedelta(), timedelta(seconds=899, milliseconds=999))


@settings(max_examples=400, deadline=None)
@given(fact=facts, now=instants | around_midnight, rule=rules, wait=waits)
def test_what_is_promised_is_charged(fact: AccountUpdated, now: datetime, rule: ProrationRule, wait: timedelta) -> None:
    """A purchase by promise, midnight or not, is charged the previewed amount for the previewed days, to the unit."""
    looking = Looking(fact, member(), now=now, rule=rule)
    shown = looking.preview()
    invoice = looking.at(now + wait).buy(shown)
    (line,) = invoice.lines
    assert (line.amount, line.period, line.days, line.share, line.rule) == (
        shown.today.amount,
        shown.today.period,
        shown.today.days,
        shown.today.share,
        shown.today.rule,
    )
    assert (line.quantity, line.unit_price, line.price_version) == (
        shown.licenses,
        shown.unit_price,
        shown.price_version,
    )


@settings(max_examples=200, deadline=None)
@given(fact=facts, now=instants | around_midnight, rule=rules)
def test_what_is_previewed_is_charged_without_a_promise(
    fact: AccountUpdated, now: datetime, rule: ProrationRule
) -> None:
    """A purchase at the moment of the preview is charged what it says, and the next bill is as it says."""
    looking = Looking(fact, member(), now=now, rule=rule)
    shown = looking.preview()
    assert looking.buy().total == shown.today.amount
    document, then = looking.billing.document, max(now, looking.billing.document.timers[RENEWAL])
    to_come = upcoming(document, Charging(rule, 0, ACCOUNT, now), {})
    looking.at(then)
    bill = looking.billing.emitted[0]
    assert isinstance(bill, InvoiceIssued)
    assert (to_come.date, to_come.total) == (min(line.period.from_ for line in bill.lines), bill.total)
    assert [(line.add_on, line.amount) for line in to_come.lines] == [(each.add_on, each.amount) for each in bill.lines]
    looking.at(now + timedelta(days=367))
    bought = document.subscriptions["analytics_plus"].subscription_id
    bill, line = next(
        (each, line)
        for each in looking.billing.events
        if isinstance(each, InvoiceIssued) and each.kind is InvoiceKind.RENEWAL
        for line in each.lines
        if line.subscription_id == bought
    )
    assert (line.period.from_, line.amount, bill.total) == (
        shown.next_bill.date,
        shown.next_bill.amount,
        shown.next_bill.total,
    )


@settings(max_examples=150, deadline=None)
@given(fact=facts, now=around_midnight, wait=waits)
def test_a_promise_over_midnight_leaves_a_log_in_order(fact: AccountUpdated, now: datetime, wait: timedelta) -> None:
    """Whatever midnight lies between preview and purchase, no day is charged twice or left out in the months after."""
    looking = Looking(fact, member(), now=now)
    shown = looking.preview()
    looking.at(now + wait).buy(shown)
    looking.at(now + timedelta(days=100))
    issued = [each for each in looking.billing.events if isinstance(each, InvoiceIssued)]
    assert audit(ACCOUNT, looking.entitlements.events, issued, looking.billing.now) == []


@settings(max_examples=100, deadline=None)
@given(fact=facts, day=st.dates(_FIRST, _LAST), seconds=st.integers(1, 898))
def test_the_days_before_and_after_midnight_differ(fact: AccountUpdated, day: date, seconds: int) -> None:
    """Without its promise the same purchase is of another day, so that it is the promise that keeps the old one."""
    zone = fact.timezone
    midnight = local_midnight(day, zone)
    looking = Looking(fact, member(), now=midnight - timedelta(seconds=1))
    shown = looking.preview()
    later = Looking(fact, member(), now=midnight + timedelta(seconds=seconds))
    assume(shown.today.period.from_ != later.preview().today.period.from_)
    assert later.buy().lines[0].period.from_ != shown.today.period.from_
    assert Looking(fact, member(), now=midnight + timedelta(seconds=seconds)).buy(shown).lines[0].period == (
        shown.today.period
    )
