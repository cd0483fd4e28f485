"""`addonflow backup`: writes down what the services store, beside them as they run, with the offsets that belong to it.

No moment is frozen. What makes the parts fit is the order in which they are written down:

    offsets of group and logs ─▶ relay's place ─▶ accounts ─▶ answers ─▶ outbox

- An account is one hash, read at one moment: its document, rows and sequences belong together.
- All that was read up to the group's offsets, and all that was in the own topics, was stored before any account is
  read. So the log from these offsets on holds everything that the accounts lack.
- An answer is read behind its account: of a command that the account has heard, the answer is there too.
- The outbox is read last: what an account has said and no topic holds yet is in it.
- Readers of a service go before it: after a loss of both Redis and Kafka nobody has read more than was said.

Cost: every key of the service once, in pages; a scan of the server's keys for accounts and one for answers.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from rich.console import Console

from contracts.topics import READERS, TOPICS
from deploy.addonflow.backup_files import Manifest, ServiceBackup, ShardWriter, new_folder
from deploy.addonflow.history import Logs, logs
from deploy.addonflow.rebuild_group import read_up_to
from deploy.addonflow.rest import reach_redis
from deploy.addonflow.scanning import key_pages
from services.runtime.clock import SystemClock, to_milliseconds
from services.runtime.keys import ShardKeys
from services.runtime.settings import Settings
from services.runtime.store import FIRST
from services.runtime.virtual_clock import virtual_now

_PAGE: Final = 500
NOTHING: Final = -1


async def back_up(settings: Settings, folder: Path, console: Console) -> int:
    """Write a backup of all services into a new folder; return 0. UnusableBackup when the folder is not empty."""
    new_folder(folder)
    began = SystemClock().now()
    async with reach_redis(settings) as redis, logs(settings) as log:
        virtual = await virtual_now(redis, settings.namespace)
        services: dict[str, ServiceBackup] = {}
        for service in reversed(READERS):  # readers of a service go before it
            services[service] = await _Backup(redis, log, settings, service, folder).write()
            kept = services[service]
            console.print(
                f"{service}: {kept.accounts} accounts, {kept.answers} answers, {kept.records} records", highlight=False
            )
    Manifest(
        namespace=settings.namespace,
        partitions=settings.partitions,
        began_at=began.isoformat(),
        ended_at=SystemClock().now().isoformat(),
        virtual_ms=virtual and to_milliseconds(virtual),
        services=services,
    ).write(folder)
    console.print(f"written to {folder}: it holds personal data, keep it as such", highlight=False)
    return 0


class _Backup:
    """Writes down one service."""

    def __init__(self, redis: Redis, log: Logs, settings: Settings, service: str, folder: Path) -> None:
        self._redis: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._log = log
        self._settings = settings
        self._service = service
        self._folder = folder
        self._keys = [ShardKeys(settings.namespace, service, shard) for shard in range(settings.partitions)]
        self._shards = {keys.prefix.encode(): shard for shard, keys in enumerate(self._keys)}
        self._writers: list[ShardWriter] = []

    async def write(self) -> ServiceBackup:
        """Write the files of all shards; return what the manifest says of them."""
        read, said = await self._read_up_to(), await self._said_up_to()
        with self._files():
            for shard in range(self._settings.partitions):
                await self._relay(shard)
            accounts = await self._accounts()
            milliseconds = to_milliseconds(SystemClock().now())
            answers = await self._answers()
            records = sum([await self._outbox(shard) for shard in range(self._settings.partitions)])
        return ServiceBackup(
            milliseconds=milliseconds, read=read, said=said, accounts=accounts, answers=answers, records=records
        )

    @contextmanager
    def _files(self) -> Iterator[None]:
        self._writers = [ShardWriter(self._folder, self._service, shard) for shard in range(len(self._keys))]
        whole = False
        try:
            yield
            whole = True
        finally:
            for writer in self._writers:
                writer.close(whole=whole)

    async def _read_up_to(self) -> dict[str, list[int]]:
        shards = range(self._settings.partitions)
        found: dict[str, list[int]] = {}
        for topic in READERS[self._service]:
            partitions = [self._log.partition((topic.name, shard)) for shard in shards]
            marks = await read_up_to(self._log.admin, self._settings, self._service, partitions)
            found[topic.name] = [marks.get(partition, NOTHING) for partition in partitions]
        return found

    async def _said_up_to(self) -> dict[str, list[int]]:
        shards = range(self._settings.partitions)
        own = [topic.name for topic in TOPICS if topic.writer == self._service]
        bounds = await self._log.bounds((name, shard) for name in own for shard in shards)
        return {name: [bounds[name, shard][1] for shard in shards] for name in own}

    async def _relay(self, shard: int) -> None:
        relay = await self._redis.hgetall(self._keys[shard].relay)
        last = await self._redis.xrevrange(self._keys[shard].outbox, count=1)
        self._writers[shard].add("relay", relay, last[0][0] if last else FIRST.encode())

    async def _accounts(self) -> int:
        count = 0
        async for shard, names in self._scan("account:"):
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.hgetall(name)
                for name, fields in zip(names, await pipe.execute(), strict=True):
                    if fields:
                        self._writers[shard].add("account", self._rest(shard, "account:", name), fields)
                        count += 1
        return count

    async def _answers(self) -> int:
        count = 0
        async for shard, names in self._scan("inbox:"):
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.get(name)
                    pipe.pttl(name)
                replies = iter(await pipe.execute())
            for name in names:
                answer, left_ms = next(replies), next(replies)
                if answer is not None and left_ms > 0:
                    account, _, key = self._rest(shard, "inbox:", name).partition(" ")
                    self._writers[shard].add("mark", account, key, answer, left_ms)
                    count += 1
        return count

    def _rest(self, shard: int, kind: str, name: bytes) -> str:
        return name.decode().removeprefix(self._keys[shard].prefix + kind)

    async def _scan(self, kind: str) -> AsyncIterator[tuple[int, list[bytes]]]:
        """Yield the service's keys of a kind by shard, in pages; a key may come twice."""
        async for found in key_pages(self._redis, f"{{{self._settings.namespace}{self._service}.*}}:{kind}*"):
            pages: dict[int, list[bytes]] = {}
            for name in found:
                shard = self._shards.get(name.partition(b":")[0] + b":")
                if shard is not None:
                    pages.setdefault(shard, []).append(name)
            for shard, names in pages.items():
                for first in range(0, len(names), _PAGE):
                    yield shard, names[first : first + _PAGE]

    async def _outbox(self, shard: int) -> int:
        count, after = 0, b"-"
        while entries := await self._redis.xrange(self._keys[shard].outbox, min=after, count=_PAGE):
            for entry_id, fields in entries:
                self._writers[shard].add("entry", entry_id, list(fields.values()))
                count += len(fields)
            after = b"(" + entries[-1][0]
        return count
