"""`addonflow export`: accounts and invoices from state, events from the log, row by row.

State is read as the services run: each account at one moment, not all at the same one. Accounts come in no order, the
invoices of one in theirs, events by partition in the order of their offsets.

Cost: a scan of the server's keys and a read of each account; or the chosen topics once. Memory: a page, the invoices of
one account, and the ids of all accounts (some 100 bytes each), as a scan may name a key twice.
"""

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from deploy.addonflow.export_rows import Row, account_row, event_row
from deploy.addonflow.history import Logs
from deploy.addonflow.records import see
from deploy.addonflow.scanning import PAGE, key_pages
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.settings import Settings

_SERVICES: Final = ("entitlements", "billing", "notifications")
_INVOICE: Final = "row:invoice:"


class Export:
    """Reads what is to be exported."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._settings = settings

    def _key(self, service: str, account_id: str) -> str:
        shard = shard_of(account_id, self._settings.partitions)
        return ShardKeys(self._settings.namespace, service, shard).account(account_id)

    async def _ids(self, service: str) -> AsyncIterator[list[str]]:
        """Yield the accounts that a service knows, in pages, each once."""
        seen = set[str]()
        async for keys in key_pages(self._redis, f"{{{self._settings.namespace}{service}.*}}:account:*"):
            page = []
            for account_id in (key.decode().partition("}:account:")[2] for key in keys):
                if account_id not in seen:
                    seen.add(account_id)
                    page.append(account_id)
            if page:
                yield page

    async def accounts(self) -> AsyncIterator[Row]:
        """Yield every account that entitlements knows, from the documents of all services."""
        async for page in self._ids("entitlements"):
            async with self._redis.pipeline(transaction=False) as pipe:
                for account_id in page:
                    for service in _SERVICES:
                        pipe.hget(self._key(service, account_id), "document")
                replies = iter(await pipe.execute())
            for account_id in page:
                yield account_row(account_id, *(_document(next(replies)) for _ in _SERVICES))

    async def invoices(self) -> AsyncIterator[Row]:
        """Yield every invoice as it was issued, those of an account in order."""
        async for page in self._ids("billing"):
            for account_id in page:
                rows = self._redis.hscan_iter(self._key("billing", account_id), match=f"{_INVOICE}*", count=PAGE)
                found = {int(name.decode().removeprefix(_INVOICE)): text async for name, text in rows}
                for number in sorted(found):
                    yield json.loads(found[number])["invoice"]


def _document(text: bytes | None) -> Row:
    try:
        document = json.loads(text or b"{}")
    except ValueError:  # a poisoned account has its id and nothing else
        return {}
    return document if isinstance(document, dict) else {}


async def events(log: Logs, settings: Settings, topics: Sequence[str]) -> AsyncIterator[Row]:
    """Yield the records of topics, up to where each ends now."""
    places = [(name, partition) for name in topics for partition in range(settings.partitions)]
    for place, (begin, end) in (await log.bounds(places)).items():
        async for batch in log.read(place, begin, end):
            for record in batch:
                if record.offset < end:
                    yield event_row(see(record, settings.namespace))
