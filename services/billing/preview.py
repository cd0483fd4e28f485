"""What an add-on would cost if it were bought now: today's part of the cycle, the next bill, and a promise of it.

Nothing here computes an amount. The purchase that is not made is charged by `Charging.purchase`, and what follows is
renewed by `Charging.renewals`: the functions that charge. So a preview is the invoice, before there is one.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import reduce
from typing import Annotated, Final

from pydantic import BaseModel, Field

from contracts.accounts import BillingFrequency, Licenses
from contracts.catalog import AddOn, Catalog
from contracts.cycles import local_date
from contracts.events import AddOnPurchased, Person, Terms
from contracts.identity import Role
from contracts.invoices import BilledDays, InvoiceKind, InvoiceLine, Period, ProrationRule, Share
from contracts.money import Money
from contracts.offers import AccountFacts, QuoteCause, offer_to, terms_of
from contracts.payload import AccountId, AddOnId, zone_of
from contracts.promises import PricePromise, PromiseKeys
from contracts.results import Ask, Reason
from services.billing.account import RENEWAL, BillingAccount, with_invoice, with_purchase
from services.billing.charges import Charging
from services.billing.directory import owner_refusal
from services.billing.proration import derivation
from services.runtime.decision import Rejected, State

_NOT_BOUGHT: Final = "preview"


class ShownCharge(BaseModel):
    """What is charged at once: `amount` = unit price x seats x share, rounded once; `derivation` says so in words."""

    amount: Money
    period: Period
    days: BilledDays
    share: Share
    rule: ProrationRule
    derivation: str


class NextBill(BaseModel):
    """The first bill in the add-on's next cycle: its day, what the add-on costs on it, and what all of it comes to."""

    date: date
    amount: Money
    total: Money


class ShownPromise(BaseModel):
    """A price promise: a purchase that carries the token before it expires is charged exactly what the preview says."""

    token: str
    expires_at: datetime


class Preview(BaseModel):
    """What an add-on would cost the account if it were bought at `as_of`."""

    account_id: AccountId
    add_on: AddOnId
    as_of: datetime
    licenses: Licenses
    unit_price: Money
    price_version: str
    frequency: BillingFrequency
    today: ShownCharge
    next_bill: NextBill
    promise: Annotated[ShownPromise | None, Field(description="left out where the deployment makes none")] = None


@dataclass(frozen=True, slots=True)
class Previewing:
    """How previews are made: by these prices and this way to charge, promised for so long, signed with these keys."""

    catalog: Catalog
    charging: Charging
    keys: PromiseKeys
    promised_for: timedelta

    def preview(self, state: State[BillingAccount], user_id: str, add_on_id: str) -> Preview | Rejected:
        """Show an Owner the price of an add-on they could buy now; the member's row is loaded.

        Cost: the bills before the add-on's next, at most a year of them.
        """
        document, now = state.document, self.charging.now
        facts, add_on = document.facts, self.catalog.add_ons.get(add_on_id)
        refusal = owner_refusal(state, user_id, account_known=facts is not None)
        if refusal is not None:
            return refusal
        if facts is None or facts.status != "active":
            sentence = "Your account is not active: it must be reactivated before anything can be added."
            return Rejected(Reason.ACCOUNT_NOT_ACTIVE, sentence, ask=Ask.ACCOUNT_MANAGER)
        if add_on is None:
            return Rejected(Reason.ADD_ON_UNKNOWN, "There is no such add-on: choose one of those in the Plan tab.")
        day = local_date(now, facts.timezone)
        has = document.subscriptions.get(add_on_id)
        if has is not None and not has.coverage.is_over(day):
            state_of_it = "is ready to use" if has.effective_date <= day else f"begins on {has.effective_date}"
            return Rejected(Reason.ALREADY_PURCHASED, f"Your account already has {add_on.name}: it {state_of_it}.")
        terms = self._terms(facts, add_on, now)
        if isinstance(terms, Rejected):
            return terms
        return self._shown(document, _purchase(self.charging.account_id, user_id, add_on_id, terms, day, now))

    def _terms(self, facts: AccountFacts, add_on: AddOn, now: datetime) -> Terms | Rejected:
        offer = offer_to(facts, add_on, self.catalog, now.date())
        if isinstance(offer, QuoteCause):
            sentence = f"{add_on.name} has no list price for your account: request a quote from your account manager."
            return Rejected(Reason.QUOTE_REQUIRED, sentence, ask=Ask.ACCOUNT_MANAGER)
        if zone_of(facts.timezone) is None:
            sentence = f"Your account's time zone, {facts.timezone}, is not known any more: correct it first."
            return Rejected(Reason.CHANGE_NOT_ALLOWED, sentence)
        return terms_of(facts, offer)

    def _shown(self, document: BillingAccount, bought: AddOnPurchased) -> Preview:
        invoice = self.charging.purchase(document, bought)
        (line,) = invoice.lines
        after = with_invoice(with_purchase(document, bought), invoice)
        terms = bought.terms
        return Preview(
            account_id=bought.account_id,
            add_on=bought.add_on,
            as_of=bought.purchased_at,
            licenses=terms.licenses,
            unit_price=terms.unit_price,
            price_version=terms.price_version,
            frequency=terms.frequency,
            today=ShownCharge(
                amount=line.amount,
                period=line.period,
                days=line.days,
                share=line.share,
                rule=line.rule,
                derivation=derivation(line, InvoiceKind.IMMEDIATE),
            ),
            next_bill=self._next_bill(after),
            promise=self._promise(bought, line),
        )

    def _next_bill(self, account: BillingAccount) -> NextBill:
        # Bills that are overdue, or that come before the add-on's next, are made on the way to it.
        while RENEWAL in account.timers:
            bills = self.charging.renewals(account)
            for bill in bills:
                for line in bill.lines:
                    if line.subscription_id == _NOT_BOUGHT:
                        return NextBill(date=line.period.from_, amount=line.amount, total=bill.total)
            account = reduce(with_invoice, bills, account)
        raise LookupError("what was just bought is never renewed")

    def _promise(self, bought: AddOnPurchased, line: InvoiceLine) -> ShownPromise | None:
        promise = PricePromise(
            account_id=bought.account_id,
            add_on=bought.add_on,
            amount=line.amount,
            first_day=bought.effective_date,
            terms=bought.terms,
            rule=line.rule,
            promised_at=bought.purchased_at,
            expires_at=bought.purchased_at + self.promised_for,
        )
        token = self.keys.sign(promise)
        return None if token is None else ShownPromise(token=token, expires_at=promise.expires_at)


def _purchase(account_id: str, user_id: str, add_on_id: str, terms: Terms, day: date, now: datetime) -> AddOnPurchased:
    """Return the purchase that entitlements would make of the Owner's command now."""
    return AddOnPurchased(
        account_id=account_id,
        add_on=add_on_id,
        subscription_id=_NOT_BOUGHT,
        purchased_by=Person(user_id=user_id, role=Role.OWNER),
        purchased_at=now,
        effective_date=day,
        terms=terms,
        origin="self_service",
    )
