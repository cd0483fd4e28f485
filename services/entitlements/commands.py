"""What a member's command comes to: events, or a refusal with what the same member could do instead.

PurchaseAddOn   -> [TrialEnded (purchased)], AddOnPurchased
RequestQuote    -> [QuoteExpired], QuoteRequested
StartTrial      -> TrialStarted
RequestFeature  -> FeatureRequested
DeclineFeature  -> FeatureDeclined     Owners only, as the two below
SnoozeFeature   -> FeatureSnoozed
ChangeDigest    -> DigestChanged
a command of the back office's -> refused: whatever it says, a member is not the vendor's staff
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from contracts.catalog import Catalog
from contracts.commands import (
    BackOfficeAttempt,
    ChangeDigest,
    Command,
    DeclineFeature,
    OwnerCommand,
    PurchaseAddOn,
    RequestFeature,
    RequestQuote,
    SnoozeFeature,
    StartTrial,
)
from contracts.events import (
    AddOnPurchased,
    DigestChanged,
    FeatureDeclined,
    FeatureRequested,
    FeatureSnoozed,
    QuoteRequested,
    TrialStarted,
)
from contracts.identity import Role
from contracts.offers import terms_of
from contracts.payload import Payload
from contracts.promises import PricePromise, PromiseKeys
from contracts.results import Action, Ask, Reason
from services.entitlements import policy
from services.entitlements.account import Known, ending_trial, person, quote_expired, situation_of
from services.entitlements.policy import Promised, Situation
from services.entitlements.schedule import expires_at, notice_at
from services.runtime.decision import Accepted, Cause, Rejected

_SNOOZE_MAX: Final = timedelta(days=366)
_ACTIONS: Final[Mapping[type[Payload], Action]] = MappingProxyType(
    {
        PurchaseAddOn: Action.SUBSCRIBE_NOW,
        RequestQuote: Action.REQUEST_QUOTE,
        StartTrial: Action.TRY_FOR_FREE,
        RequestFeature: Action.REQUEST_FEATURE,
    }
)


def decide(
    state: Known, command: Command, cause: Cause, catalog: Catalog, keys: PromiseKeys, now: datetime
) -> Accepted | Rejected:
    """Answer one of the four commands of the table by the policy. `now` is in UTC; `keys` verify price promises."""
    situation = situation_of(state, catalog, command.user_id, command.add_on, now)
    action = _ACTIONS[type(command)]
    expected, promise = None, _promise(command, keys)
    if isinstance(command, PurchaseAddOn):
        expected = command.expected
    reason = policy.refusal(situation, action, expected=expected, promise=promise)
    if reason is not None:
        sentence = policy.sentence(situation, action, reason, expected=expected, promise=promise)
        return _refused(situation, reason, sentence)
    if isinstance(command, PurchaseAddOn):
        purchased = _purchase(state, command, situation, cause)
        if isinstance(promise, PricePromise):
            purchased = _as_promised(purchased, promise, command.price_promise)
        return Accepted(ending_trial(state, purchased))
    return Accepted(_effects(state, command, situation, cause))


def _promise(command: Command, keys: PromiseKeys) -> Promised:
    if not isinstance(command, PurchaseAddOn) or command.price_promise is None:
        return None
    return keys.read(command.price_promise, command.account_id, command.add_on) or Reason.PROMISE_INVALID


def _refused(situation: Situation, reason: Reason, sentence: str) -> Rejected:
    return Rejected(reason, sentence, policy.open_actions(situation), policy.whom_to_ask(reason, situation.role))


def _effects(
    state: Known, command: RequestQuote | StartTrial | RequestFeature, situation: Situation, cause: Cause
) -> tuple[Payload, ...]:
    match command:
        case RequestQuote():
            quote = QuoteRequested(
                account_id=command.account_id,
                add_on=command.add_on,
                quote_id=cause.id_of("quote", command.account_id, situation.now),
                requested_by=person(state, command.user_id),
                requested_at=situation.now,
                licenses=situation.known_account.licenses,
                note=command.note,
                expires_at=expires_at(situation.catalog, situation.now),
            )
            return *quote_expired(state, command.add_on), quote  # one whose timer is late
        case StartTrial():
            return (_trial(state, command, situation),)
        case RequestFeature():
            request = FeatureRequested(
                account_id=command.account_id,
                add_on=command.add_on,
                requested_by=person(state, command.user_id),
                requested_at=situation.now,
                note=command.note,
            )
            return (request,)


def _trial(state: Known, command: StartTrial, situation: Situation) -> TrialStarted:
    # Days of 24 hours from the moment it starts: neither a zone nor daylight saving makes a trial longer or shorter.
    ends_at = situation.now + timedelta(days=situation.known_add_on.trial_days)
    return TrialStarted(
        account_id=command.account_id,
        add_on=command.add_on,
        started_by=person(state, command.user_id),
        started_at=situation.now,
        ends_at=ends_at,
        notice_at=notice_at(situation.known_add_on, ends_at, situation.now),
    )


def _purchase(state: Known, command: PurchaseAddOn, situation: Situation, cause: Cause) -> AddOnPurchased:
    return AddOnPurchased(
        account_id=command.account_id,
        add_on=command.add_on,
        subscription_id=cause.id_of("subscription", command.account_id, situation.now),
        purchased_by=person(state, command.user_id),
        purchased_at=situation.now,
        effective_date=situation.today,
        terms=terms_of(situation.known_account, situation.list_price),
        origin="self_service",
    )


def _as_promised(purchased: AddOnPurchased, promise: PricePromise, token: str | None) -> AddOnPurchased:
    """Return the purchase with all that its charge depends on as it was promised, the day included."""
    kept = {
        "effective_date": promise.first_day,
        "terms": promise.terms,
        "promise": token,
        "promised": promise.price,
    }
    return purchased.model_copy(update=kept)


def decide_other(
    state: Known, command: OwnerCommand | BackOfficeAttempt, catalog: Catalog, now: datetime
) -> Accepted | Rejected:
    """Answer what only Owners may say of the feature requests of others, and refuse what only staff may do."""
    if isinstance(command, BackOfficeAttempt):
        return _refuse_attempt(state)
    add_on = "" if isinstance(command, ChangeDigest) else command.add_on
    situation = situation_of(state, catalog, command.user_id, add_on, now)
    reason = _owner_refusal(situation, command)
    if reason is None:
        return Accepted((_owner_event(state, command, now),))
    name = situation.add_on.name if situation.add_on is not None else "this add-on"
    return _refused(situation, reason, _OWNER_SENTENCES[reason].format(add_on=name))


def _owner_refusal(situation: Situation, command: OwnerCommand) -> Reason | None:
    reason = policy.member_refusal(situation, permitted=situation.role == Role.OWNER)
    if reason is not None or isinstance(command, ChangeDigest):
        return reason
    if situation.add_on is None:
        return Reason.ADD_ON_UNKNOWN
    if isinstance(command, DeclineFeature):
        return None if situation.has.requests_open else Reason.NOTHING_REQUESTED
    in_bounds = situation.today < command.until <= situation.today + _SNOOZE_MAX
    return None if in_bounds else Reason.CHANGE_NOT_ALLOWED


def _owner_event(state: Known, command: OwnerCommand, now: datetime) -> Payload:
    account_id, who = command.account_id, person(state, command.user_id)
    match command:
        case DeclineFeature(add_on=add_on, note=note):
            return FeatureDeclined(account_id=account_id, add_on=add_on, declined_by=who, declined_at=now, note=note)
        case SnoozeFeature(add_on=add_on, until=until):
            return FeatureSnoozed(account_id=account_id, add_on=add_on, snoozed_by=who, snoozed_at=now, until=until)
        case ChangeDigest(cadence=cadence):
            return DigestChanged(account_id=account_id, cadence=cadence, changed_by=who, changed_at=now)


_OWNER_SENTENCES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        **policy.SENTENCES,
        Reason.ROLE_NOT_PERMITTED: "Only an Owner decides on feature requests: ask an Owner of your account.",
        Reason.ACCOUNT_NOT_ACTIVE: "Your account is not active: it must be reactivated first.",
        Reason.NOTHING_REQUESTED: "Nobody is waiting for {add_on}: there is no request to decline.",
        Reason.CHANGE_NOT_ALLOWED: "{add_on} can be snoozed until a day after today, at most a year ahead: choose one.",
    }
)


def _refuse_attempt(state: Known) -> Rejected:
    """Refuse a back-office command that came as a member's, whoever sent it, and name whom to ask."""
    account = state.document.account
    manager = account.account_manager if account is not None else None
    whom = f"your account manager, {manager.name}" if manager is not None else "your account manager"
    sentence = f"Members cannot change subscriptions, trials or quotes: ask {whom}."
    return Rejected(Reason.CHANGE_NOT_ALLOWED, sentence, ask=Ask.ACCOUNT_MANAGER)
