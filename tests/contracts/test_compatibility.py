"""What may change within a version of a message: one pair of schemas for each rule, both ways."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.schemas import payload_types, schema_of
from contracts.schemas.compatibility import breaking_changes

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
NULL: Schema = {"type": "null"}


def record(required: tuple[str, ...] = ("kept",), **properties: Schema) -> Schema:
    """Return the schema of an object with the field `kept` and these."""
    return {"type": "object", "properties": {"kept": TEXT, **properties}, "required": list(required)}


def field(schema: Schema) -> Schema:
    """Return the schema of an object with an optional field `it`."""
    return record(it=schema)


def enum(*values: str) -> Schema:
    """Return a closed set of texts."""
    return {"type": "string", "enum": list(values)}


BREAKING = [
    pytest.param(record(it=TEXT), record(), "$.it: removed", id="field removed"),
    pytest.param(record(it=TEXT), record(that=TEXT), "$.it: removed", id="field renamed"),
    pytest.param(record(), record(("kept", "it"), it=TEXT), "$.it: new and required", id="new field required"),
    pytest.param(record(it=TEXT), record(("kept", "it"), it=TEXT), "$.it: now required", id="optional made required"),
    pytest.param(
        record(("kept", "it"), it=TEXT), record(it=TEXT), "$.it: no longer required", id="required made optional"
    ),
    pytest.param(field(TEXT), field(NUMBER), "$.it: type changed from string to integer", id="type changed"),
    pytest.param(field(NUMBER), field({"type": "number"}), "$.it: type changed", id="integer widened to number"),
    pytest.param(field(TEXT), field({}), "$.it: type changed from string to anything", id="type dropped"),
    pytest.param(field({}), field(TEXT), "$.it: type changed from anything to string", id="type added"),
    pytest.param(field({**TEXT, "format": "date"}), field(TEXT), "$.it: format changed", id="format dropped"),
    pytest.param(field(TEXT), field({**TEXT, "format": "date"}), "$.it: format changed", id="format added"),
    pytest.param(field(TEXT), field({"anyOf": [TEXT, NULL]}), "$.it: may now be null", id="made nullable"),
    pytest.param(field(TEXT), field({"type": ["string", "null"]}), "$.it: may now be null", id="nullable by type list"),
    pytest.param(field({"anyOf": [TEXT, NULL]}), field(TEXT), "$.it: may no longer be null", id="null refused"),
    pytest.param(
        field({"anyOf": [TEXT, NULL]}), field({"anyOf": [NUMBER, NULL]}), "$.it: may now be integer", id="other branch"
    ),
    pytest.param(field(enum("a", "b")), field(enum("a")), "$.it: value 'b' removed", id="enum narrowed"),
    pytest.param(field(enum("a")), field(enum("a", "b")), "$.it: value 'b' added", id="enum widened"),
    pytest.param(field(TEXT), field(enum("a")), "$.it: limited to an enum", id="enum introduced"),
    pytest.param(field(enum("a")), field(TEXT), "$.it: no longer limited", id="enum dropped"),
    pytest.param(
        field({**TEXT, "const": "a"}), field({**TEXT, "const": "b"}), "$.it: value 'a' removed", id="constant"
    ),
    pytest.param(field({**TEXT, "maxLength": 9}), field({**TEXT, "maxLength": 8}), "maxLength changed", id="shorter"),
    pytest.param(field(TEXT), field({**TEXT, "maxLength": 8}), "$.it: maxLength 8 added", id="length limited"),
    pytest.param(field({**TEXT, "minLength": 1}), field({**TEXT, "minLength": 2}), "minLength changed", id="longer"),
    pytest.param(field({**NUMBER, "minimum": 0}), field({**NUMBER, "minimum": 1}), "minimum changed", id="minimum up"),
    pytest.param(field(NUMBER), field({**NUMBER, "minimum": 0}), "$.it: minimum 0 added", id="minimum added"),
    pytest.param(
        field({**NUMBER, "maximum": 9}), field({**NUMBER, "maximum": 0}), "maximum changed", id="maximum down"
    ),
    pytest.param(field({**TEXT, "pattern": "a"}), field({**TEXT, "pattern": "b"}), "pattern changed", id="pattern"),
    pytest.param(field(TEXT), field({**TEXT, "pattern": "b"}), "$.it: pattern 'b' added", id="pattern added"),
    pytest.param(
        field({**NUMBER, "default": 0}), field({**NUMBER, "default": 1}), "default changed from 0 to 1", id="default"
    ),
    pytest.param(field({**NUMBER, "default": 0}), field(NUMBER), "$.it: default changed", id="default dropped"),
    pytest.param(record(), {**record(), "additionalProperties": False}, "$: closed", id="object closed"),
    pytest.param(
        {**record(), "additionalProperties": False},
        {**record(it=TEXT), "additionalProperties": False},
        "$.it: new in an object that was closed",
        id="field added to a closed object",
    ),
    pytest.param(
        {**record(), "additionalProperties": TEXT},
        {**record(), "additionalProperties": NUMBER},
        "$.*: type changed",
        id="type of unknown fields",
    ),
    pytest.param(
        field({"type": "array", "items": TEXT}),
        field({"type": "array", "items": NUMBER}),
        "$.it[]: type changed",
        id="items",
    ),
    pytest.param(
        field({"type": "array", "items": TEXT}),
        field({"type": "array", "items": TEXT, "minItems": 1}),
        "$.it: minItems 1 added",
        id="more items",
    ),
    pytest.param(field(record(that=TEXT)), field(record()), "$.it.that: removed", id="field of a field removed"),
    pytest.param(field(TEXT), field({**TEXT, "not": enum("a")}), "$.it: not changed", id="a keyword it does not know"),
]

COMPATIBLE = [
    pytest.param(record(), record(), id="nothing"),
    pytest.param(record(), record(it=TEXT), id="new optional field"),
    pytest.param(record(), {**record(), "title": "T", "description": "D", "$id": "x"}, id="said in other words"),
    pytest.param(field({**TEXT, "maxLength": 8}), field({**TEXT, "maxLength": 9}), id="maxLength raised"),
    pytest.param(field({**TEXT, "maxLength": 8}), field(TEXT), id="maxLength dropped"),
    pytest.param(field({**NUMBER, "minimum": 1}), field({**NUMBER, "minimum": 0}), id="minimum lowered"),
    pytest.param(field({**NUMBER, "maximum": 1}), field({**NUMBER, "maximum": 2}), id="maximum raised"),
    pytest.param(field({**TEXT, "pattern": "a"}), field(TEXT), id="pattern dropped"),
    pytest.param({**record(), "additionalProperties": False}, record(), id="object opened"),
    pytest.param(field(enum("a", "b")), field(enum("b", "a")), id="enum in another order"),
    pytest.param(field({"anyOf": [TEXT, NULL]}), field({"anyOf": [NULL, TEXT]}), id="branches in another order"),
    pytest.param(field({"anyOf": [TEXT, NULL]}), field({"type": ["string", "null"]}), id="nullable in another form"),
    pytest.param(field(TEXT), {"$defs": {"T": TEXT}, **field({"$ref": "#/$defs/T"})}, id="moved to a definition"),
    pytest.param(
        {"$defs": {"Old": TEXT}, **field({"$ref": "#/$defs/Old"})},
        {"$defs": {"New": TEXT}, **field({"$ref": "#/$defs/New"})},
        id="definition renamed",
    ),
]


@pytest.mark.parametrize(("old", "new", "complaint"), BREAKING)
def test_a_breaking_change_is_named_with_its_place(old: Schema, new: Schema, complaint: str) -> None:
    """A change that breaks readers or old records is reported, with the field it is about."""
    found = breaking_changes(old, new)
    assert any(complaint in line for line in found), found


@pytest.mark.parametrize(("old", "new"), COMPATIBLE)
def test_a_change_that_breaks_nobody_passes(old: Schema, new: Schema) -> None:
    """A change that old readers and old records survive is not reported."""
    assert breaking_changes(old, new) == []


def test_every_change_is_named() -> None:
    """Several breaking changes of one schema are all reported."""
    assert len(breaking_changes(record(a=TEXT, b=NUMBER), record(b=TEXT))) == 2


def test_changes_behind_references_are_found() -> None:
    """A definition is compared where it is used, through references of references, in lists and in alternatives."""
    schema = field({"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/Alias"}, NULL]}})
    old = {"$defs": {"Alias": {"$ref": "#/$defs/Part"}, "Part": record(size=NUMBER)}, **schema}
    new = {"$defs": {"Alias": {"$ref": "#/$defs/Part"}, "Part": record(size=TEXT)}, **schema}
    assert breaking_changes(old, new) == ["$.it[].size: type changed from integer to string"]


def test_a_keyword_it_does_not_know_is_compared_through_references() -> None:
    """What the check cannot judge must be the same, down to the definitions it refers to."""
    schema = field({"allOf": [{"$ref": "#/$defs/Part"}]})
    old, new = {"$defs": {"Part": TEXT}, **schema}, {"$defs": {"Part": NUMBER}, **schema}
    assert breaking_changes(old, old) == []
    assert breaking_changes(old, new) == ["$.it: allOf changed"]


def test_recursive_types_end() -> None:
    """A type that contains itself is compared once, and its changes are found."""
    link: Schema = {"anyOf": [{"$ref": "#/$defs/Node"}, NULL]}
    old: Schema = {"$defs": {"Node": record(size=NUMBER, next=link)}, "$ref": "#/$defs/Node"}
    assert breaking_changes(old, deepcopy(old)) == []
    new = deepcopy(old)
    new["$defs"]["Node"]["properties"]["size"] = TEXT
    assert breaking_changes(old, new) == ["$.size: type changed from integer to string"]


@pytest.mark.parametrize("reference", ["#/$defs/Gone", "elsewhere.json#/T", "#/$defs/Loop"])
def test_a_reference_that_leads_nowhere_is_an_error(reference: str) -> None:
    """A reference that does not resolve inside the document is an error, never a pass."""
    broken = {"$defs": {"Loop": {"$ref": "#/$defs/Loop"}}, **field({"$ref": reference})}
    with pytest.raises(ValueError, match=r"\$ref"):
        breaking_changes(broken, broken)


@pytest.mark.parametrize("payload", payload_types(), ids=lambda payload: payload.ce_type)
def test_a_schema_is_compatible_with_itself(payload: Any) -> None:
    """No real schema is reported to differ from itself."""
    assert breaking_changes(schema_of(payload), schema_of(payload)) == []


@given(payload=st.sampled_from(payload_types()), choice=st.integers(min_value=0))
def test_no_field_of_a_real_message_can_vanish(payload: Any, choice: int) -> None:
    """Removing any field of any message is reported; adding it is reported exactly when it is required."""
    whole, without = schema_of(payload), schema_of(payload)
    name = sorted(whole["properties"])[choice % len(whole["properties"])]
    del without["properties"][name]
    without["required"] = [each for each in without["required"] if each != name]
    assert f"$.{name}: removed" in breaking_changes(whole, without)
    required = name in whole["required"]
    assert bool(breaking_changes(without, whole)) == required
