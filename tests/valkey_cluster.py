"""A Valkey cluster of the `embedded` extra's server: three primaries and a replica of the first, on loopback.

Slots are moved as operators move them: whole, or key by key, where a test may stop halfway.
"""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from redis import Redis
from redis.crc import key_slot

from deploy.addonflow.embedded import free_ports, valkey_program
from tests.containers import DURABLE, answers, until

PRIMARIES = 3
_HOST = "127.0.0.1"
_SLOTS = 16_384
_WITHOUT_REPLICA = 3  # the first slot, the last, and the primary
_NODE_TIMEOUT_MS = "2000"


class ValkeyCluster:
    """The nodes by port: `url` is one's address, `clients` speak to each by itself."""

    def __init__(self, ports: list[int]) -> None:
        self.url = f"redis://{_HOST}:{ports[0]}/0"
        self.clients = [Redis(host=_HOST, port=port) for port in ports]
        self._ids = [str(client.execute_command("CLUSTER MYID").decode()) for client in self.clients]

    def close(self) -> None:
        """Close the connections."""
        for client in self.clients:
            client.close()

    def form(self, bus_ports: list[int]) -> None:
        """Make the nodes a cluster: slots in equal parts, the last node a replica of the first."""
        first = self.clients[0]
        for number, client in enumerate(self.clients):
            client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            if number < PRIMARIES:
                begin, end = number * _SLOTS // PRIMARIES, (number + 1) * _SLOTS // PRIMARIES - 1
                client.execute_command("CLUSTER ADDSLOTSRANGE", begin, end)
            if number:
                port = client.get_connection_kwargs()["port"]
                first.execute_command("CLUSTER MEET", _HOST, port, bus_ports[number])
        until(lambda: all(self._known(client) == len(self.clients) for client in self.clients), "the cluster's nodes")
        self.clients[-1].execute_command("CLUSTER REPLICATE", self._ids[0])
        until(lambda: all(self._ok(client) for client in self.clients), "the cluster")
        until(lambda: self._linked() and all(map(self._knows_the_replica, self.clients)), "the replica")

    def _info(self, client: Redis) -> dict[str, str]:
        found: Any = client.execute_command("CLUSTER INFO")
        return found if isinstance(found, dict) else dict(line.split(":", 1) for line in found.decode().split())

    def _known(self, client: Redis) -> int:
        return int(self._info(client)["cluster_known_nodes"])

    def _ok(self, client: Redis) -> bool:
        return self._info(client)["cluster_state"] == "ok"

    def _linked(self) -> bool:
        replica = self.clients[-1].info("replication")
        return replica["role"] == "slave" and replica["master_link_status"] == "up"

    def _knows_the_replica(self, client: Redis) -> bool:
        return any(len(slots) > _WITHOUT_REPLICA for slots in client.execute_command("CLUSTER SLOTS"))

    def owner(self, slot: int) -> int:
        """Return the number of the node that owns a slot, as it says itself."""
        for number, client in enumerate(self.clients):
            for begin, end, primary, *_ in client.execute_command("CLUSTER SLOTS"):
                if int(begin) <= slot <= int(end) and _node_id(primary) == self._ids[number]:
                    return number
        raise AssertionError(f"nobody owns slot {slot}")

    def move_whole(self, slot: int, target: int) -> None:
        """Have a slot moved at once, as Valkey 9 does: no key is between two nodes at any time."""
        source = self.clients[self.owner(slot)]
        source.execute_command("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self._ids[target])
        until(lambda: self.owner(slot) == target, f"slot {slot} is moved")

    def begin_to_move(self, slot: int, target: int) -> None:
        """Begin to move a slot key by key."""
        source = self.owner(slot)
        self.clients[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", self._ids[source])
        self.clients[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", self._ids[target])

    def move_keys(self, source: int, target: int, *keys: bytes | str) -> None:
        """Move these keys of a slot that is being moved."""
        port = self.clients[target].get_connection_kwargs()["port"]
        self.clients[source].execute_command("MIGRATE", _HOST, port, "", 0, 10_000, "KEYS", *keys)

    def end_move(self, slot: int, target: int) -> None:
        """Move what is left of a slot, and make its new node the owner."""
        source = self.owner(slot)
        while keys := self.clients[source].execute_command("CLUSTER GETKEYSINSLOT", slot, 1_000):
            self.move_keys(source, target, *keys)
        for node in (target, source):
            self.clients[node].execute_command("CLUSTER SETSLOT", slot, "NODE", self._ids[target])

    def fail_over(self) -> None:
        """Have the replica and its primary change places, as before maintenance."""
        primary = self.clients[-1].info("replication")["role"] == "master"
        replica = self.clients[0 if primary else -1]
        replica.execute_command("CLUSTER FAILOVER")
        until(lambda: replica.info("replication")["role"] == "master", "the failover")


def slot_of(key: str) -> int:
    """Return the slot of a key."""
    return int(key_slot(key.encode()))


def _node_id(node: list[Any]) -> str:
    text = node[2]
    return text.decode() if isinstance(text, bytes) else str(text)


@contextmanager
def valkey_cluster(folder: Path) -> Iterator[ValkeyCluster]:
    """Run a cluster with its data below a folder."""
    count = PRIMARIES + 1
    ports = free_ports(2 * count)
    ports, bus_ports = ports[:count], ports[count:]
    with ExitStack() as stack:
        for port, bus_port in zip(ports, bus_ports, strict=True):
            data = folder / str(port)
            data.mkdir()
            options = {"bind": _HOST, "port": str(port), "dir": str(data), "logfile": "valkey.log", **DURABLE}
            options |= {"cluster-enabled": "yes", "cluster-port": str(bus_port)}
            options |= {"cluster-node-timeout": _NODE_TIMEOUT_MS, "repl-diskless-sync-delay": "0"}
            words = [part for name, text in options.items() for part in (f"--{name}", text)]
            process = subprocess.Popen([valkey_program(), *words])
            stack.callback(process.wait, 30)
            stack.callback(process.kill)
        for port in ports:
            until(partial(answers, f"redis://{_HOST}:{port}/0"), "Valkey")
        cluster = ValkeyCluster(ports)
        stack.callback(cluster.close)
        cluster.form(bus_ports)
        yield cluster
