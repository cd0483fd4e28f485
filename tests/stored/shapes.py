"""What each service stores, by name: `entitlements.document`, `entitlements.member` …, with its schema and its shape.

The shape is a digest of the type's JSON Schema without its words. `shapes.json` is what was released; who changes what
is stored raises the type's `schema_version` (`services/runtime/stored.py`) and writes the file again:
`python -m tests.stored.shapes`. Until a schema is released its number stays.
"""

import hashlib
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.topics import READERS
from services.runtime.decision import Decider, Stored
from services.runtime.settings import Settings
from services.runtime.stored import known_schema

SHAPES = Path(__file__).with_name("shapes.json")
_WORDS = ("title", "description", "default", "examples")


def decider_of(service: str) -> Decider[Any]:
    """Return a service's decider."""
    decider: Decider[Any] = importlib.import_module(f"services.{service}.app").build(Settings()).decider
    return decider


def kinds() -> Iterator[tuple[str, type[Stored]]]:
    """Yield what is stored, by name."""
    for service in READERS:
        decider = decider_of(service)
        yield f"{service}.document", decider.document
        for name, row in decider.row_types.items():
            yield f"{service}.{name}", row


def _without_words(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            name: _without_words(part)
            for name, part in sorted(schema.items())
            if name not in _WORDS or not isinstance(part, str)
        }
    return [_without_words(part) for part in schema] if isinstance(schema, list) else schema


def shapes() -> dict[str, list[Any]]:
    """Return [schema, shape] of everything stored."""
    found = {}
    for name, kind in kinds():
        text = json.dumps(_without_words(kind.model_json_schema()), sort_keys=True)
        found[name] = [known_schema(kind), hashlib.sha256(text.encode()).hexdigest()[:16]]
    return found


if __name__ == "__main__":
    SHAPES.write_text(json.dumps(shapes(), indent=1) + "\n", encoding="utf-8")
