"""A link passes everything on, until it is broken in one of four ways; mended, it passes everything on again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.campaign.link import Link, State, is_commit, is_produce
from tests.containers import free_port

_BOUND_SECONDS = 5
_MOMENT_SECONDS = 0.2


class Echo:
    """A server that answers what it is told; `heard` keeps it."""

    def __init__(self) -> None:
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client goes."""
        while chunk := await reader.read(1_024):
            self.heard += chunk
            writer.write(chunk)
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[tuple[Echo, Link]]:
    """Give a server and a link to it."""
    server, port = Echo(), free_port()
    async with (
        await asyncio.start_server(server.serve, "127.0.0.1", port),
        Link(free_port(), ("127.0.0.1", port)) as link,
    ):
        yield server, link


async def ask(link: Link, text: bytes) -> bytes:
    """Say something on a connection of its own and return the answer: b"" for a closed one, b"?" for silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    return await say(reader, writer, text)


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    """Say something and return the answer."""
    try:
        writer.write(text)
        await writer.drain()
        async with asyncio.timeout(_MOMENT_SECONDS):
            return await reader.read(1_024)
    except TimeoutError:
        return b"?"
    except ConnectionError:
        return b""


async def test_a_whole_link_passes_everything_on(echo: tuple[Echo, Link]) -> None:
    """What is said arrives, and so does the answer."""
    _, link = echo
    assert await ask(link, b"hello") == b"hello"


async def test_a_cut_link_refuses_until_it_is_mended(echo: tuple[Echo, Link]) -> None:
    """Open connections are lost, new ones end at once; afterwards they work."""
    _, link = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await say(reader, writer, b"before") == b"before"
    link.break_(State.CUT)
    assert await say(reader, writer, b"now") == b""
    assert await ask(link, b"now") == b""
    link.mend()
    assert await ask(link, b"after") == b"after"


async def test_a_half_open_link_takes_and_never_answers(echo: tuple[Echo, Link]) -> None:
    """New and open connections hear nothing, nothing reaches the server, and all are closed as it is mended."""
    server, link = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    assert await say(reader, writer, b"before") == b"before"
    link.break_(State.HALF_OPEN)
    assert await say(reader, writer, b"now") == b"?"
    assert await ask(link, b"now") == b"?"
    assert server.heard == b"before"
    link.mend()
    async with asyncio.timeout(_BOUND_SECONDS):
        assert await say(reader, writer, b"after") == b""
    assert await ask(link, b"after") == b"after"


async def test_a_mute_link_loses_replies_and_counts_them(echo: tuple[Echo, Link]) -> None:
    """The server hears what is said, the client no answer; a connection that lost one is closed as it is mended."""
    server, link = echo
    reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
    link.break_(State.MUTE)
    assert await say(reader, writer, b"now") == b"?"
    assert (server.heard, link.lost_replies) == (b"now", 1)
    link.mend()
    assert await say(reader, writer, b"after") == b""
    assert await ask(link, b"after") == b"after"


async def test_a_slow_link_answers_late(echo: tuple[Echo, Link]) -> None:
    """Each packet takes longer, both ways; mended it does not."""
    _, link = echo
    link.delay_seconds = _MOMENT_SECONDS
    assert await ask(link, b"slow") == b"?"
    link.mend()
    assert await ask(link, b"quick") == b"quick"


def test_requests_that_matter_are_known() -> None:
    """A produce request of Kafka and a commit of Redis are told from others."""
    assert is_produce(b"\x00\x00\x00\x40\x00\x00\x00\x09")
    assert not is_produce(b"\x00\x00\x00\x40\x00\x01\x00\x09")
    assert is_commit(b"*5\r\n$5\r\nFCALL\r\n$29\r\naddonflow_0123_commit\r\n")
    assert not is_commit(b"*5\r\n$5\r\nFCALL\r\n$27\r\naddonflow_0123_load\r\n")
