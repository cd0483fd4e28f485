"""The audit of the base plan: each local day that is to be charged is, once, at a price that a fact told of.

Facts bear no instant, so what only some of them say (another price, another cycle) may hold from any bill on. What all
of them say is checked to the day, and a fact without a base plan excuses every gap.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from itertools import pairwise

from contracts.accounts import AccountUpdated
from contracts.cycles import cycle_containing, local_midnight
from contracts.payload import Payload
from services.billing.ledger import Charge

Span = tuple[date, date]
"""The first day of a subscription, and the first day without it."""


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
    """Say what is wrong with what was charged for the base plan, given when the account had add-ons."""
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
    billed_the_same = {(fact.billing, fact.timezone) for fact in facts}
    if len(billed_the_same) == 1:
        first = _first_day(facts[0], spans)
        if charges and first is not None and charges[0].first != first:
            yield f"is billed from {charges[0].first} on, instead of {first}"
        if not charges and first is not None and local_midnight(first, facts[0].timezone) <= now:
            yield f"is not billed since {first}"
    until = charges[-1].until if charges else date.max
    if _is_covered(until, spans) and max(local_midnight(until, fact.timezone) for fact in facts) <= now:
        yield f"is not billed since {until}"


def _first_day(fact: AccountUpdated, spans: Sequence[Span]) -> date | None:
    """Return the first day of the first cycle that begins after an add-on's first, and while there is one."""
    begins = [_cycle(fact, first)[1] for first, _ in sorted(spans)]
    return next((each for each in begins if _is_covered(each, spans)), None)


def _cycle(fact: AccountUpdated, day: date) -> tuple[int, date]:
    """Return the days of the cycle that a day falls in, and its end."""
    cycle = cycle_containing(fact.billing.cycle_anchor, fact.billing.frequency, day)
    return cycle.days, cycle.end


def _is_covered(day: date, spans: Sequence[Span]) -> bool:
    return any(first <= day < end for first, end in spans)
