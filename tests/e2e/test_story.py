"""The story of the demo on real Kafka and Valkey, played by the command against the three services."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from typer.testing import CliRunner, Result

from contracts.topics import BILLING, COMMANDS, EVENTS, NOTIFICATIONS, RESULTS
from deploy.addonflow.main import app
from deploy.addonflow.script import ANALYTICS, LIST_PRICES_MINOR
from tests.e2e.collector import Collector, collector
from tests.e2e.observe import Deployment
from tests.e2e.records import record
from tests.e2e.services import SERVICES, ServiceProcess, until
from tests.entitlements.scenario import account, member, purchase


class Watched(NamedTuple):
    """A deployment, its three services, and their traces."""

    deployment: Deployment
    services: list[ServiceProcess]
    traces: Collector


@pytest.fixture(scope="module")
def watched(new_deployment: Callable[[str], Deployment]) -> Iterator[Watched]:
    """Give a deployment with its three services running, watched as operators do; digests wait three seconds."""
    made = new_deployment("story")
    with ExitStack() as running:
        traces = running.enter_context(collector())
        settings = made.settings(digest_delay_seconds=3, log_format="json", log_outcomes=True)
        settings |= {"OTEL_EXPORTER_OTLP_ENDPOINT": traces.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        services = [running.enter_context(ServiceProcess(service, settings)) for service in SERVICES]
        for service in services:
            service.until_ready()
        yield Watched(made, services, traces)


@pytest.fixture
def deployment(watched: Watched) -> Deployment:
    """Give the deployment."""
    return watched.deployment


def play(deployment: Deployment) -> Result:
    """Run `addonflow story` against a deployment."""
    words = ["story", "--kafka", deployment.bootstrap, "--digest-wait", "30"]
    return CliRunner().invoke(app, words, env=deployment.settings())


def test_every_outcome_of_the_story_is_as_stated(deployment: Deployment) -> None:
    """The command plays the whole story, explains each invoice line and ends with 0."""
    result = play(deployment)

    assert result.exit_code == 0, result.output
    assert "outcomes are as stated, and nothing else came" in result.stdout
    assert "17.95 USD x 7 seats x " in result.stdout
    assert "9.00 USD x 7 seats x " in result.stdout


def test_the_story_can_be_played_again(deployment: Deployment) -> None:
    """A second run has accounts of its own, so it is true on a deployment that has heard the story before."""
    before = len(deployment.read(BILLING))
    result = play(deployment)

    assert result.exit_code == 0, result.output
    assert len(deployment.read(BILLING)) == before + 2


def test_a_cent_too_much_fails_the_story(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invoice that is not what the story worked out ends it with 1, and shows both amounts."""
    monkeypatch.setitem(LIST_PRICES_MINOR, ANALYTICS, 1796)
    result = play(deployment)

    assert result.exit_code == 1
    assert "Not as stated: Olivia buys Analytics+ in the middle of the billing cycle" in result.stdout
    assert re.search(r"came +data\.total\.amount_minor: expected \d+, came \d+", result.stdout)


def test_a_purchase_is_one_trace(watched: Watched) -> None:
    """From the dashboard's span over the decision, the outbox and Kafka to the invoice and the notices: one tree."""
    trace, caller = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    deployment, traces = watched.deployment, watched.traces
    deployment.send(record(account(), "traced-account"), record(member("owner"), "traced-owner"))
    deployment.until_at_rest(*SERVICES)
    deployment.send(record(purchase(), "traced-purchase").but(ce_traceparent=f"00-{trace}-{caller}-01"))
    expected = [
        f"entitlements process {COMMANDS.name} accepted",
        f"  entitlements send {EVENTS.name}",
        f"    billing process {EVENTS.name} accepted",
        f"      billing send {BILLING.name}",
        f"        notifications process {BILLING.name} accepted",
        f"          notifications send {NOTIFICATIONS.name}",
        f"    notifications process {EVENTS.name} accepted",
        f"  entitlements send {RESULTS.name}",
    ]
    until("the trace", lambda: traces.tree(trace, caller) == expected, 30, lambda: str(traces.tree(trace, caller)))


def test_the_log_of_each_service_tells_every_outcome_and_nobodys_name(watched: Watched) -> None:
    """After the stories every line is JSON of its service, each message has its line, and no line holds a person."""
    for process in watched.services:
        lines = [json.loads(line) for line in process.log.splitlines()]
        assert {line["service"] for line in lines} == {process.service}
        told = [line for line in lines if line["logger"] == "addonflow.outcomes"]
        assert len(told) > 10
        assert all({"account", "cause", "type", "outcome", "shard"} <= line.keys() for line in told)
        said = str([line | {"cause": ""} for line in lines])  # the story's account system puts names into its ids
        for private in ("@example.com", "@acme.example", "Olivia", "Adam", "Mara", "Call times", "For the whole floor"):
            assert private not in said
    entitlements = map(json.loads, watched.services[0].log.splitlines())
    (bought,) = (line for line in entitlements if line.get("cause") == "traced-purchase")
    assert (bought["outcome"], bought["account"]) == ("accepted", "acme")
    assert bought["topic"] == watched.deployment.namespace + COMMANDS.name


def test_the_metrics_of_the_stories_add_up(watched: Watched) -> None:
    """What was handled, how long it took and what was billed is at /metrics, and nothing waits any more."""
    deployment, (entitlements, billing, _), _ = watched
    bought = 'addonflow_messages_total{outcome="accepted",type="addons.PurchaseAddOn.v1"}'
    invoices = 'addonflow_invoices_total{currency="USD",kind="immediate"}'
    issued = [each.data for each in deployment.read(BILLING)]
    assert billing.metric(invoices) == len(issued)
    assert entitlements.metric(bought) == len(issued)
    charged = 'addonflow_invoiced_minor_units_total{currency="USD",kind="immediate"}'
    assert billing.metric(charged) == sum(each["total"]["amount_minor"] for each in issued)
    handled = f'addonflow_message_latency_seconds_count{{topic="{COMMANDS.name}"}}'
    assert entitlements.metric(handled) == len(deployment.read(COMMANDS)) - entitlements.metric(
        f'addonflow_dead_letters_total{{reason="not_json",topic="{COMMANDS.name}"}}'
    )
    for process in watched.services:
        assert process.metric("addonflow_ready") == 1
        assert process.metric('addonflow_relay_lag_entries{shard="0"}') == 0


def test_a_deployment_without_services_fails_the_story(new_deployment: Callable[[str], Deployment]) -> None:
    """Where nobody takes the facts the story ends with 1 and says what it waited for."""
    silent = new_deployment("silent")
    words = ["story", "--kafka", silent.bootstrap, "--timeout", "2"]
    result = CliRunner().invoke(app, words, env=silent.settings())

    assert result.exit_code == 1
    assert "Not as stated" in result.stdout
    assert "the services take the facts" in result.stdout
