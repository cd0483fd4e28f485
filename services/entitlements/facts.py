"""What a newer fact of the account system comes to: it is remembered, and each subscription follows its account.

    AccountUpdated  -> [SubscriptionModified ...]             seats at once, other terms from the next period on
    AccountUpdated (closed) -> [SubscriptionCanceled ...]     with the current period, or on a first day that is ahead;
                                                              reopening revives none
    MemberUpdated   -> nothing but remembered

A subscription follows what changed from one fact to the next, so what staff agreed otherwise stays until the account
changes that very thing. Its seats do not follow while staff set them, and its price never once staff set that. Whether
it has ended is told by its own days, which neither the account's zone nor a clock set back moves.
"""

from collections.abc import Iterator
from datetime import datetime

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.catalog import AddOn, Catalog
from contracts.events import SubscriptionCanceled, SubscriptionModified, Terms
from contracts.offers import AccountFacts
from services.entitlements.account import Known, Member, member_row
from services.entitlements.offers import billed_as, is_negotiated, with_licenses
from services.entitlements.schedule import Present, Subscription
from services.runtime.decision import Accepted, Decision, Ignored


def decide(state: Known, fact: AccountUpdated | MemberUpdated, catalog: Catalog, now: datetime) -> Decision:
    """Take a newer fact; of an account, say what it changes in its subscriptions. `now` is in UTC."""
    if isinstance(fact, MemberUpdated):
        member: Member | None = state.row(member_row(fact.user_id))
        return _stale(fact.revision, member.revision if member is not None else None) or Accepted()
    known = state.document.account
    if known is None:
        return Accepted()
    changes = _changes(state, known, AccountFacts.of(fact), catalog, now)
    return _stale(fact.revision, known.revision) or Accepted(tuple(changes))


def _stale(revision: int, known: int | None) -> Ignored | None:
    if known is None or revision > known:
        return None
    return Ignored(f"revision {revision} is not newer than {known}")


def _changes(
    state: Known, before: AccountFacts, after: AccountFacts, catalog: Catalog, now: datetime
) -> Iterator[SubscriptionModified | SubscriptionCanceled]:
    for add_on, has in sorted(state.document.add_ons.items()):
        subscription = has.subscription
        if subscription is None:
            continue
        if after.status != "closed":
            terms = _followed(subscription, before, after, catalog.add_ons.get(add_on), now)
            if terms is not None:
                yield _modified(state.account_id, add_on, subscription, terms, now)
        elif subscription.ends_on is None:
            yield SubscriptionCanceled(
                account_id=state.account_id,
                add_on=add_on,
                subscription_id=subscription.id,
                canceled_at=now,
                effective_date=subscription.last_end(now),
                cause="account_closed",
            )


def _followed(
    subscription: Subscription, before: AccountFacts, after: AccountFacts, add_on: AddOn | None, now: datetime
) -> Terms | None:
    """Return the terms of the next period, seats included; None when nothing changes for the subscription."""
    present = subscription.at(now)
    if subscription.has_ended(present.day):
        return None
    licenses = present.terms.licenses
    if subscription.follows_account and after.licenses != before.licenses:
        licenses = after.licenses
    terms = with_licenses(present.coming, licenses)
    if subscription.ends_on is None:
        changes = {
            name: getattr(after, name)
            for name in ("timezone", "cycle_anchor")
            if getattr(after, name) != getattr(before, name)
        }
        terms = terms.model_copy(update=changes)
        if (after.currency, after.frequency) != (before.currency, before.frequency):
            terms = _at_list_price(terms, present, after, add_on, now)
    return terms if terms != present.coming else None


def _at_list_price(terms: Terms, present: Present, after: AccountFacts, add_on: AddOn | None, now: datetime) -> Terms:
    """Return the terms in the account's new currency and frequency, the same where staff set the price or none is."""
    wanted = after.currency, after.frequency
    if is_negotiated(terms) or wanted == (terms.currency, terms.frequency):
        return terms
    listed = add_on.list_price(*wanted, now.date()) if add_on is not None else None
    return billed_as(terms, present.terms, *wanted, listed) or terms


def _modified(
    account_id: str, add_on: str, subscription: Subscription, terms: Terms, now: datetime
) -> SubscriptionModified:
    present = subscription.at(now)
    return SubscriptionModified(
        account_id=account_id,
        add_on=add_on,
        subscription_id=subscription.id,
        modified_at=now,
        licenses=terms.licenses,
        licenses_from=present.day,
        terms=terms,
        terms_from=present.next_from,
        follows_account=subscription.follows_account,
        cause="account",
    )
