"""What operators look at is what the services show: every metric, label, alert and page names what exists."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from contracts.topics import TOPICS
from services.billing import figures
from services.dashboard import figures as dashboard
from services.runtime import metrics
from services.runtime.metrics import Latency
from tests.conftest import SKIPS_FORBIDDEN

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
PAGE = (MONITORING / "README.md").read_text(encoding="utf-8")
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana/dashboards/addonflow.json").read_text(encoding="utf-8"))
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
FROM_PROMETHEUS = {"job", "instance"}
BOUNDED = set("type outcome topic partition shard reason action kind currency status".split())
GRAFANA_UID = "addonflow-prometheus"


def families() -> dict[str, tuple[str, set[str]]]:
    """Return kind and labels of every metric of ours, by the name of its counter, gauge or histogram."""
    assert figures.INVOICES is not None, "billing's figures are in the registry"
    found: dict[str, tuple[str, set[str]]] = {}
    for collector, names in (metrics.REGISTRY._collector_to_names | dashboard.REGISTRY._collector_to_names).items():
        if isinstance(collector, Latency):
            name, _, label = collector._described
            found[name] = ("histogram", {label})
        elif any(name.startswith("addonflow_") for name in names):
            described: Any = collector
            name = described._name + ("_total" if described._type == "counter" else "")
            found[name] = (described._type, set(described._labelnames))
    return found


def samples() -> dict[str, set[str]]:
    """Return the labels of every sample that Prometheus can find, by its name."""
    found: dict[str, set[str]] = {}
    for name, (kind, labels) in families().items():
        if kind == "histogram":
            found |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression of the alerts and the dashboard, and where it is."""
    yield from ((rule["alert"], rule["expr"]) for rule in ALERTS)
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))
    for variable in DASHBOARD["templating"]["list"]:
        yield variable["name"], variable["query"]["query"]


def test_the_table_of_metrics_is_the_registry() -> None:
    """The page lists every metric with its kind and labels, and none that is not there."""
    rows = re.findall(r"^\| `(addonflow_\w+)` \| (\w+) \| (.*?) \|", PAGE, re.MULTILINE)
    listed = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
    assert len(rows) == len(listed)
    assert listed == families()


def test_metrics_are_named_as_prometheus_asks() -> None:
    """Counters end in _total, no other does; seconds are seconds; names are lower case with our prefix."""
    for name, (kind, labels) in families().items():
        assert re.fullmatch(r"addonflow_[a-z_]+", name)
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(ms|millis|minutes|hours|kb|mb)(_|$)", name), name
        assert labels <= BOUNDED


def test_what_alerts_and_dashboard_ask_for_exists() -> None:
    """Each metric that an expression names is shown by a service, with each label that it is asked by."""
    known = samples()
    asked: list[str] = []
    for where, expression in expressions():
        named = set(re.findall(r"\baddonflow_\w+", expression))
        labels = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)\s*\"", expression))
        for group in re.findall(r"\bby\s*\(([^)]*)\)", expression):
            labels |= {label.strip() for label in group.split(",")}
        assert named <= known.keys(), f"{where}: {named - known.keys()}"
        for label in labels - FROM_PROMETHEUS:
            assert any(label in known[name] for name in named), f"{where} asks {named} by {label!r}"
        asked += named
    assert len(asked) > 40


def test_everything_that_is_shown_is_looked_at() -> None:
    """Every metric is in an alert or on the dashboard: what nobody looks at need not be there."""
    asked = {name for _, expression in expressions() for name in re.findall(r"\baddonflow_\w+", expression)}
    unseen = {name for name in families() if not any(each.startswith(name) for each in asked)}
    assert unseen == set()


def test_message_types_in_alerts_exist() -> None:
    """A type that an alert names is one of the registry."""
    types = {payload.ce_type for topic in TOPICS for payload in topic.payloads}
    named = {kind for rule in ALERTS for kind in re.findall(r"type=\"([^\"]+)\"", rule["expr"])}
    assert named
    assert named <= types


def test_each_alert_has_its_page() -> None:
    """Each alert says how bad it is, what it is, and which section says what to do; no section is left over."""
    sections = re.findall(r"^### (Addonflow\w+)$", PAGE, re.MULTILINE)
    assert [rule["alert"] for rule in ALERTS] == sections
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] == f"deploy/monitoring/README.md#{rule['alert'].lower()}"
        text = PAGE.split(f"### {rule['alert']}\n", 1)[1].split("\n###", 1)[0]
        assert len(text.split()) >= 20, rule["alert"]


def test_each_alert_is_tried_out() -> None:
    """The unit tests of the alerts make each of them fire."""
    tried = (MONITORING / "alerts_test.yml").read_text(encoding="utf-8")
    assert {rule["alert"] for rule in ALERTS} == set(re.findall(r"Addonflow\w+", tried))


def test_the_dashboard_can_be_shown() -> None:
    """Panels have ids of their own, lie beside each other, and ask the data source that is provisioned."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    for panel in panels:
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert panel["targets"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {GRAFANA_UID}
    (source,) = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert (source["uid"], source["url"]) == (GRAFANA_UID, "http://prometheus:9090")


def test_prometheus_asks_every_service_where_compose_runs_it() -> None:
    """Each service that shows metrics is scraped by its name and port, and every file mounted for it is there."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    asked = {
        job["job_name"]: (discovered["names"], discovered["port"])
        for job in config["scrape_configs"]
        for discovered in job.get("dns_sd_configs", ())
    }
    assert asked == {name: ([name], 8080) for name in ("entitlements", "billing", "notifications", "dashboard")}
    assert asked.keys() < COMPOSE["services"].keys()
    for name in ("prometheus", "grafana"):
        service = COMPOSE["services"][name]
        assert service["profiles"] == ["observability"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        mounted = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith("./")]
        assert mounted
        assert all((ROOT / path).exists() for path in mounted)


@pytest.fixture(scope="module")
def promtool() -> str:
    """Give Prometheus's own tool, part of Debian's package `prometheus`."""
    found = shutil.which("promtool")
    if found is None:
        if SKIPS_FORBIDDEN:
            pytest.fail("no promtool on PATH (ADDONFLOW_REQUIRE_DOCKER=1 forbids a skip)", pytrace=False)
        pytest.skip("no promtool on PATH (Debian's package is called prometheus)")
    return found


@pytest.mark.parametrize(
    "words",
    [("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
    ids=["check", "test"],
)
def test_prometheus_takes_the_alerts(promtool: str, words: tuple[str, ...]) -> None:
    """Prometheus's own tool reads the rules, and each fires when it should and not when all is in order."""
    done = subprocess.run([promtool, *words], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_its_configuration(promtool: str, tmp_path: Path) -> None:
    """Prometheus's own tool reads what it is told to ask."""
    text = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("/etc/prometheus/alerts.yml", str(MONITORING / "alerts.yml")), encoding="utf-8")
    done = subprocess.run([promtool, "check", "config", str(config)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_what_a_service_shows(promtool: str) -> None:
    """The text at /metrics is read by Prometheus's own tool without complaint: names, kinds and help."""
    metrics.MESSAGE_LATENCY.observe("shown", 0.2)
    metrics.DEAD_LETTERS.labels("shown", "not_json").inc(0)
    shown = generate_latest(metrics.REGISTRY)
    done = subprocess.run([promtool, "check", "metrics"], input=shown, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
