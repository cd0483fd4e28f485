"""A load with a known outcome: purchases of a few accounts for billing, commands of a few accounts for entitlements."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.commands import PurchaseAddOn, RequestFeature, StartTrial, UserCommand
from contracts.events import AddOnPurchased, Person, Terms
from contracts.money import Money
from contracts.topics import BILLING, EVENTS, RESULTS
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, by_account, once_each, record

ACCOUNTS = tuple(f"account-{number}" for number in range(6))
ADD_ONS = ("analytics_plus", "aircall_ai")
SUPERVISORS = 5


def purchase(account: str, number: int) -> AddOnPurchased:
    """Return the `number`-th purchase of an account: full price 17.95 USD a seat, 20 of 30 days left.

    Its days are a century ahead, so that nothing is renewed while a test runs.
    """
    return AddOnPurchased(
        account_id=account,
        add_on=f"add_on_{number}",
        subscription_id=f"{account}-{number}",
        purchased_by=Person(user_id="olivia", role="owner"),
        purchased_at=datetime(2126, 9, 30, 16, tzinfo=UTC),
        effective_date=date(2126, 9, 30),
        terms=Terms(
            price_version="2026-01",
            unit_price=Money(amount_minor=1_795, currency="USD"),
            frequency=BillingFrequency.MONTHLY,
            licenses=Licenses(standard=1),
            currency="USD",
            timezone="America/New_York",
            cycle_anchor=date(2126, 9, 20),
        ),
        origin="self_service",
    )


def purchases(first: int, last: int) -> list[Record]:
    """Return purchases `first` to `last` of every account, interleaved."""
    return [
        record(purchase(account, number), f"{account}:{number}", number)
        for number in range(first, last + 1)
        for account in ACCOUNTS
    ]


def assert_invoiced_once(deployment: Deployment, each: int) -> None:
    """Check that purchases 1 to `each` of every account have one invoice each, numbered without a gap, of 11.97 USD."""
    accounts = by_account(deployment.read(BILLING))
    assert set(accounts) == set(ACCOUNTS)
    for account, invoices in accounts.items():
        numbers = [invoice.data["invoice_number"] for invoice in invoices]
        assert numbers == [f"{account}-{number:06d}" for number in range(1, each + 1)], numbers
        billed = sorted(line["subscription_id"] for invoice in invoices for line in invoice.data["lines"])
        assert billed == sorted(f"{account}-{number}" for number in range(1, each + 1))
        assert {invoice.data["total"]["amount_minor"] for invoice in invoices} == {1_197}


def account(account_id: str, revision: int = 1) -> AccountUpdated:
    """Return an account that may buy at list price."""
    return AccountUpdated(
        account_id=account_id,
        revision=revision,
        name=account_id,
        status="active",
        currency="USD",
        timezone="America/New_York",
        sales_managed=False,
        payment_method_on_file=True,
        licenses=Licenses(standard=3),
        billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 9, 20)),
    )


def member(account_id: str, user_id: str, role: str, revision: int = 1) -> MemberUpdated:
    """Return an active member."""
    return MemberUpdated(account_id=account_id, revision=revision, user_id=user_id, role=role, status="active")


def directory(accounts: Sequence[str] = ACCOUNTS) -> list[Record]:
    """Return the facts of every account: an owner and supervisors."""
    facts = [record(account(name), f"{name}:fact") for name in accounts]
    for name in accounts:
        facts.append(record(member(name, "owner", "owner"), f"{name}:owner"))
        facts += [
            record(member(name, f"supervisor-{number}", "supervisor"), f"{name}:supervisor-{number}")
            for number in range(SUPERVISORS)
        ]
    return facts


def commands(accounts: Sequence[str] = ACCOUNTS) -> list[Record]:
    """Return commands of every account, interleaved: requests, a trial, purchases; two of them are refused."""
    sent: list[UserCommand] = []
    for name in accounts:
        for add_on in ADD_ONS:
            sent += [
                RequestFeature(account_id=name, user_id=f"supervisor-{number}", add_on=add_on)
                for number in range(SUPERVISORS)
            ]
        sent.append(StartTrial(account_id=name, user_id="owner", add_on="aircall_ai"))
        sent.append(StartTrial(account_id=name, user_id="owner", add_on="aircall_ai"))
        sent.append(PurchaseAddOn(account_id=name, user_id="owner", add_on="analytics_plus"))
        sent.append(PurchaseAddOn(account_id=name, user_id="owner", add_on="analytics_plus"))
    per_account = len(sent) // len(accounts)
    interleaved = [sent[start + step] for step in range(per_account) for start in range(0, len(sent), per_account)]
    return [record(command, f"command-{command.account_id}-{number}") for number, command in enumerate(interleaved)]


EVENTS_OF_COMMANDS = ["FeatureRequested"] * 10 + ["TrialStarted", "AddOnPurchased"]
RESULTS_OF_COMMANDS = [*["CommandAccepted"] * 11, "CommandRejected", "CommandAccepted", "CommandRejected"]


def assert_answered_once(deployment: Deployment, sent: Sequence[Record], accounts: Sequence[str] = ACCOUNTS) -> None:
    """Check that every command has one result and its one effect, in the order of the account's commands."""
    results, events = deployment.read(RESULTS), deployment.read(EVENTS)
    assert sorted(each.data["command_id"] for each in once_each(results)) == sorted(each.id for each in sent)
    for answers in by_account(results).values():
        types = [each.type for each in answers]
        assert types == RESULTS_OF_COMMANDS, [(each.data["command_id"], each.type) for each in answers]
    happened_in = by_account(events)
    assert set(happened_in) == set(accounts)
    for happened in happened_in.values():
        types = [each.type for each in happened]
        assert types == EVENTS_OF_COMMANDS, types
    announced = [event for each in once_each(results) for event in each.data.get("events", ())]
    assert sorted(announced) == sorted(each.id for each in once_each(events))


def assert_billed_once(deployment: Deployment, accounts: Sequence[str] = ACCOUNTS) -> None:
    """Check that the one purchase among the commands of every account has one invoice, the account's first."""
    invoices = by_account(deployment.read(BILLING))
    assert {name: [each.data["invoice_number"] for each in found] for name, found in invoices.items()} == {
        name: [f"{name}-000001"] for name in accounts
    }
