"""Services on a Redis Cluster whose shards move between nodes under load."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from deploy.addonflow.main import app
from services.runtime.keys import ShardKeys
from tests.chaos.ongoing import ongoing
from tests.e2e.conftest import unique
from tests.e2e.observe import Deployment
from tests.e2e.services import SERVICES, running
from tests.valkey_cluster import PRIMARIES, ValkeyCluster, slot_of


@pytest.fixture
def deployment(kafka_bootstrap: str, cluster: ValkeyCluster) -> Iterator[Deployment]:
    """Give a deployment with its topics on the cluster."""
    made = Deployment(kafka_bootstrap, cluster.url, unique("cluster"), cluster=True)
    made.create_topics()
    yield made
    made.forget_state()


def test_shards_that_move_between_nodes_under_load_lose_and_double_nothing(
    deployment: Deployment, cluster: ValkeyCluster
) -> None:
    """A slot moved whole, one key by key, a failover: each command has one answer, each purchase one invoice."""
    whole, by_key = (slot_of(ShardKeys(deployment.namespace, "entitlements", shard).outbox) for shard in (0, 1))
    with running(deployment.settings()), ongoing(deployment) as work:
        cluster.move_whole(whole, (cluster.owner(whole) + 1) % PRIMARIES)
        work.until_more()
        target = (cluster.owner(by_key) + 1) % PRIMARIES
        cluster.begin_to_move(by_key, target)
        cluster.end_move(by_key, target)
        work.until_more()
        cluster.fail_over()
        work.until_more()
        work.end()
        deployment.until_at_rest(*SERVICES)
    work.assert_done_once()
    cluster.fail_over()
    for words in (("doctor",), ("rebuild", "billing"), ("audit",)):
        result = CliRunner().invoke(app, words, env=deployment.settings())
        assert result.exit_code == 0, result.output
