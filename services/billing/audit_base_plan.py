"""The audit of the base plan: each local day that is to be charged is, once, at a price that a fact told of.

Facts bear no instant, so what only some of them say (another price, another cycle) may hold from any bill on. What all
of them say is checked to the day, and a fact without a base plan excuses every gap. Where it begins, it begins by a
cycle that was told of before the add-on it begins with was sold: no later one reaches back.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise
from typing import NamedTuple

from contracts.accounts import AccountUpdated
from contracts.cycles import cycle_containing, local_date, local_midnight
from contracts.events import AddOnPurchased
from contracts.payload import Payload
from services.billing.ledger import Charge


class Span(NamedTuple):
    """The days of a subscription, [first, end), and where the base plan may begin with it."""

    first: date
    end: date
    begins: frozenset[date]


def span_of(purchase: AddOnPurchased, end: date, events: Sequence[Payload]) -> Span:
    """Return the span of a purchase, which is among the events, to its end.

    The cycles that may count are of the facts told before it and of those on whose terms it was sold; of the first fact
    where there are none; and of all where its first day lay ahead.
    """
    first, terms, facts = purchase.effective_date, purchase.terms, facts_of(events)
    counting = facts
    if first <= local_date(purchase.purchased_at, terms.timezone):
        before = facts_of(events[: events.index(purchase)]) or facts[:1]
        cycle = (terms.frequency, terms.cycle_anchor)
        same = [fact for fact in facts if (fact.billing.frequency, fact.billing.cycle_anchor) == cycle]
        counting = [*before, *same]
    return Span(first, end, frozenset(_cycle(fact, first)[1] for fact in counting))


def facts_of(events: Iterable[Payload]) -> list[AccountUpdated]:
    """Return the account's facts that were not stale when they came."""
    facts: list[AccountUpdated] = []
    for event in events:
        if isinstance(event, AccountUpdated) and (not facts or event.revision > facts[-1].revision):
            facts.append(event)
    return facts


def base_plan_sentences(
    charges: Sequence[Charge], spans: Sequence[Span], facts: Sequence[AccountUpdated], now: datetime
) -> Iterator[str]:
    """Say what is wrong with what was charged for the base plan, given when the account had add-ons.

    It may have begun by any of them: one that was sold later for earlier days, or ended since, does not reach back.
    """
    kept = sorted((each for each in charges if each.until > each.first), key=lambda charge: charge.first)
    for each in charges:
        yield from each.wrong_credits()
    for each in kept:
        yield from _charge(each, spans, facts)
    for one, following in pairwise(kept):
        if following.first < one.until:
            yield f"is billed twice on {following.first}"
    if all(fact.base_plan is not None for fact in facts):
        yield from _gaps(kept, spans, facts, now)
    if facts and all(fact.base_plan is not None for fact in facts):
        yield from _beginnings(kept, {each.line.period.to for each in charges}, spans)


def _charge(charge: Charge, spans: Sequence[Span], facts: Sequence[AccountUpdated]) -> Iterator[str]:
    line, first = charge.line, charge.first
    if line.quantity.total != 1:
        yield f"is not billed once on {first}"
    if not _is_covered(first, spans):
        yield f"is billed from {first} on, when there was no add-on"
    plans = [fact for fact in facts if fact.base_plan is not None]
    if facts and line.unit_price not in [fact.base_plan.amount for fact in plans if fact.base_plan is not None]:
        yield f"is billed at {line.unit_price} from {first} on, which it never cost"
    if facts and (line.days.in_cycle, charge.until) not in [_cycle(fact, first) for fact in plans]:
        yield f"is billed from {first} to {charge.until}, where nothing ends"


def _gaps(
    charges: Sequence[Charge], spans: Sequence[Span], facts: Sequence[AccountUpdated], now: datetime
) -> Iterator[str]:
    for one, following in pairwise(charges):
        if following.first > one.until and _is_covered(one.until, spans):
            yield f"is not billed from {one.until} to {following.first}"
    if not facts:
        return
    due = _due(spans)
    if not charges and due is not None and max(local_midnight(due, fact.timezone) for fact in facts) <= now:
        yield f"is not billed since {due}"
    until = charges[-1].until if charges else date.max
    if _is_covered(until, spans) and max(local_midnight(until, fact.timezone) for fact in facts) <= now:
        yield f"is not billed since {until}"


def _beginnings(charges: Sequence[Charge], ends: Collection[date], spans: Sequence[Span]) -> Iterator[str]:
    """Say where it begins, or begins again, on a day that no cycle gives which was told of in time."""
    possible = {day for span in spans for day in span.begins}
    expected = min((str(day) for day in possible if _is_covered(day, spans)), default="no day")
    begun = [*charges[:1], *(following for one, following in pairwise(charges) if following.first > one.until)]
    for each in begun:
        if each.first not in possible and each.first not in ends:
            yield f"is billed from {each.first} on, instead of {expected}"


def _due(spans: Sequence[Span]) -> date | None:
    """Return a day on which it must have begun: the first one, or where several cycles may count the last."""
    begins = sorted(day for span in spans for day in span.begins)
    if any(len(span.begins) > 1 for span in spans):
        begins = begins[-1:]
    return next((day for day in begins if _is_covered(day, spans)), None)


def _cycle(fact: AccountUpdated, day: date) -> tuple[int, date]:
    """Return the days of the cycle that a day falls in, and its end."""
    cycle = cycle_containing(fact.billing.cycle_anchor, fact.billing.frequency, day)
    return cycle.days, cycle.end


def _is_covered(day: date, spans: Sequence[Span]) -> bool:
    return any(span.first <= day < span.end for span in spans)
