"""How much a caller may ask of this process: a token bucket each, so that one cannot take the doors from the others.

It is per process on purpose: a shared one would cost every request a call to Redis. Of a bucket only the instant is
kept at which it is full again; from then on it is like one that never was, and is forgotten. Beyond 50,000 the one
asked least recently is forgotten, full or not.
"""

import asyncio
import math
from collections import OrderedDict
from http import HTTPStatus

from services.runtime.problems import HttpReason, Problem

_BUCKETS_MAX = 50_000
_BURST_SHARE = 10
_CLOCK_SECONDS = 1e-6  # what sums of fractions of a second may be off by


class Allowance:
    """Buckets that hold a tenth of `per_minute` requests, and fill up at that rate."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, caller: str, per_minute: int | None = None, cost: int = 1) -> None:
        """Count a request; Problem 429 with the seconds to wait when the caller has asked too much. Cost: O(1).

        `per_minute` is what this caller may ask, where that is not what most may. `cost` is how many requests this one
        counts as; one that costs more than a bucket holds takes a full one.
        """
        per_minute = per_minute or self._per_minute
        per_second, burst = per_minute / 60, max(1, per_minute // _BURST_SHARE)
        cost = min(cost, burst)
        now = asyncio.get_running_loop().time()
        full_at = max(now, self._full_at.get(caller, now)) + cost / per_second
        wait = full_at - now - burst / per_second
        if wait > _CLOCK_SECONDS:
            seconds = math.ceil(wait - _CLOCK_SECONDS)
            detail = f"You have asked a lot in a short time: try again in {seconds} seconds."
            headers = {"Retry-After": str(seconds)}
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, HttpReason.TOO_MANY_REQUESTS, detail, headers=headers)
        self._full_at[caller] = full_at
        self._full_at.move_to_end(caller)
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Forget buckets that are full, of those asked least recently; amortised, each is looked at once."""
        while len(self._full_at) > _BUCKETS_MAX or next(iter(self._full_at.values())) <= now:
            self._full_at.popitem(last=False)
