"""What an account and a command take in Redis, on Kafka and of CPU: `python -m tests.benchmarks.sizes`.

Bytes are exact: Redis's own count, and the sizes of Kafka's segments (uncompressed, one replica). CPU is that of the
processes until all is done; on a machine busy with other work it is more than it should be.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.payload import Payload
from tests.benchmarks.measure import cpu_seconds
from tests.benchmarks.seed import Population
from tests.containers import Kafka, Valkey
from tests.e2e.observe import Deployment
from tests.e2e.records import record
from tests.e2e.services import SERVICES, ServiceProcess, running

_MEMBERS = 5  # of an account: an Owner and supervisors
_NAMESPACE = "sizes."


@dataclass(frozen=True, slots=True)
class Look:
    """What is used at an instant: Redis's bytes, Kafka's bytes by topic, CPU seconds by process."""

    redis: int
    kafka: dict[str, int]
    cpu: dict[str, float]


class Sizes:
    """A deployment of all three services, looked at from outside."""

    def __init__(self, kafka: Kafka, valkey: Valkey, accounts: int) -> None:
        self._kafka = kafka.get_wrapped_container()
        self._valkey = valkey.get_wrapped_container()
        self._population = Population("company-", accounts, supervisors=_MEMBERS - 1, owner=True)
        self._accounts = accounts
        self.deployment = Deployment(kafka.bootstrap, valkey.url, _NAMESPACE, partitions=12)
        self.table = Table("", "Redis, bytes each", "Kafka, bytes each", "CPU, µs each", title=f"{accounts} accounts")

    def look(self, processes: Sequence[ServiceProcess]) -> Look:
        """Look at everything."""
        pids = {each.service: [each.process.pid] for each in processes}
        for container, name in ((self._kafka, "kafka"), (self._valkey, "valkey")):
            found = container.top()
            pids[name] = [int(each[found["Titles"].index("PID")]) for each in found["Processes"]]
        with self.deployment.redis as client:
            used = int(client.info("memory")["used_memory"])
        return Look(used, self._logs(), {name: cpu_seconds(each) for name, each in pids.items()})

    def _logs(self) -> dict[str, int]:
        find = f"find / -path '*{_NAMESPACE}*' -name '*.log' -exec wc -c {{}} + 2>/dev/null"
        lines = self._kafka.exec_run(["sh", "-c", find]).output.decode().splitlines()
        sizes: dict[str, int] = {}
        for size, path in (line.split() for line in lines if _NAMESPACE in line):
            topic = Path(path).parent.name.removeprefix(_NAMESPACE).rpartition("-")[0]
            sizes[topic] = sizes.get(topic, 0) + int(size)
        return sizes

    def measure(self, what: str, said: Iterable[Payload], processes: Sequence[ServiceProcess], each: int) -> None:
        """Have all of it handled by all services, and add what each of `each` took to the table."""
        records = [record(payload, f"{what}-{number}") for number, payload in enumerate(said)]
        before = self.look(processes)
        self.deployment.send(*records)
        self.deployment.until_at_rest(*SERVICES, seconds=600)
        after = self.look(processes)
        cpu = {name: (after.cpu[name] - before.cpu[name]) * 1e6 / each for name in after.cpu}
        grown = {topic: (size - before.kafka.get(topic, 0)) / each for topic, size in after.kafka.items()}
        self.table.add_row(
            what,
            f"{(after.redis - before.redis) / each:,.0f}",
            _listed({topic: value for topic, value in sorted(grown.items()) if value}),
            _listed(cpu),
        )

    def account_bytes(self) -> dict[str, float]:
        """Return the mean size of an account in Redis, by service."""
        found: dict[str, list[int]] = {}
        with self.deployment.redis as client:
            for service in SERVICES:
                for key in client.scan_iter(f"{{{_NAMESPACE}{service}.*}}:account:*", count=1_000):
                    found.setdefault(service, []).append(int(client.memory_usage(key, samples=0) or 0))
        return {service: sum(sizes) / len(sizes) for service, sizes in found.items()}

    def run(self) -> None:
        """Measure facts, requests and purchases."""
        accounts, population = self._accounts, self._population
        self.deployment.create_topics()
        with running(self.deployment.settings(log_level="warning")) as processes:
            facts = [fact for index in range(accounts) for fact in population.facts(index)]
            self.measure(f"an account of {_MEMBERS} members", facts, processes, accounts)
            self.table.add_row("  its hash in Redis", _listed(self.account_bytes()), "", "")
            self.measure("a feature request", population.feature_requests(accounts * 2), processes, accounts * 2)
            self.table.add_row("  the hash then, 2 requests", _listed(self.account_bytes()), "", "")
            self.measure("a purchase, to its invoice", population.purchases(accounts), processes, accounts)
            self.table.add_row("  the hash then", _listed(self.account_bytes()), "", "")


def _listed(values: dict[str, Any]) -> str:
    total = sum(values.values())
    return "\n".join([f"{total:,.0f}", *(f"{name} {value:,.0f}" for name, value in values.items())])


def main() -> None:
    """Start real servers, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=5_000)
    accounts = parser.parse_args().accounts
    with Kafka() as kafka, Valkey() as valkey:
        sizes = Sizes(kafka, valkey, accounts)
        sizes.run()
    Console(width=120).print(sizes.table)


if __name__ == "__main__":
    main()
