"""What the dashboard counts, as Prometheus reads it."""

from pathlib import Path

import pytest

from contracts.commands import StartTrial
from services.dashboard import figures
from services.dashboard.changes import Changes
from services.dashboard.sending import NotSent, Sender
from services.runtime.settings import Settings
from tests.dashboard.desk import browsing, desk_of


def value(name: str, **labels: str) -> float:
    """Return a sample's value, 0 where there is none."""
    return figures.REGISTRY.get_sample_value(name, labels) or 0.0


async def test_answers_are_counted_by_status_and_read_by_any_name(tmp_path: Path) -> None:
    """Every answer is counted, refusals too; the figures are asked by whatever name the machine has."""
    before = {status: value("addonflow_dashboard_answers_total", status=status) for status in ("2xx", "3xx", "4xx")}
    async with browsing(desk_of(tmp_path), "http://dashboard.internal:8080") as client:
        assert (await client.get("/plan")).status_code == 421
    async with browsing(desk_of(tmp_path)) as client:
        assert (await client.get("/plan")).status_code == 303
        assert (await client.get("/sign-in")).status_code == 200
    async with browsing(desk_of(tmp_path), "http://dashboard.internal:8080") as client:
        shown = (await client.get("/metrics")).text
    for status, number in before.items():
        assert value("addonflow_dashboard_answers_total", status=status) > number
        assert f'addonflow_dashboard_answers_total{{status="{status}"}}' in shown
    assert "addonflow_dashboard_answer_seconds_bucket" in shown
    assert "\naddonflow_ready 0.0\n" in shown, "it has no Kafka here"


async def test_a_command_that_no_broker_took_is_counted() -> None:
    """Whoever looks at the figures sees that people's commands do not reach Kafka, by type."""
    settings, kind = Settings(kafka_bootstrap="127.0.0.1:9"), StartTrial.ce_type
    before = value("addonflow_dashboard_commands_total", type=kind, outcome="not_sent")
    sender = Sender(settings, settings, 1)
    with pytest.raises(NotSent):
        await sender.send(StartTrial(account_id="acme", user_id="olivia", add_on="aircall_ai"), "c-1")
    await sender.stop()
    assert value("addonflow_dashboard_commands_total", type=kind, outcome="not_sent") == before + 1
    assert value("addonflow_dashboard_commands_total", type=kind, outcome="sent") == 0


async def test_open_pages_are_counted() -> None:
    """A page counts for as long as it is kept up to date."""
    changes = Changes(10, 10)
    following = changes.follow("acme", "olivia", "", 60)
    before = value("addonflow_dashboard_streams")
    await anext(following)
    assert value("addonflow_dashboard_streams") == before + 1
    await following.aclose()  # type: ignore[attr-defined]
    assert value("addonflow_dashboard_streams") == before
