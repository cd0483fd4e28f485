"""A service as small as can be, for the runtime's own tests: a counter account, beside stores and records of a test.

It reads the topics of entitlements and counts: a StartTrial command or a TrialStarted event is one more, and says so
with a TrialEnded event. What a message asks for is told by its add-on, so that a test reads as what it does:

    "count"   one more, one event             "reject"   refused
    "ignore"  nothing                         "fail"     the decision raises
    "row"     writes the row `person:<user>`  "ask"      needs the row `total` first, and counts in it
    "note"    writes that row and nothing else
    "wake:…"  sets timer `alarm` to that ms   "more"     asks for rows for ever
    "fail-…"  something else of the service raises: rows, evolve, the second decision
    "fail-large"  it says more than a broker takes
    "fail-store", "fail-document"  it wants a row, a document that cannot be stored
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import ConsumerRecord

from contracts import topics
from contracts.commands import StartTrial
from contracts.events import Person, TrialEnded, TrialStarted
from contracts.payload import Payload
from contracts.results import CommandAccepted, CommandRejected, Reason
from services.runtime import codec
from services.runtime.clock import from_milliseconds
from services.runtime.decision import (
    Accepted,
    Cause,
    Decision,
    Document,
    Ignored,
    Message,
    NeedsRows,
    Rejected,
    Row,
    State,
    TimerDue,
)
from services.runtime.delivery import Delivery
from services.runtime.store import Commit

NOW = datetime(2026, 9, 30, 12, tzinfo=UTC)
TOTAL = "total"


class CounterDocument(Document):
    """How often the account was counted, by which messages, in order; `other` may be what cannot be stored."""

    count: int = 0
    causes: tuple[str, ...] = ()
    other: Any = None


class Counted(Row):
    """A row that counts; `other` may be something that cannot be stored."""

    count: int = 0
    other: Any = None


class CounterDecider:
    """Counts; `meanwhile` is called inside every decision, where a test lets something else happen."""

    document = CounterDocument
    row_types: Mapping[str, type[Row]] = {TOTAL: Counted, "person": Counted}

    def __init__(self, meanwhile: Callable[[Message, datetime], None] = lambda *_: None) -> None:
        self._meanwhile = meanwhile

    def initial(self) -> CounterDocument:
        """Start at nothing."""
        return CounterDocument()

    def rows(self, message: Message) -> tuple[str, ...]:
        """Name the row of the person who asks for one."""
        if isinstance(message, StartTrial) and message.add_on == "fail-rows":
            raise ValueError("no rows for you")
        return (f"person:{message.user_id}",) if isinstance(message, StartTrial) and message.add_on == "row" else ()

    def decide(self, state: State[CounterDocument], message: Message, cause: Cause, now: datetime) -> Decision:  # noqa: ARG002
        """Do what the add-on says."""
        self._meanwhile(message, now)
        if isinstance(message, TimerDue):
            if state.document.count == 13:
                raise ValueError("thirteen")
            return Accepted((self._said(message, now),))
        if not isinstance(message, StartTrial | TrialStarted):
            return Ignored("not counted")
        wish = message.add_on
        if wish == "fail" or (wish == "fail-later" and TOTAL in state.rows):
            raise ValueError("no decision for you")
        if wish == "ignore":
            return Ignored("as asked")
        if wish == "reject":
            return Rejected(Reason.ADD_ON_UNKNOWN, "There is no such add-on.")
        if wish == "more" or (wish in ("ask", "fail-later") and TOTAL not in state.rows):
            return NeedsRows((TOTAL,))
        more = (too_large(message.account_id),) if wish == "fail-large" else ()
        return Accepted((self._said(message, now), *more))

    @staticmethod
    def _said(message: Message, now: datetime) -> TrialEnded:
        name = message.name if isinstance(message, TimerDue) else getattr(message, "add_on", "")
        return TrialEnded(account_id=message.account_id, add_on=name, ended_at=now, reason="expired")

    def evolve(self, state: State[CounterDocument], message: Message) -> State[CounterDocument]:
        """Count the message, not what it caused."""
        document = state.document
        if isinstance(message, TimerDue):
            timers = {name: due for name, due in document.timers.items() if name != message.name}
            return state.with_document(timers=timers, count=document.count + 1)
        if not isinstance(message, StartTrial | TrialStarted):
            return state
        wish = message.add_on
        if wish == "fail-evolve":
            raise ValueError("no state for you")
        if wish == "note":
            return state.with_row("person:ann", Counted(count=100))
        cause = message.entry_point if isinstance(message, StartTrial) else message.started_by.name
        state = state.with_document(count=document.count + 1, causes=(*document.causes, cause or ""))
        if wish == "row" and isinstance(message, StartTrial):
            name = f"person:{message.user_id}"
            row = state.row(name)
            return state.with_row(name, Counted(count=row.count + 1 if row else 1))
        if wish == "ask":
            row = state.row(TOTAL)
            state = state.with_row(TOTAL, Counted(count=row.count + 1 if row else 1))
        if wish == "fail-store":
            state = state.with_row(TOTAL, Counted(other=object()))
        if wish == "fail-document":
            state = state.with_document(other=object())
        if wish.startswith("wake:"):
            alarm = from_milliseconds(int(wish.removeprefix("wake:")))
            return state.with_document(timers={**state.document.timers, "alarm": alarm})
        return state


def answer(command: Payload, cause: Cause, decision: Accepted | Rejected, events: tuple[str, ...]) -> Payload:
    """Answer as entitlements does; a command of user "unanswerable" cannot be answered."""
    user_id = getattr(command, "user_id", "")
    if user_id == "unanswerable":
        raise ValueError("no answer for you")
    about = {"account_id": command.account_id, "command_id": cause.id, "command_type": cause.type, "user_id": user_id}
    about |= {"request_digest": cause.request_digest} if cause.request_digest else {}
    if isinstance(decision, Rejected):
        return CommandRejected(**about, reason=decision.reason, message=decision.message)
    return CommandAccepted(**about, events=events)


def too_large(account_id: str) -> TrialStarted:
    """Return an event that no broker takes."""
    by = Person(user_id="ann", role="owner", name="a" * codec.RECORD_BYTES_MAX)
    return TrialStarted(account_id=account_id, add_on="ai", started_by=by, started_at=NOW, ends_at=NOW)


def command(account_id: str, command_id: str, wish: str = "count", user_id: str = "ann") -> Delivery:
    """Return a command to the counter as the runtime receives it."""
    message = StartTrial(account_id=account_id, user_id=user_id, add_on=wish, entry_point=command_id)
    return Delivery(account_id, message, Cause(command_id, StartTrial.ce_type), topics.COMMANDS, None, command_id)


def staff(account_id: str, command_id: str, wish: str = "count") -> Delivery:
    """Return a command of the back office, whose sender chooses ids without knowing of the members'."""
    said = command(account_id, command_id, wish)
    return said._replace(topic=topics.BACKOFFICE, cause=Cause(*said.cause[:2], topics.BACKOFFICE.name))


