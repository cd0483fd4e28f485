"""One shard of a service folded from its history, account by account; what it comes to in offsets and differences."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from itertools import islice
from typing import Any, Final

from contracts.topics import BY_NAME, Kind
from deploy.addonflow.backup_shard import ShardBackup
from deploy.addonflow.dead_letters import dropped
from deploy.addonflow.history import Logs, ShardHistory
from deploy.addonflow.rebuild_group import read_up_to
from services.runtime.bootstrap import Process
from services.runtime.inputs import Place
from services.runtime.rebuilding import Rebuilding
from services.runtime.rebuilt import Rebuilt
from services.runtime.settings import Settings
from services.runtime.telling import Difference

PAGE: Final = 200
_EXAMPLES_MAX: Final = 5


def process_of(service: str, settings: Settings) -> Process:
    """Return a service's process, not started: for its decider and its answers."""
    built: Process = import_module(f"services.{service}.app").build(settings)
    return built


@dataclass(slots=True)
class Differences:
    """Differences counted by kind, with a few of each to look at."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[Difference]] = field(default_factory=dict)

    def add(self, found: list[Difference]) -> None:
        """Count more of them."""
        for each in found:
            self.counts[each.kind] += 1
            examples = self.examples.setdefault(each.kind, [])
            if len(examples) < _EXAMPLES_MAX:
                examples.append(each)

    def lines(self) -> Iterator[str]:
        """Say them: a line for each kind, and one for each example."""
        for kind, count in self.counts.most_common():
            yield f"{kind}: {count}"
            yield from (f"  {each.account_id}: {each.text}".replace("  : ", "  ") for each in self.examples[kind])


@dataclass(slots=True)
class ShardFold:
    """The fold of a shard. `handled`: up to where the service's group has read; `until`: the time now.

    Where the group has lost its offsets all is taken for read: what says nothing is folded, all else is handled anew.
    `base`: the accounts as a backup has them, with which the fold begins.
    """

    process: Process
    history: ShardHistory
    handled: Mapping[Place, int]
    until: datetime
    base: ShardBackup | None = None

    def account(self, account_id: str, start: Rebuilt[Any] | None = None) -> Rebuilt[Any]:
        """Fold one account."""
        process, history = self.process, self.history
        handled = self.handled or history.ends
        folding = Rebuilding(process.decider, process.answer, account_id, handled, self.until, start)
        said = history.said(account_id)
        if self.base is not None:
            said += self.base.said.get(account_id, [])
        return folding.fold(history.deliveries(account_id), said)

    def pages(self) -> Iterator[list[Rebuilt[Any]]]:
        """Fold all accounts, some at a time."""
        folded = self._accounts()
        while page := list(islice(folded, PAGE)):
            yield page

    def _accounts(self) -> Iterator[Rebuilt[Any]]:
        kept: set[str] = set()
        for start in self.base.starts() if self.base is not None else ():
            kept.add(start.account_id)
            yield self.account(start.account_id, start)
        new = self.base.said.keys() - kept if self.base is not None else set()
        for account_id in sorted({*self.history.accounts, *new} - kept):
            yield self.account(account_id)

    def trimmed(self) -> list[Difference]:
        """Return a difference for each log that lacks what the fold needs of it: its beginning, or since the backup."""
        if self.base is not None:
            return [*self.base.unreadable(), *self._lost_since()]
        return [
            Difference(
                "log trimmed", "", f"{name} partition {number} begins at offset {begin}: what was before is gone"
            )
            for (name, number), (begin, _) in self.history.bounds.items()
            if begin > 0
        ]

    def _lost_since(self) -> Iterator[Difference]:
        for (name, number), (begin, end) in self.history.bounds.items():
            since = max(0, self.history.since[name, number])
            if since > end:
                text = f"{name} partition {number} ends at offset {end}, and the backup saw it up to {since}"
                yield Difference("log lost", "", text)
            elif begin > since:
                text = f"{name} partition {number} begins at offset {begin}, and the backup needs it from {since} on"
                yield Difference("log trimmed", "", text)

    def resume(self, unhandled: Mapping[Place, int]) -> dict[Place, int]:
        """Return from where the service is to read each place: never behind where it stood, nor behind what is left."""
        start = {place: self.handled.get(place) or end for place, end in self.history.ends.items()}
        return {place: min(offset, unhandled.get(place, offset)) for place, offset in start.items()}

    def repeated_commands_from(self, resume: Mapping[Place, int]) -> dict[Place, int]:
        """Return the places of commands that will be delivered again, and from which offset.

        Where a topic's records are scattered over its partitions, another shard may have them delivered from anywhere.
        """
        ends = self.history.ends
        scattered = {name for name, number in ends if sum(each == name for each, _ in ends) > 1}
        return {
            place: 0 if place[0] in scattered else offset
            for place, offset in resume.items()
            if BY_NAME[place[0]].kind is Kind.COMMANDS and (offset < ends[place] or place[0] in scattered)
        }


async def shard_fold(
    process: Process, log: Logs, shard: int, until: datetime, base: ShardBackup | None = None
) -> ShardFold:
    """Read a shard and how far the service has come in it; without what was set aside and dropped."""
    history = await log.shard(process.service, shard, base.since if base is not None else None)
    read = {number for _, number in history.ends}
    history.leave_out(await dropped(log, process.settings.partitions, process.service, until, read))
    partitions = {place: log.partition(place) for place in history.ends}
    marks = await read_up_to(log.admin, process.settings, process.service, list(partitions.values()))
    handled = {place: marks[each] for place, each in partitions.items() if each in marks}
    return ShardFold(process, history, handled, until, base)
