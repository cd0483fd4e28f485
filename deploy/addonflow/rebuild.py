"""`addonflow rebuild <service>`: a service's state in Redis, made again from the topics alone.

    refuse while the service runs ─▶ per shard: read, fold, write beside, compare ─▶ per shard: switch ─▶ offsets

While it switches a mark stands in Redis: the service does not start, and a rebuild that was interrupted is done again
from the start, without comparing what is there. The mark goes when the offsets are set, so that what is recognised and
what is read again always belong together.

Nothing is emitted: the outbox begins empty (but for what the log lacks of a decision that it has a part of), and the
relay knows where the logs end. The group's offsets go back to the first input that was not handled. What the service
then reads again it recognises: facts by revision, events by sequence, commands by the answers that are kept.

Memory: the records of one shard. Cost: reads what the service reads and says once, topics of outside writers twice.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from rich.console import Console

from deploy.addonflow.backup_files import Manifest
from deploy.addonflow.backup_shard import ShardBackup
from deploy.addonflow.history import Logs, logs
from deploy.addonflow.rebuild_compare import LiveShard
from deploy.addonflow.rebuild_group import read_from, refuse_members
from deploy.addonflow.rebuild_shard import Differences, ShardFold, process_of, shard_fold
from deploy.addonflow.rebuild_store import FreshShard
from deploy.addonflow.rest import reach_redis
from services.runtime.bootstrap import Process
from services.runtime.clock import SystemClock, to_milliseconds
from services.runtime.inputs import Place
from services.runtime.keys import deployment_key
from services.runtime.redis_check import check_redis, rebuilds_field, switching_field
from services.runtime.settings import Settings
from services.runtime.virtual_clock import time_of


@dataclass(slots=True)
class _Totals:
    """What was rebuilt: accounts and answers, records read, and what was found."""

    records: int = 0
    accounts: int = 0
    answers: int = 0
    unpublished: int = 0
    live_shards: int = 0
    differences: Differences = field(default_factory=Differences)
    resume: dict[Place, int] = field(default_factory=dict)


class _Rebuild:
    """One run. `fresh` are the shards as they are being rebuilt."""

    def __init__(
        self, settings: Settings, service: str, redis: Redis, log: Logs, console: Console, folder: Path | None
    ) -> None:
        self._settings = settings
        self._service = service
        self._redis = redis
        self._deployment: Any = redis  # its annotations cover decoded replies too; ours are bytes
        self._log = log
        self._console = console
        self._process: Process = process_of(service, settings)
        self._totals = _Totals()
        self._interrupted = False
        self._folder = folder
        self._kept = Manifest.read(folder).of(service, settings) if folder is not None else None
        self._fresh = [
            FreshShard(redis, settings.namespace, service, shard, settings.inbox_retention_ms)
            for shard in range(settings.partitions)
        ]

    async def run(self, *, force: bool, dry_run: bool) -> int:
        """Rebuild and switch (0), or say what differs and leave all as it was (1). `dry_run`: leave all in any case."""
        await refuse_members(self._log.admin, self._settings, self._service)
        key, mark = deployment_key(self._settings.namespace), switching_field(self._service)
        self._interrupted = bool(await self._deployment.hexists(key, mark))
        for shard in range(self._settings.partitions):
            await self._rebuild(shard)
        may_switch = self._may_switch(force=force and not dry_run)
        if dry_run or not may_switch:
            for fresh in self._fresh:
                await fresh.clear()
            return int(not may_switch)
        await refuse_members(self._log.admin, self._settings, self._service)
        await self._deployment.hset(key, mark, "1")
        await self._switch()
        await self._set_offsets()
        await self._deployment.hincrby(key, rebuilds_field(self._service), 1)
        await self._deployment.hdel(key, mark)
        self._conclude()
        return 0

    async def _rebuild(self, shard: int) -> None:
        settings, totals, fresh = self._settings, self._totals, self._fresh[shard]
        await fresh.clear()
        now, base = SystemClock().now(), self._base(shard)
        fold = await shard_fold(self._process, self._log, shard, await time_of(self._redis, settings.namespace), base)
        if base is not None:
            await fresh.write_outbox(base.entries(), base.relay)
        live = await self._live(shard)
        unhandled: dict[Place, int] = {}
        known: set[str] = set()
        totals.differences.add(fold.trimmed())
        for page in fold.pages():
            totals.accounts += await fresh.write(page, to_milliseconds(now))
            for account in page:
                known.add(account.account_id)
                totals.differences.add(account.differences)
                totals.answers += len(account.marks)
                totals.unpublished += len(account.unpublished)
                for place, offset in account.unhandled.items():
                    unhandled[place] = min(offset, unhandled.get(place, offset))
            if live is not None:
                totals.differences.add(await live.differences(page))
        if live is not None:
            totals.differences.add(await live.strangers(known))
            totals.differences.add(await live.unpublished())
        await self._prepare_start(shard, fold, unhandled)

    async def _prepare_start(self, shard: int, fold: ShardFold, unhandled: dict[Place, int]) -> None:
        """Settle from where the service reads on, and that it recognises what it then reads again."""
        fresh, totals = self._fresh[shard], self._totals
        resume = fold.resume(unhandled)
        again = fold.repeated_commands_from(resume)
        if again:
            for page in fold.pages():
                await fresh.write_marks_from(page, again)
        if fold.base is None:
            await fresh.write_relay(fold.history.own_ends)
        totals.records += fold.history.records
        for place, offset in resume.items():
            if offset != fold.handled.get(place):
                totals.resume[place] = min(offset, totals.resume.get(place, offset))

    def _base(self, shard: int) -> ShardBackup | None:
        if self._folder is None or self._kept is None:
            return None
        settings, decider = self._settings, self._process.decider
        return ShardBackup(self._folder, self._kept, self._service, shard, decider, settings.inbox_retention_ms)

    async def _live(self, shard: int) -> LiveShard | None:
        if self._interrupted or not await self._fresh[shard].is_there():
            return None
        self._totals.live_shards += 1
        return LiveShard(self._redis, self._settings.namespace, self._service, shard, self._process.decider)

    def _may_switch(self, *, force: bool) -> bool:
        totals, say = self._totals, self._console.print
        say(
            f"{self._service}: {totals.accounts} accounts and {totals.answers} answers from {totals.records} records; "
            f"{totals.live_shards} of {self._settings.partitions} shards are stored",
            highlight=False,
        )
        for line in totals.differences.lines():
            say(line, markup=False, highlight=False)
        if not totals.differences.counts or force:
            return True
        say("the state is left as it is; what was rebuilt takes its place with --force", highlight=False)
        return False

    async def _set_offsets(self) -> None:
        offsets = {self._log.partition(place): offset for place, offset in self._totals.resume.items()}
        await read_from(self._settings, self._service, offsets)
        for partition, offset in offsets.items():
            self._console.print(f"{partition.topic} {partition.partition} is read again from {offset}", highlight=False)

    async def _switch(self) -> None:
        for shard, fresh in enumerate(self._fresh):
            removed, put = await fresh.switch()
            if removed or put:
                self._console.print(f"shard {shard}: {removed} keys removed, {put} put in their place", highlight=False)

    def _conclude(self) -> None:
        waiting = self._totals.unpublished
        published = f"{waiting} records that the log lacks will be published" if waiting else "nothing to publish"
        self._console.print(f"{self._service} is rebuilt and may be started; {published}", highlight=False)


async def rebuild(
    settings: Settings,
    service: str,
    console: Console,
    *,
    force: bool = False,
    dry_run: bool = False,
    folder: Path | None = None,
) -> int:
    """Rebuild a service's state; return 0 when it is in its place, 1 when differences keep it out.

    `force` switches in spite of differences, `dry_run` never. `folder`: a backup to begin with; then only the log since
    is read. StillRunning while a process of the service is in its group, UnusableBackup where one cannot be used.
    """
    async with reach_redis(settings) as redis, logs(settings) as log:
        await check_redis(redis, settings)
        return await _Rebuild(settings, service, redis, log, console, folder).run(force=force, dry_run=dry_run)
