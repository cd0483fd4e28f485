"""Who may do what with an add-on now: the role × action table and the order of refusals (design section 1).

The checks run in one order, so that nobody learns more than their role may know:

    identity -> role -> account status -> add-on known -> what the account has of it -> account factors

`open_actions` is `refusal` asked for every action, so what an answer offers instead is what would be accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Final, Literal

from contracts.catalog import AddOn, Catalog, ListPrice
from contracts.cycles import local_date
from contracts.events import Terms
from contracts.identity import Role
from contracts.money import Money
from contracts.offers import AccountFacts, Offer, QuoteCause, full_price, offer_to, terms_of
from contracts.payload import zone_of
from contracts.promises import PricePromise
from contracts.results import Action, Ask, Reason
from services.entitlements import promised
from services.entitlements.schedule import AddOnState

_MAY: Final[Mapping[str, frozenset[Action]]] = MappingProxyType(
    {
        Role.OWNER: frozenset({Action.SUBSCRIBE_NOW, Action.REQUEST_QUOTE, Action.TRY_FOR_FREE}),
        Role.ADMIN: frozenset({Action.TRY_FOR_FREE, Action.REQUEST_FEATURE}),
        Role.SUPERVISOR: frozenset({Action.REQUEST_FEATURE}),
        Role.AGENT: frozenset(),
    }
)
_NOTHING: Final[frozenset[Action]] = frozenset()
Promised = PricePromise | Literal[Reason.PROMISE_INVALID] | None
"""The price promise of a purchase, or that what it carries is none; None when it carries nothing."""


@dataclass(frozen=True)
class Situation:
    """One member before one add-on at one moment: everything a rule may look at.

    `role` is the directory's, None when the member is unknown or removed. `requested`: this member's request is open.
    """

    catalog: Catalog
    account: AccountFacts | None
    role: str | None
    add_on_id: str
    has: AddOnState
    requested: bool
    now: datetime

    @property
    def add_on(self) -> AddOn | None:
        """The add-on, None when the catalog does not have it."""
        return self.catalog.add_ons.get(self.add_on_id)

    @property
    def known_account(self) -> AccountFacts:
        """The account, once it is known to be known; LookupError before is a defect."""
        if self.account is None:
            raise LookupError("the account is not known")
        return self.account

    @property
    def known_add_on(self) -> AddOn:
        """The add-on, once it is known to be known; LookupError before is a defect."""
        if self.add_on is None:
            raise LookupError("the catalog has no such add-on")
        return self.add_on

    @cached_property
    def today(self) -> date:
        """The account's local date; the account must be known."""
        return local_date(self.now, self.known_account.timezone)

    @property
    def is_purchased(self) -> bool:
        """Whether the account has the add-on today; a local date is only worked out for what was ever purchased."""
        return self.has.subscription is not None and self.has.is_purchased(self.today)

    @property
    def begins_on(self) -> date | None:
        """The first local day of the subscription, where that is still ahead."""
        subscription = self.has.subscription
        return subscription.begins_on if subscription is not None and not subscription.has_begun(self.today) else None

    @property
    def is_granted(self) -> bool:
        """Whether the account has the add-on free of charge today."""
        return self.has.granted_until is not None and self.has.is_granted(self.today)

    @cached_property
    def offer(self) -> Offer:
        """How the account can come by the add-on; worked out once, whoever asks. Both must be known."""
        return offer_to(self.known_account, self.known_add_on, self.catalog, self.now.date())

    @property
    def list_price(self) -> ListPrice:
        """The price of an account that may buy at one; TypeError for another is a defect."""
        if isinstance(self.offer, QuoteCause):
            raise TypeError("the account needs a quote: there is no list price to take")
        return self.offer


def may(role: str) -> frozenset[Action]:
    """Return what a role may do at all; a role addonflow does not know may do nothing."""
    return _MAY.get(role, _NOTHING)


def refusal(
    situation: Situation, action: Action, *, expected: Money | None = None, promise: Promised = None
) -> Reason | None:
    """Return why the member may not do this now, or None. `expected` and `promise` are a purchase's."""
    reason = member_refusal(situation, permitted=action in may(situation.role or ""))
    if reason is not None:
        return reason
    if situation.add_on is None or situation.is_purchased:
        return Reason.ADD_ON_UNKNOWN if situation.add_on is None else Reason.ALREADY_PURCHASED
    match action:
        case Action.SUBSCRIBE_NOW:
            return _purchase_refusal(situation, expected, promise)
        case Action.REQUEST_QUOTE:
            return _quote_refusal(situation)
        case Action.TRY_FOR_FREE:
            return _trial_refusal(situation)
        case Action.REQUEST_FEATURE:
            return Reason.ALREADY_REQUESTED if situation.requested else None


