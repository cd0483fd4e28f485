"""What may be asked about an account's add-ons: what a member could do with each, and what the account may use.

What is shown as open is what the command would be accepted for: both ask `policy.refusal`.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from contracts.accounts import BillingFrequency
from contracts.catalog import Catalog, ListPrice
from contracts.identity import Role
from contracts.money import Money
from contracts.offers import full_price
from contracts.payload import AccountId, AddOnId, UserId
from contracts.results import Action, Ask, Reason
from services.entitlements import policy
from services.entitlements.account import Known, rows_of, situation_of
from services.entitlements.policy import Situation
from services.entitlements.schedule import AddOnState
from services.runtime.decision import Rejected


class Access(StrEnum):
    """Why an account may use an add-on, or that it may not."""

    ACTIVE = "active"
    TRIAL = "trial"
    GRANTED = "granted"
    NONE = "none"


class ShownAction(BaseModel):
    """An action of the table: open to this member now, or why not and whom to ask."""

    action: Action
    open: bool
    reason: Reason | None = None
    message: str | None = None
    ask: Ask | None = None


class ShownPrice(BaseModel):
    """What the account can buy at now: `full_price` is unit price x seats, for one billing cycle."""

    price_version: str
    unit_price: Money
    frequency: BillingFrequency
    seats: Annotated[int, Field(ge=0)]
    full_price: Money


class ShownAddOn(BaseModel):
    """An add-on as one member sees it. `price` is left out where the account needs a quote."""

    add_on: AddOnId
    name: str
    access: Access
    until: Annotated[datetime | date | None, Field(description="first moment or local day without access")] = None
    price: ShownPrice | None = None
    trial_days: int
    quote_pending: bool
    requested_by_you: bool
    requests_open: Annotated[int | None, Field(description="how many wait for it; for Owners")] = None
    actions: tuple[ShownAction, ...]


class ShownAddOns(BaseModel):
    """Every add-on of the catalog as one member sees it."""

    account_id: AccountId
    user_id: UserId
    role: str
    timezone: Annotated[str, Field(description="the account's, by its IANA name: local days are days there")]
    add_ons: tuple[ShownAddOn, ...]


def rows_of_member(catalog: Catalog, user_id: str) -> tuple[str, ...]:
    """Name the rows of one member before every add-on: as many as the catalog has add-ons, and one."""
    return tuple(dict.fromkeys(name for add_on in catalog.add_ons for name in rows_of(user_id, add_on)))


def add_ons_of(state: Known, catalog: Catalog, user_id: str, now: datetime) -> ShownAddOns | Rejected:
    """Show a member every add-on; refuse whom the table gives no access at all. `rows_of_member` must be loaded."""
    situations = [situation_of(state, catalog, user_id, add_on, now) for add_on in catalog.add_ons]
    first = situations[0]
    reason = policy.member_refusal(first, permitted=bool(policy.may(first.role or "")))
    if reason is not None and reason is not Reason.ACCOUNT_NOT_ACTIVE:
        sentence = policy.sentence(first, Action.SUBSCRIBE_NOW, reason)
        return Rejected(reason, sentence, ask=policy.whom_to_ask(reason, first.role))
    return ShownAddOns(
        account_id=state.account_id,
        user_id=user_id,
        role=first.role or "",
        timezone=first.known_account.timezone,
        add_ons=tuple(_shown(situation) for situation in situations),
    )


def _shown(situation: Situation) -> ShownAddOn:
    has, add_on, account = situation.has, situation.known_add_on, situation.known_account
    holds = held(has, situation.today, situation.now)
    price = None
    if isinstance(situation.offer, ListPrice):
        price = ShownPrice(
            price_version=situation.offer.version,
            unit_price=situation.offer.unit_price,
            frequency=account.frequency,
            seats=account.licenses.total,
            full_price=full_price(situation.offer, account.licenses),
        )
    return ShownAddOn(
        add_on=situation.add_on_id,
        name=add_on.name,
        access=holds.access,
        until=holds.until,
        price=price,
        trial_days=add_on.trial_days,
        quote_pending=has.open_quote(situation.now) is not None,
        requested_by_you=situation.requested,
        requests_open=has.requests_open if situation.role == Role.OWNER else None,
        actions=tuple(_action(situation, action) for action in Action),
    )


def _action(situation: Situation, action: Action) -> ShownAction:
    reason = policy.refusal(situation, action)
    if reason is None:
        return ShownAction(action=action, open=True)
    message = policy.sentence(situation, action, reason)
    return ShownAction(
        action=action, open=False, reason=reason, message=message, ask=policy.whom_to_ask(reason, situation.role)
    )


class Held(NamedTuple):
    """What an account has of an add-on: why it may use it, since when, and the first moment or day without it."""

    access: Access
    since: datetime | date | None = None
    until: datetime | date | None = None


def held(has: AddOnState, today: date, now: datetime) -> Held:
    """Return what an account has of an add-on now, on its local date `today`.

    A subscription counts from its first billed day on; what is paid or granted lasts, whatever became of the account.
    """
    subscription, trial = has.subscription, has.running_trial(now)
    if subscription is not None and subscription.has_begun(today) and not subscription.has_ended(today):
        return Held(Access.ACTIVE, subscription.begins_on, subscription.ends_on)
    if has.is_granted(today):
        return Held(Access.GRANTED, None, has.granted_until)
    if trial is not None:
        return Held(Access.TRIAL, trial.started_at, trial.ends_at)
    return Held(Access.NONE)
