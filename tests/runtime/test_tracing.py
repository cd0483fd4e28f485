"""Traces: spans follow from causes, records name the span that sends them, and without traces all stays as it came."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from contracts.topics import COMMANDS, EVENTS, RESULTS
from services.runtime.codec import unpack
from services.runtime.delivery import Delivery
from services.runtime.errors import ConfigurationError
from services.runtime.exporting import traces_to
from services.runtime.outcomes import Outcomes
from services.runtime.settings import Settings
from services.runtime.tracing import Traces, context_of, traces_of
from services.runtime.unit_of_work import UnitOfWork
from tests.runtime.counting import NEW
from tests.runtime.toys import NOW, CounterDecider, CounterDocument, answer, command, kafka_record, staff

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
INCOMING = f"00-{TRACE}-{CALLER}-01"
ENTRY = "1790000000000-0"


class Traced(NamedTuple):
    """A service's traces, and the spans that were exported."""

    traces: Traces
    exporter: InMemorySpanExporter

    def spans(self) -> tuple[ReadableSpan, ...]:
        """Return the spans in the order of their ends."""
        return self.exporter.get_finished_spans()


@pytest.fixture
def traced() -> Traced:
    """Give the traces of entitlements."""
    exporter = InMemorySpanExporter()
    return Traced(traces_to(SimpleSpanProcessor(exporter), "entitlements", group="g", namespace="ns."), exporter)


def from_kafka(delivery: Delivery, traceparent: str = INCOMING) -> Delivery:
    """Return a delivery as it comes with a trace context."""
    return delivery._replace(traceparent=traceparent, origin=kafka_record(b"", offset=17))


def handled(traces: Traces | None, *deliveries: Delivery) -> Sequence[bytes]:
    """Decide deliveries of one account and return the outbox records; their effect is durable."""
    unit: UnitOfWork[CounterDocument] = UnitOfWork(CounterDecider(), answer, "acme", NOW, NEW, traces=traces)
    for delivery in deliveries:
        unit.handle(delivery)
    Outcomes(traces).durable(3, [unit], [])
    commit = unit.commit()
    return commit.records if commit is not None else []


def context_in(record: bytes) -> str:
    """Return the trace context that a record carries."""
    return dict(unpack(record).headers).get("ce_traceparent", b"").decode()


def publish(traces: Traces, records: Sequence[bytes]) -> None:
    """Have the relay tell that records were acknowledged."""
    traces.published([(ENTRY, record) for record in records], [unpack(record) for record in records])


def ids(span: ReadableSpan) -> tuple[str, str, str]:
    """Return the ids of a span's trace, of its parent and of itself, as W3C writes them."""
    assert span.context is not None
    parent = f"{span.parent.span_id:016x}" if span.parent else ""
    return f"{span.context.trace_id:032x}", parent, f"{span.context.span_id:016x}"


def test_without_traces_the_context_is_passed_on_as_it_came() -> None:
    """Whatever a sender wrote is in all that its message caused, and nothing is made."""
    assert [context_in(record) for record in handled(None, from_kafka(command("acme", "c-1")))] == [INCOMING] * 2


def test_a_message_is_a_child_of_what_sent_it(traced: Traced) -> None:
    """The span of a delivery continues the sender's trace, and says what was handled, where, and what became of it."""
    handled(traced.traces, from_kafka(command("acme", "c-1", "reject")))
    (span,) = traced.spans()
    assert ids(span)[:2] == (TRACE, CALLER)
    assert (span.name, span.kind) == (f"process {COMMANDS.name}", SpanKind.CONSUMER)
    assert dict(span.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": COMMANDS.name,
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 17,
        "messaging.kafka.message.key": "acme",
        "messaging.consumer.group.name": "g",
        "cloudevents.event_id": "c-1",
        "cloudevents.event_type": "addons.StartTrial.v1",
        "addonflow.account_id": "acme",
        "addonflow.outcome": "add_on_unknown",
        "addonflow.shard": 3,
    }


def test_a_record_names_the_span_that_sends_it(traced: Traced) -> None:
    """What a record carries is the span from its commit to its acknowledgement, a child of its decision's."""
    records = handled(traced.traces, from_kafka(command("acme", "c-1")))
    publish(traced.traces, records)
    process, *sends = traced.spans()
    assert [ids(send)[:2] for send in sends] == [(TRACE, ids(process)[2])] * 2
    assert [f"00-{TRACE}-{ids(send)[2]}-01" for send in sends] == [context_in(record) for record in records]
    assert [(send.name, send.kind) for send in sends] == [
        (f"send {EVENTS.name}", SpanKind.PRODUCER),
        (f"send {RESULTS.name}", SpanKind.PRODUCER),
    ]
    assert {send.start_time for send in sends} <= {int(ENTRY[:-2]) * 1_000_000} | {send.end_time for send in sends}
    assert (sends[0].attributes or {})["messaging.destination.name"] == f"ns.{EVENTS.name}"


@pytest.mark.parametrize("traceparent", [INCOMING, "", f"00-{TRACE}-{CALLER}-00", "not a context"])
def test_a_decision_tried_again_says_the_same_bytes(traced: Traced, traceparent: str) -> None:
    """Another attempt, in another process, writes the same records and would make the same spans."""
    delivery = from_kafka(command("acme", "c-1"), traceparent)
    other = traces_to(SimpleSpanProcessor(InMemorySpanExporter()), "entitlements")
    assert handled(traced.traces, delivery) == handled(other, delivery)


