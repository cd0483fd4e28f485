"""The embedded servers and the processes around them: started, kept, stopped, and never left behind."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.addonflow.embedded import free_ports, start_broker, start_valkey, valkey_program
from deploy.addonflow.processes import Child, ChildFailed, accepts_connections, first_to_end, readiness
from services.runtime.redis_check import unsafe_settings

HOST = "127.0.0.1"


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition comes true; TimeoutError after ten seconds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the other process tells no event
            await asyncio.sleep(0.02)


def gone(pid: int) -> bool:
    """Say whether a process does not exist, or is a zombie that nobody has reaped."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().split()[2] == "Z"


async def start_python(code: str, folder: Path, name: str = "child") -> Child:
    """Start a Python process."""
    return await Child.start(name, (sys.executable, "-c", code), os.environ, folder)


@pytest.mark.embedded
async def test_valkey_is_durable_and_keeps_its_data(embedded: None, tmp_path: Path) -> None:
    """Valkey starts as services want it, and what it acknowledged is there after it was killed and started again."""
    [port] = free_ports(1)
    valkey = await start_valkey(port, tmp_path / "data", tmp_path)
    async with Redis(host=HOST, port=port) as redis:
        assert await unsafe_settings(redis) == []
        await redis.set("kept", "yes")
    os.kill(valkey.pid, signal.SIGKILL)
    await valkey.ended()

    valkey = await start_valkey(port, tmp_path / "data", tmp_path)
    async with Redis(host=HOST, port=port) as redis:
        assert await redis.get("kept") == b"yes"
    assert await valkey.stop() == 0
    assert await accepts_connections(HOST, port) is not None


@pytest.mark.embedded
async def test_the_broker_stops_when_told(embedded: None, tmp_path: Path) -> None:
    """The broker listens when it is returned and is gone after the stop."""
    [port] = free_ports(1)
    broker = await start_broker(port, tmp_path)
    assert await accepts_connections(HOST, port) is None
    await broker.stop()
    assert await accepts_connections(HOST, port) is not None


@pytest.mark.embedded
async def test_a_server_that_cannot_start_says_why(embedded: None, tmp_path: Path) -> None:
    """When the port is taken, the error holds what the server said, and no process stays."""
    [port] = free_ports(1)
    first = await start_valkey(port, tmp_path / "one", tmp_path / "logs-one")
    try:
        with pytest.raises(ChildFailed, match=r"(?s)ended with status 1.*Address already in use"):
            await start_broken(port, tmp_path)
    finally:
        await first.stop()


async def start_broken(port: int, folder: Path) -> Child:
    """Start a second Valkey on a port that is taken, waiting for its own process."""
    child = await Child.start("second", (valkey_program(), "--port", str(port), "--bind", HOST), os.environ, folder)

    async def never() -> str:
        return "it cannot start"

    await child.until(never, 10)
    return child


async def test_a_child_that_is_not_ready_in_time_fails(tmp_path: Path) -> None:
    """What is missing and the last log lines are in the error."""
    child = await start_python("print('warming up', flush=True); import time; time.sleep(60)", tmp_path)

    async def missing() -> str | None:
        return "not warm"

    try:
        await eventually(lambda: "warming up" in child.tail())
        with pytest.raises(ChildFailed, match=r"(?s)child is not ready after 0.2 s \(not warm\).*warming up"):
            await child.until(missing, 0.2)
    finally:
        await child.stop()


async def test_a_child_that_will_not_stop_is_killed(tmp_path: Path) -> None:
    """A child that ignores SIGTERM ends by force after the grace period."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = await start_python(code, tmp_path)
    await eventually(lambda: "deaf" in child.tail())
    assert await child.stop(seconds=0.2) == -signal.SIGKILL


async def test_the_first_child_to_end_is_found(tmp_path: Path) -> None:
    """Of several children the one that ends is returned, the others run on."""
    long = await start_python("import time; time.sleep(60)", tmp_path, "long")
    short = await start_python("raise SystemExit(3)", tmp_path, "short")
    try:
        assert await first_to_end([long, short]) is short
        assert long.running
        assert await short.ended() == 3
    finally:
        await long.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
async def test_children_die_with_a_killed_command(tmp_path: Path) -> None:
    """When the command is killed without a chance to clean up, its children end too."""
    code = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from deploy.addonflow.processes import Child\n"
        "async def main():\n"
        "    command = (sys.executable, '-c', 'import time; time.sleep(60)')\n"
        f"    child = await Child.start('c', command, os.environ, Path({str(tmp_path)!r}))\n"
        "    print('child', child.pid, flush=True)\n"
        "    await child.ended()\n"
        "asyncio.run(main())\n"
    )
    parent = await start_python(code, tmp_path, "parent")
    await eventually(lambda: "child" in parent.tail())
    pid = int(parent.tail().split()[-1])
    os.kill(parent.pid, signal.SIGKILL)

    await eventually(lambda: gone(pid))
    assert await parent.ended() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nok", None),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nstarting: no Kafka", "starting: no Kafka"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 404 Not Found"),
    ],
)
async def test_readiness_is_what_the_service_says(answer: bytes, verdict: str | None) -> None:
    """Ready is status 200 and nothing else; otherwise the service's own reason is given."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        assert await readiness(HOST, server.sockets[0].getsockname()[1]) == verdict


async def test_a_service_that_does_not_listen_is_not_ready() -> None:
    """Nobody listening is a reason, not an error."""
    assert str(await readiness(HOST, free_ports(1)[0])).startswith("/readyz does not answer")
