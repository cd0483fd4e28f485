"""A disk that is full: the server ends, as it must not acknowledge what it cannot keep; the service waits for it.

The disk is a volume in memory. A container beside the server keeps it there while the server is down, and fills it.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest

from contracts.topics import BILLING
from tests.chaos import load
from tests.containers import VALKEY_IMAGE, Kafka, Valkey
from tests.e2e.conftest import unique
from tests.e2e.observe import Deployment
from tests.e2e.services import ServiceProcess, until
from tests.e2e.test_trouble import QUICK

PURCHASES = 20
SERVER_SECONDS = 60
SAYS = {Kafka: b"No space left on device", Valkey: b"Can't recover from AOF write error"}
pytestmark = pytest.mark.docker
_numbers = itertools.count()


class Disk:
    """A small disk: `volume` is its name for containers."""

    def __init__(self, volume: str, holder: "docker.models.containers.Container") -> None:
        self.volume = volume
        self._holder = holder

    def fill(self) -> None:
        """Leave no byte of it free."""
        self._run("for size in 64k 4k 1; do dd if=/dev/zero bs=$size >> /disk/ballast 2>/dev/null; done; sync; true")

    def free(self) -> None:
        """Make the room again that was taken."""
        self._run("rm /disk/ballast")

    def _run(self, script: str) -> None:
        code, output = self._holder.exec_run(["sh", "-c", script])
        assert code == 0, output


@contextmanager
def small_disk(megabytes: int) -> Iterator[Disk]:
    """Give a disk of this size; what is on it is gone at the end."""
    client = docker.from_env()
    name = f"addonflow-{os.getpid()}-{next(_numbers)}"
    options = {"type": "tmpfs", "device": "tmpfs", "o": f"size={megabytes}m,mode=1777"}
    volume = client.volumes.create(name, driver="local", driver_opts=options)
    holder = client.containers.run(
        VALKEY_IMAGE, entrypoint=["sleep", "3600"], user="0", volumes={name: {"bind": "/disk"}}, detach=True
    )
    try:
        yield Disk(name, holder)
    finally:
        holder.remove(force=True)
        volume.remove()
        client.close()


Full = tuple[Disk, Kafka | Valkey, Deployment]


@pytest.fixture(params=["Valkey", "Kafka"])
def full(request: pytest.FixtureRequest, kafka: Kafka, valkey: Valkey) -> Iterator[Full]:
    """Give a disk, the server whose data is on it, and a deployment on that server."""
    with small_disk(16 if request.param == "Valkey" else 256) as disk:
        if request.param == "Valkey":
            with Valkey().with_volume_mapping(disk.volume, "/data", "rw") as server:
                made = Deployment(kafka.bootstrap, server.url, unique("full"))
                made.create_topics()
                yield disk, server, made
        else:
            with Kafka(KAFKA_LOG_DIRS="/disk").with_volume_mapping(disk.volume, "/disk", "rw") as server:
                made = Deployment(server.bootstrap, valkey.url, unique("full"))
                made.create_topics()
                yield disk, server, made


def test_a_full_disk_is_waited_for(full: Full) -> None:
    """The server of a full disk ends; the service says what it waits for, and does all its work when there is room."""
    disk, server, deployment = full
    container = server.get_wrapped_container()

    def ended() -> bool:
        container.reload()
        return bool(container.status == "exited")

    with ServiceProcess("billing", deployment.settings(**QUICK)) as process:
        process.until_ready()
        deployment.send(*load.purchases(1, PURCHASES))
        until("the first invoice", lambda: bool(deployment.read(BILLING)), 30)
        disk.fill()
        if isinstance(server, Valkey):
            deployment.send(*load.purchases(PURCHASES + 1, 2 * PURCHASES))
        until("the server ended", ended, SERVER_SECONDS)
        assert SAYS[type(server)] in container.logs()
        process.until_unready(because="cannot ")
        assert process.get("/livez")[0] == 200
        disk.free()
        container.start()
        until("the server is back", server.ready, SERVER_SECONDS)
        if isinstance(server, Kafka):
            deployment.send(*load.purchases(PURCHASES + 1, 2 * PURCHASES))
        deployment.until_at_rest("billing", seconds=120)
        process.until_ready()
        assert process.terminate() == 0
    load.assert_invoiced_once(deployment, 2 * PURCHASES)
