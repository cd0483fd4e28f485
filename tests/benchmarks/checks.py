"""Measures entitlement checks over the socket: `python -m tests.benchmarks.checks [--quick] [--output FILE]`.

Beside a bare Starlette application that does one GET on the same Valkey for the same accounts: one process each, asked
in turns, several rounds, so that what else the machine does meets both. Asked are a product's checks of one add-on,
each of another of a thousand accounts.

Throughput comes from `wrk` where it is installed, else from a loop of this process, which then may be the limit; p99
from a steady rate below saturation (open loop: counted from when a request was due).
"""

import argparse
import asyncio
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.runtime.authentication import PRODUCT_SCOPE
from services.runtime.settings import Settings
from services.runtime.store import connect_redis
from tests.benchmarks.measure import create_topics, dump, environment, percentile
from tests.benchmarks.seed import Population, store_accounts
from tests.containers import free_port, kafka_container, until, valkey_container
from tests.e2e.services import ServiceProcess
from tests.tokens import Issuer

ACCOUNTS = 1_000
_ADD_ON = "analytics_plus"
_CONNECTIONS = 16
_RATE_PER_SECOND = 500
_READY_SECONDS = 60
console = Console()


class Sizes:
    """How much is done: the full run, or the quick one."""

    def __init__(self, *, quick: bool) -> None:
        self.rounds = 2 if quick else 5
        self.seconds = 1 if quick else 5
        self.steady_requests = 500 if quick else 5_000


def bare(redis_url: str, port: int) -> None:
    """Serve one GET for each request, until killed: the least that a check over HTTP could be."""
    redis: Redis = Redis.from_url(redis_url)

    async def check(request: Request) -> Response:
        found = await redis.get(f"bare:{request.path_params['account_id']}")
        return Response(found, media_type="application/json")

    application = Starlette(routes=[Route("/v1/accounts/{account_id}/entitlements/{add_on}", check)])
    uvicorn.run(application, host="127.0.0.1", port=port, log_level="warning", access_log=False)


