"""Fixtures for tests of whole deployments: a namespace of its own on the shared Kafka and Valkey."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.observe import Deployment
from tests.secured import SecuredKafka


def unique(name: str) -> str:
    """Return a namespace that no other test and no other run has."""
    return f"{name[:24]}-{secrets.token_hex(3)}."


@pytest.fixture(scope="session")
def bare_deployment(kafka_bootstrap: str, valkey_url: str) -> Iterator[Callable[[str], Deployment]]:
    """Return a maker of deployments without topics; what they leave in Redis is removed at the end."""
    made: list[Deployment] = []

    def make(name: str) -> Deployment:
        made.append(Deployment(kafka_bootstrap, valkey_url, unique(name)))
        return made[-1]

    yield make
    for deployment in made:
        deployment.forget_state()


@pytest.fixture(scope="session")
def new_deployment(bare_deployment: Callable[[str], Deployment]) -> Callable[[str], Deployment]:
    """Return a maker of deployments with all their topics."""

    def make(name: str) -> Deployment:
        deployment = bare_deployment(name)
        deployment.create_topics()
        return deployment

    return make


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Give a Kafka on which every party has its user and its rights."""
    with SecuredKafka(tmp_path_factory.mktemp("secured"), unique("secured")) as kafka:
        yield kafka
