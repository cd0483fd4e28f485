"""One thing for a service to decide: a message that was read, or a timer that came due."""

from typing import Any, NamedTuple

from contracts.envelope import Envelope
from contracts.identity import derive_id
from contracts.payload import Payload
from contracts.topics import COMMANDS, TOPICS, Kind, Topic
from services.runtime.clock import from_milliseconds
from services.runtime.decision import TIMER, Cause, Message, TimerDue


class Delivery(NamedTuple):
    """One thing to decide: a record's message, or a timer (then `topic` and `sequence` are None).

    `message` is None for a type this release does not know; `origin` is the Kafka record, for the dead-letter topic.
    `trimmed`: the log it comes from may lack its beginning.
    """

    account_id: str
    message: Message | None
    cause: Cause
    topic: Topic | None = None
    sequence: int | None = None
    correlation_id: str = ""
    traceparent: str = ""
    origin: Any = None
    trimmed: bool = True

    @property
    def is_fact(self) -> bool:
        """Whether it is told from a repetition by its subject's revision."""
        return self.topic is not None and self.topic.kind is Kind.FACTS

    @property
    def is_command(self) -> bool:
        """Whether it has one answer, and is told from a repetition by its id."""
        return self.topic is not None and self.topic.kind is Kind.COMMANDS

    @classmethod
    def of(cls, envelope: Envelope, topic: Topic, origin: Any, *, trimmed: bool = True) -> "Delivery":
        """Make a delivery of a record that was read from `topic`."""
        return cls(
            envelope.account_id,
            envelope.data,
            Cause(envelope.id, envelope.type, scope_of(topic)),
            topic,
            envelope.sequence,
            envelope.correlation_id or envelope.id,
            envelope.traceparent or "",
            origin,
            trimmed,
        )

    @classmethod
    def of_request(
        cls, command: Payload, topic: Topic, command_id: str, digest: str, traceparent: str = ""
    ) -> "Delivery":
        """Make a delivery of a command of `topic` that came over HTTP; it is the one with that id from Kafka."""
        cause = Cause(command_id, command.ce_type, scope_of(topic), digest)
        return cls(command.account_id, command, cause, topic, correlation_id=command_id, traceparent=traceparent)

    @classmethod
    def of_timer(cls, account_id: str, name: str, due_ms: int, said: int | None = None) -> "Delivery":
        """Make a delivery of a timer; its cause's id names account, timer and instant, so it is the same every time.

        `said`: how many records were said of the account before it is decided. An account may set a timer to an instant
        that it had before: what says something of it then is another cause.
        """
        cause = Cause(f"{TIMER}{account_id}:{name}:{due_ms}{'' if said is None else f'+{said}'}", "timer")
        due = from_milliseconds(due_ms)
        return cls(
            account_id, TimerDue(account_id, name, due), cause, correlation_id=derive_id(account_id, cause.id, 0)
        )

    @classmethod
    def of_timer_cause(cls, account_id: str, cause_id: str) -> "Delivery | None":
        """Make the delivery of a timer again from its cause's id; None for any other cause."""
        before, _, instant = cause_id.rpartition(":")
        name = before.removeprefix(f"{TIMER}{account_id}:")
        due_ms, counted, said = instant.partition("+")
        if name == before or not due_ms.isdecimal() or (counted and not said.isdecimal()):
            return None
        return cls.of_timer(account_id, name, int(due_ms), int(said) if counted else None)


def keys_of(command_id: str) -> tuple[str, ...]:
    """Return the keys of the commands that may have an id: one for each topic of commands, the members' first."""
    topics = sorted((topic for topic in TOPICS if topic.kind is Kind.COMMANDS), key=lambda topic: topic is not COMMANDS)
    return tuple(Cause(command_id, "", scope_of(topic)).key for topic in topics)


def scope_of(topic: Topic) -> str:
    """Name the topic where an id may also be another topic's: the members' commands and our streams have none other's.

    Ids in a stream are derived, and those of `COMMANDS` are known by themselves.
    """
    return "" if topic is COMMANDS or topic.kind is Kind.STREAM else topic.name
