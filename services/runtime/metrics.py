"""What a process counts, for Prometheus at `/metrics`. Labels are bounded: no account, user or message id."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REGISTRY = CollectorRegistry()

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
