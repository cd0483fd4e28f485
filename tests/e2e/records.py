"""Records as they are sent and as they were read, and what must hold of an account's records."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from pydantic_core import from_json

from contracts.payload import Payload
from contracts.topics import topic_of


@dataclass(frozen=True)
class Record:
    """A record to send, or one that was read (then `partition` and `offset` tell where it was)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partition: int | None = None
    offset: int = -1

    @cached_property
    def attributes(self) -> dict[str, str]:
        """The headers as text."""
        return {name: value.decode(errors="replace") for name, value in self.headers}

    @property
    def id(self) -> str:
        """The `ce_id`."""
        return self.attributes["ce_id"]

    @property
    def type(self) -> str:
        """The type without family and version: "InvoiceIssued"."""
        return self.attributes["ce_type"].split(".")[1]

    @property
    def sequence(self) -> int:
        """The `ce_sequence`; 0 where there is none."""
        return int(self.attributes.get("ce_sequence", "0"))

    @cached_property
    def data(self) -> Any:
        """The value as JSON."""
        return from_json(self.value or b"null")

    @property
    def content(self) -> tuple[Any, ...]:
        """What must be the same in every copy."""
        return self.topic, self.key, self.value, self.headers

    def but(self, **headers: str | bytes | None) -> Self:
        """Return the record with other headers; None removes one. `_` stands for `-` in `content_type`."""
        changed = {name.replace("content_type", "content-type"): value for name, value in headers.items()}
        kept = dict(self.headers) | {
            name: value.encode() if isinstance(value, str) else value
            for name, value in changed.items()
            if value is not None
        }
        left = tuple((name, value) for name, value in kept.items() if changed.get(name, b"") is not None)
        return type(self)(self.topic, self.key, self.value, left, self.partition)

    def with_(self, *, key: bytes | None = b"", value: bytes | None = b"", partition: int | None = None) -> Self:
        """Return the record with another key, value or partition; b"" leaves it."""
        return type(self)(
            self.topic,
            self.key if key == b"" else key,
            self.value if value == b"" else value,
            self.headers,
            self.partition if partition is None else partition,
        )


def record(payload: Payload, ce_id: str, sequence: int = 0) -> Record:
    """Return a payload as its writer sends it."""
    topic = topic_of(type(payload))
    attributes = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": ce_id,
        "ce_source": topic.source,
        "ce_type": payload.ce_type,
        "ce_time": "2026-09-30T16:00:00Z",
        "ce_subject": payload.account_id,
    }
    if sequence:
        attributes["ce_sequence"] = str(sequence)
    headers = tuple((name, value.encode()) for name, value in attributes.items())
    return Record(topic.name, payload.account_id.encode(), payload.model_dump_json(by_alias=True).encode(), headers)


def once_each(records: Iterable[Record]) -> list[Record]:
    """Leave out an account's repetitions by `ce_id`; AssertionError when one differs in one byte."""
    first: dict[tuple[str, str], Record] = {}
    for each in records:
        assert first.setdefault((each.attributes["ce_subject"], each.id), each).content == each.content, (
            f"{each.id} was published in two versions"
        )
    return list(first.values())


def by_account(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Group records that count in sequences by account; AssertionError unless each counts 1, 2, 3 … in order."""
    accounts: defaultdict[str, list[Record]] = defaultdict(list)
    for each in once_each(records):
        accounts[each.attributes["ce_subject"]].append(each)
    for account, found in accounts.items():
        sequences = [each.sequence for each in found if each.sequence]
        assert sequences == list(range(1, len(sequences) + 1)), f"{account} counts {sequences}"
    return accounts
