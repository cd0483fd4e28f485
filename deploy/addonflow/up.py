"""`addonflow up`: a deployment on this machine for as long as the command runs; its state outlives it in a folder."""

import asyncio
import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from deploy.addonflow import stack
from deploy.addonflow.embedded import HOST, require_servers
from deploy.addonflow.people import introduce
from deploy.addonflow.processes import first_to_end, refuse_busy_port
from deploy.addonflow.stack import Ports, Stack
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

EXIT_CHILD_ENDED = 70  # EX_SOFTWARE of sysexits.h
_INTRODUCE_SECONDS = 20
_LONGEST_DAY_SECONDS = 25 * 3_600  # from one 09:00 to the next where clocks are put back
_MOVE_THE_CLOCK = "addonflow clock show\n  addonflow clock advance 31d"


async def keep_running(folder: Path, ports: Ports, settings: Settings, console: Console, *, people: bool) -> int:
    """Run a deployment until SIGINT or SIGTERM (0), or until a part of it ends by itself (EXIT_CHILD_ENDED).

    `people`: introduce accounts for trying things out.
    """
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    require_servers()
    await _refuse_busy_ports(ports)
    try:
        with _sole_user_of(folder):
            async with stack.running(folder, ports, settings, stack.given_settings(), console.print) as running:
                if people:
                    await introduce(running.settings, _INTRODUCE_SECONDS)
                _introduce(running, folder, console)
                child = await first_to_end(running.children)
                console.print(f"[bold red]{child.name} ended by itself[/]; its last lines ({child.log}):")
                console.print(child.tail(), markup=False, highlight=False)
                return EXIT_CHILD_ENDED
    except asyncio.CancelledError:
        console.print(f"stopped; the state is kept in {folder}")
        return 0


async def _refuse_busy_ports(ports: Ports) -> None:
    await refuse_busy_port("Kafka", ports.kafka, "--kafka-port")
    await refuse_busy_port("Redis", ports.redis, "--redis-port")
    if ports.dashboard is not None:
        await refuse_busy_port(stack.DASHBOARD, ports.dashboard, "--dashboard-port")
    for service, port in ports.services.items():
        await refuse_busy_port(service, port, "--http-port")


@contextmanager
def _sole_user_of(folder: Path) -> Iterator[None]:
    """Two servers on one append-only file would destroy it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigurationError(f"{folder} is in use by another `addonflow up`: choose one with --data") from error
        yield


def _digest_wait_seconds(settings: Settings) -> int:
    delay_seconds = _LONGEST_DAY_SECONDS if settings.digest_delay_seconds is None else settings.digest_delay_seconds
    return delay_seconds + 10


def _introduce(running: Stack, folder: Path, console: Console) -> None:
    health = "  ".join(f"{name} http://{HOST}:{port}/readyz" for name, port in running.ports.services.items())
    kafka = running.settings.kafka_bootstrap
    story = f"addonflow story --kafka {kafka} --digest-wait {_digest_wait_seconds(running.settings)}"
    console.print(
        f"""
[bold green]addonflow is up.[/] State and logs are in {folder}; Ctrl-C stops everything.

  [bold]dashboard http://{HOST}:{running.ports.dashboard}[/] (be anybody of Cedar or Birch, or of the vendor's staff)

  Kafka    {kafka}
  Redis    {running.settings.redis_url}
  health   {health}
  keys     {running.keys.folder} (development's own: whoever reads them can be anybody)

In another terminal:

  export ADDONFLOW_KAFKA_BOOTSTRAP={kafka} ADDONFLOW_REDIS_URL={running.settings.redis_url}
  addonflow watch --from-start
  addonflow send PurchaseAddOn account_id=cedar user_id=olivia add_on=analytics_plus --wait
  {_MOVE_THE_CLOCK if running.settings.virtual_clock else story}
  addonflow token --account cedar --user olivia --keys {running.keys.folder}
  addonflow doctor
""",
        highlight=False,
        soft_wrap=True,
    )