class Target:
    """A server to be asked, and what it answered a second in each round."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self._token = token
        self.per_second: list[float] = []
        self.milliseconds: list[float] = []

    def request(self, number: int) -> bytes:
        """Return a request for the check of one account."""
        path = f"/v1/accounts/a{number % ACCOUNTS}/entitlements/{_ADD_ON}"
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._token}\r\n\r\n".encode()

    def script(self) -> str:
        """Return the same requests for `wrk`, and a check that they were answered."""
        return f"""
            local number, failed = 0, 0
            request = function()
              number = number + 1
              local path = "/v1/accounts/a" .. (number % {ACCOUNTS}) .. "/entitlements/{_ADD_ON}"
              return wrk.format("GET", path, {{ ["Authorization"] = "Bearer {self._token}" }})
            end
            done = function(summary, latency, requests)
              local errors = summary.errors
              failed = errors.status + errors.connect + errors.read + errors.write + errors.timeout
              io.write(string.format("RATE %f %d", summary.requests / summary.duration * 1e6, failed))
            end
        """


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"not answered: {head!r}")
    lines = head.lower().split(b"\r\n")
    (length,) = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    await reader.readexactly(length)


@asynccontextmanager
async def _connected(port: int, count: int) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        yield connections
    finally:
        for _, writer in connections:
            writer.close()


async def _closed_loop(target: Target, seconds: float) -> float:
    """Ask as fast as answers come on every connection; return answers a second."""
    loop = asyncio.get_running_loop()
    start, answered = loop.time(), 0

    async def ask(first: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        number = first
        while loop.time() - start < seconds:
            writer.write(target.request(number))
            await _answer(reader)
            answered += 1
            number += _CONNECTIONS

    async with _connected(target.port, _CONNECTIONS) as connections:
        await asyncio.gather(*(ask(number, *each) for number, each in enumerate(connections)))
    return answered / (loop.time() - start)


async def _wrk(target: Target, seconds: int) -> float:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(target.script())
        script.flush()
        url = f"http://127.0.0.1:{target.port}"
        command = ("wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "-s", script.name, url)
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        output, _ = await process.communicate()
    rate, failed = output.decode().rpartition("RATE ")[2].split()
    if int(failed):
        raise RuntimeError(f"{failed} checks were not answered:\n{output.decode()}")
    return float(rate)


async def throughput(target: Target, seconds: int) -> None:
    """Measure checks a second at saturation."""
    saturate = _wrk if shutil.which("wrk") else _closed_loop
    target.per_second.append(await saturate(target, seconds))


async def steady(target: Target, requests: int) -> None:
    """Measure milliseconds from when a check was due to its answer, at a steady rate."""
    loop = asyncio.get_running_loop()

    async def ask(first: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(first, requests, _CONNECTIONS):
            due = start + number / _RATE_PER_SECOND
            await asyncio.sleep(max(0, due - loop.time()))
            writer.write(target.request(number))
            await _answer(reader)
            target.milliseconds.append((loop.time() - due) * 1_000)

    async with _connected(target.port, _CONNECTIONS) as connections:
        start = loop.time()
        await asyncio.gather(*(ask(number, *each) for number, each in enumerate(connections)))


async def measure(targets: Sequence[Target], sizes: Sizes) -> dict[str, Any]:
    """Ask every target in turns, the first of a round by turns too; return the figures of (bare, checks)."""
    for target in targets:
        await throughput(target, 1)
        target.per_second.clear()
    for number in range(sizes.rounds):
        for target in _turned(targets, number):
            await throughput(target, sizes.seconds)
            await steady(target, sizes.steady_requests // sizes.rounds)
    lean, ours = targets
    return {
        "generator": "wrk" if shutil.which("wrk") else "this process",
        "connections": _CONNECTIONS,
        "bare_per_second": lean.per_second,
        "checks_per_second": ours.per_second,
        "of_bare": [mine / theirs for mine, theirs in zip(ours.per_second, lean.per_second, strict=True)],
        "steady_rate_per_second": _RATE_PER_SECOND,
        "bare_p99_ms": percentile(lean.milliseconds, 0.99),
        "checks_p99_ms": percentile(ours.milliseconds, 0.99),
    }


def _turned(targets: Sequence[Target], number: int) -> Iterator[Target]:
    return iter(targets) if number % 2 == 0 else reversed(targets)


async def run(settings: Settings, sizes: Sizes, folder: Path) -> dict[str, Any]:
    """Store the accounts, start both servers and measure; topics must not exist yet in this namespace."""
    await create_topics(settings)
    redis = connect_redis(settings)
    await store_accounts(redis, settings, Population("a", ACCOUNTS, 1, owner=True))
    for number in range(ACCOUNTS):
        await redis.set(f"bare:a{number}", b'{"add_on":"analytics_plus","entitled":false,"access":"none","version":1}')
    await redis.aclose()
    issuer = Issuer()
    token = issuer.token("dialer", None, scope=PRODUCT_SCOPE)
    port = free_port()
    more = {
        "ADDONFLOW_TOKEN_JWKS": str(issuer.write(folder / "jwks.json")),
        "ADDONFLOW_PRODUCT_REQUESTS_PER_MINUTE": "100000000",
    }
    lean = subprocess.Popen(  # noqa: ASYNC220 - started once
        [sys.executable, "-m", "tests.benchmarks.checks", "--bare", settings.redis_url, str(port)]
    )
    ours_port = free_port()
    ours = ServiceProcess("entitlements", environment(settings, ours_port) | more)
    ours.port = ours_port
    try:
        ours.start().until_ready()
        await asyncio.to_thread(until, lambda: _listens(port), "the bare application", _READY_SECONDS)
        return await measure((Target(port, token), Target(ours.port, token)), sizes)
    finally:
        lean.kill()
        lean.wait()
        ours.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def rows(result: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return the lines of the table: what, per second, of bare, p99."""
    bare_rates, rates = result["bare_per_second"], result["checks_per_second"]
    ratio = " ".join(f"{each:.2f}" for each in result["of_bare"])
    middle = statistics.median(result["of_bare"])
    return [
        ("bare Starlette and one GET", _spread(bare_rates), "1.00", f"{result['bare_p99_ms']:.1f}"),
        ("entitlement checks", _spread(rates), f"{middle:.2f} ({ratio})", f"{result['checks_p99_ms']:.1f}"),
    ]


def _spread(rates: Sequence[float]) -> str:
    return f"{min(rates):,.0f} to {max(rates):,.0f}"


def show(result: dict[str, Any]) -> None:
    """Print the figures."""
    steady_rate = result["steady_rate_per_second"]
    table = Table("what", "per second", "of bare", f"p99 in ms at {steady_rate}/s", title="entitlement checks")
    for row in rows(result):
        table.add_row(*row)
    console.print(table)


def main() -> int:
    """Parse arguments, run, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--output", default="bench-checks.json")
    parser.add_argument("--bare", nargs=2, metavar=("REDIS", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        bare(arguments.bare[0], int(arguments.bare[1]))
        return 0
    with (
        kafka_container() as kafka,
        valkey_container() as redis_url,
        tempfile.TemporaryDirectory() as folder,
    ):
        settings = Settings(namespace="checks.", kafka_bootstrap=kafka, redis_url=redis_url)
        result = asyncio.run(run(settings, Sizes(quick=arguments.quick), Path(folder)))
    show(result)
    dump(arguments.output, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
