"""Fills Redis with subscriptions whose next cycle begins at one and the same midnight, as billing stores them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from itertools import islice
from typing import Any

from contracts.accounts import BillingFrequency, Licenses
from contracts.cycles import months_after
from contracts.events import AddOnPurchased, Person, Terms
from contracts.money import Money
from services.billing.account import RENEWAL, subscription_row
from services.billing.domain import BillingDecider
from services.runtime.clock import to_milliseconds
from services.runtime.codec import to_json
from services.runtime.decision import Accepted, Cause, State
from services.runtime.keys import shard_of
from services.runtime.settings import Settings
from services.runtime.store import Commit, Store

_TEMPLATE = "TEMPLATE"
_SEQUENCES = b"\x92\x80\x80"  # nothing emitted, nothing applied
_CHUNK = 2_000


def _document(midnight: date) -> bytes:
    """Return the document of an account that bought a cycle ago, and whose next cycle begins on this day."""
    start = months_after(midnight, -1)
    bought = datetime.combine(start, time(12), UTC)
    event = AddOnPurchased(
        account_id=_TEMPLATE,
        add_on="analytics_plus",
        subscription_id=f"{_TEMPLATE}-1",
        purchased_by=Person(user_id="olga", role="owner"),
        purchased_at=bought,
        effective_date=start,
        terms=Terms(
            price_version="2026-01",
            unit_price=Money(amount_minor=1_795, currency="USD"),
            frequency=BillingFrequency.MONTHLY,
            licenses=Licenses(standard=5, additional=2),
            currency="USD",
            timezone="UTC",
            cycle_anchor=midnight,
        ),
        origin="self_service",
    )
    decider = BillingDecider()
    state = State(_TEMPLATE, decider.initial(), {subscription_row(event.subscription_id): None})
    decision = decider.decide(state, event, Cause("seed", event.ce_type), bought)
    if not isinstance(decision, Accepted):
        raise TypeError(f"the purchase is not billed: {decision}")
    for message in (event, *decision.events):
        state = decider.evolve(state, message)
    if state.document.timers != {RENEWAL: datetime.combine(midnight, time.min, UTC)}:
        raise ValueError(f"the renewal is due at {state.document.timers}, not on {midnight}")
    return to_json(state.document)


async def store_subscriptions(redis: Any, settings: Settings, accounts: int, midnight: date) -> None:
    """Commit accounts `r0`, `r1` … to billing's store, all due at the midnight (UTC) that begins a day."""
    store = Store(redis, settings.namespace, "billing", settings.partitions, 3_600_000)
    document, timers = _document(midnight), (RENEWAL, to_milliseconds(datetime.combine(midnight, time.min, UTC)))

    def commits(account_ids: list[str]) -> list[Commit]:
        return [
            Commit(each, 0, _SEQUENCES, document.replace(_TEMPLATE.encode(), each.encode()), timers=timers)
            for each in account_ids
        ]

    waiting: dict[int, list[str]] = {}
    for account_id in (f"r{number}" for number in range(accounts)):
        waiting.setdefault(shard_of(account_id, settings.partitions), []).append(account_id)
    for shard, account_ids in waiting.items():
        for chunk in _chunks(iter(account_ids)):
            await store.commit(shard, commits(chunk))


def _chunks(values: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(values, _CHUNK)):
        yield chunk
