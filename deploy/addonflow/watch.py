"""Follows the topics of a deployment: one line or JSON object a record. Joins no consumer group."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

from rich.text import Text

from contracts.topics import BY_NAME, TOPICS, dead_letter_topics
from deploy.addonflow import connections
from deploy.addonflow.messages import BadInput
from deploy.addonflow.records import REFUSALS, Seen, essence, printable, see
from services.runtime.settings import Settings

_PALETTE = ("blue", "cyan", "bright_cyan", "green", "yellow", "magenta", "bright_magenta", "bright_blue")
_COLORS = dict(zip(BY_NAME, _PALETTE, strict=True))
_POLL_MS = 200


def choose_topics(words: Sequence[str]) -> list[str]:
    """Return the registry names of the topics that contain one of the words, all for no word; BadInput for none.

    A whole name means that topic alone: who may not read its dead letters can follow it all the same.
    """
    names = [topic.name for topic in TOPICS] + list(dead_letter_topics())
    chosen = [name for name in names if not words or any(_means(word, name, names) for word in words)]
    if not chosen:
        raise BadInput(f"no topic contains {' or '.join(map(repr, words))}: {', '.join(names)}")
    return chosen


def _means(word: str, name: str, names: Sequence[str]) -> bool:
    return word == name if word in names else word in name


async def follow(
    settings: Settings,
    topics: Sequence[str],
    *,
    from_start: bool = False,
    account_id: str | None = None,
    idle_seconds: float | None = None,
    connect_seconds: float = 5,
) -> AsyncIterator[Seen]:
    """Yield the records of these topics as they come, those read at once in the order of their time.

    `topics` are registry names. Ends after `idle_seconds` without a record (of that account), else never.
    """
    async with connections.admin(settings, connect_seconds) as admin:
        partitions = await connections.partitions_of(admin, [settings.namespace + name for name in topics], settings)
    async with connections.consumer(settings, connect_seconds) as consumer:
        consumer.assign(partitions)
        ends = {} if from_start else await consumer.end_offsets(partitions)
        for partition, end in ends.items():
            consumer.seek(partition, end)
        loop = asyncio.get_running_loop()
        last = loop.time()
        while idle_seconds is None or loop.time() - last < idle_seconds:
            batches = (await consumer.getmany(timeout_ms=_POLL_MS)).values()
            seen = [see(record, settings.namespace) for batch in batches for record in batch]
            for each in sorted(seen, key=lambda each: each.time):
                if account_id in (None, each.account_id):
                    last = loop.time()
                    yield each


def as_line(seen: Seen) -> Text:
    """Return a record as one colored line: time, topic, account, type, what it says."""
    refused = seen.type in REFUSALS or "dlq_reason" in seen.attributes
    color = "red" if refused else _COLORS.get(seen.topic, "white")
    line = Text(no_wrap=True, overflow="ignore")
    line.append(f"{seen.time:%H:%M:%S}.{seen.time.microsecond // 1_000:03d} ", "dim")
    line.append(f"{seen.topic:<23} ", f"dim {color}")
    line.append(f"{printable(seen.account_id)} ", "bold")
    line.append(f"{printable(seen.type)} ", color)
    line.append(essence(seen))
    return line


def as_json(seen: Seen) -> str:
    """Return a record as one JSON object; `value` beside `data` only when it is no JSON object."""
    shown = {
        **seen.head,
        "attributes": seen.attributes,
        "data": seen.data,
    }
    if seen.data is None and seen.value is not None:
        shown["value"] = seen.value.decode("utf-8", "backslashreplace")
    return json.dumps(shown, ensure_ascii=False)
