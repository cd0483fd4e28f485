"""A collector of traces: takes spans by OTLP over HTTP and keeps them, to be looked at as a tree."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    """A span as it was sent; ids as W3C writes them."""

    service: str
    name: str
    trace: str
    parent: str
    id: str
    outcome: str


class Collector:
    """The spans that came so far, and where to send them: `endpoint`."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.spans: list[Span] = []

    def take(self, body: bytes) -> None:
        """Keep the spans of a request."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                said = {each.key: each.value.string_value for each in span.attributes}
                ids = (span.trace_id.hex(), span.parent_span_id.hex(), span.span_id.hex())
                self.spans.append(Span(named["service.name"], span.name, *ids, said.get("addonflow.outcome", "")))

    def tree(self, trace: str, parent: str) -> list[str]:
        """Return the spans below one as lines "<depth> <service> <name> <outcome>", by name within a depth."""
        below = sorted(span for span in self.spans if (span.trace, span.parent) == (trace, parent))
        lines = []
        for span in below:
            lines.append(f"{span.service.removeprefix('addonflow-')} {span.name} {span.outcome}".strip())
            lines += ["  " + line for line in self.tree(trace, span.id)]
        return lines


@contextmanager
def collector() -> Iterator[Collector]:
    """Run a collector until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Collector(server.server_port)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
