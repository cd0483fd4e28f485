"""A load that goes on, account after account, while a test starts, stops and breaks things: with a known outcome.

with ongoing(deployment) as work:
...                      # restart something
work.until_more()        # it still comes through
work.assert_done_once()
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from contracts.topics import RESULTS
from tests.chaos import load
from tests.e2e.observe import Deployment
from tests.e2e.records import Record
from tests.e2e.services import until

_ACCOUNTS_MAX = 300  # what bounds the load, a minute or two
_PAUSE_SECONDS = 0.2
_PROGRESS_SECONDS = 60


class Ongoing:
    """Sends the commands of one account after the other, until it is told to end."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._accounts = [f"customer-{number}" for number in range(_ACCOUNTS_MAX)]
        self._sent: list[Record] = []
        self._busy: list[str] = []
        self._end = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """State all accounts, wait until entitlements knows them, and begin to send commands."""
        self._deployment.send(*load.directory(self._accounts))
        self._deployment.until_at_rest("entitlements")
        self._thread.start()

    def _run(self) -> None:
        try:
            for account in self._accounts:
                if self._end.wait(_PAUSE_SECONDS):
                    return
                commands = load.commands([account])
                self._deployment.send(*commands)
                self._sent += commands
                self._busy.append(account)
        except Exception as error:  # noqa: BLE001 - told by `end`
            self._error = error

    def until_more(self) -> None:
        """Wait until commands are answered that were not when it was asked."""
        before = len(self._deployment.read(RESULTS))
        until("more is answered", lambda: len(self._deployment.read(RESULTS)) > before, _PROGRESS_SECONDS)

    def end(self) -> None:
        """Send no more; raises what went wrong with sending."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        assert len(self._busy) < _ACCOUNTS_MAX, "the load ended before the test did"

    def assert_done_once(self) -> None:
        """Check that each command has one answer and its effect, and each purchase one invoice."""
        load.assert_answered_once(self._deployment, self._sent, self._busy)
        load.assert_billed_once(self._deployment, self._busy)


@contextmanager
def ongoing(deployment: Deployment) -> Iterator[Ongoing]:
    """Have a load go on for the length of the block; entitlements must be running."""
    work = Ongoing(deployment)
    try:
        work.begin()
        yield work
    finally:
        work.end()
