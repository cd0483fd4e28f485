"""What may change within a version of a message, judged on its JSON Schemas. Pure.

A topic holds records of every writer there ever was, and its readers are upgraded at other times than its writers. So a
schema of the same version must fit both ways: a new reader reads old records, and an old reader reads new ones.

May change: descriptions and titles; a new optional field; a bound that is loosened (a reader does not enforce the
writer's bounds; ours are deployed before the writer); an object opened to unknown fields.

Breaks, and needs a new version of the type:
- a field removed or renamed, a new required one (old records lack it), required made optional (readers count on it);
- a type, format, constant or default changed; a field that may now be null, or no longer may;
- an enum value removed (old records hold it) or added (old readers have no case for it): an enum on the wire is closed;
  what is meant to grow is an open string whose known values its description lists;
- a bound tightened, a pattern added or replaced; an object closed to unknown fields, or a field added to a closed one;
- anything this check does not know, if it differs: it never passes what it cannot judge.
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

Schema = Mapping[str, Any]

_ANNOTATIONS = {"$schema", "$id", "$defs", "$comment", "title", "description", "examples", "deprecated"}
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_REMOVABLE = ("pattern", "multipleOf", "uniqueItems")
_STRUCTURE = {"$ref", "type", "anyOf", "oneOf", "enum", "const", "default", "properties", "required", "items"}
_STRUCTURE |= {"additionalProperties", *_LOWER_BOUNDS, *_UPPER_BOUNDS, *_REMOVABLE}
_ABSENT = object()


def breaking_changes(old_schema: Schema, new_schema: Schema) -> list[str]:
    """Say what of `new_schema` breaks readers or records of `old_schema`: one line each, its place first.

    ValueError when a `$ref` of either does not resolve inside its own document.
    """
    return list(_Comparison(old_schema, new_schema).compare(old_schema, new_schema, "$"))


class _Comparison:
    def __init__(
        self, old_root: Schema, new_root: Schema, compared: AbstractSet[tuple[int, int]] = frozenset()
    ) -> None:
        self._old_root, self._new_root = old_root, new_root
        # Pairs of nodes of the two documents, by identity: recursive types end, shared ones are reported once.
        self._compared = set(compared)

    def compare(self, old: Any, new: Any, at: str) -> Iterator[str]:
        pair = (id(old), id(new))
        if pair in self._compared:
            return
        self._compared.add(pair)
        olds, news = _alternatives(self._old_root, old), _alternatives(self._new_root, new)
        if len(olds) == len(news) == 1:
            yield from self._single(olds[0], news[0], at)
        else:
            yield from self._several(olds, news, at)
        yield from _default(_resolved(self._old_root, old), _resolved(self._new_root, new), at)

    def _several(self, olds: list[Schema], news: list[Schema], at: str) -> Iterator[str]:
        left = list(news)
        for old in olds:
            twin = next((new for new in left if self._fits(old, new)), None)
            twin = twin or next((new for new in left if _kind(new) == _kind(old)), None)
            if twin is None:
                yield f"{at}: may no longer be {_kind(old)}"
                continue
            left.remove(twin)
            yield from self._single(old, twin, at)
        yield from (f"{at}: may now be {_kind(new)}" for new in left)

    def _fits(self, old: Schema, new: Schema) -> bool:
        trial = _Comparison(self._old_root, self._new_root, self._compared)
        return not list(trial._single(old, new, ""))

    def _single(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        if _kind(old) != _kind(new):
            yield f"{at}: type changed from {_kind(old)} to {_kind(new)}"
            return
        yield from _enum(old, new, at)
        yield from _bounds(old, new, at)
        yield from self._object(old, new, at)
        if "items" in old or "items" in new:
            yield from self.compare(old.get("items", True), new.get("items", True), f"{at}[]")
        yield from self._unjudged(old, new, at)

    def _object(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        yield from _required(old, new, at)
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in before:
            if name in after:
                yield from self.compare(before[name], after[name], f"{at}.{name}")
            else:
                yield f"{at}.{name}: removed"
        rest_before, rest_after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if rest_before is False:
            added = sorted(after.keys() - before.keys())
            yield from (f"{at}.{name}: new in an object that was closed to unknown fields" for name in added)
        elif rest_after is False:
            yield f"{at}: closed to unknown fields"
        elif rest_before is not rest_after:
            yield from self.compare(rest_before, rest_after, f"{at}.*")

    def _unjudged(self, old: Schema, new: Schema, at: str) -> Iterator[str]:
        for keyword in sorted((set(old) | set(new)) - _STRUCTURE - _ANNOTATIONS):
            before = _inlined(self._old_root, old.get(keyword, _ABSENT))
            after = _inlined(self._new_root, new.get(keyword, _ABSENT))
            if before != after:
                yield f"{at}: {keyword} changed"


def _required(old: Schema, new: Schema, at: str) -> Iterator[str]:
    known = old.get("properties", {})
    before, after = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(after - before):
        yield f"{at}.{name}: {'now' if name in known else 'new and'} required, old records may lack it"
    for name in sorted((before - after) & new.get("properties", {}).keys()):
        yield f"{at}.{name}: no longer required, old readers count on it"


def _enum(old: Schema, new: Schema, at: str) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if before is None and after is None:
        return
    if before is None or after is None:
        yield f"{at}: {'limited to an enum' if before is None else 'no longer limited to its enum'}"
        return
    gone, added = [each for each in before if each not in after], [each for each in after if each not in before]
    yield from (f"{at}: value {value!r} removed, old records may hold it" for value in gone)
    yield from (f"{at}: value {value!r} added, old readers have no case for it" for value in added)


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _bounds(old: Schema, new: Schema, at: str) -> Iterator[str]:
    yield from _tightened(old, new, at, _LOWER_BOUNDS, lambda before, after: after > before)
    yield from _tightened(old, new, at, _UPPER_BOUNDS, lambda before, after: after < before)
    yield from _tightened(old, new, at, _REMOVABLE, lambda _before, _after: True)


def _tightened(
    old: Schema, new: Schema, at: str, keywords: tuple[str, ...], stricter: Callable[[Any, Any], bool]
) -> Iterator[str]:
    for keyword in keywords:
        before, after = old.get(keyword), new.get(keyword)
        if after in (None, before) or after is False:
            continue
        if before is None:
            yield f"{at}: {keyword} {after!r} added"
        elif stricter(before, after):
            yield f"{at}: {keyword} changed from {before!r} to {after!r}"


def _default(old: Schema, new: Schema, at: str) -> Iterator[str]:
    # A record that leaves the field out means its default, so another default changes what was already said.
    if "default" in old and ("default" not in new or old["default"] != new["default"]):
        yield f"{at}: default changed from {old['default']!r} to {new.get('default')!r}"


def _kind(schema: Schema) -> str:
    values = _values(schema)
    if "type" not in schema and values is not None:
        return "|".join(sorted({type(value).__name__ for value in values}))
    return str(schema.get("type", "anything"))


def _alternatives(root: Schema, schema: Any) -> list[Schema]:
    """Return what a value may be, as schemas of one type each: `anyOf`, `oneOf` and lists of types are spread out."""
    resolved = _resolved(root, schema)
    if resolved is _NOTHING:
        return [_NOTHING]
    for keyword in ("anyOf", "oneOf"):
        if keyword in resolved:
            rest = {key: value for key, value in resolved.items() if key not in {keyword, "default", *_ANNOTATIONS}}
            return [
                {**rest, **alternative} for branch in resolved[keyword] for alternative in _alternatives(root, branch)
            ]
    if isinstance(resolved.get("type"), list):
        return [{**resolved, "type": kind} for kind in resolved["type"]]
    return [resolved]


_NOTHING: Schema = {"type": "nothing"}


def _resolved(root: Schema, schema: Any) -> Schema:
    if isinstance(schema, bool):
        return {} if schema else _NOTHING
    resolved: dict[str, Any] = dict(schema)
    seen: set[str] = set()
    while reference := resolved.pop("$ref", None):
        if reference in seen:
            raise ValueError(f"$ref {reference} refers to itself")
        seen.add(reference)
        resolved = {**_pointed_at(root, reference), **resolved}
    return resolved


def _pointed_at(root: Schema, reference: str) -> Schema:
    if not reference.startswith("#"):
        raise ValueError(f"$ref {reference} leaves the document")
    target: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        try:
            target = target[part.replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError) as error:
            raise ValueError(f"$ref {reference} does not resolve") from error
    result: Schema = target
    return result


def _inlined(root: Schema, part: Any, inside: frozenset[str] = frozenset()) -> Any:
    """Return a part of a schema with its references replaced by what they refer to, once in each line of descent."""
    if isinstance(part, list):
        return [_inlined(root, item, inside) for item in part]
    if not isinstance(part, Mapping):
        return part
    reference = part.get("$ref")
    if isinstance(reference, str) and reference not in inside:
        return _inlined(root, _resolved(root, part), inside | {reference})
    return {key: _inlined(root, item, inside) for key, item in part.items() if key not in _ANNOTATIONS}
