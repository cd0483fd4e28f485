"""What a rebuild makes of an account, or begins with: all that its service keeps of it."""

from dataclasses import dataclass, field
from typing import Generic, NamedTuple

from contracts.payload import Payload
from services.runtime import codec
from services.runtime.decision import D, Row
from services.runtime.inputs import Place
from services.runtime.sequences import Sequences
from services.runtime.telling import Difference

NOWHERE: Place = ("", -1)
"""Where the commands are that came over HTTP, or of which only the answer is known."""


class Mark(NamedTuple):
    """The stored answer to a command: its bytes, when it was published (ms), and where the command is."""

    answer: bytes
    written_ms: int
    place: Place
    offset: int


@dataclass(slots=True)
class Rebuilt(Generic[D]):
    """An account as its service left it. `known` is false where nothing but refusals of an unknown account was said.

    `unhandled`: per place the first offset that the service has still to handle. `unpublished`: outbox records that the
    log lacks of a decision it has a part of. `steps`: how many inputs and decisions led here.
    """

    account_id: str
    document: D
    rows: dict[str, Row | None]
    sequences: Sequences = field(default_factory=Sequences)
    known: bool = False
    steps: int = 0
    marks: dict[str, Mark] = field(default_factory=dict)
    unhandled: dict[Place, int] = field(default_factory=dict)
    unpublished: list[bytes] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


def to_remember(answer: Payload, value: bytes, command: Payload | None) -> bytes:
    """Return what the inbox keeps of a command. An answer over HTTP names its request; else the `command` is it."""
    digest = getattr(answer, "request_digest", None)
    if digest is None and command is not None:
        digest = codec.digest_of(command)
    return codec.to_remember(value, digest or codec.NO_DIGEST)
