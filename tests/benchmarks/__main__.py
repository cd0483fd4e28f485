"""Runs the benchmark: `python -m tests.benchmarks [--quick] [--output FILE]`.

Starts real Kafka and Valkey (fsync on every commit) in containers, measures everything in one run on the same machine,
prints the ratios and writes them as JSON. `--quick` is a smoke run with small numbers, for CI.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.payload import Payload
from contracts.topics import BILLING, EVENTS, RESULTS
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings
from services.runtime.store import connect_redis
from tests.benchmarks import checks, half_load
from tests.benchmarks.measure import (
    Throughput,
    create_topics,
    drain,
    dump,
    latencies,
    percentile,
    resident_megabytes,
    running,
    service,
)
from tests.benchmarks.renewals import store_subscriptions
from tests.benchmarks.seed import Population, send_commands, settle, store_accounts
from tests.containers import kafka_container, valkey_container

_BUSY = 1_000
_SERVICES = ("entitlements", "billing", "notifications")
_namespaces = itertools.count(1)
console = Console()


class Sizes:
    """How much is done: the full run, or the quick one."""

    def __init__(self, *, quick: bool, renewals: int | None = None) -> None:
        self.quick = quick
        self.commands = 3_000 if quick else 60_000
        self.plain = 500 if quick else 3_000
        self.runs = 1 if quick else 3
        self.accounts = (1_000,) if quick else (1_000, 1_000_000)
        self.chain = 1_000 if quick else 10_000
        self.latency_rate = 100 if quick else 400
        self.latency_commands = 300 if quick else 6_000
        self.renewals = renewals or (2_000 if quick else 100_000)


class Bench:
    """One benchmark run against one Kafka and one Valkey."""

    def __init__(self, kafka: str, redis_url: str, sizes: Sizes) -> None:
        self._kafka = kafka
        self._redis_url = redis_url
        self.redis: Any = connect_redis(self._settings(""))
        self.sizes = sizes

    def _settings(self, namespace: str) -> Settings:
        return Settings(namespace=namespace, kafka_bootstrap=self._kafka, redis_url=self._redis_url, http_port=0)

    async def _fresh(self, *more_topics: str) -> Settings:
        settings = self._settings(f"b{next(_namespaces)}.")
        await create_topics(settings, *(settings.namespace + topic for topic in more_topics))
        return settings

    async def baseline(self, kind: str, commands: Iterable[Payload], count: int) -> Throughput:
        """Measure a baseline process over a backlog of commands."""
        settings = await self._fresh("out")
        await send_commands(settings, itertools.islice(commands, count), kind)
        target = f"{settings.namespace}out"
        async with running(settings, ("-m", "tests.benchmarks.baselines", kind, target)) as pids:
            return await drain(settings, target, count, pids)

    async def entitlements(self, settings: Settings, commands: Sequence[Payload], run: str) -> Throughput:
        """Measure entitlements over a backlog of commands: until the last answer is in Kafka."""
        await send_commands(settings, commands, run)
        async with running(settings, service("entitlements")) as pids:
            return await drain(settings, settings.namespace + RESULTS.name, len(commands), pids)

    async def chain(self, settings: Settings, population: Population) -> dict[str, Throughput]:
        """Measure all three services over a backlog of purchases: until the last invoice and the last notification."""
        count = self.sizes.chain
        await send_commands(settings, population.purchases(count), "chain")
        async with running(settings, *map(service, _SERVICES)) as pids:
            topics = (EVENTS, BILLING)
            measured = await asyncio.gather(
                *(drain(settings, settings.namespace + topic.name, count, pids) for topic in topics)
            )
        return {topic.name: each for topic, each in zip(topics, measured, strict=True)}

    async def latency(self, settings: Settings, population: Population) -> dict[str, dict[str, float]]:
        """Measure milliseconds from a purchase being due to its event and its invoice, at a steady moderate rate."""
        commands = list(population.purchases(self.sizes.latency_commands))
        async with running(settings, *map(service, _SERVICES)):
            await asyncio.sleep(8)  # all three have joined their groups; a benchmark, not a test
            found = await latencies(settings, commands, self.sizes.latency_rate, (EVENTS.name, BILLING.name), "latency")
        return {
            topic: {f"p{share:g}": percentile(values, share / 100) * 1_000 for share in (50, 99)}
            for topic, values in found.items()
        }

    async def half_load(self, rates: Mapping[str, float]) -> dict[str, list[float]]:
        """Measure p99 in milliseconds at half of what the bare loop and entitlements work off, in turns."""
        found: dict[str, list[float]] = {name: [] for name in rates}
        for _ in range(self.sizes.runs):
            for name, rate in rates.items():
                count = int(rate / 2 * half_load.SECONDS)
                population = Population("h", _BUSY, count // _BUSY + 2)
                settings = await self._fresh("out")
                target, process = settings.namespace + RESULTS.name, service("entitlements")
                if name == "bare":
                    target = f"{settings.namespace}out"
                    process = ("-m", "tests.benchmarks.baselines", "bare", target)
                else:
                    await store_accounts(self.redis, settings, population)
                async with running(settings, process) as pids:
                    first = send_commands(settings, population.feature_requests(1), "first")
                    await asyncio.gather(drain(settings, target, 1, pids), first)  # it is up once this is answered
                    commands = list(population.feature_requests(count + 1))[1:]
                    due = await half_load.send_steadily(settings, commands, rate / 2, "half")
                    waits = await half_load.read_latencies(settings, target, due, count)
                found[name].append(percentile(waits, 0.99))
        return found

    async def renewals(self, settings: Settings, redis: Any) -> dict[str, float]:
        """Measure billing while a midnight's renewals are due: until the last invoice is in Kafka."""
        count = self.sizes.renewals
        await store_subscriptions(redis, settings, count, SystemClock().now().date())
        await settle(redis)
        async with running(settings, service("billing")) as pids:
            found = await drain(settings, settings.namespace + BILLING.name, count, pids)
            resident = sum(map(resident_megabytes, pids))
        return {
            "accounts": count,
            "per_second": found.per_second,
            "cpu_microseconds_each": found.cpu_microseconds_each,
            "resident_megabytes": resident,
        }


