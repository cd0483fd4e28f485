"""Three Kafka brokers in containers, each its own controller too: topics have three replicas, two must acknowledge."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from tests.containers import KAFKA_IMAGE, free_port, until

BROKERS = 3
_HOST = "127.0.0.1"
_CLUSTER_ID = "4L6g3nShT-eMCtK--X86sw"


def _listens(container: DockerContainer) -> bool:
    return bool(container.exec(["nc", "-z", "localhost", "9092"]).exit_code == 0)


def _broker(number: int, port: int, network: Network) -> DockerContainer:
    """Return a broker that clients on this machine reach at `port`, the others by its name."""
    name = f"kafka-{number}"
    broker = DockerContainer(KAFKA_IMAGE).with_network(network).with_network_aliases(name)
    broker.ports["9092"] = (_HOST, port)  # type: ignore[assignment]  # docker takes the host address too
    return broker.with_envs(
        CLUSTER_ID=_CLUSTER_ID,
        KAFKA_NODE_ID=str(number),
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_CONTROLLER_QUORUM_VOTERS=",".join(f"{each}@kafka-{each}:9093" for each in range(1, BROKERS + 1)),
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_LISTENERS="BROKERS://:19092,HOST://:9092,CONTROLLER://:9093",
        KAFKA_ADVERTISED_LISTENERS=f"BROKERS://{name}:19092,HOST://{_HOST}:{port}",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="BROKERS:PLAINTEXT,HOST:PLAINTEXT,CONTROLLER:PLAINTEXT",
        KAFKA_INTER_BROKER_LISTENER_NAME="BROKERS",
        KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
        KAFKA_DEFAULT_REPLICATION_FACTOR=str(BROKERS),
        KAFKA_MIN_INSYNC_REPLICAS="2",
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=str(BROKERS),
        KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="3",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR=str(BROKERS),
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="2",
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="500",
        KAFKA_BROKER_SESSION_TIMEOUT_MS="3000",
        KAFKA_BROKER_HEARTBEAT_INTERVAL_MS="500",
        KAFKA_HEAP_OPTS="-Xms128m -Xmx384m",
    )


class Brokers:
    """The running brokers: `bootstrap` names all of them."""

    def __init__(self, ports: list[int], containers: list[DockerContainer]) -> None:
        self.bootstrap = ",".join(f"{_HOST}:{port}" for port in ports)
        self._containers = containers

    def kill(self, number: int) -> None:
        """End a broker at once, for good; they count from 0."""
        self._containers[number].get_wrapped_container().kill()


@contextmanager
def kafka_brokers() -> Iterator[Brokers]:
    """Run three brokers."""
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        ports = [free_port() for _ in range(BROKERS)]
        containers = [_broker(number, port, network) for number, port in enumerate(ports, 1)]
        for container in containers:
            stack.enter_context(container)
        for container in containers:
            until(partial(_listens, container), KAFKA_IMAGE)
        yield Brokers(ports, containers)