def open_actions(situation: Situation) -> tuple[Action, ...]:
    """Return what the member could do with the add-on now and have accepted, in the order of the table."""
    if situation.role is None or not may(situation.role):
        return ()
    return tuple(action for action in Action if refusal(situation, action) is None)


def member_refusal(situation: Situation, *, permitted: bool) -> Reason | None:
    """Return why the member may do nothing, whatever the add-on: who they are, their role, or the account's status.

    `permitted`: what they ask for is open to their role.
    """
    if situation.account is None:
        return Reason.ACCOUNT_UNKNOWN
    if situation.role is None:
        return Reason.MEMBER_UNKNOWN
    if not permitted:
        return Reason.ROLE_NOT_PERMITTED
    return Reason.ACCOUNT_NOT_ACTIVE if situation.account.status != "active" else None


def _purchase_refusal(situation: Situation, expected: Money | None, promise: Promised) -> Reason | None:
    # An open quote refuses a purchase only while the account still needs one: it may have come to buy at list price.
    if isinstance(situation.offer, QuoteCause):
        return Reason.QUOTE_PENDING if situation.has.open_quote(situation.now) else Reason.QUOTE_REQUIRED
    account = situation.known_account
    if zone_of(account.timezone) is None:
        return Reason.CHANGE_NOT_ALLOWED  # a purchase is final, and its first day is the account's
    if not account.payment_method_on_file:
        return Reason.PAYMENT_METHOD_REQUIRED
    if promise is Reason.PROMISE_INVALID:
        return promise
    changed = _broken(situation, promise) or expected not in {None, full_price(situation.offer, account.licenses)}
    return Reason.PRICE_CHANGED if changed else None


def _broken(situation: Situation, promise: Promised) -> PricePromise | None:
    """Return a promise that does not hold any more."""
    return promise if isinstance(promise, PricePromise) and not promised.is_kept(promise, *_now(situation)) else None


def _now(situation: Situation) -> tuple[Terms, AddOnState, datetime]:
    """Return what a promise is held against: the terms of a purchase now, what there is of the add-on, and when."""
    return terms_of(situation.known_account, situation.list_price), situation.has, situation.now


def _quote_refusal(situation: Situation) -> Reason | None:
    if situation.has.open_quote(situation.now):
        return Reason.QUOTE_PENDING
    return Reason.QUOTE_NOT_OFFERED if isinstance(situation.offer, ListPrice) else None


def _trial_refusal(situation: Situation) -> Reason | None:
    if situation.has.trial is None:
        return Reason.CHANGE_NOT_ALLOWED if situation.is_granted else None  # the one trial is not to be wasted
    return Reason.TRIAL_ACTIVE if situation.has.running_trial(situation.now) else Reason.TRIAL_ALREADY_USED


_ASK: Final[Mapping[Reason, Ask]] = MappingProxyType(
    {
        Reason.MEMBER_UNKNOWN: Ask.OWNER,
        Reason.ROLE_NOT_PERMITTED: Ask.OWNER,
        Reason.ACCOUNT_NOT_ACTIVE: Ask.OWNER,
        Reason.TRIAL_ALREADY_USED: Ask.OWNER,
        Reason.ALREADY_REQUESTED: Ask.OWNER,
        Reason.QUOTE_REQUIRED: Ask.ACCOUNT_MANAGER,
        Reason.QUOTE_PENDING: Ask.ACCOUNT_MANAGER,
    }
)


def whom_to_ask(reason: Reason, role: str | None) -> Ask | None:
    """Return who can help a refused member on. An Owner is never sent to an Owner."""
    ask = _ASK.get(reason)
    if ask is Ask.OWNER and role == Role.OWNER:
        return Ask.ACCOUNT_MANAGER if reason is Reason.ACCOUNT_NOT_ACTIVE else None
    return ask


