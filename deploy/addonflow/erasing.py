"""What the services keep that says who a member is, and ordering that it be forgotten.

Everything that is kept of the account is looked through, whatever a service believes to keep: so it is seen, too, when
something was left.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from rich.console import Console

from contracts.erasure import found
from deploy.addonflow.account_state import AccountState, ServiceState
from services.runtime.settings import Settings

_EVERY_ROW: Final = 2**31
_MEMBER: Final = "member"
_POLL_SECONDS: Final = 0.2


class Held(NamedTuple):
    """What one service keeps in its document, or in `rows` of a kind, that says who a member is."""

    service: str
    kind: str
    rows: int
    fields: tuple[str, ...]


class Keeping(NamedTuple):
    """What is kept of a member: whether any service knows them, when they were erased, and what says who they are."""

    known: bool
    erased_at: str | None
    held: tuple[Held, ...]

    def print(self, console: Console) -> None:
        """Say what is held where, not what it says."""
        if not self.known:
            console.print("no service knows of them", highlight=False)
        if self.erased_at is not None:
            console.print(f"erased on {self.erased_at[:10]}", highlight=False)
        for each in self.held:
            where = each.kind if each.rows == 1 else f"{each.rows} × {each.kind}"
            console.print(f"  {each.service}, {where}: {', '.join(each.fields)}", markup=False, highlight=False)
        if not self.held:
            console.print("nothing is kept that says who they are", highlight=False)


async def keeping(redis: Redis, settings: Settings, account_id: str, user_id: str) -> Keeping:
    """Look through all that the services keep of an account. Cost: all of its rows."""
    return keeping_of(await AccountState(redis, settings, _EVERY_ROW).of(account_id), user_id)


def keeping_of(states: Mapping[str, ServiceState], user_id: str) -> Keeping:
    """Return what services keep of a member."""
    rows = [state.rows[_MEMBER].get(f"{_MEMBER}:{user_id}") for state in states.values()]
    known = [row for row in rows if row is not None]
    erased = [row["erased_at"] for row in known if row.get("erased_at") is not None]
    held = tuple(each for state in states.values() for each in _held(state, user_id))
    return Keeping(bool(known or held), min(erased, default=None), held)


def _held(state: ServiceState, user_id: str) -> list[Held]:
    counts: defaultdict[str, int] = defaultdict(int)
    fields: defaultdict[str, set[str]] = defaultdict(set)
    for kind, data in _parts(state, user_id):
        names = set(found(data, user_id.__eq__))
        if names:
            counts[kind] += 1
            fields[kind] |= names
    return [Held(state.service, kind, count, tuple(sorted(fields[kind]))) for kind, count in counts.items()]


def _parts(state: ServiceState, user_id: str) -> list[tuple[str, Any]]:
    parts = [(kind, row) for kind, rows in state.rows.items() for row in rows.values()]
    own = state.rows[_MEMBER].get(f"{_MEMBER}:{user_id}", {})
    return [("document", state.document), (_MEMBER, own | {"user_id": user_id}), *parts]


async def forgotten(redis: Redis, settings: Settings, account_id: str, user_id: str, seconds: float) -> Keeping:
    """Wait until nothing is kept that says who a member is, for so long; return what is kept then."""
    kept = await keeping(redis, settings, account_id, user_id)
    try:
        async with asyncio.timeout(seconds):
            while kept.held:
                await asyncio.sleep(_POLL_SECONDS)
                kept = await keeping(redis, settings, account_id, user_id)
    except TimeoutError:
        pass
    return kept
