"""How much a caller may ask of this process: a token bucket each, so that one cannot take the doors from the others.

It is per process on purpose: a shared one would cost every request a call to Redis. Buckets that are full again are
forgotten; their number is bounded.
"""

import asyncio
import math
from collections import OrderedDict
from http import HTTPStatus

from services.runtime.problems import HttpReason, Problem

_BUCKETS_MAX = 50_000
_BURST_SHARE = 10


class Allowance:
    """Buckets that hold a tenth of `per_minute` requests, and fill up at that rate."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, per_minute: int | None = None, cost: int = 1) -> None:
        """Count a request; Problem 429 with the seconds to wait when the caller has asked too much. Cost: O(1).

        `per_minute` is what this caller may ask, where that is not what most may. `cost` is how many requests this one
        counts as; one that costs more than a bucket holds takes a full one.
        """
        per_minute = per_minute or self._per_minute
        per_second, burst = per_minute / 60, max(1, per_minute // _BURST_SHARE)
        cost = min(cost, burst)
        now = asyncio.get_running_loop().time()
        left, seen_at = self._buckets.pop(caller, (burst, now))
        left = min(burst, left + (now - seen_at) * per_second)
        if left < cost:
            self._buckets[caller] = (left, now)
            seconds = math.ceil((cost - left) / per_second)
            detail = f"You have asked a lot in a short time: try again in {seconds} seconds."
            headers = {"Retry-After": str(seconds)}
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, HttpReason.TOO_MANY_REQUESTS, detail, headers=headers)
        self._buckets[caller] = (left - cost, now)
        if len(self._buckets) > _BUCKETS_MAX:
            self._buckets.popitem(last=False)