def test_what_is_published_again_names_the_same_spans(traced: Traced) -> None:
    """The relay makes spans of the same ids however often it publishes."""
    records = handled(traced.traces, from_kafka(command("acme", "c-1")))
    publish(traced.traces, records)
    publish(traced.traces, records)
    _, *sends = [ids(span) for span in traced.spans()]
    assert sends[:2] == sends[2:]


def test_causes_of_one_id_on_two_topics_have_spans_of_their_own(traced: Traced) -> None:
    """A member's command and a back office's with the same id are two decisions, and each sends its own records."""
    member, office = from_kafka(command("acme", "same")), from_kafka(staff("acme", "same"))
    publish(traced.traces, handled(traced.traces, member, office))
    one, other, *sends = [ids(span) for span in traced.spans()]
    assert one[2] != other[2]
    assert [send[1] for send in sends] == [one[2], one[2], other[2], other[2]]


def test_a_repetition_is_a_span_of_its_own(traced: Traced) -> None:
    """A message that comes again is seen to, and does not take the place of the span of what it did."""
    handled(traced.traces, from_kafka(command("acme", "c-1")), from_kafka(command("acme", "c-1")))
    first, again = traced.spans()
    assert [(span.attributes or {})["addonflow.outcome"] for span in (first, again)] == ["accepted", "repeated"]
    assert ids(first)[:2] == ids(again)[:2]
    assert ids(first)[2] != ids(again)[2]


def test_a_message_without_context_begins_a_trace(traced: Traced) -> None:
    """The trace then follows from what began it, so that whoever handles the same message finds the same trace."""
    billing = InMemorySpanExporter()
    delivery = from_kafka(command("acme", "c-1"), "")
    handled(traced.traces, delivery)
    handled(traces_to(SimpleSpanProcessor(billing), "billing"), delivery)
    (span,), (other,) = traced.spans(), billing.get_finished_spans()
    assert ids(span)[0] == ids(other)[0]
    assert ids(span)[2] != ids(other)[2]
    assert span.parent is None


def test_a_timer_begins_a_trace_of_its_own(traced: Traced) -> None:
    """What time does is a trace, named by its timer."""
    handled(traced.traces, command("acme", "c-1", "wake:1000"), Delivery.of_timer("acme", "alarm", 1_000))
    _, timer = traced.spans()
    assert (timer.name, timer.kind, timer.parent) == ("timer alarm", SpanKind.INTERNAL, None)


def test_a_request_is_what_the_server_was_asked(traced: Traced) -> None:
    """A command over HTTP continues its caller's trace as a span of a server."""
    handled(traced.traces, command("acme", "c-1")._replace(traceparent=INCOMING))
    (span,) = traced.spans()
    assert (span.name, span.kind, ids(span)[:2]) == ("ask addons.StartTrial.v1", SpanKind.SERVER, (TRACE, CALLER))


def test_what_its_sender_does_not_trace_is_not_traced_here(traced: Traced) -> None:
    """A context that is not sampled is passed on as not sampled, and makes no span."""
    records = handled(traced.traces, from_kafka(command("acme", "c-1"), f"00-{TRACE}-{CALLER}-00"))
    publish(traced.traces, records)
    assert traced.spans() == ()
    assert {context_in(record)[:36] + context_in(record)[-2:] for record in records} == {f"00-{TRACE}-00"}


def test_records_committed_without_traces_are_sent_without_a_span(traced: Traced) -> None:
    """What an outbox holds from before traces were on names its sender's span: none of that name is made here."""
    publish(traced.traces, handled(None, from_kafka(command("acme", "c-1"))))
    assert traced.spans() == ()


def test_a_delivery_that_cannot_be_decided_is_an_error(traced: Traced) -> None:
    """A defect shows as an error in the trace of the message that met it."""
    Outcomes(traced.traces).durable(3, [], [from_kafka(command("acme", "c-1", "fail"))])
    (span,) = traced.spans()
    assert not span.status.is_ok
    assert ids(span)[:2] == (TRACE, CALLER)


@pytest.mark.parametrize(
    "text",
    ["", "00", INCOMING.upper(), f"ff-{TRACE}-{CALLER}-01", f"00-{'0' * 32}-{CALLER}-01", f"00-{TRACE}-{'0' * 16}-01"],
)
def test_what_is_no_context_is_none(text: str) -> None:
    """W3C's grammar decides; a version to come may say more behind it."""
    assert context_of(text) is None
    assert context_of(f"01-{TRACE}-{CALLER}-01-more") is not None


def test_traces_are_off_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the setting nor an endpoint: nothing is made, and the SDK is not even imported."""
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setattr("services.runtime.tracing.importlib.import_module", lambda _: pytest.fail("imported"))
    assert traces_of("billing", "g", Settings()) is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert traces_of("billing", "g", Settings()) is None


def test_traces_without_their_extra_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traces that are asked for and cannot be made are a misconfiguration that says what to install."""

    def missing(_: str) -> None:
        raise ImportError("No module named 'opentelemetry.sdk'")

    monkeypatch.setattr("services.runtime.tracing.importlib.import_module", missing)
    with pytest.raises(ConfigurationError, match=r"addonflow\[traces\]"):
        traces_of("billing", "g", Settings(traces=True))


def test_events_are_processed_under_their_topic(traced: Traced) -> None:
    """A span is named by the topic its message came from."""
    delivery = from_kafka(command("acme", "c-1"))._replace(topic=EVENTS, sequence=1)
    handled(traced.traces, delivery)
    assert [span.name for span in traced.spans()] == [f"process {EVENTS.name}"]
