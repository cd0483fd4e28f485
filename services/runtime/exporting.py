"""OpenTelemetry's SDK behind `tracing.py`: it samples, keeps and sends spans, in a thread of its own.

Only imported where traces are on: the SDK and its exporter (OTLP over HTTP) are the extra `traces`. Endpoint, headers,
samplers and queue sizes are the SDK's own variables (`OTEL_EXPORTER_OTLP_…`, `OTEL_TRACES_SAMPLER`, `OTEL_BSP_…`).
"""

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator

from services.runtime.tracing import Traces


class DerivedIds(IdGenerator):
    """Gives each span the ids it was announced with."""

    def __init__(self) -> None:
        self._trace_id = self._span_id = 0

    def name_next(self, trace_id: int, span_id: int) -> None:
        """Have the next span called so."""
        self._trace_id, self._span_id = trace_id, span_id

    def generate_trace_id(self) -> int:
        """Return the trace of the next span, where it has no parent."""
        return self._trace_id

    def generate_span_id(self) -> int:
        """Return the id of the next span."""
        return self._span_id


def traces_to(processor: SpanProcessor, service: str, **said: str) -> Traces:
    """Return a service's traces, whose spans `processor` takes; `said` are the namespace and group of `Traces`."""
    ids = DerivedIds()
    resource = Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME") or f"addonflow-{service}"})
    provider = TracerProvider(id_generator=ids, resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return Traces(service, provider.get_tracer("addonflow"), ids, provider.shutdown, **said)


def traces_to_collector(service: str, **said: str) -> Traces:
    """Return a service's traces, sent to a collector by OTLP over HTTP."""
    return traces_to(BatchSpanProcessor(OTLPSpanExporter()), service, **said)
