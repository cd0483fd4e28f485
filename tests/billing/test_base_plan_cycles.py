"""A new cycle of the account measures no add-on again: where the base plan begins was settled before it was told of."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from contracts.accounts import AccountUpdated, Billing, BillingFrequency
from contracts.events import AddOnPurchased
from contracts.invoices import BASE_PLAN, InvoiceIssued, ProrationRule
from contracts.payload import Payload
from services.billing.account import BillingAccount
from services.billing.audit import audit
from services.billing.charges import Charging
from services.billing.ledger import Finding
from services.billing.queries import upcoming
from tests.billing.bills import NEW_YORK, account_fact
from tests.billing.entitled import Entitled
from tests.billing.scenario import ACCOUNT, given, terms_of
from tests.scenario import Scenario

SOLD = datetime(2026, 3, 30, 16, tzinfo=UTC)
TOLD = datetime(2026, 8, 24, 16, tzinfo=UTC)
ANNUAL, MONTHLY = BillingFrequency.ANNUAL, BillingFrequency.MONTHLY
BY_THE_YEAR = (ANNUAL, "2026-01-04")


def fact(revision: int, frequency: BillingFrequency, anchor: str, zone: str = NEW_YORK) -> AccountUpdated:
    """Return a fact of an account with a base plan at 24.95."""
    billing = Billing(frequency=frequency, cycle_anchor=date.fromisoformat(anchor))
    return account_fact(revision).model_copy(update={"billing": billing, "timezone": zone})


def sold(at: datetime, number: int = 1, anchor: str = "2026-01-04") -> tuple[Entitled, AddOnPurchased]:
    """Sell an add-on of its own at an instant, billed by the year."""
    return Entitled.buy(f"add_on_{number}", f"sub-{number}", terms_of(date.fromisoformat(anchor), ANNUAL, NEW_YORK), at)


def told(at: datetime, *messages: Payload, story: Scenario[BillingAccount] | None = None) -> Scenario[BillingAccount]:
    """Tell an account these at an instant, and fire what is due then."""
    if story is None:
        story = given()
        story.now = at
    return story.advance(at - story.now).given(*messages).advance()


def base_plan(story: Scenario[BillingAccount]) -> list[tuple[str, str, str]]:
    """Return what was charged for the base plan so far and not given back: days and amounts."""
    lines = [line for each in invoices(story) for line in each.lines if line.subscription_id == BASE_PLAN]
    back = {line.period.from_ for line in lines if line.credits}
    return [
        (str(line.period.from_), str(line.period.to), str(line.amount))
        for line in lines
        if line.period.from_ not in back
    ]


def invoices(story: Scenario[BillingAccount]) -> list[InvoiceIssued]:
    """Return all that was issued."""
    return [each for each in story.events if isinstance(each, InvoiceIssued)]


def audited(story: Scenario[BillingAccount], *events: Payload) -> Sequence[Finding]:
    """Return what the audit finds, given what was said in order."""
    return audit(ACCOUNT, events, invoices(story), story.now)


@pytest.mark.parametrize("new", [(MONTHLY, "2025-10-11"), (ANNUAL, "2025-04-11"), (ANNUAL, "2026-09-11")])
def test_a_cycle_changed_before_the_first_base_bill_charges_no_day_before_the_fact(
    new: tuple[BillingFrequency, str],
) -> None:
    """Sold in March to be billed from 4 January on, it is so still when another cycle is told of in August."""
    _, bought = sold(SOLD)
    facts = fact(1, *BY_THE_YEAR), fact(2, *new)
    story = told(TOLD, facts[1], story=told(SOLD, facts[0], bought))
    assert base_plan(story) == []
    assert upcoming(story.document, Charging(ProrationRule.DAY, 0, ACCOUNT, story.now), {}).date == date(2027, 1, 4)
    story.advance(timedelta(days=134))
    assert [first for first, _, _ in base_plan(story)] == ["2027-01-04"]
    assert audited(story, facts[0], bought, facts[1]) == []


def test_from_the_settled_day_on_the_new_cycle_counts() -> None:
    """From 4 January a part to the end of the new cycle, 7 of 31 days of 24.95, and whole cycles from there on."""
    story = told(TOLD, fact(2, MONTHLY, "2025-10-11"), story=told(SOLD, fact(1, *BY_THE_YEAR), sold(SOLD)[1]))
    assert base_plan(story.advance(timedelta(days=150))) == [
        ("2027-01-04", "2027-01-11", "5.63 USD"),
        ("2027-01-11", "2027-02-11", "24.95 USD"),
    ]


def test_the_audit_finds_a_base_plan_that_reaches_back_before_the_fact() -> None:
    """What is billed by a cycle that was told of only after the sale is a finding; with the fact before it is none."""
    before, after, (_, bought) = fact(1, *BY_THE_YEAR), fact(2, MONTHLY, "2025-10-11"), sold(SOLD)
    story = told(TOLD, before, after, bought)
    assert base_plan(story)[0][:2] == ("2026-04-11", "2026-05-11")
    wrong = Finding(BASE_PLAN, "is billed from 2026-04-11 on, instead of 2027-01-04")
    assert audited(story, before, bought, after) == [wrong]
    assert audited(story, before, after, bought) == []


def test_an_add_on_that_ended_before_is_not_measured_again() -> None:
    """It was there on the first day of a cycle told of long after its end: that cycle charges nothing."""
    has, bought = sold(SOLD)
    facts = fact(1, *BY_THE_YEAR), fact(2, MONTHLY, "2025-10-11")
    end = has.cancel(SOLD + timedelta(days=60), at_once=True)
    story = told(SOLD + timedelta(days=60), end, story=told(SOLD, facts[0], bought))
    told(TOLD, facts[1], story=story).advance(timedelta(days=200))
    assert base_plan(story) == []
    assert audited(story, facts[0], bought, end, facts[1]) == []


def test_the_settled_day_stays_when_the_add_on_that_settled_it_is_bought_anew() -> None:
    """A second add-on is bought by the new cycle, the first ends and is bought again: still from 4 January on."""
    has, first = sold(SOLD)
    facts = fact(1, *BY_THE_YEAR), fact(2, MONTHLY, "2025-10-11")
    _, second = sold(TOLD + timedelta(days=1), 2)
    story = told(TOLD + timedelta(days=1), second, story=told(TOLD, facts[1], story=told(SOLD, facts[0], first)))
    later = datetime(2026, 12, 1, 16, tzinfo=UTC)
    end = has.cancel(later, at_once=True)
    again = first.model_copy(
        update={"subscription_id": "sub-3", "purchased_at": later, "effective_date": date(2026, 12, 1)}
    )
    told(later, end, again, story=story)
    assert base_plan(story) == []
    assert [first for first, _, _ in base_plan(story.advance(timedelta(days=40)))] == ["2027-01-04"]
    assert audited(story, facts[0], first, facts[1], second, end, again) == []


def test_where_it_begins_again_is_settled_too() -> None:
    """After a gap it is to begin on 20 January; a cycle told of on 10 January moves it neither back nor on."""
    monthly = terms_of(date(2026, 9, 20), timezone=NEW_YORK)
    start, back = datetime(2026, 9, 30, 16, tzinfo=UTC), datetime(2026, 12, 23, 16, tzinfo=UTC)
    has, first = Entitled.buy("analytics_plus", "sub-1", monthly, start)
    facts = fact(1, MONTHLY, "2026-09-20"), fact(2, MONTHLY, "2026-09-05")
    story = told(start, facts[0], first).advance(timedelta(days=30))
    end = has.cancel(story.now, at_once=True)
    _, second = Entitled.buy("aircall_ai", "sub-2", monthly, back)
    told(back, second, story=told(story.now, end, story=story))
    told(datetime(2027, 1, 10, 16, tzinfo=UTC), facts[1], story=story).advance(timedelta(days=30))
    assert base_plan(story) == [
        ("2026-10-20", "2026-11-20", "24.95 USD"),
        ("2027-01-20", "2027-02-05", "12.88 USD"),
        ("2027-02-05", "2027-03-05", "24.95 USD"),
    ]
    assert audited(story, facts[0], first, end, second, facts[1]) == []


def test_an_end_heard_late_measures_no_other_add_on_by_a_later_cycle() -> None:
    """Given back to 20 November, it goes on where the second add-on's own cycle of then begins: on 20 December."""
    monthly = terms_of(date(2026, 9, 20), timezone=NEW_YORK)
    start, second_at = datetime(2026, 9, 30, 16, tzinfo=UTC), datetime(2026, 11, 25, 17, tzinfo=UTC)
    has, first = Entitled.buy("analytics_plus", "sub-1", monthly, start)
    _, second = Entitled.buy("aircall_ai", "sub-2", monthly, second_at)
    facts = fact(1, MONTHLY, "2026-09-20"), fact(2, MONTHLY, "2026-09-05")
    end = has.cancel(datetime(2026, 11, 1, 16, tzinfo=UTC), at_once=True)
    story = told(second_at, second, story=told(start, facts[0], first))
    told(datetime(2026, 12, 18, 17, tzinfo=UTC), facts[1], story=story)
    told(datetime(2026, 12, 19, 17, tzinfo=UTC), end, story=story).advance(timedelta(days=30))
    assert base_plan(story) == [
        ("2026-10-20", "2026-11-20", "24.95 USD"),
        ("2026-12-20", "2027-01-05", "12.88 USD"),
        ("2027-01-05", "2027-02-05", "24.95 USD"),
    ]
    assert audited(story, facts[0], first, second, facts[1], end) == []


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_a_zone_moves_the_instant_and_not_the_day(zone: str) -> None:
    """On the eve of the settled day the account moves around the world: it is billed from that day on all the same."""
    eve = datetime(2027, 1, 4, 4, tzinfo=UTC)
    facts, (_, bought) = (fact(1, *BY_THE_YEAR), fact(2, MONTHLY, "2026-09-11", zone)), sold(SOLD)
    story = told(eve, facts[1], story=told(SOLD, facts[0], bought))
    assert len(base_plan(story)) == (zone == "Pacific/Kiritimati")
    assert [first for first, _, _ in base_plan(story.advance(timedelta(days=2)))] == ["2027-01-04"]
    assert audited(story, facts[0], bought, facts[1]) == []


def test_the_first_fact_reaches_back_to_what_was_sold_before_it_was_heard_of() -> None:
    """A purchase may come before the account's first fact, which it was sold by: its cycles are charged then."""
    _, bought = sold(SOLD)
    story = told(TOLD, bought, fact(1, MONTHLY, "2025-10-11"))
    assert [first for first, _, _ in base_plan(story)][:2] == ["2026-04-11", "2026-05-11"]
    assert audited(story, bought, fact(1, MONTHLY, "2025-10-11")) == []


def test_state_of_an_earlier_release_is_settled_with_the_next_fact() -> None:
    """Where nothing was settled yet, it is by the cycle known so far, before the fact's own counts."""
    story = told(SOLD, fact(1, *BY_THE_YEAR), sold(SOLD)[1])
    story.rewrite('"base_plan_from":"2027-01-04"', '"base_plan_from":null')
    told(TOLD, fact(2, MONTHLY, "2025-10-11"), story=story)
    assert story.document.timers["renewal"] == datetime(2027, 1, 4, 5, tzinfo=UTC)
