"""One shard of a backup, as the fold of the log since then begins with it."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from deploy.addonflow.backup_files import ServiceBackup, read_shard
from deploy.addonflow.history import said_of
from services.runtime.codec import unpack
from services.runtime.decision import Decider
from services.runtime.inputs import Place
from services.runtime.rebuilt import NOWHERE, Mark, Rebuilt
from services.runtime.sequences import Sequences
from services.runtime.store import Loaded
from services.runtime.telling import Difference, Said
from services.runtime.unit_of_work import read_document, read_row

NOTHING = -1
_ROW = b"row:"


def _order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


@dataclass
class ShardBackup:
    """A shard of a service as a backup has it. `kept_ms`: how long the answer to a command is kept.

    `relay` is the relay's hash. `said`: what was said while the backup was written, by account: the topics may lack it.
    Memory: the answers of the shard. The file is read once for them and once for the accounts.
    """

    folder: Path
    kept: ServiceBackup
    service: str
    shard: int
    decider: Decider[Any]
    kept_ms: int
    relay: dict[bytes, bytes] = field(default_factory=dict)
    said: defaultdict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    _marks: defaultdict[str, dict[str, Mark]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        """Read the relay's place, the answers, and what was said meanwhile."""
        last = (0, 0)
        for kind, *item in self._items():
            if kind == "relay":
                self.relay, last = item[0], _order(item[1])
            elif kind == "mark":
                account_id, key, answer, left_ms = item
                written_ms = self.kept.milliseconds + left_ms - self.kept_ms
                self._marks[account_id][key] = Mark(answer, written_ms, NOWHERE, -1)
            elif kind == "entry" and _order(item[0]) > last:
                for said, account_id in (_said(item[0], record) for record in item[1]):
                    self.said[account_id].append(said)

    def _items(self) -> Iterator[list[Any]]:
        return read_shard(self.folder, self.service, self.shard)

    def entries(self) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield the entries of the outbox with their ids, in order."""
        yield from ((item[1], item[2]) for item in self._items() if item[0] == "entry")

    def starts(self) -> Iterator[Rebuilt[Any]]:
        """Yield every account once as it was kept, then those of which only answers were."""
        seen: set[str] = set()
        for item in self._items():
            if item[0] == "account" and item[1] not in seen:
                seen.add(item[1])
                try:
                    start = self._account(item[1], item[2])
                except ValueError:  # poisoned when it was kept: the log alone can tell of it
                    continue
                yield start
        for account_id, marks in self._marks.items():
            if account_id not in seen:
                yield Rebuilt(account_id, self.decider.initial(), {}, marks=dict(marks))

    def _account(self, account_id: str, fields: dict[bytes, bytes]) -> Rebuilt[Any]:
        loaded = Loaded(int(fields[b"version"]), fields.get(b"sequences"), fields.get(b"document"), (), ())
        names = {name.removeprefix(_ROW).decode(): text for name, text in fields.items() if name.startswith(_ROW)}
        return Rebuilt(
            account_id,
            read_document(self.decider, loaded),
            {name: read_row(self.decider, name, text) for name, text in names.items()},
            Sequences.load(loaded.sequences),
            known=True,
            steps=loaded.version,
            marks=dict(self._marks.get(account_id, {})),
        )

    def unreadable(self) -> Iterator[Difference]:
        """Return a difference for each account that cannot be read as it was kept."""
        for item in self._items():
            if item[0] == "account":
                try:
                    self._account(item[1], item[2])
                except ValueError:
                    yield Difference("kept unreadable", item[1], "it cannot be read as the backup has it")

    def since(self, place: Place) -> int:
        """Return the offset from which a log is needed; -1 where the service had read nothing of it."""
        name, partition = place
        offsets = self.kept.read.get(name) or self.kept.said.get(name)
        return offsets[partition] if offsets else NOTHING


def _said(entry_id: bytes, record: bytes) -> tuple[Said, str]:
    out = unpack(record)
    written = SimpleNamespace(value=out.value, headers=out.headers, timestamp=_order(entry_id)[0])
    return said_of(written, out.topic), out.key.decode()