async def measured(bench: Bench, settings: Settings, commands: Sequence[Payload]) -> dict[str, Any]:
    """Work the commands off in equal runs, each right behind one of the bare loop; return their figures."""
    count, sample = bench.sizes.runs, Population("x", 1_000, bench.sizes.commands // 1_000)
    bare, runs = [], []
    for n in range(count):
        bare.append(await bench.baseline("bare", sample.feature_requests(bench.sizes.commands), bench.sizes.commands))
        runs.append(await bench.entitlements(settings, commands[n::count], f"run{n}"))
    return {
        "bare_loop_per_second": [each.per_second for each in bare],
        "bare_loop_cpu_microseconds_each": [each.cpu_microseconds_each for each in bare],
        "per_second": [each.per_second for each in runs],
        "of_bare_loop": [ours.per_second / theirs.per_second for ours, theirs in zip(runs, bare, strict=True)],
        "cpu_microseconds_each": [each.cpu_microseconds_each for each in runs],
    }


async def run(kafka: str, redis_url: str, sizes: Sizes) -> dict[str, Any]:
    """Run everything and return the figures."""
    bench = Bench(kafka, redis_url, sizes)
    sample = Population("x", 1_000, sizes.plain // 1_000 + 1)
    result: dict[str, Any] = {"commands": sizes.commands, "entitlements": {}}
    redis = bench.redis
    plain = (await bench.baseline("plain", sample.feature_requests(sizes.plain), sizes.plain)).per_second
    result |= {"plain_handler_per_second": plain}
    for accounts in sizes.accounts:
        settings = await bench._fresh()
        busy = min(accounts, _BUSY)
        population = Population("a", accounts, sizes.runs * sizes.commands // busy, busy=busy)
        console.print(f"storing {accounts:,} accounts …")
        await store_accounts(redis, settings, population)
        commands = {f"{accounts:,} accounts, {busy:,} of them busy": population.feature_requests}
        if accounts > busy:
            commands[f"{accounts:,} accounts, each command of another"] = population.scattered_requests
        for name, requests in commands.items():
            result["entitlements"][name] = await measured(bench, settings, list(requests(sizes.runs * sizes.commands)))
    bare = [rate for each in result["entitlements"].values() for rate in each["bare_loop_per_second"]]
    busiest = next(iter(result["entitlements"].values()))
    rates = {"bare": statistics.median(bare), "entitlements": statistics.median(busiest["per_second"])}
    result["half_load_p99_ms"] = await bench.half_load(rates)
    settings = await bench._fresh()
    population = Population("c", max(sizes.chain, sizes.latency_commands), 0, owner=True)
    await store_accounts(redis, settings, population)
    chain = await bench.chain(settings, population)
    result["all_three"] = {topic: each.per_second for topic, each in chain.items()}
    settings = await bench._fresh()
    await store_accounts(redis, settings, population)
    result["latency_ms"] = await bench.latency(settings, population)
    result["latency_rate_per_second"] = sizes.latency_rate
    result["renewals"] = await bench.renewals(await bench._fresh(), redis)
    with tempfile.TemporaryDirectory() as folder:
        result["checks"] = await checks.run(bench._settings("checks."), checks.Sizes(quick=sizes.quick), Path(folder))
    await redis.aclose()
    return result | {"bare_loop_per_second": bare}


def show(result: dict[str, Any]) -> None:
    """Print the figures as a table of ratios."""
    bare, plain = statistics.median(result["bare_loop_per_second"]), result["plain_handler_per_second"]
    table = Table("what", "per second", "of bare loop", "of plain handler", title="addonflow bench")
    table.add_row("bare aiokafka loop", _spread(result["bare_loop_per_second"]), "1.00", f"{bare / plain:.1f}")
    table.add_row("plain FastStream handler", f"{plain:,.0f}", f"{plain / bare:.3f}", "1.0")
    for name, each in result["entitlements"].items():
        middle = statistics.median(each["per_second"])
        of_bare = " ".join(f"{ratio:.2f}" for ratio in each["of_bare_loop"])
        table.add_row(f"entitlements, {name}", _spread(each["per_second"]), of_bare, f"{middle / plain:.1f}")
    for topic, rate in result["all_three"].items():
        table.add_row(f"all three services, to {topic}", f"{rate:,.0f}", f"{rate / bare:.2f}", f"{rate / plain:.1f}")
    renewals = result["renewals"]
    rate = renewals["per_second"]
    name = f"renewals of {renewals['accounts']:,} accounts at one midnight"
    table.add_row(name, f"{rate:,.0f}", f"{rate / bare:.2f}", f"{rate / plain:.1f}")
    console.print(table)
    console.print(
        f"a night of 1,000,000 renewals at this rate: {1_000_000 / rate:,.0f} s; billing used "
        f"{renewals['resident_megabytes']:,.0f} MB and {renewals['cpu_microseconds_each']:.0f} µs each"
    )
    for name, waits in result["half_load_p99_ms"].items():
        console.print(f"p99 at half of its load, {name}: " + ", ".join(f"{each:.0f} ms" for each in waits))
    for topic, each in result["latency_ms"].items():
        console.print(
            f"latency to {topic} at {result['latency_rate_per_second']}/s: "
            + ", ".join(f"{name} {value:.1f} ms" for name, value in each.items())
        )
    checks.show(result["checks"])


def _spread(rates: Sequence[float]) -> str:
    return f"{min(rates):,.0f} to {max(rates):,.0f}"


def main() -> int:
    """Parse arguments, run, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--renewals", type=int, metavar="ACCOUNTS", help="how many renewals are due at once")
    parser.add_argument("--output", default="bench.json")
    arguments = parser.parse_args()
    with kafka_container() as kafka, valkey_container() as redis_url:
        result = asyncio.run(run(kafka, redis_url, Sizes(quick=arguments.quick, renewals=arguments.renewals)))
    show(result)
    dump(arguments.output, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
