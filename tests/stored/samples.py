"""Texts that releases stored: `samples/<service>.jsonl`, one of each form, as `[release, name, text]`.

`python -m tests.stored.samples RELEASE REDIS_URL` adds what it finds in a deployment of that release.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis import Redis

from contracts.topics import READERS

FOLDER = Path(__file__).with_name("samples")
_FORMS_MAX = 4


def samples() -> Iterator[tuple[str, str, str, bytes]]:
    """Yield service, release, name and text of each."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            release, name, text = json.loads(line)
            yield path.stem, release, name, json.dumps(text).encode()


def _form(value: Any) -> Any:
    """Return which fields a text has, at any depth."""
    if isinstance(value, dict):
        return frozenset((name, _form(part)) for name, part in value.items())
    return frozenset(map(_form, value)) if isinstance(value, list) else type(value)


def _stored(redis: Redis, service: str) -> Iterator[tuple[str, Any]]:
    for key in sorted(redis.scan_iter(f"{{{service}.*}}:account:*", count=1_000)):
        fields: dict[bytes, bytes] = redis.hgetall(key)  # type: ignore[assignment]  # nothing is decoded here
        for field, text in sorted(fields.items()):
            if field == b"document":
                yield "document", json.loads(text)
            elif field.startswith(b"row:"):
                yield field.decode().removeprefix("row:").partition(":")[0], json.loads(text)


def main() -> None:
    """Add the forms that are not there yet, a few of each name."""
    release, url = sys.argv[1:]
    with Redis.from_url(url) as redis:
        for service in READERS:
            path = FOLDER / f"{service}.jsonl"
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            known = {(name, _form(value)) for _, name, value in map(json.loads, lines)}
            for name, value in sorted(_stored(redis, service), key=lambda each: -len(json.dumps(each[1]))):
                of_name = sum(each == name for each, _ in known)
                if of_name < _FORMS_MAX and (name, _form(value)) not in known:
                    known.add((name, _form(value)))
                    lines.append(json.dumps([release, name, value], ensure_ascii=False))
            path.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
