"""What billing remembers of an account, and how each fact, event and invoice changes that.

What stays true (`tests/billing/`):
- The timer `renewal` is set exactly while a subscription is to be renewed, or the base plan with one: to the midnight
  that begins the first day not paid for yet, in the zone of the terms of the day before, or of the account.
- The state is the fold of what came in and of the invoices that came of it; no clock and no price list is in it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import reduce
from typing import Any, Final, Self

from contracts.accounts import AccountUpdated
from contracts.backoffice import Staff
from contracts.events import AddOnPurchased, SubscriptionCanceled, SubscriptionModified
from contracts.invoices import BASE_PLAN, InvoiceIssued, InvoiceKind, InvoiceLine
from contracts.money import Money
from contracts.offers import AccountFacts
from contracts.payload import Value
from services.billing.base_plan import BaseSchedule
from services.billing.schedule import ActiveSubscription
from services.runtime.decision import Document, Row

RENEWAL: Final = "renewal"
LINES_MAX: Final = 200
"""Lines of an invoice that gathers many: about 100 KB as a record, where a reader takes 256 KB and a broker 1 MB."""

_DIGITS_MAX: Final = 18
"""More than any account has invoices. Python raises for integers of thousands of digits, which anybody may ask for."""


class BillingAccount(Document):
    """An account as billing knows it. `subscriptions` is by add-on id, so the catalog bounds it.

    `account_revision` is -1 until the account's first fact; `facts` and `name` are for previews and documents, and
    nothing that happened is charged by them.
    """

    next_number: int = 1
    subscriptions: Mapping[str, ActiveSubscription] = {}
    account_revision: int = -1
    facts: AccountFacts | None = None
    name: str = ""
    base: BaseSchedule | None = None

    def subscription(self, subscription_id: str) -> tuple[str, ActiveSubscription] | None:
        """Find a subscription and the add-on it is of."""
        for add_on, subscription in self.subscriptions.items():
            if subscription.subscription_id == subscription_id:
                return add_on, subscription
        return None


class GivenBack(Value):
    """What credits gave back of one line of an invoice: minor units, and the line's days from `days_from` on."""

    minor: int = 0
    days_from: date | None = None


class InvoiceRow(Row):
    """An invoice as published, and what was given back of each of its lines: row `invoice:<n>`, n counting 1, 2, 3 … .

    `given_back` is () while nothing was; `billed_to` is the account's name when it was issued.
    """

    invoice: InvoiceIssued
    billed_to: str = ""
    given_back: tuple[GivenBack, ...] = ()

    @property
    def left(self) -> tuple[int, ...]:
        """What is left of each line, in minor units."""
        lines = zip(self.invoice.lines, self._each_given_back(), strict=True)
        return tuple(line.amount.amount_minor - back.minor for line, back in lines)

    def used_to(self, index: int) -> date:
        """Return the end of the days of a line that were not given back."""
        return self._each_given_back()[index].days_from or self.invoice.lines[index].period.to

    def credited_by(self, credit: InvoiceLine) -> Self:
        """Take what a credit's line gives back as given back of the line that charged its days."""
        given_back = tuple(
            _with_credit(back, credit)
            if line.subscription_id == credit.subscription_id
            and line.period.from_ <= credit.period.from_ < line.period.to
            else back
            for line, back in zip(self.invoice.lines, self._each_given_back(), strict=True)
        )
        return self.model_copy(update={"given_back": given_back})

    def _each_given_back(self) -> tuple[GivenBack, ...]:
        return self.given_back or tuple(GivenBack() for _ in self.invoice.lines)


class ChargeRow(Row):
    """Which line of which of the account's invoices charged days of a subscription.

    Row `charge:<subscription id>:<first day of the paid period>:<n>`, n counting 0, 1, 2 … within the period.
    """

    invoice: int
    line: int


class SubscriptionRow(Row):
    """The invoice that billed a subscription's purchase: row `subscription:<subscription id>`."""

    invoice_number: str


def invoice_row(number: int) -> str:
    """Name the row of an invoice."""
    return f"invoice:{number}"


def charge_row(subscription_id: str, first: date, count: int) -> str:
    """Name the row of a paid period's charge, `count` from 0."""
    return f"charge:{subscription_id}:{first}:{count}"


def subscription_row(subscription_id: str) -> str:
    """Name the row that leads from a subscription to the invoice of its purchase."""
    return f"subscription:{subscription_id}"


def with_account(account: BillingAccount, fact: AccountUpdated) -> BillingAccount:
    """Remember what a preview depends on, and the base plan: a new one joins the add-ons at their next bill."""
    base = account.base
    is_new = fact.base_plan is not None and (base is None or base.plan is None)
    joins = (is_new and account.account_revision >= 0 and bool(account.subscriptions)) or (
        not is_new and base is not None and base.joins
    )
    if base is not None or fact.base_plan is not None:
        base = (base or BaseSchedule.of(fact)).told(fact, joins=joins)
    if base is not None:
        account = _settled(account, account.base or base)
    return _changed(account, account_revision=fact.revision, facts=AccountFacts.of(fact), name=fact.name, base=base)


