"""Sets aside records that cannot be read or decided: original key, bytes and headers, and where they came from.

A dead letter is acknowledged by the broker before the offset of its record moves, so it is never lost; after a crash in
between it may be there twice, with the same origin.
"""

import logging
from dataclasses import dataclass
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError

from contracts.topics import Topic
from services.runtime import metrics
from services.runtime.clock import Clock, to_rfc3339
from services.runtime.codec import Unreadable
from services.runtime.kafka import Publisher
from services.runtime.logs import fields

log = logging.getLogger("addonflow.dead_letters")
_TRUNCATED_BYTES = 65_536
_HEADER_BYTES = 16  # what Kafka adds to a header's name and text, at most


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record and why it is set aside."""

    record: "ConsumerRecord[Any, Any]"
    topic: Topic
    why: Unreadable


class DeadLetters:
    """Writes to `<topic>.<service>.dlq`, in the partition the record came from."""

    def __init__(self, publisher: Publisher, clock: Clock, namespace: str, service: str) -> None:
        self._publisher = publisher
        self._clock = clock
        self._namespace = namespace
        self._service = service

    async def put(self, letter: DeadLetter) -> None:
        """Write one dead letter and wait for the broker; KafkaError when it cannot be written now."""
        record, why = letter.record, letter.why
        name = self._namespace + letter.topic.dead_letters_of(self._service)
        origin = self._origin(letter)
        value = record.value
        if record.key is None and value is None:  # the client writes no record without both
            value = b""
            origin.append(("dlq_tombstone", b"true"))
        try:
            await self._publisher.send(name, record.partition, record.key, value, [*record.headers, *origin])
        except MessageSizeTooLargeError:
            headers = _truncated(record)
            key, value = record.key and record.key[:_TRUNCATED_BYTES], value and value[:_TRUNCATED_BYTES]
            await self._publisher.send(name, record.partition, key, value, [*headers, *origin])
        metrics.DEAD_LETTERS.labels(letter.topic.name, why.reason).inc()
        metrics.MESSAGES.labels("unreadable", "dead_letter").inc()
        log.error(
            "set aside: %s",
            why.detail,
            extra=fields(topic=record.topic, partition=record.partition, offset=record.offset, reason=why.reason),
        )

    def _origin(self, letter: DeadLetter) -> list[tuple[str, bytes]]:
        record = letter.record
        facts = {
            "dlq_reason": letter.why.reason,
            "dlq_detail": letter.why.detail,
            "dlq_service": self._service,
            "dlq_topic": record.topic,
            "dlq_partition": str(record.partition),
            "dlq_offset": str(record.offset),
            "dlq_time": to_rfc3339(self._clock.now()),
        }
        return [(name, text.encode()) for name, text in facts.items()]


def _truncated(record: "ConsumerRecord[Any, Any]") -> list[tuple[str, bytes]]:
    """Return as many of the headers as any broker takes, and one with the value's full size."""
    headers, room = [], _TRUNCATED_BYTES
    for name, text in record.headers:
        room -= len(name) + len(text or b"") + _HEADER_BYTES
        if room >= 0:
            headers.append((name, text))
    headers.append(("dlq_truncated_from_bytes", str(len(record.value or b"")).encode()))
    return headers
