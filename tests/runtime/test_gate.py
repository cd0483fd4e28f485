"""Bodies that are too large or too slow, over the ASGI interface itself."""

import asyncio
from collections.abc import AsyncIterable, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from services.runtime.gate import BodyGate
from services.runtime.problems import install

LIMIT = 10


async def echo(request: Request) -> PlainTextResponse:
    """Answer with the body."""
    return PlainTextResponse(await request.body())


async def half() -> AsyncIterable[ServerSentEvent]:
    """Answer before the body is read, and never come to an end."""
    yield ServerSentEvent(raw_data="early")
    await asyncio.Event().wait()


async def aside(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body beside what would make an answer."""

    async def read() -> None:
        while True:
            await receive()

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        await asyncio.Event().wait()


INNER = FastAPI()
install(INNER)
INNER.add_route("/echo", echo, methods=["POST"])
INNER.add_route("/gone", echo, methods=["POST"])
INNER.post("/half", response_class=EventSourceResponse)(half)
INNER.mount("/aside", aside)
APPLICATION = BodyGate(INNER, LIMIT, 1)


async def call(
    parts: Sequence[bytes], length: str | None = None, *, complete: bool = True, path: str = "/echo"
) -> tuple[int, bytes]:
    """Send a body in parts; return status and body of the answer. Not `complete`: its end never comes.

    To /half all but the first part comes when the answer has begun; who sends to /gone hangs up behind the parts.
    """
    answered: list[Message] = []
    left = list(parts)

    async def receive() -> Message:
        if not left and path == "/gone":
            return {"type": "http.disconnect"}
        if not left:
            await asyncio.Event().wait()
        while path == "/half" and len(left) < len(parts) and len(answered) < 2:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not complete}

    async def send(message: Message) -> None:
        answered.append(message)

    headers = [] if length is None else [(b"content-length", length.encode())]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
    }
    await APPLICATION(scope, receive, send)
    assert [each.get("more_body", False) for each in answered[1:]] == [True] * (len(answered) - 2) + [False]
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


TOO_MUCH = [
    pytest.param([b"0123456789", b"a"], True, 413, id="large"),
    pytest.param([b"01"], False, 408, id="slow"),
]


@pytest.mark.parametrize(("parts", "complete", "status"), TOO_MUCH)
async def test_a_body_behind_the_beginning_of_an_answer_ends_it(
    parts: list[bytes], complete: bool, status: int
) -> None:
    """A stream whose request has a body that is not taken ends as if its caller had hung up, without a defect."""
    async with asyncio.timeout(5):
        assert await call(parts, complete=complete, path="/half") == (200, b"data: early\n\n"), status


@pytest.mark.parametrize(("parts", "complete", "status"), TOO_MUCH)
async def test_a_body_that_is_read_beside_the_answer_is_refused_too(
    parts: list[bytes], complete: bool, status: int
) -> None:
    """What is refused within a group of tasks, which ends in a group of errors, is answered as a problem."""
    async with asyncio.timeout(5):
        assert (await call(parts, complete=complete, path="/aside/"))[0] == status


async def test_a_caller_who_hangs_up_in_a_body_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    """Half a body and then nobody there leaves no error in the log: an answer is made, and nobody reads it."""
    await call([b"01"], complete=False, path="/gone")
    assert caplog.records == []
