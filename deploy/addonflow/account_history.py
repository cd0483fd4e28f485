"""What the log tells of one account: every record of it on all topics, in order of time, each under what caused it.

The log says for ever who erased members were; what is returned does not.

Cost: the partition of the account on every topic, or all partitions of a topic whose writer scatters its records.
Memory: the records of the account.
"""

import dataclasses
import json
from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from contracts.erasure import without
from contracts.events import MemberErased
from contracts.topics import TOPICS
from deploy.addonflow.history import Logs
from deploy.addonflow.records import Seen, see
from deploy.addonflow.watch import as_json, as_line
from services.runtime.settings import Settings

_DEPTH_MAX = 8


async def history_of(log: Logs, settings: Settings, account_id: str, since: datetime | None) -> list[tuple[Seen, int]]:
    """Return the records of an account in order of time, each with how many causes stand before it."""
    found: list[Seen] = []
    for place, (begin, end) in (await log.bounds(await log.places(TOPICS, account_id))).items():
        async for batch in log.read(place, begin, end):
            seen = (see(record, settings.namespace) for record in batch if record.offset < end)
            found += [each for each in seen if each.account_id == account_id]
    found = _without_erased(found)
    found.sort(key=lambda each: (each.time, each.topic, each.offset))
    return [
        (each, depth) for each, depth in zip(found, _depths(found), strict=True) if since is None or each.time >= since
    ]


def _without_erased(found: Sequence[Seen]) -> list[Seen]:
    erased = {str((each.data or {}).get("user_id")) for each in found if each.type == MemberErased.__name__}
    if not erased:
        return list(found)
    return [dataclasses.replace(each, data=without(each.data, erased.__contains__)) for each in found]


def _depths(found: Sequence[Seen]) -> list[int]:
    """Return how deep each record stands below the first cause that the log has."""
    cause = {each.id: each.attributes.get("ce_causationid", "") for each in found}
    depths = []
    for each in found:
        depth, at = 0, cause.get(each.id, "")
        while at in cause and depth < _DEPTH_MAX:
            depth, at = depth + 1, cause[at]
        depths.append(depth)
    return depths


def line_of(seen: Seen, depth: int) -> Text:
    """Return a record as a line, moved to the right below its cause; a timer's firing is named."""
    line = Text("  " * depth)
    line.append(f"{seen.time:%Y-%m-%d} ", "dim")
    line.append(as_line(seen))
    if seen.sequence:
        line.append(f" #{seen.sequence}", "dim")
    if seen.attributes.get("ce_causationid", "").startswith("timer:"):
        line.append(" (by a timer)", "dim")
    return line


def json_of(seen: Seen, depth: int) -> str:
    """Return a record as one JSON object."""
    return json.dumps(json.loads(as_json(seen)) | {"depth": depth}, ensure_ascii=False)
