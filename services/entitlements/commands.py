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
from contracts.identity import Role, derive_id
from contracts.payload import Payload
from contracts.results import Action, Ask, Reason
from services.entitlements import policy
from services.entitlements.account import Known, ending_trial, person, quote_expired, situation_of
from services.entitlements.offers import expires_at, notice_at, terms_of
from services.entitlements.policy import Situation
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


def decide(state: Known, command: Command, cause: Cause, catalog: Catalog, now: datetime) -> Accepted | Rejected:
    """Answer one of the four commands of the table by the policy. `now` is in UTC."""
    situation = situation_of(state, catalog, command.user_id, command.add_on, now)
    action = _ACTIONS[type(command)]
    expected, promise = None, None
    if isinstance(command, PurchaseAddOn):
        expected, promise = command.expected, command.price_promise
    reason = policy.refusal(situation, action, expected=expected, promise=promise)
    if reason is not None:
        return _refused(situation, reason, policy.sentence(situation, action, reason, expected=expected))
    return Accepted(_effects(state, command, situation, cause))


def _refused(situation: Situation, reason: Reason, sentence: str) -> Rejected:
    return Rejected(reason, sentence, policy.open_actions(situation), policy.whom_to_ask(reason, situation.role))


def _effects(state: Known, command: Command, situation: Situation, cause: Cause) -> tuple[Payload, ...]:
    match command:
        case PurchaseAddOn():
            return _purchase(state, command, situation, cause)
        case RequestQuote():
            quote = QuoteRequested(
                account_id=command.account_id,
                add_on=command.add_on,
                quote_id=derive_id(command.account_id, cause.id, "quote"),
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


def _purchase(state: Known, command: PurchaseAddOn, situation: Situation, cause: Cause) -> tuple[Payload, ...]:
    purchased = AddOnPurchased(
        account_id=command.account_id,
        add_on=command.add_on,
        subscription_id=derive_id(command.account_id, cause.id, "subscription"),
        purchased_by=person(state, command.user_id),
        purchased_at=situation.now,
        effective_date=situation.today,
        terms=terms_of(situation.known_account, situation.list_price),
        origin="self_service",
    )
    return ending_trial(state, purchased)


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
