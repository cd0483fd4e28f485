"""Outcomes: what became of each delivery is counted, measured and told once, when it is durable, and by ids alone."""

import logging
from collections.abc import Iterator

import pytest
from prometheus_client import generate_latest

from contracts.topics import COMMANDS
from services.runtime import metrics
from services.runtime.clock import machine_milliseconds
from services.runtime.delivery import Delivery
from services.runtime.logs import OUTCOMES
from services.runtime.metrics import Latency
from services.runtime.outcomes import Outcomes
from services.runtime.store import Commit, Store
from services.runtime.unit_of_work import UnitOfWork
from tests.runtime.counting import NEW, committing
from tests.runtime.toys import NOW, CounterDecider, CounterDocument, answer, command, kafka_record

KIND = "addons.StartTrial.v1"


def counted(outcome: str) -> float:
    """Return how many commands came to an outcome."""
    return metrics.REGISTRY.get_sample_value("addonflow_messages_total", {"type": KIND, "outcome": outcome}) or 0


def written(delivery: Delivery, seconds_ago: float) -> Delivery:
    """Return a delivery whose record was written a while ago."""
    record = kafka_record(b"", offset=17, partition=2)
    record.timestamp = machine_milliseconds() - int(seconds_ago * 1_000)
    return delivery._replace(origin=record)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Give the lines of outcomes, asked for."""
    OUTCOMES.setLevel(logging.INFO)
    yield caplog
    OUTCOMES.setLevel(logging.NOTSET)


async def test_each_outcome_is_counted_once_however_often_it_was_tried(embedded_store: Store) -> None:
    """A conflict has the account decided again: what was thrown away is not counted."""
    before = {outcome: counted(outcome) for outcome in ("accepted", "repeated", "add_on_unknown", "failed")}
    service = committing(embedded_store)
    commit, conflicts = embedded_store.commit, [1]

    async def meanwhile(shard: int, commits: list[Commit]) -> list[bool]:
        if conflicts:
            conflicts.pop()
            return [False for _ in commits]
        return await commit(shard, commits)

    embedded_store.commit = meanwhile  # type: ignore[method-assign, assignment]
    wishes = {"a": "count", "b": "reject", "c": "fail"}
    await service.run(0, [command("acme", name, wish) for name, wish in wishes.items()] + [command("acme", "a")])
    assert {outcome: counted(outcome) - number for outcome, number in before.items()} == {
        "accepted": 1,
        "repeated": 1,
        "add_on_unknown": 1,
        "failed": 1,
    }


def unit(*deliveries: Delivery) -> UnitOfWork[CounterDocument]:
    """Return a unit that has decided deliveries."""
    made: UnitOfWork[CounterDocument] = UnitOfWork(CounterDecider(), answer, "acme", NOW, NEW)
    for delivery in deliveries:
        made.handle(delivery)
    return made


def test_latency_is_from_the_records_writing(lines: pytest.LogCaptureFixture) -> None:
    """The time from a record's timestamp to its commit is measured; what has no timestamp is not."""
    name, labels = "addonflow_message_latency_seconds_bucket", {"topic": COMMANDS.name}

    def up_to(bound: str) -> float:
        return metrics.REGISTRY.get_sample_value(name, labels | {"le": bound}) or 0

    before = [up_to(bound) for bound in ("1.0", "5.0", "+Inf")]
    undated = command("acme", "c")._replace(origin=kafka_record(b""))
    told = unit(written(command("acme", "a"), 3), written(command("acme", "b"), -60), undated, command("acme", "d"))
    Outcomes().durable(0, [told], [])
    after = [up_to(bound) for bound in ("1.0", "5.0", "+Inf")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 2, 2], "a clock ahead counts as 0"


def test_a_line_tells_ids_and_places_alone(lines: pytest.LogCaptureFixture) -> None:
    """Account, cause, type, outcome, shard and where it came from: enough to find it, and nothing of a person."""
    Outcomes().durable(3, [unit(written(command("acme", "c-1", "reject", "ann"), 1))], [])
    (line,) = (each for each in lines.records if each.name == OUTCOMES.name)
    assert line.__dict__["fields"] == {
        "account": "acme",
        "cause": "c-1",
        "type": KIND,
        "outcome": "add_on_unknown",
        "shard": 3,
        "topic": COMMANDS.name,
        "partition": 2,
        "offset": 17,
    }


def test_lines_cost_nothing_unless_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """Without the setting no line is made."""
    OUTCOMES.setLevel(logging.WARNING)
    Outcomes().durable(3, [unit(command("acme", "c-1"))], [])
    OUTCOMES.setLevel(logging.NOTSET)
    assert not caplog.records


def test_a_service_hears_what_it_said() -> None:
    """Each payload that was committed is given to a service's own figures, once."""
    heard: list[str] = []
    told = unit(command("acme", "a"), command("acme", "b", "reject"), command("acme", "a"))
    Outcomes(heard=lambda payload: heard.append(payload.ce_type)).durable(0, [told], [])
    assert heard == ["addons.TrialEnded.v1"]


def test_a_latency_is_a_histogram_like_any_other() -> None:
    """Buckets add up, the sum is the sum, and many at once count as many."""
    latency = Latency("toy_latency_seconds", "A toy.", "topic", (0.1, 1.0))
    latency.observe("t", 0.1)
    latency.observe("t", 0.5, 2)
    latency.observe("t", 7.0)
    metrics.REGISTRY.unregister(latency)
    (family,) = latency.collect()
    samples = {(each.name, each.labels.get("le")): each.value for each in family.samples}
    assert samples == {
        ("toy_latency_seconds_bucket", "0.1"): 1,
        ("toy_latency_seconds_bucket", "1.0"): 3,
        ("toy_latency_seconds_bucket", "+Inf"): 4,
        ("toy_latency_seconds_count", None): 4,
        ("toy_latency_seconds_sum", None): 8.1,
    }
    assert b"toy" not in generate_latest(metrics.REGISTRY)
