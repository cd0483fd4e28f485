"""What a command of the vendor's staff comes to. Every event carries who of the staff acted and why.

    ActivateAddOn       -> [TrialEnded (purchased), where it begins now], AddOnPurchased (origin quote)
    DeclineQuote        -> QuoteDeclined
    ModifySubscription  -> SubscriptionModified
    CancelSubscription  -> SubscriptionCanceled
    ExtendTrial         -> TrialExtended
    EndTrial            -> TrialEnded (back_office)
    GrantAddOn          -> AddOnGranted
    IssueCredit         -> Ignored: billing answers it

The order of refusals: account unknown, add-on or subscription unknown, what the account has of it, account factors.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from contracts.backoffice import (
    ActivateAddOn,
    CancelSubscription,
    DeclineQuote,
    EndTrial,
    ExtendTrial,
    GrantAddOn,
    ModifySubscription,
    StaffCommand,
)
from contracts.catalog import AddOn, Catalog
from contracts.cycles import local_date
from contracts.events import (
    AddOnGranted,
    AddOnPurchased,
    QuoteDeclined,
    SubscriptionCanceled,
    SubscriptionModified,
    Terms,
    TrialExtended,
)
from contracts.offers import AccountFacts
from contracts.payload import Payload, zone_of
from contracts.results import Reason
from services.entitlements.account import UNTOUCHED, Known, add_on_of, ending_trial, trial_ended
from services.entitlements.offers import QUOTED, terms_wanted
from services.entitlements.schedule import AddOnState, Subscription, notice_at
from services.runtime.decision import Accepted, Cause, Decision, Ignored, Rejected

_A_YEAR: Final = timedelta(days=366)
_Outcome = tuple[Payload, ...] | Rejected
_OfAddOn = ActivateAddOn | DeclineQuote | ExtendTrial | EndTrial | GrantAddOn
_OfSubscription = ModifySubscription | CancelSubscription


@dataclass(frozen=True, slots=True)
class _Case:
    """One add-on of a known account, on its local date `today`; `add_on` is None when the catalog lost it."""

    state: Known
    account: AccountFacts
    add_on_id: str
    add_on: AddOn | None
    has: AddOnState
    cause: Cause
    now: datetime

    @property
    def today(self) -> date:
        return local_date(self.now, self.account.timezone)

    @property
    def is_purchased(self) -> bool:
        return self.has.is_purchased(self.today)

    @property
    def name(self) -> str:
        return self.add_on.name if self.add_on is not None else self.add_on_id


def decide(state: Known, command: StaffCommand, cause: Cause, catalog: Catalog, now: datetime) -> Decision:
    """Answer a command of staff. `now` is in UTC."""
    if not isinstance(command, _OfAddOn | _OfSubscription):
        return Ignored(f"{cause.type} is billing's to answer")
    case = _case(state, command, cause, catalog, now)
    outcome = case if isinstance(case, Rejected) else _outcome(case, command)
    return outcome if isinstance(outcome, Rejected) else Accepted(outcome)


def _case(
    state: Known, command: _OfAddOn | _OfSubscription, cause: Cause, catalog: Catalog, now: datetime
) -> _Case | Rejected:
    account = state.document.account
    if account is None:
        return Rejected(Reason.ACCOUNT_UNKNOWN, f"No fact has told of the account {state.account_id} yet.")
    add_on_id = command.add_on if isinstance(command, _OfAddOn) else add_on_of(state, command.subscription_id)
    if add_on_id is None:
        return Rejected(Reason.SUBSCRIPTION_UNKNOWN, "The account has no such subscription: look up its id.")
    add_on = catalog.add_ons.get(add_on_id)
    if add_on is None and isinstance(command, _OfAddOn):
        return Rejected(Reason.ADD_ON_UNKNOWN, "The catalog has no such add-on: look up its id.")
    if isinstance(command, ActivateAddOn | _OfSubscription) and zone_of(account.timezone) is None:
        return _not_allowed(f"The account's time zone, {account.timezone}, is not known any more: have it corrected.")
    has = state.document.add_ons.get(add_on_id, UNTOUCHED)
    return _Case(state, account, add_on_id, add_on, has, cause, now)


def _outcome(case: _Case, command: _OfAddOn | _OfSubscription) -> _Outcome:
    match command:
        case ActivateAddOn():
            return _activate(case, command)
        case DeclineQuote():
            return _decline(case, command)
        case ExtendTrial():
            return _extend(case, command)
        case EndTrial():
            return _end(case, command)
        case GrantAddOn():
            return _grant(case, command)
        case ModifySubscription() | CancelSubscription():
            return _change(case, command)


def _not_allowed(sentence: str) -> Rejected:
    return Rejected(Reason.CHANGE_NOT_ALLOWED, sentence)


# -------------------------------------------------------------------------------------------- quotes, trials and grants


def _activate(case: _Case, command: ActivateAddOn) -> _Outcome:
    quote, account = case.has.open_quote(case.now), case.account
    if case.is_purchased:
        return Rejected(Reason.ALREADY_PURCHASED, f"The account already has {case.name}: modify its subscription.")
    if quote is None:
        return _no_quote(case)
    if account.status != "active":
        return Rejected(Reason.ACCOUNT_NOT_ACTIVE, "The account is not active: have it reactivated first.")
    first = command.effective_date or case.today
    refusal = _start_refusal(case, command, first)
    if refusal is not None:
        return refusal
    purchased = AddOnPurchased(
        account_id=command.account_id,
        add_on=command.add_on,
        subscription_id=case.cause.id_of("subscription", command.account_id, case.now),
        purchased_by=quote.requested_by,
        purchased_at=case.now,
        effective_date=first,
        terms=Terms(
            price_version=f"{QUOTED}{command.reference or quote.id}",
            unit_price=command.unit_price,
            frequency=command.frequency or account.frequency,
            licenses=command.licenses or account.licenses,
            currency=command.unit_price.currency,
            timezone=account.timezone,
            cycle_anchor=account.cycle_anchor,
        ),
        origin="quote",
        quote_id=quote.id,
        reference=command.reference,
        by=command.staff,
    )
    return ending_trial(case.state, purchased)


def _start_refusal(case: _Case, command: ActivateAddOn, first: date) -> Rejected | None:
    if command.unit_price.amount_minor < 0:
        return _not_allowed("A unit price is not negative: state what a seat costs.")
    if abs(first - case.today) > _A_YEAR:
        return _not_allowed(f"{first} is more than a year from today: state a nearer first day.")
    covered = case.has.subscription.covered_until if case.has.subscription is not None else None
    if covered is not None and first < covered:
        return _not_allowed(f"An earlier subscription covers the days before {covered}: begin there or later.")
    return None


def _decline(case: _Case, command: DeclineQuote) -> _Outcome:
    quote = case.has.open_quote(case.now)
    if quote is None:
        return _no_quote(case)
    declined = QuoteDeclined(
        account_id=command.account_id,
        add_on=command.add_on,
        quote_id=quote.id,
        requested_by=quote.requested_by,
        declined_at=case.now,
        by=command.staff,
    )
    return (declined,)


def _no_quote(case: _Case) -> Rejected:
    return Rejected(Reason.NO_QUOTE_PENDING, f"No quote for {case.name} is open: an Owner must request one first.")


def _extend(case: _Case, command: ExtendTrial) -> _Outcome:
    trial = case.has.trial
    if trial is None or case.has.running_trial(case.now) is None:
        return _no_trial(case)
    if command.ends_at <= trial.ends_at:
        return _not_allowed(f"The trial already lasts until {trial.ends_at:%Y-%m-%d %H:%M} UTC: state a later end.")
    if command.ends_at - case.now > _A_YEAR:
        return _not_allowed("A trial ends within a year: state an earlier end.")
    later = command.ends_at.astimezone(UTC)
    extended = TrialExtended(
        account_id=command.account_id,
        add_on=command.add_on,
        ends_at=later,
        extended_at=case.now,
        by=command.staff,
        notice_at=notice_at(case.add_on, later, case.now) if case.add_on else None,
    )
    return (extended,)


def _end(case: _Case, command: EndTrial) -> _Outcome:
    trial = case.has.running_trial(case.now)
    if trial is None:
        return _no_trial(case)
    return (trial_ended(command.account_id, command.add_on, trial, case.now, "back_office", command.staff),)


def _no_trial(case: _Case) -> Rejected:
    return Rejected(Reason.TRIAL_NOT_ACTIVE, f"No trial of {case.name} is running in this account.")


def _grant(case: _Case, command: GrantAddOn) -> _Outcome:
    if case.is_purchased:
        return Rejected(Reason.ALREADY_PURCHASED, f"The account already pays for {case.name}: cancel that first.")
    if not case.today < command.until <= case.today + _A_YEAR:
        return _not_allowed("An add-on is granted until a day after today, at most a year ahead: state another.")
    granted = AddOnGranted(
        account_id=command.account_id, add_on=command.add_on, until=command.until, granted_at=case.now, by=command.staff
    )
    return (granted,)


# -------------------------------------------------------------------------------------------------------- subscriptions


def _change(case: _Case, command: _OfSubscription) -> _Outcome:
    subscription = case.has.subscription
    if subscription is None:
        raise LookupError("the case is not that of the subscription's add-on")
    if isinstance(command, ModifySubscription):
        return _modify(case, command, subscription)
    return _cancel(case, command, subscription)


def _modify(case: _Case, command: ModifySubscription, subscription: Subscription) -> _Outcome:
    if subscription.ends_on is not None:
        return _not_allowed(f"The subscription ends on {subscription.ends_on}: it cannot be changed any more.")
    if command.licenses is not None and command.follow_account:
        return _not_allowed("The licenses either follow the account or are stated: choose one of the two.")
    present = subscription.at(case.now)
    coming = present.coming
    frequency = command.frequency or coming.frequency
    listed = case.add_on.list_price(coming.currency, frequency, case.now.date()) if case.add_on else None
    terms = terms_wanted(command, case.cause.id, coming, present.terms, case.account, listed)
    if isinstance(terms, str):
        return _not_allowed(terms)
    follows = command.follow_account or (subscription.follows_account and command.licenses is None)
    if terms == coming and follows == subscription.follows_account:
        return _not_allowed("The subscription is like that already: state what is to change.")
    modified = SubscriptionModified(
        account_id=command.account_id,
        add_on=case.add_on_id,
        subscription_id=command.subscription_id,
        modified_at=case.now,
        licenses=terms.licenses,
        licenses_from=present.day,
        terms=terms,
        terms_from=present.next_from,
        follows_account=follows,
        cause="back_office",
        by=command.staff,
    )
    return (modified,)


def _cancel(case: _Case, command: CancelSubscription, subscription: Subscription) -> _Outcome:
    if not case.is_purchased:
        never_began = subscription.ends_on == subscription.begins_on
        when = "before it began" if never_began else f"for {subscription.ends_on}"
        return _not_allowed(f"The subscription was canceled {when}: nothing is left to end.")
    ends_on = subscription.at(case.now).day if command.when == "now" else subscription.last_end(case.now)
    if subscription.ends_on is not None and (command.when != "now" or ends_on >= subscription.ends_on):
        return _not_allowed(f"The subscription is canceled already: it ends on {subscription.ends_on}.")
    canceled = SubscriptionCanceled(
        account_id=command.account_id,
        add_on=case.add_on_id,
        subscription_id=command.subscription_id,
        canceled_at=case.now,
        effective_date=ends_on,
        cause="back_office",
        by=command.staff,
    )
    return (canceled,)
