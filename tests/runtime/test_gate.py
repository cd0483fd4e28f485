"""Bodies that are too large or too slow, over the ASGI interface itself."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from services.runtime.gate import BodyGate

LIMIT = 10


async def echo(request: Request) -> PlainTextResponse:
    """Answer with the body."""
    return PlainTextResponse(await request.body())


async def half(_: Request) -> StreamingResponse:
    """Answer before the body is read."""

    async def parts() -> Any:
        yield b"early"

    return StreamingResponse(parts())


APPLICATION = BodyGate(
    Starlette(routes=[Route("/echo", echo, methods=["POST"]), Route("/half", half, methods=["POST"])]), LIMIT, 1
)


async def call(parts: Sequence[bytes], length: str | None = None, *, complete: bool = True) -> tuple[int, bytes]:
    """Send a body in parts; return status and body of the answer. Not `complete`: its end never comes."""
    answered: list[Message] = []
    left = list(parts)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not complete}

    async def send(message: Message) -> None:
        answered.append(message)

    headers = [] if length is None else [(b"content-length", length.encode())]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/echo",
        "headers": headers,
        "query_string": b"",
        "http_version": "1.1",
    }
    await APPLICATION(scope, receive, send)
    return answered[0]["status"], b"".join(each.get("body", b"") for each in answered[1:])


async def test_a_body_within_the_limit_passes_whole() -> None:
    """A body of exactly the limit, in one part or several, reaches the operation unchanged."""
    assert await call([b"0123456789"]) == (200, b"0123456789")
    assert await call([b"01234", b"56789"]) == (200, b"0123456789")


@pytest.mark.parametrize(
    ("parts", "length"),
    [([b"x"], "11"), ([b"x"], "9" * 30), ([b"x"], "-1"), ([b"x"], "eleven"), ([b"01234567", b"89a"], None)],
)
async def test_a_body_over_the_limit_is_refused(parts: list[bytes], length: str | None) -> None:
    """A body that says it is too large, or turns out to be, is 413 as a problem, whatever its sender said of it."""
    status, body = await call(parts, length)
    assert (status, b"body_too_large" in body) == (413, True)


async def test_a_body_that_does_not_come_is_given_up() -> None:
    """A sender that stops in the middle is answered with 408 when the time for a body is over."""
    status, body = await call([b"01"], complete=False)
    assert (status, b"request_timeout" in body) == (408, True)
