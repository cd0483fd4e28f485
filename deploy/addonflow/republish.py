"""`addonflow replay`: publishes what the services still keep of an account again, byte for byte.

For readers outside that have lost something. Whoever skips a repeated (`ce_subject`, `ce_sequence`) is not harmed.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from rich.console import Console

from deploy.addonflow import connections
from deploy.addonflow.ranges import ranges_of, without
from deploy.addonflow.rest import reach_redis
from deploy.addonflow.retained import Outbox, Published, publish_again
from services.runtime.keys import shard_of
from services.runtime.sequences import ranges_text
from services.runtime.settings import Settings

_CONNECT_SECONDS = 5


async def republish(
    settings: Settings,
    account_id: str,
    services: Sequence[str],
    since: datetime | None,
    console: Console,
    *,
    dry_run: bool,
) -> int:
    """Publish the retained records of an account; return 1 when nothing is retained. Cost: one shard's outboxes."""
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(reach_redis(settings))
        producer = None
        if not dry_run:
            producer = await stack.enter_async_context(connections.producer(settings, _CONNECT_SECONDS))
        total = 0
        for service in services:
            total += await _service(settings, redis, producer, service, account_id, since, console)
    console.print(f"{total} records {'would be ' if dry_run else ''}published again", highlight=False)
    return int(total == 0)


async def _service(
    settings: Settings,
    redis: Redis,
    producer: Any,
    service: str,
    account_id: str,
    since: datetime | None,
    console: Console,
) -> int:
    outbox, shard = Outbox(redis, settings, service), shard_of(account_id, settings.partitions)
    found: defaultdict[str, list[int]] = defaultdict(list)
    async for page in outbox.published(shard, since):
        mine = [each for each in page if each.account_id == account_id]
        for each in mine:
            found[each.topic.name].append(each.sequence)
        if producer is not None:
            await publish_again(producer, settings, shard, mine)
    waiting = [each for each in await outbox.waiting(shard) if each.account_id == account_id]
    emitted = (await outbox.sequences(shard, account_id)).emitted
    for topic in outbox.topics:
        said = emitted.get(topic.name, 0)
        if said or found[topic.name]:
            console.print(_line(topic.name, said, found[topic.name], waiting, since), markup=False, highlight=False)
    return sum(map(len, found.values()))


def _line(topic: str, said: int, found: list[int], waiting: Iterable[Published], since: datetime | None) -> str:
    """Say what of a topic is published, what is still to come, and what is not retained any more."""
    numbered = ranges_of(each for each in found if each)
    to_come = ranges_of(each.sequence for each in waiting if each.topic.name == topic and each.sequence)
    gone = without([(1, said)] if said else [], [*numbered, *to_come])
    line = f"{topic}: {len(found)} of {said} records" + (f" ({ranges_text(numbered)})" if numbered else "")
    if to_come:
        line += f"; {ranges_text(to_come)} are about to be published for the first time"
    if gone and since is None:
        line += (
            f"; {ranges_text(gone)} are not retained any more: they are in the topic, where a reader of its own may "
            f"begin at the beginning, `addonflow gaps repair` finds single ones, and `addonflow rebuild` makes a "
            f"service's state"
        )
    elif gone:
        line += f"; {ranges_text(gone)} are older"
    return line
