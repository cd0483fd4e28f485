"""What the log says of one account: for staff its history, and for a member an answer this process no longer has.

A read takes the account's own partition of each topic, from its newest part back to a bound: so it costs what that part
holds, whatever it holds of other accounts. It is for people, not for a hot path; a company would ask its own store.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.envelope import Envelope
from contracts.results import CommandResult
from contracts.topics import ACCOUNTS, BACKOFFICE, BILLING, BILLING_RESULTS, COMMANDS, EVENTS, RESULTS, Topic
from services.dashboard.reading import make_consumer, partitions_of
from services.runtime.clock import from_milliseconds, to_rfc3339
from services.runtime.codec import Unreadable, decode
from services.runtime.errors import TROUBLE
from services.runtime.keys import shard_of
from services.runtime.settings import Settings

log = logging.getLogger("addonflow.dashboard.log")
HISTORY = (ACCOUNTS, COMMANDS, BACKOFFICE, EVENTS, RESULTS, BILLING, BILLING_RESULTS)
_RECORDS_MAX = 50_000
_SECONDS_MAX = 8
_READS_MAX = 4
_POLL_MS = 150


class LogAway(Exception):  # noqa: N818 - named for what it is
    """The log cannot be read now."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the account's log, and when it was written (RFC 3339)."""

    topic: Topic
    envelope: Envelope
    written_at: str


class Log:
    """Reads the log of one account at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reads = asyncio.Semaphore(_READS_MAX)

    async def of(self, account_id: str, topics: Sequence[Topic] = HISTORY) -> list[Entry]:
        """Return everything of an account in these topics, in the order it was written. LogAway in trouble."""
        try:
            async with asyncio.timeout(_SECONDS_MAX), self._reads:
                return await self._read(account_id, topics)
        except TROUBLE as error:
            log.warning("the log cannot be read: %s: %s", type(error).__name__, error)
            raise LogAway from error

    async def answer(self, account_id: str, command_id: str) -> CommandResult | None:
        """Return the answer to a command, None when the log has none."""
        for entry in await self.of(account_id, (RESULTS, BILLING_RESULTS)):
            found = entry.envelope.data
            if isinstance(found, CommandResult) and found.command_id == command_id:
                return found
        return None

    async def _read(self, account_id: str, topics: Sequence[Topic]) -> list[Entry]:
        shard = shard_of(account_id, self._settings.partitions)
        places = partitions_of(self._settings, topics, shard)
        consumer = make_consumer(self._settings)
        found: list[tuple[int, Entry]] = []
        try:
            await consumer.start()
            consumer.assign(list(places))
            begins = await consumer.beginning_offsets(list(places))
            ends = await consumer.end_offsets(list(places))
            for place in places:
                consumer.seek(place, max(begins[place], ends[place] - _RECORDS_MAX))
            while True:
                batches = await consumer.getmany(timeout_ms=_POLL_MS)
                for place, records in batches.items():
                    found += self._mine(account_id, places[place], records)
                # An end may be told too low (batches counted as one): what comes behind it is read as well.
                if not batches and all([await consumer.position(each) >= ends[each] for each in places]):
                    break
        finally:
            await consumer.stop()
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]

    def _mine(self, account_id: str, topic: Topic, records: Sequence[object]) -> list[tuple[int, Entry]]:
        mine = []
        for record in records:
            envelope = decode(record, topic, self._settings.value_bytes_max)
            if not isinstance(envelope, Unreadable) and envelope.account_id == account_id:
                written: int = record.timestamp  # type: ignore[attr-defined]
                mine.append((written, Entry(topic, envelope, to_rfc3339(from_milliseconds(max(0, written))))))
        return mine
