"""How far a process's doors are open: not at all, for reads, or for commands as well.

A server takes connections before its process has passed its checks and has heard what happened while it was away. So:

    nothing   until Redis is the one that it should be: a look could read, and a command write, what is another's
    reads     from then on, also while Kafka is away
    commands  when what the log said of accounts as the process started is heard: who was removed orders nothing more
"""

from services.runtime.problems import unavailable

_STARTING = "This process is starting: try again in a moment, with the same request."


class Opening:
    """The doors of one process: shut until told otherwise, and never shut again."""

    def __init__(self) -> None:
        self._reads = self._commands = False

    def to_reads(self) -> None:
        """Let callers look."""
        self._reads = True

    def to_commands(self) -> None:
        """Let callers look and order."""
        self._reads = self._commands = True

    def pass_read(self) -> None:
        """Go on when reads are taken; Problem 503 until then."""
        if not self._reads:
            raise unavailable(_STARTING)

    def pass_command(self) -> None:
        """Go on when commands are taken; Problem 503 until then."""
        if not self._commands:
            raise unavailable(_STARTING)
