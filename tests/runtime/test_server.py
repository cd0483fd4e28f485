"""Request lines and headers that are too large or too slow, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from services.runtime.server import BoundedHeads, config_of
from services.runtime.settings import Settings

LIMIT = 4_096
SECONDS = 0.3
_TEST_SECONDS = 10
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Tight(BoundedHeads):
    """The same with bounds that a test comes to at once."""

    bytes_max = LIMIT
    seconds = SECONDS


class Endless:
    """Answers that begin and do not end before they are told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def parts(self) -> AsyncIterator[bytes]:
        """Give the first part, and wait."""
        yield b"first"
        await self.go.wait()


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    read = bytearray()
    with suppress(ConnectionError):  # the server hangs up on what it has not read
        while part := await reader.read(LIMIT):
            read += part
    return bytes(read)


class Served:
    """A small application on a port of this machine."""

    def __init__(self, port: int, endless: Endless) -> None:
        self.port = port
        self.endless = endless

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Give a connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(_TEST_SECONDS):
                yield reader, writer
        finally:
            writer.close()

    async def answer(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """Send parts, as far as they are taken, and return all that comes back until the server hangs up."""
        async with self.connected() as (reader, writer):
            reading = asyncio.create_task(_all_of(reader))
            with suppress(ConnectionError):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(pause)
            return await reading


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Serve with tight bounds."""
    endless = Endless()

    async def echo(request: Request) -> PlainTextResponse:
        with suppress(ClientDisconnect):
            return PlainTextResponse(f"{len(await request.body())} of {request.url.path}")
        return PlainTextResponse("gone")

    async def stream(_: Request) -> StreamingResponse:
        return StreamingResponse(endless.parts())

    routes = [Route("/stream", stream), Route("/{rest:path}", echo, methods=["GET", "POST"])]
    config = config_of(Starlette(routes=routes), Settings(http_port=0))
    config.http = Tight
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    yield Served(server.servers[0].sockets[0].getsockname()[1], endless)
    endless.go.set()
    server.should_exit = True
    await serving


def many(size: int) -> list[bytes]:
    """Return so many bytes of headers, in small parts."""
    return [b"a: " + b"b" * 95 + b"\r\n"] * (size // 100)


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET / HTTP/1.1\r\n", *many(100 * LIMIT)],
        [b"GET / HTTP/1.1\r\na: ", *[b"b" * 100] * LIMIT],
        [b"GET /", *[b"b" * 100] * LIMIT],
        [b"\r\n" * 50] * LIMIT,
        [b"GET / HTTP/1.1\r\n" + b"".join(many(2 * LIMIT)) + b"\r\n"],
        [b"GET /" + b"b" * LIMIT + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
    ],
    ids=["headers", "one header", "a path", "blank lines", "headers at once", "a path at once"],
)
async def test_a_head_that_is_too_large_is_refused_as_it_comes(served: Served, parts: list[bytes]) -> None:
    """More than the bound before a head is whole is 431 as a problem, and not read on, whether in parts or at once."""
    answer = await served.answer(*parts)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert b"content-type: application/problem+json" in answer
    assert b'"reason": "head_too_large"' in answer


async def test_trailers_are_bounded(served: Served) -> None:
    """Headers that come behind a body count like those before it."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    answer = await served.answer(head, *many(100 * LIMIT))
    assert answer == b""  # the application is at it, so that nothing else can be said


async def test_heads_and_bodies_within_the_bounds_pass(served: Served) -> None:
    """A head of nearly the bound in small parts, and a body of many times it, are taken; the next request as well."""
    head = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n" % (10 * LIMIT)
    async with served.connected() as (reader, writer):
        for _ in range(3):
            for part in (head, *many(LIMIT - 100), b"\r\n", *[b"x" * LIMIT] * 10):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(len(f"{10 * LIMIT} of /")) == f"{10 * LIMIT} of /".encode()


@pytest.mark.parametrize(
    ("parts", "status"),
    [([], b""), ([b"GET / HTTP/1.1\r\na: b"], b"408"), ([GET, GET[:20]], b"408"), ([GET, b"\r\n"], b"")],
    ids=["nothing", "half a head", "half of the next", "blank lines"],
)
async def test_a_head_that_does_not_come_is_given_up(served: Served, parts: list[bytes], status: bytes) -> None:
    """A connection that brings no head in time is closed, with 408 where one has begun; dripping does not help."""
    started = asyncio.get_running_loop().time()
    drip = [b""] * 4 if not status else [b"c"] * 10
    answer = await served.answer(*parts, *drip, pause=SECONDS / 5)
    assert asyncio.get_running_loop().time() - started < 4 * SECONDS
    said = answer.split(b"HTTP/1.1 ")[1:]
    assert [each[:3] for each in said] == [b"200"] * parts.count(GET) + [status] * bool(status)


async def test_a_stream_is_nobodys_late_head(served: Served) -> None:
    """An answer may take its time; half a request behind it ends the connection, and is not answered within it."""
    async with served.connected() as (reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"first\r\n")).startswith(b"HTTP/1.1 200 ")
        await asyncio.sleep(2 * SECONDS)
        assert not reader.at_eof()
        writer.write(b"GET / HT")
        assert await reader.read() == b""
