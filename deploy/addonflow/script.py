"""The words a story is written in: what somebody sends, what must come of it, and what that costs by the calendar.

What Cedar is charged is worked out here from dates alone, not by the code that is put to the test.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from contracts.accounts import AccountManager, AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.commands import PurchaseAddOn, RequestFeature, StartTrial
from contracts.notices import Template
from contracts.payload import Payload
from contracts.topics import BILLING, EVENTS, NOTIFICATIONS, RESULTS
from deploy.addonflow.messages import Outbound, of_payload

ANALYTICS, AI = "analytics_plus", "aircall_ai"
LIST_PRICES_MINOR: Final = {ANALYTICS: 1795, AI: 900}  # per seat and month in USD, as in the catalog that is delivered
STANDARD, ADDITIONAL = 5, 2
_ZONES: Final = ("Europe/Paris", "America/New_York", "America/Los_Angeles", "Asia/Tokyo")
_DAY_HOURS: Final = range(6, 18)
_DAYS_INTO_CYCLE: Final = 10
_LAST_DAY_OF_EVERY_MONTH: Final = 28


@dataclass(frozen=True, slots=True)
class Expected:
    """One record that must come, exactly once: on `topic` (registry name), the one that has all of `where`.

    It must then have all of `must`, too, and none of the words `silent_about`. Both are parts of {type, attributes,
    data, value}.
    """

    says: str
    topic: str
    where: Mapping[str, Any]
    must: Mapping[str, Any]
    silent_about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody does, and what must come of it. `awaits_digest`: it may take as long as a digest waits."""

    title: str
    sends: tuple[Outbound, ...] = ()
    expects: tuple[Expected, ...] = ()
    awaits_digest: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """The accounts of this run and the steps, in order. Whatever else comes of these accounts is wrong, too."""

    accounts: frozenset[str]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Cycle:
    """Cedar's billing cycle around today, a local date of its zone that lasts hours more."""

    timezone: str
    today: date
    start: date
    end: date

    @classmethod
    def around(cls, now: datetime) -> "Cycle":
        """Choose a zone in which it is day, and a monthly cycle that began ten days ago or a little earlier."""
        zone = next(name for name in _ZONES if now.astimezone(ZoneInfo(name)).hour in _DAY_HOURS)
        today = now.astimezone(ZoneInfo(zone)).date()
        start = today - timedelta(days=_DAYS_INTO_CYCLE)
        start = start.replace(day=min(start.day, _LAST_DAY_OF_EVERY_MONTH))
        next_month = start.replace(day=_LAST_DAY_OF_EVERY_MONTH) + timedelta(days=4)
        return cls(zone, today, start, next_month.replace(day=start.day))

    def prorated(self, unit_price_minor: int) -> int:
        """Return the price of all seats from today to the end, rounded half up to a cent."""
        billed, days = (self.end - self.today).days, (self.end - self.start).days
        return (2 * unit_price_minor * (STANDARD + ADDITIONAL) * billed + days) // (2 * days)


