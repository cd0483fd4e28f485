"""What a service brings to the runtime: pure functions over the state of one account.

    initial()                      an account nobody has said anything about
    rows(message)                  which rows the message touches, by name, before anything is loaded
    decide(state, message, now)    Accepted | Rejected | Ignored | NeedsRows
    evolve(state, message)         the state after it

On Accepted the state evolves by the message itself and then by each event it emits, in order. No function does I/O,
reads a clock, draws a random number, or raises for an outcome that can be expected.

State is one small document and addressed rows per account. What grows with users, requests or invoices lives in rows;
a message loads the document and the few rows it names, so an account of 10,000 users costs what one of 10 costs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from contracts.identity import derive_id
from contracts.payload import Payload
from contracts.results import Action, Ask, Reason


class Stored(BaseModel):
    """What is kept of an account as JSON, immutable, and read by this and by later releases (`stored.py`)."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @classmethod
    def upcast(cls, stored: dict[str, Any], version: int) -> dict[str, Any]:  # noqa: ARG003 - for those who need it
        """Return what was stored in schema `version`, an older one, in the form of this release's."""
        return stored


class Document(Stored):
    """The base of a service's account document.

    `timers` names the instants at which the account wants to be woken; the commit sets and clears them with the rest.
    """

    timers: Mapping[str, datetime] = {}


class Row(Stored):
    """The base of a service's rows, each under `<prefix>:<rest of the name>`."""


D = TypeVar("D", bound=Document)
SCOPE_END = "\x1f"
TIMER = "timer:"
"""How the ids of timers begin; nobody else's do (`codec`, `bodies`)."""
_NO_ROWS: Mapping[str, Row | None] = MappingProxyType({})


class State(NamedTuple, Generic[D]):
    """What is known of one account: its document, the rows loaded (None: no such row), and those written since.

    Changing costs what the change is, whatever the number of rows loaded.
    """

    account_id: str
    document: D
    rows: Mapping[str, Row | None] = _NO_ROWS
    written: Mapping[str, Row | None] = _NO_ROWS

    def row(self, name: str) -> Any:
        """Return a row or None; KeyError when the service never named it, which is a defect."""
        return self.written[name] if name in self.written else self.rows[name]

    def with_document(self, **changes: Any) -> "State[D]":
        """Return the state with these fields of the document changed; the values are trusted, not validated."""
        return State(self.account_id, self.document.model_copy(update=changes), self.rows, self.written)

    def with_row(self, name: str, row: Row | None) -> "State[D]":
        """Return the state with a row written, or deleted by None. Writing does not need the row to be loaded."""
        return State(self.account_id, self.document, self.rows, {**self.written, name: row})


@dataclass(frozen=True, slots=True)
class TimerDue:
    """An instant the account's document named has come."""

    account_id: str
    name: str
    due: datetime


Message = Payload | TimerDue


@dataclass(frozen=True, slots=True)
class Accepted:
    """It takes effect and causes these events, in order."""

    events: tuple[Payload, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A command is refused: the code for machines, a sentence for people, and what to do instead."""

    reason: Reason
    message: str
    allowed_instead: tuple[Action, ...] = ()
    ask: Ask | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing changes (a stale revision, an event of no concern); `why` is for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class NeedsRows:
    """Decide again with these rows loaded too: their names only became known from what was loaded before."""

    names: tuple[str, ...]


Decision = Accepted | Rejected | Ignored | NeedsRows


class Cause(NamedTuple):
    """Where the message being decided came from: `id` is its `ce_id`, as its sender chose it.

    `scope`: the topic, where senders of several topics choose ids without knowing of each other. `request_digest` tells
    apart requests over HTTP with the same id; None for what came from Kafka.
    """

    id: str
    type: str
    scope: str = ""
    request_digest: str | None = None

    @property
    def key(self) -> str:
        """What tells it from every other cause: by it a repetition is known, from it all it causes derives ids.

        A `ce_id` holds no control character (CloudEvents 1.0, type String; `codec` sees to it), so no id is the key of
        another topic's.
        """
        return f"{self.scope}{SCOPE_END}{self.id}" if self.scope else self.id

    def id_of(self, what: str, account_id: str, now: datetime) -> str:
        """Return the id of a thing (a subscription, a quote) that a decision at `now` makes of this cause.

        The instant tells it from what the same id made before, when its sender used it again.
        """
        return derive_id(account_id, self.key, f"{what}@{now.isoformat()}")


class Decider(Protocol[D]):
    """A service's decisions: the four functions above, and the types of what it stores."""

    document: type[D]
    row_types: Mapping[str, type[Row]]

    def initial(self) -> D:
        """Return the document of an account nobody has said anything about."""

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the rows the message touches."""

    def decide(self, state: State[D], message: Message, cause: Cause, now: datetime) -> Decision:
        """Say what the message comes to."""

    def evolve(self, state: State[D], message: Message) -> State[D]:
        """Return the state after the message or event."""


Answer = Callable[[Payload, Cause, Accepted | Rejected, tuple[str, ...]], Payload]
"""Builds the answer to a command from the command, its cause, the decision and the ids of the events it caused."""
