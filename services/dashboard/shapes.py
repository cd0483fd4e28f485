"""What the services' doors answer, as far as the dashboard shows it; more fields may come, and are passed over.

Add-ons, roles, states and reasons stay open strings: a newer service may know more of them than this page.
"""

from datetime import date, datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from contracts.accounts import Licenses
from contracts.invoices import BASE_PLAN, BilledDays, InvoiceLine, Period, Share
from contracts.money import Money
from contracts.payload import Value

Day = date  # where a field is called date


class ShownAction(Value):
    """An action of the table: open to this member now, or why not and whom to ask."""

    action: str
    open: bool
    reason: str | None = None
    message: str | None = None
    ask: str | None = None


class ShownPrice(Value):
    """What the account can buy at: `full_price` is unit price x seats, for one billing cycle."""

    price_version: str
    unit_price: Money
    frequency: str
    seats: int
    full_price: Money


class ShownAddOn(Value):
    """An add-on as one member sees it. `price` is left out where the account needs a quote."""

    add_on: str
    name: str
    access: str
    until: datetime | date | None = None
    price: ShownPrice | None = None
    trial_days: int = 0
    quote_pending: bool = False
    requested_by_you: bool = False
    requests_open: int | None = None
    actions: tuple[ShownAction, ...] = ()

    def action(self, name: str) -> ShownAction | None:
        """Return what is said of an action."""
        return next((each for each in self.actions if each.action == name), None)

    def opens(self, name: str) -> bool:
        """Whether an action is open to the member."""
        found = self.action(name)
        return found is not None and found.open


class AddOns(Value):
    """Every add-on of the catalog as one member sees it."""

    account_id: str
    user_id: str
    role: str
    timezone: str = "UTC"
    add_ons: tuple[ShownAddOn, ...]

    def find(self, add_on: str) -> ShownAddOn | None:
        """Return one of them."""
        return next((each for each in self.add_ons if each.add_on == add_on), None)


class Entitlement(Value):
    """Whether an account may use an add-on now."""

    add_on: str
    entitled: bool
    access: str
    since: datetime | date | None = None
    until: datetime | date | None = None
    trial_days_left: int | None = None


class Entitlements(Value):
    """What an account may use."""

    account_id: str
    entitlements: tuple[Entitlement, ...]


class ChargedToday(Value):
    """The charge of a purchase made now, and its derivation."""

    amount: Money
    period: Period
    days: BilledDays
    share: Share
    rule: str
    derivation: str | None = None


class NextBill(Value):
    """The next bill and what this add-on adds to it."""

    date: Day
    amount: Money
    total: Money | None = None


class Promise(Value):
    """A signed promise of exactly this charge, for a short time."""

    token: str
    expires_at: datetime


class Preview(Value):
    """What a purchase made now would cost."""

    account_id: str
    add_on: str
    licenses: Licenses
    unit_price: Money
    price_version: str
    frequency: str
    today: ChargedToday
    next_bill: NextBill | None = None
    promise: Promise | None = None


class InvoiceHead(Value):
    """One invoice in a list."""

    invoice_number: str
    kind: str
    issued_at: datetime
    due_date: date
    currency: str
    total: Money


class Invoices(Value):
    """A page of invoices, newest first; `next` is what to ask the following page with."""

    account_id: str
    invoices: tuple[InvoiceHead, ...]
    next: str | int | None = None


class ShownLine(InvoiceLine):
    """A charge, what people call what it is for, and its derivation in words."""

    name: str | None = None
    derivation: str | None = None

    @property
    def has_seats(self) -> bool:
        """Whether its quantity counts seats: what is given back and the base plan have none."""
        return self.credits is None and self.subscription_id != BASE_PLAN


class ShownInvoice(InvoiceHead):
    """An invoice with its lines."""

    lines: tuple[ShownLine, ...]


class UpcomingLine(Value):
    """What one subscription adds to the next bill."""

    add_on: str
    name: str | None = None
    description: str
    amount: Money


class UpcomingBill(Value):
    """What the next renewal would charge as things stand; nothing when nothing is subscribed."""

    date: Day | None = None
    currency: str | None = None
    lines: tuple[UpcomingLine, ...] = ()
    total: Money | None = None


class Asker(Value):
    """Somebody who asked for an add-on, and when."""

    user_id: str
    name: str | None = None
    role: str
    requested_at: datetime
    note: str | None = None


class DayOfRequests(Value):
    """How many asked on a day."""

    day: date
    requests: int


class FeatureRequest(Value):
    """What a team asks its Owners for; `open` are the requests since these were last answered, at `answered_at`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    add_on: str
    name: str
    people: int
    requests: int
    open: int | None = None
    answered_at: datetime | None = None
    roles: Annotated[dict[str, int], Field(default_factory=dict)]
    first_at: datetime | None = None
    last_at: datetime | None = None
    snoozed_until: date | None = None
    newest: tuple[Asker, ...] = ()
    trend: tuple[DayOfRequests, ...] = ()


class FeatureRequests(Value):
    """Everything a team asks its Owners for, and how often these want to hear of it."""

    account_id: str
    cadence: str | None = None
    feature_requests: tuple[FeatureRequest, ...]
