"""What a person types or a file holds, as the record an outside writer publishes: checked, keyed, with its envelope.

Only topics of outside writers can be written (account system, dashboard): every other topic has its service as the one
writer.
"""

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from contracts.envelope import DATA_CONTENT_TYPE, SPEC_VERSION
from contracts.payload import Payload
from contracts.topics import READERS, TOPICS, Kind, Topic, topic_of
from services.runtime.clock import to_rfc3339
from services.runtime.codec import Header, to_json
from services.runtime.errors import AddonflowError

OUTSIDE: Final = tuple(topic for topic in TOPICS if topic.writer not in READERS)
_PAYLOADS: Final = {payload.__name__: payload for topic in OUTSIDE for payload in topic.payloads}


class BadInput(AddonflowError):  # noqa: N818 - named for what was given
    """What was given is no message; the text is one line for people."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """A record to publish: binary-mode CloudEvent on `topic` (registry), keyed by the account id."""

    id: str
    topic: Topic
    type: str
    account_id: str
    value: bytes

    @property
    def answered(self) -> bool:
        """Whether entitlements answers it: every command, no fact."""
        return self.topic.kind is Kind.COMMANDS

    def headers(self, sent_at: datetime) -> Sequence[Header]:
        """Return the headers of the record, `sent_at` being an aware UTC instant."""
        attributes = {
            "content-type": DATA_CONTENT_TYPE,
            "ce_specversion": SPEC_VERSION,
            "ce_id": self.id,
            "ce_source": self.topic.source,
            "ce_type": self.type,
            "ce_time": to_rfc3339(sent_at),
            "ce_subject": self.account_id,
        }
        return [(name, text.encode()) for name, text in attributes.items() if text]


def of_payload(payload: Payload, message_id: str) -> Outbound:
    """Make the record of a message that is typed already."""
    return Outbound(message_id, topic_of(type(payload)), payload.ce_type, payload.account_id, to_json(payload))


def of_data(type_name: str, data: Any, message_id: str | None = None, *, checked: bool = True) -> Outbound:
    """Make a record from plain data; BadInput says what is wrong with it. A missing id is drawn.

    Unchecked, the data goes out as it is: the type alone must be known, as it decides the topic.
    """
    payload = _payload_type(type_name)
    message_id = message_id or f"cli-{secrets.token_hex(12)}"
    if not checked:
        account = data.get("account_id") if isinstance(data, dict) else None
        value = json.dumps(data, ensure_ascii=False).encode()
        return Outbound(message_id, topic_of(payload), payload.ce_type, str(account or ""), value)
    try:
        return of_payload(payload.model_validate(data), message_id)
    except ValidationError as error:
        raise BadInput(f"{payload.__name__}: {_first(error)}") from error


def _payload_type(name: str) -> type[Payload]:
    found = _PAYLOADS.get(name) or next((each for each in _PAYLOADS.values() if each.ce_type == name), None)
    if found is None:
        raise BadInput(f"unknown type {name!r}: one of {', '.join(_PAYLOADS)}")
    return found


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False)
    first = found[0]
    where = ".".join(str(part) for part in first["loc"]) or "data"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{where}: {first['msg']}{more}"


def data_of_pairs(pairs: Iterable[str], *, checked: bool = True) -> dict[str, Any]:
    """Return the data that `key=value` words spell; a dot in a key goes one level deeper (`licenses.standard=5`).

    Values stay text, which the message's model reads; unchecked, what is JSON (a number, true, a list) is taken as it.
    """
    data: dict[str, Any] = {}
    for pair in pairs:
        path, equals, text = pair.partition("=")
        if not equals or not path:
            raise BadInput(f"{pair!r} is not key=value")
        *parents, last = path.split(".")
        level = data
        for parent in parents:
            level = level.setdefault(parent, {})
            if not isinstance(level, dict):
                raise BadInput(f"{pair!r}: {parent} has a value already")
        level[last] = text if checked else _scalar(text)
    return data


def _scalar(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def of_json(text: str, where: str) -> Any:
    """Read JSON; BadInput names where it was."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not JSON: {error}") from error


def of_lines(lines: Iterable[str], *, checked: bool = True) -> Iterator[Outbound]:
    """Read one message a line: {"type": "PurchaseAddOn", "id": "optional", "data": {…}}; blank lines are skipped."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        found = of_json(line, where)
        if not isinstance(found, dict) or not isinstance(found.get("type"), str) or "data" not in found:
            raise BadInput(f'{where} must be {{"type": …, "id": …, "data": {{…}}}}, the id is optional')
        given = found.get("id")
        if given is not None and not isinstance(given, str):
            raise BadInput(f"{where}: the id must be text")
        try:
            yield of_data(found["type"], found["data"], given, checked=checked)
        except BadInput as error:
            raise BadInput(f"{where}: {error}") from error
