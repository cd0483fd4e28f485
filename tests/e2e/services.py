"""One service as a process of its own, as in production: settings in the environment, ended by signals.

    with ServiceProcess("billing", settings) as billing:
        billing.until_ready()
        billing.terminate()

What it logs is kept and shown when it does not do what is waited for.
"""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.containers import free_port

ROOT = Path(__file__).parents[2]
SERVICES = ("entitlements", "billing", "notifications")
_POLL_SECONDS = 0.05
_READY_SECONDS = 60
_STOP_SECONDS = 30
_LOG_CHARACTERS_MAX = 6_000
_INHERITED = ("PATH", "HOME", "VIRTUAL_ENV", "LANG", "SYSTEMROOT")


def until(what: str, condition: Callable[[], bool], seconds: float, why_not: Callable[[], str] = str) -> None:
    """Wait for a condition; AssertionError with `why_not()` when it does not come true within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s\n{why_not()}")
        time.sleep(_POLL_SECONDS)


class ServiceProcess:
    """A service under test. `settings` are environment variables, ADDONFLOW_KAFKA_BOOTSTRAP and so on.

    `launcher` replaces the way the service's `main()` is called (the crash tests do). `root`: where the code is.
    """

    def __init__(
        self, service: str, settings: Mapping[str, str], launcher: Sequence[str] | None = None, root: Path = ROOT
    ) -> None:
        self.service = service
        self._root = root
        self.port = free_port()
        self._launcher = launcher or ("-c", f"import sys; from services.{service}.app import main; sys.exit(main())")
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._environment = inherited | {"ADDONFLOW_HTTP_PORT": str(self.port)} | dict(settings)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the process; it is not ready yet."""
        self._process = subprocess.Popen(
            [sys.executable, *self._launcher],
            cwd=self._root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        return self

    __enter__ = start

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.running:
            self.kill()
        if error is not None:
            print(f"--- {self.service} said:\n{self.log[-_LOG_CHARACTERS_MAX:]}")
        self._log.close()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The operating system's process."""
        assert self._process is not None, "it was not started"
        return self._process

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """Everything it wrote so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def get(self, path: str) -> tuple[int, str]:
        """Ask over HTTP; return status and text, (0, why) when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError as error:
            return 0, str(error)
        finally:
            connection.close()

    def metric(self, sample: str) -> float:
        """Return the value of a sample of /metrics as it is written there (`name{label="x"}`); 0 when absent."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(sample + " "):
                return float(line.rpartition(" ")[2])
        return 0

    def _why(self) -> str:
        return f"{self.service} says {self.get('/readyz')}; its log ends:\n{self.log[-_LOG_CHARACTERS_MAX:]}"

    def until_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until it takes part; AssertionError with its log when it ends or does not come that far."""

        def ready() -> bool:
            assert self.running, f"it ended with {self.process.returncode}:\n{self.log}"
            return self.get("/readyz")[0] == 200

        until(f"{self.service} is ready", ready, seconds, self._why)

    def until_unready(self, seconds: float = _READY_SECONDS, *, because: str = "") -> str:
        """Wait until it says that it is not ready, for a reason that begins so; return the reason it gives."""
        reasons: list[str] = []

        def unready() -> bool:
            status, reason = self.get("/readyz")
            reasons.append(reason)
            return status == 503 and reason.startswith(because)

        until(f"{self.service} is not ready", unready, seconds, self._why)
        return reasons[-1]

    def until_logged(self, text: str, seconds: float = _READY_SECONDS) -> None:
        """Wait until its log contains a text."""
        until(f"{self.service} logs {text!r}", lambda: text in self.log, seconds, self._why)

    def wait(self, seconds: float = _READY_SECONDS) -> int:
        """Wait for its end; return the exit code, negative for a signal. AssertionError with its log if it goes on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end within {seconds} s; {self._why()}") from None

    def terminate(self, seconds: float = _STOP_SECONDS) -> int:
        """Ask it to stop (SIGTERM) and return the exit code."""
        self.process.terminate()
        return self.wait(seconds)

    def kill(self) -> None:
        """End it at once (SIGKILL), whatever it is doing."""
        self.process.send_signal(signal.SIGKILL)
        self.wait()


@contextmanager
def running(settings: Mapping[str, str], *services: str) -> Iterator[list[ServiceProcess]]:
    """Run services, by default all, until the block ends, and stop them as an operator does."""
    with ExitStack() as stack:
        processes = [stack.enter_context(ServiceProcess(service, settings)) for service in services or SERVICES]
        for process in processes:
            process.until_ready()
        yield processes
        for process in processes:
            assert process.terminate() == 0
