"""Child processes of the command: started, awaited and stopped; none outlives the command, however it ends.

A child has its own session, so that Ctrl-C reaches only the command, which then stops the children in the right order.
On Linux the kernel ends a child when the command dies without a chance to do so.
"""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from services.runtime.errors import AddonflowError, ConfigurationError

STOP_SECONDS: Final = 15
_POLL_SECONDS: Final = 0.05
_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class ChildFailed(AddonflowError):  # noqa: N818 - named for what happened
    """A child ended, or did not become ready in time; the message holds its last log lines."""


def _die_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One child process; what it prints goes to `log`."""

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.log = log
        self._process = process

    @classmethod
    async def start(cls, name: str, command: Sequence[str | Path], environment: Mapping[str, str], logs: Path) -> Self:
        """Start `command`; its output is appended to `<name>.log` in the folder `logs`."""
        logs.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - nothing else runs while a child is started
        log = logs / f"{name}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=dict(environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # one system call, safe in a forked child
            )
        return cls(name, log, process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    def tail(self, lines: int = 15) -> str:
        """Return the last lines it printed."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    async def ended(self) -> int:
        """Wait until it ends by itself; return its exit status."""
        return await self._process.wait()

    async def until(self, condition: Callable[[], Awaitable[str | None]], seconds: float) -> None:
        """Wait until `condition` returns None; what it returns meanwhile says what is missing.

        ChildFailed when the child ends first or `seconds` pass.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (missing := await condition()) is not None:
            if not self.running:
                raise ChildFailed(
                    f"{self.name} ended with status {self._process.returncode}; it said last:\n{self.tail()}"
                )
            if loop.time() > deadline:
                raise ChildFailed(
                    f"{self.name} is not ready after {seconds:g} s ({missing}); it said last:\n{self.tail()}"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def stop(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to end (SIGTERM), end it by force after `seconds`; return its exit status."""
        if self.running:
            self._process.terminate()
        try:
            async with asyncio.timeout(seconds):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()


async def stop_all(children: Iterable[Child]) -> None:
    """Stop children at the same time."""
    await asyncio.gather(*(child.stop() for child in children))


async def first_to_end(children: Iterable[Child]) -> Child:
    """Wait until one of the children ends, and return it."""
    waits = {asyncio.create_task(child.ended()): child for child in children}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    return waits[done.pop()]


async def start_service(service: str, environment: Mapping[str, str], logs: Path) -> Child:
    """Start `addonflow run <service>`; of this process's ADDONFLOW_ variables it gets none but `environment`."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("ADDONFLOW_")}
    command = (sys.executable, "-m", "deploy.addonflow", "run", service)
    return await Child.start(service, command, inherited | dict(environment), logs)


async def readiness(host: str, port: int) -> str | None:
    """Ask a service whether it is ready: None when it is, else why not."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /readyz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                answer = (await reader.read()).decode("utf-8", "replace")
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        return f"/readyz does not answer: {str(error) or type(error).__name__}"
    head, _, body = answer.partition("\r\n\r\n")
    status = head.split(" ", 2)[1:2]
    return None if status == ["200"] else body.strip() or head.splitlines()[0]


async def accepts_connections(host: str, port: int) -> str | None:
    """Return None when something listens there, else why not."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return str(error)
    writer.close()
    return None


async def refuse_busy_port(what: str, port: int, option: str) -> None:
    """ConfigurationError when something listens on the port already."""
    if await accepts_connections("127.0.0.1", port) is None:
        raise ConfigurationError(
            f"port {port} for {what} is taken: stop what listens there, or choose another with {option}"
        )
