"""What earlier releases stored is read by this one, and what is stored changes only with its schema's number."""

import json
from typing import Any

import pytest

from contracts.topics import READERS
from services.runtime.codec import to_json
from services.runtime.stored import known_schema, read, schema_of
from tests.stored.samples import samples
from tests.stored.shapes import SHAPES, decider_of, kinds, shapes

SAMPLES = list(samples())
KINDS = dict(kinds())


@pytest.mark.parametrize(("service", "release", "name", "text"), SAMPLES)
def test_what_a_release_stored_is_read(service: str, release: str, name: str, text: bytes) -> None:
    """A stored text is read, and all that was stored by this schema is stored again: nothing is lost."""
    kind = KINDS[f"{service}.{name}"]

    again = to_json(read(kind, text))

    assert schema_of(again) == known_schema(kind)
    if schema_of(text) == known_schema(kind):
        assert lost(json.loads(text), json.loads(again)) == []


def lost(before: Any, after: Any, where: str = "") -> list[str]:
    """Return the places whose value is not there any more, or another."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [place for name, value in before.items() for place in lost(value, after.get(name), f"{where}/{name}")]
    return [] if before == after else [where]


@pytest.mark.parametrize("name", KINDS)
def test_there_is_a_sample_of_everything_stored_in_every_schema(name: str) -> None:
    """A new row, and a new schema, come with a sample."""
    found = {schema_of(text) for service, _, of, text in SAMPLES if f"{service}.{of}" == name}

    assert found == set(range(1, known_schema(KINDS[name]) + 1))


def test_what_is_stored_changes_with_its_schema_alone() -> None:
    """Another shape under the same number would be lost, or misread, by a release that runs beside or comes back."""
    released = json.loads(SHAPES.read_text(encoding="utf-8"))

    changed = {name: found for name, found in shapes().items() if released.get(name) != found}

    assert changed == {}, "raise schema_version, add a sample, then run python -m tests.stored.shapes"


@pytest.mark.parametrize("service", READERS)
def test_a_document_is_never_of_an_older_schema_than_its_rows(service: str) -> None:
    """The document is what a process always reads: by it an older one knows that it must leave an account alone."""
    decider = decider_of(service)

    assert known_schema(decider.document) >= max(map(known_schema, decider.row_types.values()))
