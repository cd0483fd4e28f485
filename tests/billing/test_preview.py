"""The preview: who may see it, what it says, and when nothing is shown."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.accounts import BasePlan, Billing, BillingFrequency, Licenses
from contracts.invoices import InvoiceIssued, ProrationRule
from contracts.money import Money
from contracts.payload import Payload
from contracts.promises import NO_KEYS
from contracts.results import Ask, Reason
from services.billing.domain import BillingDecider
from services.runtime.decision import Rejected
from tests.billing.previewing import ACCOUNT, NOW, Looking, account, member
from tests.promising import KEYS


def usd(figure: str) -> Money:
    """Return so many dollars."""
    return Money.parse(figure, "USD")


def test_a_preview_says_what_is_charged_and_why() -> None:
    """The worked example: 60 seats at 17.95, 20 of 30 days, and the next bill in full on the day the cycle begins."""
    shown = Looking().preview()
    assert (shown.licenses, shown.unit_price) == (Licenses(standard=50, additional=10), usd("17.95"))
    assert shown.today.amount == usd("718.00")
    assert shown.today.derivation == (
        "17.95 USD x 60 seats x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 718.00 USD"
    )
    assert (shown.next_bill.date, shown.next_bill.amount) == (date(2026, 10, 20), usd("1077.00"))
    assert shown.next_bill.total == usd("1077.00")
    assert shown.as_of == NOW


def test_a_promise_pins_what_is_shown() -> None:
    """The token says what the preview says, and expires when the preview says so."""
    shown = Looking(rule=ProrationRule.SECOND).preview()
    assert shown.promise is not None
    promise = KEYS.read(shown.promise.token, ACCOUNT, "analytics_plus")
    assert promise is not None
    assert promise.amount == shown.today.amount
    assert promise.first_day == shown.today.period.from_ == date(2026, 9, 30)
    assert promise.rule is shown.today.rule is ProrationRule.SECOND
    assert (promise.terms.unit_price, promise.terms.price_version) == (shown.unit_price, shown.price_version)
    assert (promise.promised_at, promise.expires_at) == (NOW, NOW + timedelta(minutes=15))
    assert shown.promise.expires_at == promise.expires_at


def test_a_promise_outlives_the_rule_of_the_deployment() -> None:
    """A deployment that counts otherwise by the time of the purchase still charges what was promised."""
    looking = Looking(now=NOW + timedelta(hours=7), rule=ProrationRule.SECOND)
    shown = looking.preview()
    looking.billing.decider = BillingDecider(ProrationRule.DAY)
    (line,) = looking.buy(shown).lines
    assert (line.rule, line.amount) == (ProrationRule.SECOND, shown.today.amount)
    assert shown.today.amount != Looking(now=NOW + timedelta(hours=7)).preview().today.amount


def test_without_keys_a_preview_promises_nothing() -> None:
    """A deployment without secrets shows the same amounts and no promise."""
    shown, with_promise = Looking(keys=NO_KEYS).preview(), Looking().preview()
    assert shown.promise is None
    assert shown == with_promise.model_copy(update={"promise": None})


def test_the_next_bill_counts_everything_on_it() -> None:
    """Beside the add-on, the next bill has what is renewed that day: another add-on and the base plan."""
    plan = BasePlan(description="Professional", amount=usd("24.95"))
    looking = Looking(account(base_plan=plan, licenses=Licenses(standard=1)), member())
    looking.buy(add_on="aircall_ai")
    shown = looking.preview()
    assert shown.next_bill.amount == usd("17.95")
    assert shown.next_bill.total == usd("60.85")
    invoices = looking.at(NOW + timedelta(days=1)).buy(), *looking.at(NOW + timedelta(days=25)).billing.emitted
    assert isinstance(invoices[-1], InvoiceIssued)
    assert invoices[-1].total == shown.next_bill.total


@pytest.mark.parametrize("days", [1, 25])
def test_a_plan_that_joins_is_on_the_bill_it_joins(days: int) -> None:
    """A base plan told of after the first purchase is previewed on the bill it will be on, as it will be then."""
    looking = Looking()
    looking.buy(add_on="aircall_ai")
    looking.at(NOW + timedelta(days=days))
    looking.given(account(2, base_plan=BasePlan(description="Professional", amount=usd("24.95"))))
    shown = looking.preview()
    looking.buy(shown)
    looking.at(NOW + timedelta(days=60))
    bills = [each for each in looking.billing.events if isinstance(each, InvoiceIssued)]
    (bill,) = [
        each
        for each in bills
        for line in each.lines
        if line.add_on == "analytics_plus" and line.period.from_ == shown.next_bill.date
    ]
    assert bill.total == shown.next_bill.total


def test_the_next_bill_is_the_first_with_the_add_on() -> None:
    """A monthly add-on's bills that come before an annual one's next are not its next bill."""
    looking = Looking()
    looking.buy(add_on="aircall_ai")
    annual = Billing(frequency=BillingFrequency.ANNUAL, cycle_anchor=date(2026, 1, 20))
    # The account's other add-on stays monthly in billing until entitlements says otherwise.
    looking.given(account(2, billing=annual))
    shown = looking.preview()
    assert shown.next_bill.date == date(2027, 1, 20)
    assert shown.next_bill.amount == usd("10770.00")
    assert shown.next_bill.total == usd("11847.00")


def test_a_preview_after_missed_cycles_begins_behind_them() -> None:
    """Cycles that billing has still to charge are charged before a purchase, and so before its preview."""
    looking = Looking()
    looking.buy(add_on="aircall_ai")
    looking.billing.now = NOW + timedelta(days=70)
    looking.entitlements.now = looking.billing.now
    shown = looking.preview()
    assert shown.next_bill.date == date(2026, 12, 20)
    invoice = looking.buy(shown)
    assert invoice.total == shown.today.amount
    assert invoice.invoice_number == "acme-000004"


@pytest.mark.parametrize(
    ("facts", "user_id", "reason", "ask"),
    [
        ((), "olga", Reason.MEMBER_UNKNOWN, Ask.OWNER),
        ((member(role="agent"),), "olga", Reason.ROLE_NOT_PERMITTED, Ask.OWNER),
        ((member(role="supervisor"),), "olga", Reason.ROLE_NOT_PERMITTED, Ask.OWNER),
        ((member(role="admin"),), "olga", Reason.ROLE_NOT_PERMITTED, Ask.OWNER),
        ((member(role="Owner"),), "olga", Reason.ROLE_NOT_PERMITTED, Ask.OWNER),
        ((member(), member(revision=2, removed=True)), "olga", Reason.MEMBER_UNKNOWN, Ask.OWNER),
        ((member(), member(role="agent", revision=2)), "olga", Reason.ROLE_NOT_PERMITTED, Ask.OWNER),
        ((member(),), "olgas", Reason.MEMBER_UNKNOWN, Ask.OWNER),
    ],
)
def test_only_owners_see_prices(facts: tuple[Payload, ...], user_id: str, reason: Reason, ask: Ask) -> None:
    """Whoever is not an Owner now, by the newest fact, is told no figure."""
    refused = Looking(account(), *facts).previewed(user_id)
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.ask) == (reason, ask)
    assert not any(letter.isdigit() for letter in refused.message)


def test_stale_facts_about_a_member_change_nothing() -> None:
    """A fact about a member that is not newer is ignored, so a role taken away does not come back."""
    looking = Looking(account(), member(role="agent", revision=2))
    looking.billing.when(member(revision=1)).then_ignored("not newer")
    looking.billing.when(member(revision=2)).then_ignored("not newer")
    assert isinstance(looking.previewed(), Rejected)


def test_a_fact_about_a_member_costs_one_row() -> None:
    """A member's fact loads and writes their row, whatever the number of members, and leaves the document alone."""
    looking = Looking(account(), *(member(f"user-{count}") for count in range(200)))
    before = looking.billing.document_bytes
    looking.billing.when(member("late"))
    assert looking.billing.loaded == ("member:late",)
    assert looking.billing.document_bytes == before


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": "suspended"}, Reason.ACCOUNT_NOT_ACTIVE),
        ({"status": "closed"}, Reason.ACCOUNT_NOT_ACTIVE),
        ({"sales_managed": True}, Reason.QUOTE_REQUIRED),
        ({"licenses": Licenses(standard=201)}, Reason.QUOTE_REQUIRED),
        ({"currency": "CHF"}, Reason.QUOTE_REQUIRED),
    ],
)
def test_what_cannot_be_bought_is_not_previewed(changes: dict[str, Any], reason: Reason) -> None:
    """An account that could not buy at list price now is told so, by the same function as entitlements asks."""
    refused = Looking(account(**changes), member()).previewed()
    assert isinstance(refused, Rejected)
    assert refused.reason is reason


def test_an_unknown_account_has_no_preview() -> None:
    """Before the account's first fact nothing is known, not even for a member of it."""
    refused = Looking(member()).previewed()
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.ACCOUNT_UNKNOWN


def test_unknown_and_bought_add_ons_have_no_preview() -> None:
    """An add-on that the catalog does not have, or that the account has already, is not previewed."""
    looking = Looking()
    looking.buy()
    has, unknown = looking.previewed(), looking.previewed(add_on="telepathy")
    assert isinstance(has, Rejected)
    assert isinstance(unknown, Rejected)
    assert (has.reason, unknown.reason) == (Reason.ALREADY_PURCHASED, Reason.ADD_ON_UNKNOWN)


def test_the_price_is_of_the_utc_day() -> None:
    """The offer is decided by the UTC date, as at the purchase: before the first price list a quote is needed."""
    refused = Looking(now=datetime(2019, 12, 31, 23, 59, tzinfo=UTC)).previewed()
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.QUOTE_REQUIRED
    assert Looking(now=datetime(2020, 1, 1, tzinfo=UTC)).preview().price_version == "2020-01"
