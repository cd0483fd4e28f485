"""Which pages are told that something of their account has changed, so that they look again.

A page is told that, never what: it asks again with its own rights. What follows from a change in other services comes a
moment later, so every change is told twice, at once and when it has been quiet for a while.
"""

import asyncio
import secrets
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress

from services.dashboard.figures import STREAMS

_ACCOUNTS_MAX = 50_000
_SETTLED_SECONDS = 1.0
_BEAT_SECONDS = 15.0


class Changes:
    """The latest change of each account, and the pages that follow it."""

    def __init__(self, streams_max: int, streams_each_max: int) -> None:
        self._life = secrets.token_hex(4)  # marks of another process are none of ours
        self._count = 0
        self._latest: OrderedDict[str, int] = OrderedDict()
        self._forgotten = 0
        self._followers: dict[str, set[asyncio.Event]] = {}
        self._streams: Counter[tuple[str, str]] = Counter()
        self._streams_max = streams_max
        self._streams_each_max = streams_each_max
        self.stopped = False

    def tell(self, account_id: str) -> None:
        """Say that something of an account has changed."""
        self._count += 1
        self._latest[account_id] = self._count
        self._latest.move_to_end(account_id)
        if len(self._latest) > _ACCOUNTS_MAX:
            _, self._forgotten = self._latest.popitem(last=False)
        for event in self._followers.get(account_id, ()):
            event.set()

    def mark(self, account_id: str) -> str:
        """Return what a page shows of an account: nothing later than this."""
        return f"{self._life}-{self._latest.get(account_id, self._forgotten)}"

    def stop(self) -> None:
        """End every stream."""
        self.stopped = True
        for events in self._followers.values():
            for event in events:
                event.set()

    def full(self, account_id: str, user_id: str) -> bool:
        """Whether no further page can follow: of this member, or of anybody."""
        mine = self._streams[account_id, user_id]
        return mine >= self._streams_each_max or self._streams.total() >= self._streams_max

    async def follow(self, account_id: str, user_id: str, seen: str, seconds: float) -> AsyncIterator[str | None]:
        """Yield the mark of each change after `seen`, and None now and then while nothing happens, for `seconds`."""
        event = asyncio.Event()
        self._followers.setdefault(account_id, set()).add(event)
        self._streams[account_id, user_id] += 1
        STREAMS.inc()
        clock, settling = asyncio.get_running_loop().time, False
        ends_at = clock() + seconds
        try:
            while not self.stopped and clock() < ends_at:
                mark = self.mark(account_id)
                if mark != seen:
                    seen, settling = mark, True
                    yield mark
                event.clear()
                with suppress(TimeoutError):
                    wait = _SETTLED_SECONDS if settling else _BEAT_SECONDS
                    async with asyncio.timeout(min(wait, ends_at - clock())):
                        await event.wait()
                        continue
                if self.mark(account_id) == seen:
                    yield seen if settling else None
                settling = False
        finally:
            self._streams[account_id, user_id] -= 1
            STREAMS.dec()
            self._streams += Counter()  # those at nought are forgotten
            followers = self._followers[account_id]
            followers.discard(event)
            if not followers:
                del self._followers[account_id]
