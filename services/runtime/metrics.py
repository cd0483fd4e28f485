"""What a process counts, for Prometheus at `/metrics`. Labels are bounded: no account, user or message id.

Every family is in the table of `deploy/monitoring/README.md`; what is measured at intervals is set by `progress.py`.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, which nobody asks for


class Latency(Collector):
    """A histogram of seconds by one label that takes many equal observations in one step.

    The client's own takes them one by one, at 1.5 µs each: too much for every message.
    """

    def __init__(self, name: str, documentation: str, label: str, buckets: Sequence[float]) -> None:
        self._described = (name, documentation, label)
        self._bounds = tuple(buckets)
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        REGISTRY.register(self)

    def observe(self, label: str, seconds: float, times: int = 1) -> None:
        """Count `times` observations. Clocks of different machines may make one negative: it counts as 0."""
        seconds = max(0.0, seconds)
        counts = self._counts.get(label)
        if counts is None:
            counts = self._counts[label] = [0] * (len(self._bounds) + 1)
        counts[bisect_left(self._bounds, seconds)] += times
        self._sums[label] = self._sums.get(label, 0.0) + seconds * times

    def collect(self) -> Iterator[Metric]:
        """Give the family as the exposition format wants it: buckets add up."""
        name, documentation, label = self._described
        family = HistogramMetricFamily(name, documentation, labels=[label])
        bounds = [*map(str, self._bounds), "+Inf"]
        for value, counts in self._counts.items():
            family.add_metric([value], list(zip(bounds, accumulate(counts), strict=True)), self._sums[value])
        yield family


MESSAGES = Counter(
    "addonflow_messages_total",
    "Messages handled, by CloudEvents type and outcome (accepted, ignored, repeated, dead_letter or a reason code).",
    ["type", "outcome"],
    registry=REGISTRY,
)
BATCH_SECONDS = Histogram(
    "addonflow_batch_seconds",
    "Time from receiving a batch to its last Redis commit.",
    registry=REGISTRY,
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
MESSAGE_LATENCY = Latency(
    "addonflow_message_latency_seconds",
    "From a record's Kafka timestamp to the commit of what it came to, by topic.",
    "topic",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
)
PUBLISH_LATENCY = Latency(
    "addonflow_publish_latency_seconds",
    "From the commit of an outbox record to a broker's acknowledgement, by topic.",
    "topic",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
)
CONFLICTS = Counter("addonflow_conflicts_total", "Commits decided again on a newer version.", registry=REGISTRY)
GAPS = Counter("addonflow_gaps_total", "Sequences seen missing, by topic.", ["topic"], registry=REGISTRY)
MISROUTED = Counter(
    "addonflow_misrouted_total", "Records in a partition not their account's, by topic.", ["topic"], registry=REGISTRY
)
DEAD_LETTERS = Counter(
    "addonflow_dead_letters_total", "Records set aside, by topic and reason.", ["topic", "reason"], registry=REGISTRY
)
PUBLISHED = Counter("addonflow_published_total", "Outbox records acknowledged, by topic.", ["topic"], registry=REGISTRY)
LOGS_LOST = Counter(
    "addonflow_logs_lost_total", "Times a broker's log ended below what it had acknowledged.", registry=REGISTRY
)
TROUBLE = Counter(
    "addonflow_trouble_total", "Waits for Kafka or Redis, by what was tried.", ["action"], registry=REGISTRY
)
SHARDS = Gauge("addonflow_shards", "Shards this process owns.", registry=REGISTRY)
READY = Gauge("addonflow_ready", "1 when the process is ready.", registry=REGISTRY)

CONSUMER_LAG = Gauge(
    "addonflow_consumer_lag_records",
    "Records behind the last one handed out, by topic and partition.",
    ["topic", "partition"],
    registry=REGISTRY,
)
OUTBOX = Gauge(
    "addonflow_outbox_entries", "Entries the outbox retains, published or not, by shard.", ["shard"], registry=REGISTRY
)
RELAY_LAG = Gauge(
    "addonflow_relay_lag_entries",
    "Outbox entries not published yet, by shard; counted to 1,000 once the oldest is over a second old.",
    ["shard"],
    registry=REGISTRY,
)
RELAY_LAG_SECONDS = Gauge(
    "addonflow_relay_lag_seconds", "Age of the oldest outbox entry not published yet.", ["shard"], registry=REGISTRY
)
TIMERS_OVERDUE = Gauge(
    "addonflow_timers_overdue", "Timers due and not handled, by shard.", ["shard"], registry=REGISTRY
)
TIMERS_OVERDUE_SECONDS = Gauge(
    "addonflow_timers_overdue_seconds", "How long the earliest of them has been due.", ["shard"], registry=REGISTRY
)
GAPS_OPEN = Gauge(
    "addonflow_gaps_open", "Accounts and topics with sequences missing now, by shard.", ["shard"], registry=REGISTRY
)
LOOP_LAG = Gauge(
    "addonflow_event_loop_lag_seconds",
    "The longest that the event loop was late for a wake-up since the look before.",
    registry=REGISTRY,
)
CLOCK_SKEW = Gauge(
    "addonflow_clock_skew_seconds",
    "How far this machine's clock is ahead of that of Redis; negative: behind.",
    registry=REGISTRY,
)
REBUILDS = Gauge(
    "addonflow_rebuilds", "Rebuilds of the service's state from the log, as its Redis remembers.", registry=REGISTRY
)
BY_SHARD = (OUTBOX, RELAY_LAG, RELAY_LAG_SECONDS, TIMERS_OVERDUE, TIMERS_OVERDUE_SECONDS, GAPS_OPEN)
