"""The servers under test are the servers that are deployed: same images, same durability; ours are all bounded."""

import re

import pytest
from redis import Redis

from tests.architecture.sources import ROOT, modules, text
from tests.containers import DURABLE, KAFKA_IMAGE, REDIS_CONF, VALKEY_IMAGE, Kafka, Valkey, away

WATCHING = ("prom/", "grafana/")  # what only looks on
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


def test_tests_and_compose_run_the_same_images() -> None:
    """The tests' Kafka and Valkey are the images of docker-compose.yml."""
    deployed = set(re.findall(r"^ +image: (?!addonflow:)(\S+)$", COMPOSE, re.MULTILINE))
    assert {image for image in deployed if not image.startswith(WATCHING)} == {KAFKA_IMAGE, VALKEY_IMAGE}


def test_every_port_of_compose_is_local() -> None:
    """No port of the compose stack is published beyond 127.0.0.1."""
    published = [line.strip() for line in COMPOSE.splitlines() if line.lstrip().startswith("ports:")]
    assert len(published) == 8
    assert all(line.startswith('ports: ["127.0.0.1:') for line in published)


def test_every_http_server_of_ours_is_made_in_one_place() -> None:
    """Only `server.py` configures uvicorn, so that no process takes heads of any size."""
    made = [str(path) for path in modules("services", "deploy") if re.search(r"uvicorn\.(Config|run)\(", text(path))]
    assert made == ["services/runtime/server.py"]


def test_every_client_of_kafka_and_redis_is_made_in_one_way() -> None:
    """Only `connecting.py` says where brokers are and as whom to come in: a client made otherwise is refused there."""
    made = [str(path) for path in modules("services", "deploy") if "bootstrap_servers" in text(path)]
    assert made == ["services/runtime/connecting.py"]
    redis = [str(path) for path in modules("services", "deploy") if re.search(r"\bfrom_url\(", text(path))]
    assert redis == ["services/runtime/store.py"]


@pytest.mark.parametrize("fixture", ["valkey_url", "redis_server_url", "embedded_valkey_url"])
def test_servers_keep_what_they_acknowledge(fixture: str, request: pytest.FixtureRequest) -> None:
    """Every Redis under test writes each change to disk before it answers, and evicts nothing."""
    with Redis.from_url(request.getfixturevalue(fixture), decode_responses=True) as redis:
        assert redis.config_get(*DURABLE) == DURABLE


def test_redis_conf_is_as_durable_as_the_servers_under_test() -> None:
    """deploy/redis.conf sets what the services insist on."""
    lines = [line.partition(" ") for line in REDIS_CONF.read_text(encoding="utf-8").splitlines()]
    settings = {name: value.strip('"') for name, _, value in lines}
    assert {name: settings.get(name) for name in DURABLE} == DURABLE


@pytest.mark.docker
def test_a_server_that_was_killed_comes_back_with_its_data() -> None:
    """A killed Valkey is back on the same address with everything it acknowledged."""
    with Valkey() as server, Redis.from_url(server.url) as redis:
        redis.set("kept", "yes")
        with away(server, kill=True):
            assert not server.ready()
        assert redis.get("kept") == b"yes"


@pytest.mark.docker
def test_kafka_comes_back_on_its_address() -> None:
    """A stopped broker is back on the address its clients know."""
    with Kafka() as broker:
        before = broker.bootstrap
        with away(broker):
            pass
        assert broker.bootstrap == before
        assert broker.ready()
