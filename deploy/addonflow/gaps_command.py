"""`addonflow gaps` and `addonflow replay`: what readers are missing, and what is published again for them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from deploy.addonflow.command import Kafka, RedisUrl, run_to_end, settings_of
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings

if TYPE_CHECKING:
    from deploy.addonflow.gaps import Gap, Gaps

gaps_app = typer.Typer(no_args_is_help=True, help="Records of a stream that a service never applied.")
Account = Annotated[str | None, typer.Option("--account", help="Only of this account.")]
ServiceName = Annotated[str, typer.Option("--service", help="Only what this service is missing.")]
Ends = Annotated[
    bool, typer.Option("--ends", help="Also look for what is missing at the end, which no reader notes: every account.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be published, and publish nothing.")]
_CONNECT_SECONDS = 5
_POLL_SECONDS = 0.2


@gaps_app.command("list")
def list_(
    account: Account = None,
    service: ServiceName = "",
    ends: Ends = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Show missing sequences by reader, topic and account. 0 when none is missing."""
    from services.runtime.sequences import ranges_text

    async def work() -> int:
        settings, found = settings_of(kafka, redis), 0
        async with _looking(settings) as gaps:
            async for _, some in _found(gaps, _readers(service), account, ends=ends or account is not None):
                for gap in some:
                    found += 1
                    shown = {"reader": gap.reader, "topic": gap.topic.name, "account_id": gap.account_id}
                    if as_json:
                        typer.echo(json.dumps(shown | {"missing": ranges_text(gap.missing), "at_end": gap.at_end}))
                    else:
                        where = f"{gap.topic.name} of {gap.account_id}{', at the end' if gap.at_end else ''}"
                        typer.echo(f"{gap.reader} is missing {ranges_text(gap.missing)} of {where}")
            _say_unjudged(gaps)
            told = "nothing is known to be missing" if gaps.unjudged else "nothing is missing"
        if not as_json:
            typer.echo(f"{found} gap{'' if found == 1 else 's'}" if found else told)
        return int(found > 0)

    run_to_end(work())


@gaps_app.command("repair")
def repair(
    account: Account = None,
    service: ServiceName = "",
    ends: Ends = False,
    dry_run: DryRun = False,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait until they are filled.")] = 10,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Publish exactly the missing records again, from outbox or topic. 1 when something is still missing then."""
    from deploy.addonflow import connections
    from deploy.addonflow.gaps_repair import Repair

    async def work() -> int:
        settings, console = settings_of(kafka, redis), Console(soft_wrap=True)
        readers, every = _readers(service), ends or account is not None
        async with AsyncExitStack() as stack:
            gaps = await stack.enter_async_context(_looking(settings))
            producer = None
            if not dry_run:
                producer = await stack.enter_async_context(connections.producer(settings, _CONNECT_SECONDS))
            repairing = Repair(gaps.redis, gaps.log, producer, settings, SystemClock().now())
            async for shard, some in _found(gaps, readers, account, ends=every):
                await repairing.shard(shard, some)
            done = repairing.repaired
            said = "would be published" if dry_run else "published"
            console.print(
                f"{done.published} records {said} again: {done.from_outbox} from outboxes, {done.from_log} from topics"
            )
            for line in done.left:
                console.print(line, markup=False, highlight=False)
            _say_unjudged(gaps)
            if dry_run or not done.published:
                return int(bool(done.left))
            left = await _still_missing(gaps, readers, account, wait, ends=every)
            _say_unjudged(gaps)
        console.print(f"{left} are left; is the reader running?" if left else "nothing is missing any more")
        return int(left > 0)

    run_to_end(work())


def replay(
    account: Annotated[str, typer.Option("--account", help="Which account.")],
    service: Annotated[str, typer.Option("--service", help="Only what this service says; else all.")] = "",
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="What was said since: 2h, 3d, or an instant.")
    ] = None,
    dry_run: DryRun = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Publish all that is retained of an account again, byte for byte. 1 when nothing is retained."""
    from deploy.addonflow.clock import duration, instant
    from deploy.addonflow.republish import republish

    async def work() -> int:
        begin = None
        if since is not None:
            begin = instant(since) if "T" in since else SystemClock().now() - duration(since)
        console = Console(soft_wrap=True)
        return await republish(settings_of(kafka, redis), account, _readers(service), begin, console, dry_run=dry_run)

    run_to_end(work())


def _readers(service: str) -> Sequence[str]:
    from contracts.topics import READERS
    from deploy.addonflow.messages import BadInput

    if service and service not in READERS:
        raise BadInput(f"{service!r} is no service: {', '.join(READERS)}")
    return [service] if service else list(READERS)


@asynccontextmanager
async def _looking(settings: Settings) -> "AsyncIterator[Gaps]":
    from deploy.addonflow.gaps import Gaps
    from deploy.addonflow.history import logs
    from deploy.addonflow.rest import reach_redis

    async with reach_redis(settings) as redis, logs(settings, _CONNECT_SECONDS) as log:
        yield Gaps(redis, log, settings)


async def _found(
    gaps: "Gaps", readers: Sequence[str], account: str | None, *, ends: bool
) -> "AsyncIterator[tuple[int, list[Gap]]]":
    """Yield the gaps of each shard that has some."""
    for shard in gaps.shards(account):
        found = [gap async for gap in gaps.noted(shard, readers, account)]
        if ends:
            found += [gap async for gap in gaps.at_end(shard, readers, account)]
        if found:
            yield shard, found


async def _still_missing(gaps: Any, readers: Sequence[str], account: str | None, wait: float, *, ends: bool) -> int:
    """Return how many gaps are left or cannot be told, as soon as that is none, at the latest after `wait` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    while True:
        gaps.unjudged.clear()
        left = [gap async for _, some in _found(gaps, readers, account, ends=ends) for gap in some]
        if (not left and not gaps.unjudged) or loop.time() >= deadline:
            return len(left) + len(gaps.unjudged)
        await asyncio.sleep(_POLL_SECONDS)


def _say_unjudged(gaps: "Gaps") -> None:
    for line in gaps.unjudged:
        typer.echo(f"cannot tell yet: {line}")