def with_purchase(account: BillingAccount, event: AddOnPurchased) -> BillingAccount:
    """Begin a subscription; nothing of it is paid before its invoice."""
    subscription = ActiveSubscription.of(event, account.subscriptions.get(event.add_on))
    if account.base is not None:
        subscription = account.base.settling(subscription, account.subscriptions.values())
    return _with_subscription(account, event.add_on, subscription)


def with_change(account: BillingAccount, event: SubscriptionModified) -> BillingAccount:
    """Take new seats at once, and new terms from their day on."""
    found = account.subscription(event.subscription_id)
    return account if found is None else _with_subscription(account, found[0], found[1].changed(event))


def with_end(account: BillingAccount, event: SubscriptionCanceled) -> BillingAccount:
    """Let a subscription end."""
    found = account.subscription(event.subscription_id)
    return account if found is None else _with_subscription(account, found[0], found[1].ended(event.effective_date))


def with_invoice(account: BillingAccount, invoice: InvoiceIssued) -> BillingAccount:
    """Count an invoice, and take what its lines charge or give back as paid or credited."""
    subscriptions, base = dict(account.subscriptions), account.base
    for line in invoice.lines:
        found = account.subscription(line.subscription_id)
        if line.subscription_id == BASE_PLAN and base is not None:
            base = base.given_back(line) if invoice.kind is InvoiceKind.CREDIT else base.charged(line)
        elif found is not None:
            add_on = found[0]
            subscriptions[add_on] = _with_line(subscriptions[add_on], invoice.kind, line)
    base = None if base is None else base.billed_beside(invoice)
    return _changed(account, next_number=account.next_number + 1, subscriptions=subscriptions, base=base)


def issue(
    account: BillingAccount,
    account_id: str,
    kind: InvoiceKind,
    lines: Sequence[InvoiceLine],
    now: datetime,
    due_date: date,
    by: Staff | None = None,
) -> InvoiceIssued:
    """Make the account's next invoice of lines in one currency."""
    total = reduce(Money.__add__, (line.amount for line in lines))
    return InvoiceIssued(
        account_id=account_id,
        invoice_number=in_words(account.next_number, account_id),
        kind=kind,
        issued_at=now,
        due_date=due_date,
        currency=total.currency,
        lines=tuple(lines),
        total=total,
        by=by,
    )


def issue_each(
    account: BillingAccount,
    lines: Iterable[InvoiceLine],
    make: Callable[[BillingAccount, list[InvoiceLine]], InvoiceIssued],
) -> tuple[InvoiceIssued, ...]:
    """Make invoices of lines, one numbered after the other: at least one for each currency, none above `LINES_MAX`."""
    by_currency: dict[str, list[InvoiceLine]] = {}
    for line in lines:
        by_currency.setdefault(line.amount.currency, []).append(line)
    issued: list[InvoiceIssued] = []
    for _, each in sorted(by_currency.items()):
        for first in range(0, len(each), LINES_MAX):
            issued.append(make(account, each[first : first + LINES_MAX]))
            account = with_invoice(account, issued[-1])
    return tuple(issued)


def number_of(invoice_number: str, account_id: str) -> int | None:
    """Return which of the account's invoices this is: 12 for "acme-000012"; None when it is none of its."""
    digits = invoice_number.removeprefix(f"{account_id}-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS_MAX):
        return None
    number = int(digits)
    return number if number > 0 and in_words(number, account_id) == invoice_number else None


def in_words(number: int, account_id: str) -> str:
    """Return the number that is on an invoice."""
    return f"{account_id}-{number:06d}"


def _with_credit(back: GivenBack, credit: InvoiceLine) -> GivenBack:
    days_from = credit.period.from_ if credit.days.billed else back.days_from
    return GivenBack(minor=back.minor - credit.amount.amount_minor, days_from=days_from)


def _with_line(subscription: ActiveSubscription, kind: InvoiceKind, line: InvoiceLine) -> ActiveSubscription:
    match kind:
        case InvoiceKind.IMMEDIATE | InvoiceKind.RENEWAL:
            return subscription.charged(line)
        case InvoiceKind.ADJUSTMENT:
            return subscription.charged_for_more(line)
        case InvoiceKind.CREDIT:
            return subscription


def _settled(account: BillingAccount, base: BaseSchedule) -> BillingAccount:
    """Settle where the base plan begins with the add-ons that were heard of before any fact told of one."""
    settled = {name: base.settling(each, ()) for name, each in account.subscriptions.items()}
    return account.model_copy(update={"subscriptions": settled})


def _with_subscription(account: BillingAccount, add_on: str, subscription: ActiveSubscription) -> BillingAccount:
    return _changed(account, subscriptions={**account.subscriptions, add_on: subscription})


def retimed(account: BillingAccount) -> BillingAccount:
    """Set the timer to where it belongs by the zone data of today: that may have moved, or lost, a zone since."""
    timed = _changed(account)
    return account if timed.timers == account.timers else timed


def _changed(account: BillingAccount, **changes: Any) -> BillingAccount:
    """Change fields, and set the timer to the earliest charge that is due."""
    changed = account.model_copy(update=changes)
    subscriptions = changed.subscriptions.values()
    due = [each.renews_at for each in subscriptions]
    due += [changed.base.renews_at(subscriptions)] if changed.base is not None else []
    earliest = min((each for each in due if each is not None), default=None)
    return changed.model_copy(update={"timers": {} if earliest is None else {RENEWAL: earliest}})
