"""Spans of OpenTelemetry for what is handled and published. Off, they cost a comparison a message.

    command ─▶ process (entitlements) ─▶ send ─▶ process (billing) ─▶ send …
                                      └▶ send ─▶ process (notifications) ─▶ send …

`process` is one delivery from its decision to its commit, `send` one outbox record from its commit to a broker's
acknowledgement. The record's `ce_traceparent` names its `send` span, so what a reader does is a child of that.

Ids derive from causes, like all ids: a decision tried again writes the same bytes, a record published again names the
same span, and the relay, which sees the outbox alone, can name both spans. Only a trace that is sent is exported; how
many begin here is said by the SDK's own variables, whose samplers decide by the trace id, so again the same way.
"""

import importlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from contracts.topics import READERS
from services.runtime.clock import machine_milliseconds
from services.runtime.codec import Outgoing
from services.runtime.decision import Cause, TimerDue
from services.runtime.delivery import Delivery, scope_of
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NOWHERE = Context()
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_MILLISECOND_NS = 1_000_000


class Ids(Protocol):
    """Gives spans their ids: the SDK asks for them as a span begins."""

    def name_next(self, trace_id: int, span_id: int) -> None:
        """Have the next span called so; its trace only where it has no parent."""


class Traces:
    """Makes the spans of one service."""

    def __init__(
        self, service: str, tracer: Tracer, ids: Ids, close: Callable[[], Any], namespace: str = "", group: str = ""
    ) -> None:
        """`namespace` of topics and consumer `group`, to be said; `close` sends what is left, within seconds."""
        self._service = service
        self._namespace = namespace
        self._group = group
        self._tracer = tracer
        self._ids = ids
        self.close = close
        self._scopes = {scope_of(topic) for topic in READERS[service]}

    def begin(self, delivery: Delivery, again: str = "") -> Span:
        """Begin the span of a delivery. `again` tells a repetition's from that of the delivery it repeats."""
        parent = context_of(delivery.traceparent)
        cause = delivery.cause
        trace_id = _id(16, delivery.account_id, delivery.correlation_id)
        self._ids.name_next(trace_id, self._process_id(delivery.account_id, cause.key, again))
        context = _NOWHERE if parent is None else set_span_in_context(NonRecordingSpan(parent), _NOWHERE)
        name, kind = _described(delivery)
        return self._tracer.start_span(name, context, kind)

    def end(self, span: Span, shard: int, delivery: Delivery, outcome: str, *, failed: bool) -> None:
        """End the span of a delivery whose effect is durable."""
        if not span.is_recording():
            return
        span.set_attributes(
            {
                "cloudevents.event_id": delivery.cause.id,
                "cloudevents.event_type": delivery.cause.type,
                "addonflow.account_id": delivery.account_id,
                "addonflow.outcome": outcome,
                "addonflow.shard": shard,
            }
        )
        if delivery.origin is not None:
            span.set_attributes(_messaging("process", delivery.origin.topic, delivery.account_id))
            span.set_attribute("messaging.consumer.group.name", self._group)
            span.set_attribute("messaging.destination.partition.id", str(delivery.origin.partition))
            span.set_attribute("messaging.kafka.offset", delivery.origin.offset)
        if failed:
            span.set_status(StatusCode.ERROR, "the service could not decide it")
        span.end()

    def traceparent(self, span: Span, delivery: Delivery, event_id: str) -> str:
        """Name the span that will send a record of this delivery: what the record carries."""
        context = span.get_span_context()
        send_id = self._send_id(delivery.account_id, delivery.cause.key, event_id)
        return f"00-{context.trace_id:032x}-{send_id:016x}-{context.trace_flags:02x}"

    def published(self, entries: Sequence[tuple[str, bytes]], records: Iterable[Outgoing]) -> None:
        """Make the spans of outbox records, each with its stream id, that were acknowledged just now."""
        now_ns = machine_milliseconds() * _MILLISECOND_NS
        for (entry_id, _), record in zip(entries, records, strict=True):
            headers = dict(record.headers)
            sent = context_of(headers.get("ce_traceparent", b"").decode())
            if sent is None or not sent.trace_flags.sampled:
                continue
            parent_id = self._process_of(sent, headers)
            if parent_id is not None:
                committed_ns = int(entry_id.partition("-")[0]) * _MILLISECOND_NS
                self._send(sent, parent_id, record, headers, (min(committed_ns, now_ns), now_ns))

    def _send(
        self,
        sent: SpanContext,
        parent_id: int,
        record: Outgoing,
        headers: dict[str, bytes],
        times_ns: tuple[int, int],
    ) -> None:
        self._ids.name_next(sent.trace_id, sent.span_id)
        parent = SpanContext(sent.trace_id, parent_id, is_remote=False, trace_flags=sent.trace_flags)
        account_id = record.key.decode()
        span = self._tracer.start_span(
            f"send {record.topic.name}",
            set_span_in_context(NonRecordingSpan(parent), _NOWHERE),
            SpanKind.PRODUCER,
            {
                **_messaging("send", self._namespace + record.topic.name, account_id),
                "cloudevents.event_id": headers["ce_id"].decode(),
                "cloudevents.event_type": headers["ce_type"].decode(),
                "addonflow.account_id": account_id,
            },
            start_time=times_ns[0],
        )
        span.end(times_ns[1])

    def _process_of(self, sent: SpanContext, headers: dict[str, bytes]) -> int | None:
        """Return the id of the span that a record was said in; None where its context is not one of ours.

        It is not where the record was committed without traces, and passed on what it was caused with.
        """
        account_id, cause_id, event_id = (headers[f"ce_{name}"].decode() for name in ("subject", "causationid", "id"))
        for scope in self._scopes:
            key = Cause(cause_id, "", scope).key
            if self._send_id(account_id, key, event_id) == sent.span_id:
                return self._process_id(account_id, key)
        return None

    def _process_id(self, account_id: str, cause_key: str, again: str = "") -> int:
        return _id(8, self._service, account_id, cause_key, again)

    def _send_id(self, account_id: str, cause_key: str, event_id: str) -> int:
        return _id(8, self._service, account_id, cause_key, event_id)


