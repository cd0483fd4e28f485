"""A service that is set up wrongly ends at once with 78 (EX_CONFIG) and one line that says what to do."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from contracts.topics import EVENTS
from services.runtime.keys import deployment_key
from tests import containers
from tests.e2e.conftest import unique
from tests.e2e.observe import Deployment
from tests.e2e.services import ServiceProcess
from tests.tokens import Issuer, bearer

EXIT_CONFIGURATION = 78
REFUSAL_SECONDS = 30
PRICE = """
self_service_seat_limit = 10
[add_ons.x]
name = "X"
trial_days = 1
[[add_ons.x.prices]]
version = "1"
valid_from = 2026-01-01
unit_prices = [{ currency = "USD", monthly = "FIGURE" }]
"""
NewDeployment = Callable[[str], Deployment]


def refusal(service: str, settings: dict[str, str]) -> str:
    """Start a service that must refuse; return the one line it says."""
    with ServiceProcess(service, settings) as process:
        assert process.wait(REFUSAL_SECONDS) == EXIT_CONFIGURATION, process.log
        (line,) = process.log.splitlines()
    return line


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("partitions", "twelve"),
        ("partitions", "0"),
        ("redis_url", "http://127.0.0.1"),
        ("namespace", "Not A Namespace"),
        ("http_port", "70000"),
        ("log_level", "loud"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting: str, value: str) -> None:
    """A bad setting ends the start with one line that names the variable and its value."""
    line = refusal("billing", {f"ADDONFLOW_{setting.upper()}": value})
    assert f"ADDONFLOW_{setting.upper()}=" in line
    assert value in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("self_service_seat_limit = ", "Invalid value"),
        ("self_service_seat_limit = 0\nadd_ons = {}", "self_service_seat_limit"),
        ("self_service_seat_limit = 10\nadd_ons = {}\ntypo = 1", "typo"),
        (PRICE.replace("FIGURE", "cheap"), "cheap"),
        (PRICE.replace("FIGURE", "Infinity"), "Infinity"),
        (PRICE.replace("FIGURE", "17.955"), "more digits"),
        (PRICE.replace("FIGURE", "-1"), "-1 USD"),
        (None, "No such file"),
    ],
    ids=["not TOML", "limit of 0", "unknown field", "no figure", "not finite", "too exact", "negative", "missing"],
)
@pytest.mark.parametrize("service", ["entitlements", "notifications"])
def test_a_catalog_that_cannot_be_used_is_refused(tmp_path: Path, service: str, text: str | None, said: str) -> None:
    """A bad catalog ends the start with one line that names the file and what is wrong in it."""
    path = tmp_path / "catalog.toml"
    if text is not None:
        path.write_text(text, "utf-8")
    line = refusal(service, {"ADDONFLOW_CATALOG": str(path)})
    assert str(path) in line
    assert said in line


def test_a_missing_topic_is_named_with_the_command_to_run(bare_deployment: NewDeployment) -> None:
    """A missing topic ends the start with one line that names it and the command to run; looking does not create it."""
    deployment = bare_deployment("missing")
    deployment.create_topics(without=EVENTS.name)
    line = refusal("billing", deployment.settings())
    assert deployment.namespace + EVENTS.name in line
    assert "addonflow topics create" in line
    assert EVENTS.name not in deployment.topic_names()


def test_a_missing_topic_is_not_created_by_asking_a_willing_broker(valkey_url: str) -> None:
    """A broker that creates topics when they are asked for gets none from a service's start."""
    with containers.kafka_container(KAFKA_AUTO_CREATE_TOPICS_ENABLE="true") as bootstrap:
        deployment = Deployment(bootstrap, valkey_url, unique("willing"))
        deployment.create_topics(without=EVENTS.name)
        line = refusal("billing", deployment.settings())
        assert "addonflow topics create" in line
        assert EVENTS.name not in deployment.topic_names()
        deployment.forget_state()


@pytest.mark.parametrize("topic", [EVENTS.name, EVENTS.dead_letters_of("billing")])
def test_a_topic_with_another_number_of_partitions_is_refused(bare_deployment: NewDeployment, topic: str) -> None:
    """Another number of partitions than is set ends the start with one line that names topic and both numbers."""
    deployment = bare_deployment("count")
    deployment.create_topics(partitions_of={topic: deployment.partitions + 1})
    line = refusal("billing", deployment.settings())
    assert f"topic {deployment.namespace}{topic} has 4 partitions" in line
    assert "ADDONFLOW_PARTITIONS=3" in line


def test_the_number_of_partitions_is_fixed_for_a_deployments_life(new_deployment: NewDeployment) -> None:
    """State that was laid out for three shards is not opened with another number, even before Kafka is asked."""
    deployment = new_deployment("fixed")
    with ServiceProcess("billing", deployment.settings()) as billing:
        billing.until_ready()
    assert "has 3 shards" in refusal("billing", deployment.settings(partitions=4, kafka_bootstrap="127.0.0.1:1"))


def answers(process: ServiceProcess, issuer: Issuer) -> Iterator[int]:
    """Order over HTTP again and again until the process ends; yield the status of each answer."""
    headers = bearer(issuer.token("owner"))
    with httpx.Client(base_url=f"http://127.0.0.1:{process.port}", headers=headers) as client:
        number = 0
        while process.running:
            number += 1
            with contextlib.suppress(httpx.HTTPError):
                body = {"type": "PurchaseAddOn", "add_on": "analytics_plus"}
                headers = {"Idempotency-Key": f"order-{number}"}
                yield client.post("/v1/accounts/acme/commands", json=body, headers=headers).status_code


def test_no_door_opens_while_a_start_is_refused(bare_deployment: NewDeployment, tmp_path: Path) -> None:
    """Who calls a process that is about to refuse its start is told to come again, and nothing is written."""
    deployment, issuer = bare_deployment("shut"), Issuer()
    deployment.redis.hset(deployment_key(deployment.namespace), "partitions", str(deployment.partitions + 1))
    keys = issuer.write(tmp_path / "jwks.json")
    with ServiceProcess("entitlements", deployment.settings(token_jwks=keys)) as process:
        assert set(answers(process, issuer)) == {503}
        assert process.wait(REFUSAL_SECONDS) == EXIT_CONFIGURATION
    with deployment.redis as client:
        assert list(client.scan_iter(f"{{{deployment.namespace}*")) == []


@pytest.mark.parametrize(
    ("setting", "value"), [("appendonly", "no"), ("appendfsync", "everysec"), ("maxmemory-policy", "allkeys-lru")]
)
def test_a_redis_that_may_forget_is_refused_unless_allowed(
    new_deployment: NewDeployment, setting: str, value: str
) -> None:
    """Redis without AOF, without fsync on every commit, or with an evicting policy is refused, with what to set.

    ADDONFLOW_REDIS_UNSAFE_ALLOWED=true starts all the same.
    """
    shared = new_deployment("unsafe")
    with containers.valkey_container() as url:
        deployment = Deployment(shared.bootstrap, url, shared.namespace)
        deployment.redis.config_set(setting, value)
        line = refusal("billing", deployment.settings())
        assert f"{setting} is {value}, set it to" in line
        assert "ADDONFLOW_REDIS_UNSAFE_ALLOWED=true" in line
        with ServiceProcess("billing", deployment.settings(redis_unsafe_allowed="true")) as billing:
            billing.until_ready()