@dataclass(frozen=True)
class Script:
    """The accounts of one run and everything that can be said of them; `run` makes all ids its own."""

    run: str
    cycle: Cycle
    cedar: str = field(init=False)
    birch: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "cedar", f"cedar-{self.run}")
        object.__setattr__(self, "birch", f"birch-{self.run}")

    def say(self, name: str, payload: Payload) -> Outbound:
        """Send a message under an id of this run."""
        return of_payload(payload, f"{self.run}-{name}")

    def accepted(self, name: str, says: str) -> Expected:
        """Expect that a command is accepted."""
        must = {"type": "CommandAccepted"}
        return Expected(says, RESULTS.name, {"data": {"command_id": f"{self.run}-{name}"}}, must)

    def rejected(self, name: str, says: str, *, silent_about: tuple[str, ...] = (), **must: Any) -> Expected:
        """Expect that a command is refused with these parts of the answer."""
        where = {"data": {"command_id": f"{self.run}-{name}"}}
        return Expected(says, RESULTS.name, where, {"type": "CommandRejected", "data": must}, silent_about)

    def event(
        self, kind: str, says: str, *, account: str | None = None, where: Mapping[str, Any], **must: Any
    ) -> Expected:
        """Expect an event of a kind, about Cedar unless said otherwise."""
        about = {"type": kind, "data": {"account_id": account or self.cedar, **where}}
        return Expected(says, EVENTS.name, about, {"data": must})

    def notice(
        self, template: Template, says: str, recipients: list[dict[str, str]], where: Mapping[str, Any], **said: Any
    ) -> Expected:
        """Expect a notification that says these things to exactly these people."""
        about = {"data": {"template": template.value, "data": where}}
        return Expected(says, NOTIFICATIONS.name, about, {"data": {"recipients": recipients, "data": said}})

    def account(self, account_id: str, name: str, *, sales_managed: bool) -> Outbound:
        """State an account in USD with a payment method, billed monthly."""
        manager = AccountManager(name="Mara", email="mara@example.com") if sales_managed else None
        fact = AccountUpdated(
            account_id=account_id,
            revision=1,
            name=name,
            status="active",
            currency="USD",
            timezone=self.cycle.timezone,
            sales_managed=sales_managed,
            payment_method_on_file=True,
            licenses=Licenses(standard=STANDARD, additional=ADDITIONAL),
            billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=self.cycle.start),
            account_manager=manager,
        )
        return self.say(f"fact-{account_id}", fact)

    def member(self, account_id: str, name: str, role: str) -> Outbound:
        """State an active member, whose user id is the name in lower case."""
        fact = MemberUpdated(
            account_id=account_id,
            revision=1,
            user_id=name.lower(),
            role=role,
            status="active",
            name=name,
            email=f"{name.lower()}@example.com",
        )
        return self.say(f"fact-{account_id}-{name}", fact)

    def purchase(self, name: str, user: str, add_on: str, account: str | None = None) -> Outbound:
        """Have a member buy an add-on."""
        return self.say(name, PurchaseAddOn(account_id=account or self.cedar, user_id=user, add_on=add_on))

    def feature(self, name: str, user: str, note: str | None = None) -> Outbound:
        """Have a member of Cedar request Analytics+."""
        return self.say(name, RequestFeature(account_id=self.cedar, user_id=user, add_on=ANALYTICS, note=note))

    def trial(self, name: str, user: str) -> Outbound:
        """Have a member of Cedar try Aircall AI."""
        return self.say(name, StartTrial(account_id=self.cedar, user_id=user, add_on=AI))

    def invoice(self, number: int, add_on: str) -> tuple[Expected, Expected]:
        """Return the invoice from today to the end of the cycle, and its receipt for the Owner."""
        cycle, price = self.cycle, LIST_PRICES_MINOR[add_on]
        amount = {"amount_minor": cycle.prorated(price), "currency": "USD"}
        billed, days = (cycle.end - cycle.today).days, (cycle.end - cycle.start).days
        line = {
            "add_on": add_on,
            "period": {"from": cycle.today.isoformat(), "to": cycle.end.isoformat()},
            "quantity": {"standard": STANDARD, "additional": ADDITIONAL},
            "unit_price": {"amount_minor": price, "currency": "USD"},
            "days": {"billed": billed, "in_cycle": days},
            "timezone": cycle.timezone,
            "amount": amount,
        }
        invoice = f"{self.cedar}-{number:06d}"
        cents = f"{amount['amount_minor']:03d}"
        says = (
            f"Cedar is billed {cents[:-2]}.{cents[-2:]} USD at once, for {billed} of {days} days, as invoice {number}"
        )
        where = {"data": {"account_id": self.cedar, "lines": [{"add_on": add_on}]}}
        must = {"invoice_number": invoice, "kind": "immediate", "total": amount, "lines": [line]}
        receipt = self.notice(
            Template.PURCHASE_RECEIPT,
            "Olivia gets a receipt",
            [{"user_id": "olivia"}],
            {"invoice_number": invoice},
            total=amount,
        )
        return Expected(says, BILLING.name, where, {"type": "InvoiceIssued", "data": must}), receipt