def _messaging(operation: str, topic: str, account_id: str) -> dict[str, str]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.kafka.message.key": account_id,
    }


def _described(delivery: Delivery) -> tuple[str, SpanKind]:
    if isinstance(delivery.message, TimerDue):
        return f"timer {delivery.message.name}", SpanKind.INTERNAL
    if delivery.origin is None or delivery.topic is None:
        return f"ask {delivery.cause.type}", SpanKind.SERVER
    return f"process {delivery.topic.name}", SpanKind.CONSUMER


def context_of(traceparent: str) -> SpanContext | None:
    """Read a W3C trace context (level 1); None for what is none, which then begins a trace of its own."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None:
        return None
    trace_id, span_id, flags = (int(part, 16) for part in found.groups())
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags & TraceFlags.SAMPLED))


def traces_of(service: str, group: str, settings: Settings) -> Traces | None:
    """Return what makes a service's spans, None where they are off; ConfigurationError where they cannot be made."""
    wanted = settings.traces or any(os.environ.get(name) for name in _ENDPOINTS)
    if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        exporting = importlib.import_module("services.runtime.exporting")
    except ImportError as error:
        raise ConfigurationError(f"ADDONFLOW_TRACES needs the extra `traces`: addonflow[traces] ({error})") from error
    made: Traces = exporting.traces_to_collector(service, namespace=settings.namespace, group=group)
    return made


def _id(size: int, *parts: str) -> int:
    """Return an id of so many bytes that follows from the parts, never 0 (which stands for none)."""
    return int.from_bytes(blake2b("\x1e".join(parts).encode(), digest_size=size).digest(), "big") or 1
