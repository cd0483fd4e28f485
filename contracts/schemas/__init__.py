"""The golden JSON Schemas: one committed file per message type and version, generated from the payload classes.

A schema says what *any* record of its type may hold: those of older writers, which a topic keeps for good, as much as
today's. That is why it is made in validation mode (a field with a default is optional, as in the records written before
it was added) and not in serialization mode, which describes only what the newest writer adds. Names are those on the
wire (`from`, not `from_`). Unknown fields are allowed everywhere. `tests/contracts/test_schemas.py` keeps the files
equal to the classes and, by `compatibility`, within what a version promised.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from contracts.payload import Payload
from contracts.topics import TOPICS

DIRECTORY = Path(__file__).parent
DIALECT = GenerateJsonSchema.schema_dialect


class _WireSchema(GenerateJsonSchema):
    """Pydantic's JSON Schema without the titles it makes up from field names: they tell a reader nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is pydantic's
        return False


def payload_types() -> tuple[type[Payload], ...]:
    """Return every message type of the registry, topic by topic."""
    return tuple(payload for topic in TOPICS for payload in topic.payloads)


def schema_of(payload: type[Payload]) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a message's data; `$id` is `addonflow:schema:<ce_type>`."""
    generated = payload.model_json_schema(by_alias=True, mode="validation", schema_generator=_WireSchema)
    identity = {"$schema": DIALECT, "$id": f"addonflow:schema:{payload.ce_type}"}
    return {**_unwrapped(generated), **identity}


def golden_files() -> Iterator[tuple[Path, str]]:
    """Yield the path and the exact text of every golden schema."""
    for payload in payload_types():
        yield DIRECTORY / f"{payload.ce_type}.json", as_text(schema_of(payload))


def as_text(document: dict[str, Any]) -> str:
    """Return a JSON document as committed files hold it: keys sorted, two spaces, a newline at the end."""
    return json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def write_changed(files: Iterable[tuple[Path, str]]) -> Iterator[str]:
    """Write the files whose committed text is another, and yield their names."""
    for path, text in files:
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            yield path.name


def _unwrapped(schema: Any) -> Any:
    # A docstring's line breaks are the source file's width; in a schema a paragraph is one line.
    if isinstance(schema, list):
        return [_unwrapped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _one_line_a_paragraph(item) if key == "description" and isinstance(item, str) else _unwrapped(item)
        for key, item in schema.items()
    }


def _one_line_a_paragraph(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
