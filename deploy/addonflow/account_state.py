"""Everything the services keep of one account: documents, rows, timers, sequences, gaps, and what they said last.

Read as it is stored, so that an account that a service cannot read is shown too.

Cost: the account's rows, in pages; and a bounded part of the end of its shard's outboxes.
"""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from redis.asyncio import Redis

from contracts.topics import READERS
from deploy.addonflow.retained import Published, published_of
from services.runtime.clock import from_milliseconds
from services.runtime.codec import unpack
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.sequences import Sequences
from services.runtime.settings import Settings

_PAGE: Final = 500
_LOOKED_BACK: Final = 2_000
_ROW: Final = b"row:"
UNREADABLE: Final = "unreadable"


@dataclass(slots=True)
class ServiceState:
    """What one service keeps of an account; version 0 where it knows nothing of it.

    `rows` by kind and name, at most so many of each kind as were asked for; `counts`: how many there are of each.
    """

    service: str
    version: int = 0
    document: Any = None
    sequences: Sequences | None = None
    rows: defaultdict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    counts: Counter[str] = field(default_factory=Counter)
    timers: dict[str, datetime] = field(default_factory=dict)
    gaps: dict[str, str] = field(default_factory=dict)
    latest: list[Published] = field(default_factory=list)
    unpublished: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        sequences = self.sequences or Sequences()
        return {
            "version": self.version,
            "document": self.document,
            "rows": self.rows,
            "row_counts": self.counts,
            "said": sequences.emitted,
            "read": {topic: applied.highest for topic, applied in sequences.applied.items()},
            "missing": self.gaps,
            "timers": {name: due.isoformat() for name, due in self.timers.items()},
            "unpublished": self.unpublished,
        }


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {UNREADABLE: text.decode(errors="backslashreplace")}


def _sequences(stored: bytes) -> Sequences | None:
    try:
        return Sequences.load(stored)
    except Exception:  # noqa: BLE001 - whatever is stored there, the rest is shown
        return None


class AccountState:
    """Reads accounts. `rows_max`: how many rows of each kind are kept."""

    def __init__(self, redis: Redis, settings: Settings, rows_max: int) -> None:
        self._redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._settings = settings
        self._rows_max = rows_max

    async def of(self, account_id: str) -> dict[str, ServiceState]:
        """Return what each service keeps of an account."""
        return {service: await self._service(service, account_id) for service in READERS}

    async def _service(self, service: str, account_id: str) -> ServiceState:
        keys = ShardKeys(self._settings.namespace, service, shard_of(account_id, self._settings.partitions))
        state = ServiceState(service)
        async for name, text in self._redis.hscan_iter(keys.account(account_id), count=_PAGE):
            self._take(state, name, text)
        if isinstance(state.document, dict):
            await self._timers(state, keys, account_id)
        for topic in state.sequences.applied if state.sequences else ():
            missing = await self._redis.hget(keys.gaps, f"{topic} {account_id}")
            if missing:
                state.gaps[topic] = missing.decode()
        await self._latest(state, keys, account_id)
        return state

    def _take(self, state: ServiceState, name: bytes, text: bytes) -> None:
        if name == b"version":
            state.version = int(text)
        elif name == b"document":
            state.document = _json(text)
        elif name == b"sequences":
            state.sequences = _sequences(text)
        elif name.startswith(_ROW):
            row = name.removeprefix(_ROW).decode()
            kind = row.partition(":")[0]
            state.counts[kind] += 1
            if len(state.rows[kind]) < self._rows_max:
                state.rows[kind][row] = _json(text)

    async def _timers(self, state: ServiceState, keys: ShardKeys, account_id: str) -> None:
        for name in state.document.get("timers") or {}:
            due = await self._redis.zscore(keys.timers, f"{name} {account_id}")
            if due is not None:
                state.timers[name] = from_milliseconds(int(due))

    async def _latest(self, state: ServiceState, keys: ShardKeys, account_id: str) -> None:
        """Find what was said last, looking back over a bounded number of the shard's commits."""
        cursor = tuple(map(int, (await self._redis.hget(keys.relay, "cursor") or b"0-0").split(b"-")))
        for entry_id, fields in await self._redis.xrevrange(keys.outbox, count=_LOOKED_BACK):
            for record in reversed(fields.values()):
                said = published_of(unpack(record))
                if said.account_id == account_id:
                    state.latest.append(said)
                    state.unpublished += tuple(map(int, entry_id.split(b"-"))) > cursor