SENTENCES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.ACCOUNT_UNKNOWN: "This account is not known here yet: try again in a few minutes.",
        Reason.MEMBER_UNKNOWN: "You are not a member of this account: ask one of its Owners to add you.",
        Reason.ACCOUNT_NOT_ACTIVE: "Your account is not active: it must be reactivated before {add_on} can be added.",
        Reason.ADD_ON_UNKNOWN: "There is no such add-on: choose one of those in the Plan tab.",
        Reason.ALREADY_PURCHASED: "Your account already has {add_on}: it is ready to use.",
        Reason.TRIAL_ACTIVE: "The free trial of {add_on} is already running: use it until {trial_end}.",
        Reason.TRIAL_ALREADY_USED: (
            "Your account has had its one free trial of {add_on}: an Owner can buy it or ask for a quote."
        ),
        Reason.QUOTE_PENDING: "A quote for {add_on} has already been requested: your account manager will answer it.",
        Reason.QUOTE_NOT_OFFERED: "Your account can buy {add_on} at list price: subscribe now, without a quote.",
        Reason.ALREADY_REQUESTED: "You have already requested {add_on} and your Owners know: ask one of them about it.",
        Reason.CHANGE_NOT_ALLOWED: "Your account has {add_on} for free until {granted_until}: no trial is needed.",
        Reason.PAYMENT_METHOD_REQUIRED: "Add a payment method to your account, then subscribe to {add_on}.",
        Reason.PROMISE_INVALID: (
            "This is no price promise of ours to your account for {add_on}: look at the price again and subscribe."
        ),
    }
)
_WHO_MAY: Final[Mapping[Action, str]] = MappingProxyType(
    {
        Action.SUBSCRIBE_NOW: "Only an Owner can subscribe to {add_on}: ask an Owner of your account.",
        Action.REQUEST_QUOTE: "Only an Owner can request a quote for {add_on}: ask an Owner of your account.",
        Action.TRY_FOR_FREE: (
            "Only an Owner or an admin can start a free trial of {add_on}: ask an Owner of your account."
        ),
        Action.REQUEST_FEATURE: "An Owner need not request {add_on}: try it, subscribe to it or ask for a quote.",
    }
)
_NO_ACCESS: Final = "Your role has no access to add-ons: ask an Owner of your account."
_WHY_QUOTE: Final[Mapping[QuoteCause, str]] = MappingProxyType(
    {
        QuoteCause.SALES_MANAGED: "your account is looked after by an account manager",
        QuoteCause.TOO_MANY_SEATS: "your account has more than {limit} seats",
        QuoteCause.NO_LIST_PRICE: "there is no list price in your currency and billing frequency",
    }
)


def sentence(
    situation: Situation, action: Action, reason: Reason, *, expected: Money | None = None, promise: Promised = None
) -> str:
    """Tell the member in one English sentence why not, and what to do. Whoever may do nothing is told nothing else."""
    add_on = situation.add_on.name if situation.add_on is not None else "this add-on"
    match reason:
        case Reason.ROLE_NOT_PERMITTED:
            barred = situation.role is None or not may(situation.role)
            return _NO_ACCESS if barred else _WHO_MAY[action].format(add_on=add_on)
        case Reason.ALREADY_PURCHASED if situation.begins_on is not None:
            return f"Your account already has {add_on}: it begins on {situation.begins_on}."
        case Reason.CHANGE_NOT_ALLOWED if action is Action.SUBSCRIBE_NOW:
            zone = situation.known_account.timezone
            return f"Your account's time zone, {zone}, is not known any more: correct it, then subscribe to {add_on}."
        case Reason.QUOTE_REQUIRED if isinstance(situation.offer, QuoteCause):
            why = _WHY_QUOTE[situation.offer].format(limit=situation.catalog.self_service_seat_limit)
            return f"{add_on} needs a quote, because {why}: request one from your account manager."
        case Reason.PRICE_CHANGED:
            return _price_changed(situation, add_on, expected, _broken(situation, promise))
    trial, until = situation.has.trial, situation.has.granted_until
    trial_end = f"{trial.ends_at:%Y-%m-%d %H:%M} UTC" if trial else "its end"
    return SENTENCES[reason].format(add_on=add_on, trial_end=trial_end, granted_until=until)


def _price_changed(situation: Situation, add_on: str, expected: Money | None, broken: PricePromise | None) -> str:
    if broken is not None:
        why = promised.differences(broken, *_now(situation))
        difference = _price_difference(situation, promised.promised_cycle(broken))
        return (
            f"The price promise for {add_on} does not hold any more, {why}. The price {difference}: "
            "check it and subscribe again."
        )
    shown = _price_difference(situation, expected) if expected is not None else "changed"
    return f"The price of {add_on} {shown}: check it and subscribe again."


def _price_difference(situation: Situation, expected: Money) -> str:
    price = full_price(situation.list_price, situation.known_account.licenses)
    is_now = f"is now {price} per billing cycle"
    if price.currency != expected.currency:
        return f"{is_now}, not {expected}"
    more = price.amount_minor - expected.amount_minor
    if not more:
        return f"is still {price} per billing cycle"
    difference = Money(amount_minor=abs(more), currency=price.currency)
    return f"{is_now}, {difference} {'more' if more > 0 else 'less'} than the {expected} you were shown"
