"""What clients and the nemesis did, line by line: invoked, and then ok, failed or indeterminate.

{"at": 12.301, "op": 17, "status": "invoked", "kind": "command", "account": "shop-7", "id": "shop-7:3"}
{"at": 12.344, "op": 17, "status": "ok"}
{"at": 12.345, "note": "hit", "fault": "process-killed", "in_flight": 9, …}

An operation that is never completed counts as indeterminate: it may have had its effect.
"""

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Literal

Status = Literal["ok", "failed", "indeterminate"]


@dataclass(slots=True)
class Operation:
    """What a client tried, and what it knows of it. `said` is what it sent, `heard` what it was told."""

    number: int
    kind: str
    said: dict[str, Any]
    status: Status = "indeterminate"
    heard: dict[str, Any] = field(default_factory=dict)


class History:
    """Writes the lines; whoever invokes an operation completes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun = time.monotonic()
        self.open: set[int] = set()
        self._numbers = count(1)
        self._file = path.open("w", buffering=1, encoding="utf-8")

    @property
    def seconds(self) -> float:
        """How long ago the history began."""
        return time.monotonic() - self.begun

    def invoke(self, kind: str, **said: Any) -> int:
        """Say that an operation begins; return its number."""
        number = next(self._numbers)
        self.open.add(number)
        self._write({"op": number, "status": "invoked", "kind": kind, **said})
        return number

    def complete(self, number: int, status: Status, **heard: Any) -> None:
        """Say how an operation ended."""
        self.open.discard(number)
        self._write({"op": number, "status": status, **heard})

    def note(self, what: str, **facts: Any) -> None:
        """Say what the nemesis did."""
        self._write({"note": what, **facts})

    def close(self) -> None:
        """End the history."""
        self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        self._file.write(json.dumps({"at": round(self.seconds, 3), **line}) + "\n")


def operations(lines: Iterable[str]) -> dict[int, Operation]:
    """Read the operations of a history, by number."""
    found: dict[int, Operation] = {}
    for line in _objects(lines):
        if "op" not in line:
            continue
        number, status = line.pop("op"), line.pop("status")
        line.pop("at")
        if status == "invoked":
            found[number] = Operation(number, line.pop("kind"), line)
        else:
            found[number].status, found[number].heard = status, line
    return found


def notes(lines: Iterable[str], what: str) -> list[dict[str, Any]]:
    """Read the notes of one kind."""
    return [line for line in _objects(lines) if line.get("note") == what]


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in lines)
