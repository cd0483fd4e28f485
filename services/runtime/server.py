"""The HTTP server of a process: uvicorn."""

from collections.abc import Callable
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """uvicorn handles signals itself while it serves; `on_signal` is told of them."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop serving."""
        self._on_signal()
        super().handle_exit(sig, frame)
