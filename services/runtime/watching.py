"""Follows what changes of accounts for the streams that a process has open, whoever changes it and by time alone.

One task looks for all of them, at a steady pace: one read of the versions of the accounts that are watched, then what
changed. So a poll costs O(distinct watched accounts), a stream costs its memory, and none has a connection of its own.

Promises (`tests/entitlements/test_changes.py`, `test_changes_overtaken.py`):
- A stream begins with the account as it is, and has every later state that stays until the next poll. It never goes
  back: a look that was overtaken by another, of a later version or moment, is not told.
- An account that is lost, or of an earlier version than was seen, ends its streams: that is no change to tell.
- A reader that is slow misses what was between, never the latest; nothing is queued for it.
- Streams end as the process ends, as their time is over, and are never more than `streams_max`, nor one caller's more
  than theirs: `streams_per_member_max`, or `streams_per_caller_max` of products and staff.
- While Redis is away streams stay open and what time changes is still told.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from http import HTTPStatus
from typing import Final, Generic, NamedTuple

from services.runtime.authentication import Caller, Kind
from services.runtime.decision import D
from services.runtime.door import Door, Seen
from services.runtime.errors import TROUBLE
from services.runtime.keys import shard_of
from services.runtime.problems import HttpReason, Problem, unavailable

log = logging.getLogger("addonflow.watching")
_RETRY_SECONDS: Final = "10"


class Moment(NamedTuple, Generic[D]):
    """An account as it was when it was looked at."""

    seen: Seen[D]
    now: datetime


class _Watched(Generic[D]):
    """An account with streams. `changed` is set, and replaced, when there is something new to tell or all is `over`."""

    def __init__(self, moment: Moment[D], told: Hashable) -> None:
        self.moment = moment
        self.told = told
        self.streams = 0
        self.over = False
        self.changed = asyncio.Event()

    @property
    def account_id(self) -> str:
        return self.moment.seen.state.account_id

    def wake(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class Watching(Generic[D]):
    """The watched accounts of a process.

    `matters` returns what a stream is about, which is told when that differs; None of an account that nobody knows.
    """

    def __init__(self, door: Door[D], matters: Callable[[Seen[D], datetime], Hashable | None]) -> None:
        self._door = door
        self._matters = matters
        self._accounts: dict[str, _Watched[D]] = {}
        self._streams: Counter[tuple[object, ...]] = Counter()  # of each caller, whichever of their tokens they show
        self._poller: asyncio.Task[None] | None = None
        self._away = False

    @asynccontextmanager
    async def follow(self, seen: Seen[D], who: Caller, seconds: float) -> AsyncIterator[AsyncIterator[Moment[D]]]:
        """Watch an account that `who` just looked at, for so long at most.

        The value gives the account as it is, then each change of what matters. Problem 429 when the caller has as many
        streams as they may, 503 when the process has.
        """
        caller = (who.kind, who.account_id, who.subject)
        self._admit(caller, who.kind)
        self._streams[caller] += 1
        watched = None
        try:
            watched = self._watch(Moment(seen, await self._door.now()))
            yield self._moments(watched, asyncio.get_running_loop().time() + seconds)
        finally:
            self._streams[caller] -= 1
            if not self._streams[caller]:
                del self._streams[caller]
            if watched is not None:
                self._leave(watched)

    def _admit(self, caller: tuple[object, ...], kind: Kind) -> None:
        settings = self._door.settings
        most = settings.streams_per_member_max if kind is Kind.MEMBER else settings.streams_per_caller_max
        if self._streams[caller] >= most:
            detail = "You have as many streams open here as you may: close one first."
            headers = {"Retry-After": _RETRY_SECONDS}
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, HttpReason.TOO_MANY_REQUESTS, detail, headers=headers)
        if self._streams.total() >= settings.streams_max or self._door.ending.is_set():
            raise unavailable("This process has as many streams open as it may: try again.")

    def _watch(self, moment: Moment[D]) -> _Watched[D]:
        account_id = moment.seen.state.account_id
        watched = self._accounts.get(account_id)
        if watched is None:
            watched = self._accounts[account_id] = _Watched(moment, self._matters(*moment))
        else:
            self._tell(watched, moment)
        watched.streams += 1
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        return watched

    def _leave(self, watched: _Watched[D]) -> None:
        watched.streams -= 1
        if not watched.streams and not watched.over:
            del self._accounts[watched.account_id]

    async def _moments(self, watched: _Watched[D], deadline: float) -> AsyncIterator[Moment[D]]:
        told = None
        while not watched.over:
            changed = watched.changed
            if told is None or watched.told != told:
                told = watched.told
                yield watched.moment
                continue  # it may have changed while that was sent
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return

    async def _poll(self) -> None:
        try:
            while self._accounts and not self._door.ending.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._door.settings.stream_poll_ms / 1_000):
                        await self._door.ending.wait()
                await self._look()
        except Exception:
            log.exception("a defect ends every stream of this process; their callers come again")
        self._poller = None
        for watched in self._accounts.values():
            watched.over = True
            watched.wake()
        self._accounts.clear()

    async def _look(self) -> None:
        accounts = [(watched, watched.moment.seen.version) for watched in self._accounts.values()]
        changed: dict[str, Seen[D]] = {}
        now = self._door.clock.now()
        try:
            now = await self._door.now()
            names = [watched.account_id for watched, _ in accounts]
            partitions = self._door.settings.partitions
            versions = await self._door.store.versions([(shard_of(each, partitions), each) for each in names])
            for (watched, before), version in zip(accounts, versions, strict=True):
                if version < before:  # they only count up: Redis lost what it had
                    self._end(watched)
                elif version != before:
                    changed[watched.account_id] = await self._door.look(watched.account_id)
            self._away = False
        except TROUBLE as error:
            if not self._away:
                log.warning("cannot look for changes, trying again: %s: %s", type(error).__name__, error)
            self._away = True
        for watched, _ in accounts:
            if not watched.over:
                self._tell(watched, Moment(changed.get(watched.account_id, watched.moment.seen), now))

    def _tell(self, watched: _Watched[D], moment: Moment[D]) -> None:
        """Take what is newer in a moment; who looked earlier than others may come later."""
        newest = max(moment.seen, watched.moment.seen, key=lambda seen: seen.version)
        watched.moment = Moment(newest, max(moment.now, watched.moment.now))
        matters = self._matters(*watched.moment)
        if matters is None:
            self._end(watched)
        elif matters != watched.told:
            watched.told = matters
            watched.wake()

    def _end(self, watched: _Watched[D]) -> None:
        if self._accounts.get(watched.account_id) is watched:
            log.warning("the account %s is lost, or an earlier one: its streams end", watched.account_id)
            del self._accounts[watched.account_id]
        watched.over = True
        watched.wake()
