"""Whether a price promise is kept, and if not, what became different.

It is kept when it has not expired and a purchase now would be on the very terms it was made on: unit price, price
version, seats, frequency, currency, zone and cycle. The day alone may have become another, as midnight may pass between
the preview and the purchase; then the promised day is the first that is billed. That day must not be one that the
account has paid already, nor one that has not come: where the clock that promised is ahead of the one that sells, a
purchase would begin, and be paid, on a day after that of its event.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from contracts.cycles import local_date
from contracts.events import Terms
from contracts.money import Money
from contracts.promises import PricePromise
from services.entitlements.schedule import AddOnState

_CHANGED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "unit_price": "the list price changed",
        "price_version": "there is a new price list",
        "licenses": "the number of seats changed",
        "currency": "your currency changed",
        "frequency": "your billing frequency changed",
        "cycle_anchor": "your billing cycle changed",
        "timezone": "your time zone changed",
    }
)


def is_kept(promise: PricePromise, terms: Terms, has: AddOnState, now: datetime) -> bool:
    """Whether the promise is charged; `terms` are those of a purchase `now`, `has` what there is of the add-on."""
    return not any(_differences(promise, terms, has, now))


def differences(promise: PricePromise, terms: Terms, has: AddOnState, now: datetime) -> str:
    """Say why a promise is not kept: "as it expired at 2026-09-30 16:15 UTC and the number of seats changed"."""
    return "as " + " and ".join(_differences(promise, terms, has, now))


def _differences(promise: PricePromise, terms: Terms, has: AddOnState, now: datetime) -> Iterator[str]:
    if promise.expires_at <= now:
        yield f"it expired at {promise.expires_at:%Y-%m-%d %H:%M} UTC"
    if promise.first_day > local_date(now, terms.timezone):
        yield f"{promise.first_day} has not begun yet"
    for name, what in _CHANGED.items():
        if getattr(promise.terms, name) != getattr(terms, name):
            yield what
    if has.is_purchased(promise.first_day):
        yield f"{promise.first_day} is paid already"


def promised_cycle(promise: PricePromise) -> Money:
    """Return what the promise counted on for one whole billing cycle: unit price x seats."""
    unit = promise.terms.unit_price
    return Money(amount_minor=unit.amount_minor * promise.terms.licenses.total, currency=unit.currency)
