"""The HTTP server of a process: uvicorn, with bounds where it has none.

uvicorn's faster parser takes a request line and headers of any size, for as long as they take to come, before anybody
has said who they are. Bodies are the gate's (`gate.py`), which sees what the parser makes of them.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from types import FrameType
from typing import Any, ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.runtime.problems import HttpReason, Problem
from services.runtime.settings import Settings

_STREAMS_END_SECONDS = 2


def config_of(application: Any, settings: Settings) -> uvicorn.Config:
    """Return how a process serves its application."""
    return uvicorn.Config(
        application,
        settings.http_host,
        settings.http_port,
        http=BoundedHeads,
        ws="none",
        log_config=None,  # its lines go the way of all
        log_level="warning",
        lifespan="on",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STREAMS_END_SECONDS,
    )


class Server(uvicorn.Server):
    """uvicorn handles signals itself while it serves; `on_signal` is told of them."""

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_signal = on_signal

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop serving."""
        self._on_signal()
        super().handle_exit(sig, frame)


class BoundedHeads(HttpToolsProtocol):
    """A connection that takes no more than `bytes_max` that bring a request no further, and waits `seconds` for a head.

    A head is the request line and the headers; what brings a request further is its beginning, a whole head, a part of
    its body, its end. So trailers and the extensions of chunks are bounded as well. A connection where nothing is under
    way, or a head is, has its time from its first byte on; one that rests behind an answer has uvicorn's 5 seconds.
    """

    bytes_max: ClassVar = 32_768
    seconds: ClassVar = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._idle_bytes = self._fed_bytes = 0
        self._got_further = self._in_head = self._over = False
        self._deadline: asyncio.TimerHandle | None = None
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes, and have it read."""
        self._got_further, self._fed_bytes = False, len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        self._idle_bytes = 0 if self._got_further else self._idle_bytes + len(data)
        if self._idle_bytes > self.bytes_max:
            self._refuse(self._too_large())
        elif self._deadline is None and (self._in_head or not self._is_answering()):
            self._wait_for_head()

    def on_message_begin(self) -> None:
        """Be in a head."""
        self._got_further = self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Take a head, when it is not too large; raising makes it a bad request."""
        self._got_further, self._in_head = True, False
        self._stop_waiting()
        if self._idle_bytes + self._fed_bytes > self.bytes_max and self._head_bytes() > self.bytes_max:
            self._over = True
            raise ValueError
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        self._got_further = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Take the end of a request."""
        self._got_further = True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read."""
        if self._over:
            self._refuse(self._too_large())
        else:
            super().send_400_response(msg)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _is_answering(self) -> bool:
        return bool(self.cycle) and not self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(self.seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._in_head:
            detail = f"The request's headers were not there within {self.seconds:.0f} seconds."
            self._refuse(Problem(HTTPStatus.REQUEST_TIMEOUT, HttpReason.REQUEST_TIMEOUT, detail))
        else:
            self.transport.close()

    def _too_large(self) -> Problem:
        detail = f"A request's line and headers have at most {self.bytes_max} bytes here."
        return Problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HttpReason.HEAD_TOO_LARGE, detail)

    def _refuse(self, problem: Problem) -> None:
        """Answer, if no other answer is under way that this would be read as a part of; and hang up."""
        if not self._is_answering():
            self.transport.write(_on_the_wire(problem))
        self.transport.close()


def _on_the_wire(problem: Problem) -> bytes:
    response = problem.response()
    lines = [f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}".encode(), b"connection: close"]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(response.body)])
