"""What the dashboard counts, for Prometheus at `/metrics`: in a registry of its own, as it has no shards and no lag.

Every family is in the table of `deploy/monitoring/README.md`. Labels are bounded: no account, user or page.
"""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.metrics import READY

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
REGISTRY.register(READY)
ANSWERS = Counter(
    "addonflow_dashboard_answers_total",
    "Answers to browsers by status: 2xx, 3xx, 4xx or 5xx.",
    ["status"],
    registry=REGISTRY,
)
ANSWER_SECONDS = Histogram(
    "addonflow_dashboard_answer_seconds",
    "From a request to the first byte of its answer.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
COMMANDS = Counter(
    "addonflow_dashboard_commands_total",
    "Commands given to Kafka by type and outcome: sent, or not_sent when no broker took it in time.",
    ["type", "outcome"],
    registry=REGISTRY,
)
STREAMS = Gauge("addonflow_dashboard_streams", "Open pages that are kept up to date.", registry=REGISTRY)


class Counting:
    """Counts answers and how long they took. Cost: 5 µs for each."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count its answer as it begins."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        begun = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                ANSWERS.labels(f"{message['status'] // 100}xx").inc()
                ANSWER_SECONDS.observe(time.perf_counter() - begun)
            await send(message)

        await self._application(scope, receive, counted)
