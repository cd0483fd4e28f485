"""What happens because its time has come: a trial is about to end, it ends, a quote expires.

    trial_notice:<add-on>  -> TrialEndingSoon
    trial_end:<add-on>     -> TrialEnded (expired), [AddOnPurchased (origin trial), where the catalog says convert]
                           -> TrialEnded (purchased), as the subscription begins that was agreed meanwhile
    quote_end:<add-on>     -> QuoteExpired

What happened, happened when it was due, however late the timer is. A trial that converts is bought at the list price of
that moment by who started it; the first billed day is the local date on which the trial ends. It lapses all the same
where the account could not buy at list price then, or has the add-on anyway, bought or for free.
"""

from datetime import datetime

from contracts.catalog import Catalog, ListPrice
from contracts.cycles import local_date
from contracts.events import AddOnPurchased, TrialEndingSoon
from contracts.offers import offer_to, terms_of
from contracts.payload import Payload, zone_of
from services.entitlements.account import QUOTE_END, TRIAL_NOTICE, Known, quote_expired, trial_ended
from services.entitlements.schedule import Trial
from services.runtime.decision import Accepted, Cause, Decision, Ignored, TimerDue


def decide(state: Known, timer: TimerDue, cause: Cause, catalog: Catalog, now: datetime) -> Decision:
    """Say what a timer comes to. One that the document does not name was called off."""
    due = state.document.timers.get(timer.name)
    if due is None:
        return Ignored(f"timer {timer.name} is of no concern: it is not set")
    if due > now:
        return Accepted()  # set anew since it came due; to ignore it would remove it
    kind, _, add_on = timer.name.partition(":")
    has = state.document.add_ons[add_on]
    if kind == QUOTE_END:
        return Accepted(quote_expired(state, add_on))
    trial = has.open_trial
    if trial is None:
        return Ignored(f"timer {timer.name} is of no concern: there is no trial")
    if kind != TRIAL_NOTICE or trial.ends_at <= now:  # a notice that comes after the end is the end itself
        return Accepted(_end(state, add_on, trial, cause, catalog))
    soon = TrialEndingSoon(
        account_id=state.account_id,
        add_on=add_on,
        started_by=trial.started_by,
        ends_at=trial.ends_at,
        after_trial=_after_trial(state, add_on, trial, catalog),
    )
    return Accepted((soon,))


def _after_trial(state: Known, add_on: str, trial: Trial, catalog: Catalog) -> str:
    """Return what the catalog lets a trial end in; a purchase or a grant that outlasts it leaves nothing to convert."""
    known, account, has = catalog.add_ons.get(add_on), state.document.account, state.document.add_ons[add_on]
    if known is None or account is None:
        return "lapse"
    today = local_date(trial.ends_at, account.timezone)
    return "lapse" if has.is_purchased(today) or has.is_granted(today) else known.after_trial


def _end(state: Known, add_on: str, trial: Trial, cause: Cause, catalog: Catalog) -> tuple[Payload, ...]:
    if state.document.add_ons[add_on].replaces_trial_at is not None:
        return (trial_ended(state.account_id, add_on, trial, trial.ends_at, "purchased"),)
    ended = trial_ended(state.account_id, add_on, trial, trial.ends_at, "expired")
    purchased = _conversion(state, add_on, trial, cause, catalog)
    return (ended,) if purchased is None else (ended, purchased)


def _conversion(state: Known, add_on_id: str, trial: Trial, cause: Cause, catalog: Catalog) -> AddOnPurchased | None:
    """Return the purchase that a trial ends in; None when it lapses."""
    account, add_on = state.document.account, catalog.add_ons.get(add_on_id)
    if account is None or add_on is None or add_on.after_trial != "convert":
        return None
    has, today = state.document.add_ons[add_on_id], local_date(trial.ends_at, account.timezone)
    if account.status != "active" or not account.payment_method_on_file or zone_of(account.timezone) is None:
        return None
    if has.is_purchased(today) or has.is_granted(today):
        return None
    offer = offer_to(account, add_on, catalog, trial.ends_at.date())
    if not isinstance(offer, ListPrice):
        return None
    return AddOnPurchased(
        account_id=state.account_id,
        add_on=add_on_id,
        subscription_id=cause.id_of("subscription", state.account_id, trial.ends_at),
        purchased_by=trial.started_by,
        purchased_at=trial.ends_at,
        effective_date=today,
        terms=terms_of(account, offer),
        origin="trial",
    )
