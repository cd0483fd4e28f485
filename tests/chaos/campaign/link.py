"""A link between the services and a server that can be made slow, cut, half open, or deaf on the way back.

async with Link(port, ("127.0.0.1", 6379), matters=lambda request: b"_commit" in request) as link:
    link.break_(State.MUTE)    # a commit still reaches the server, nobody hears its reply
    link.mend()                # what was broken is closed, as a connection is that lost a part

Bytes are passed on in order and untouched; a connection that lost any is closed when the link is mended.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from enum import Enum
from types import TracebackType
from typing import Self

_CHUNK_BYTES = 262_144
_HOST = "127.0.0.1"


class State(Enum):
    """What a link does: passes everything on, refuses, takes and never answers, or loses replies.

    Mute: on each connection everything is passed on until a request that matters; its reply and all behind it are lost.
    """

    WHOLE = "whole"
    CUT = "cut"
    HALF_OPEN = "half open"
    MUTE = "mute"


class Link:
    """Takes connections at `port` of this machine and passes them on to `target`.

    `lost_replies` counts the requests that `matters` and whose replies were lost on the way.
    """

    def __init__(self, port: int, target: tuple[str, int], matters: Callable[[bytes], bool] = lambda _: True) -> None:
        self.port = port
        self.lost_replies = 0
        self.delay_seconds = 0.0
        self._target = target
        self._matters = matters
        self._state = State.WHOLE
        self._mended = asyncio.Event()
        self._mended.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._muted: set[object] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, _HOST, self.port, limit=_CHUNK_BYTES)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self.mend()
        self._server.close()
        self._close_all()
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        """How many connections are open, those to the server counted too."""
        return len(self._writers)

    def break_(self, state: State) -> None:
        """Break the link; a cut one loses its connections at once."""
        self._state = state
        self._mended.clear()
        if state is State.CUT:
            self._close_all()

    def mend(self) -> None:
        """Make the link whole: connections that were open while it was broken are closed, new ones work."""
        if self._state is not State.WHOLE:
            self._state = State.WHOLE
            self._close_all()
        self.delay_seconds = 0.0
        self._mended.set()

    def _close_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._open(writer):
            if self._state is State.CUT:
                return
            if self._state is State.HALF_OPEN:
                await self._mended.wait()
                return
            try:
                upstream_reader, upstream = await asyncio.open_connection(*self._target, limit=_CHUNK_BYTES)
            except OSError:
                return
            with self._open(upstream), contextlib.suppress(OSError):
                requests = asyncio.create_task(self._pass_on(writer, reader, upstream, replies=False))
                replies = asyncio.create_task(self._pass_on(writer, upstream_reader, writer, replies=True))
                _, behind = await asyncio.wait((requests, replies), return_when=asyncio.FIRST_COMPLETED)
                for task in behind:
                    task.cancel()
                await asyncio.gather(requests, replies, return_exceptions=True)

    @contextlib.contextmanager
    def _open(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            self._muted.discard(writer)
            writer.transport.abort()

    async def _pass_on(
        self, pair: object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, replies: bool
    ) -> None:
        while chunk := await reader.read(_CHUNK_BYTES):
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if self._state is State.HALF_OPEN:
                await self._mended.wait()
                return
            if replies and pair in self._muted:
                continue
            if self._state is State.MUTE and not replies and self._matters(chunk):
                self.lost_replies += 1
                self._muted.add(pair)
            writer.write(chunk)
            await writer.drain()


def is_produce(request: bytes) -> bool:
    """Whether a request to Kafka writes records: its api key, behind the size, is 0."""
    return request[4:6] == b"\x00\x00"


def is_commit(request: bytes) -> bool:
    """Whether a request to Redis calls the function that commits."""
    return b"_commit\r\n" in request