def fact(account_id: str, name: str, wish: str = "count") -> Delivery:
    """Return what is neither counted nor answered by its sender, and does what it wishes all the same."""
    return command(account_id, name, wish)._replace(topic=topics.ACCOUNTS)


def event(account_id: str, sequence: int, wish: str = "count") -> Delivery:
    """Return an event of a stream with its sequence."""
    cause = Cause(f"event-{account_id}-{sequence}", TrialStarted.ce_type)
    message = TrialStarted(
        account_id=account_id,
        add_on=wish,
        started_by=Person(user_id="ann", role="owner", name=cause.id),
        started_at=NOW,
        ends_at=NOW + timedelta(days=14),
    )
    return Delivery(account_id, message, cause, topics.EVENTS, sequence, cause.id)


def commit(account_id: str = "acme", version: int = 0, **parts: Any) -> Commit:
    """Return a commit that writes the account: `sequences` need not be readable for the store."""
    return Commit(account_id, version, **{"sequences": b"sequences", **parts})


def record(number: int, account_id: str = "acme", padding: int = 0) -> bytes:
    """Return an outbox record: a TrialStarted event with sequence `number`, of about `padding` bytes."""
    by = Person(user_id="ann", role="owner", name="a" * padding)
    said = TrialStarted(account_id=account_id, add_on="ai", started_by=by, started_at=NOW, ends_at=NOW)
    identity = f"event-{account_id}-{number}"
    return codec.pack(
        said.ce_type, identity, "2026-09-30T12:00:00Z", account_id, number, "cause", "chain", "", codec.to_json(said)
    )


def kafka_record(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes | None]] = (),
    topic: str = topics.COMMANDS.name,
    key: bytes | None = b"acme",
    partition: int = 0,
    offset: int = 0,
) -> "ConsumerRecord[Any, Any]":
    """Return a record as the Kafka client hands it over."""
    sizes = (len(key or b""), len(value or b""))
    return ConsumerRecord(topic, partition, offset, 0, 0, key, value, None, *sizes, tuple(headers))
