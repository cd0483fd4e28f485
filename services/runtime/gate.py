"""What a request must pass before anything looks at it: a body of bounded size that comes in bounded time.

A pure ASGI layer, so that streams and disconnections pass it as they are. What it cannot see, the request line and the
headers, is bounded by the server (`server.py`).
"""

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.runtime.problems import HttpReason, Problem


class BodyGate:
    """Refuses bodies of more than `bytes_max` (413), and those not there within `seconds` (408).

    An answer that began before (a stream's) is ended instead, as if its caller had hung up.
    """

    def __init__(self, application: ASGIApp, bytes_max: int, seconds: int) -> None:
        self._application = application
        self._bytes_max = bytes_max
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or int(length) > self._bytes_max:
            await self._too_large().response()(scope, receive, send)
            return
        body = _Body(self, receive, send, self._bytes_max, asyncio.get_running_loop().time() + self._seconds)
        try:
            await self._application(scope, body.receive, body.send)
            await body.end()
        except* _NotTaken:  # by itself, or as one of those that a group of tasks ended with
            await body.refuse(scope)

    def _too_large(self) -> Problem:
        detail = f"A request body has at most {self._bytes_max} bytes here."
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HttpReason.BODY_TOO_LARGE, detail, headers={"Connection": "close"}
        )

    def _too_slow(self) -> Problem:
        detail = f"The request body was not there within {self._seconds} seconds."
        return Problem(HTTPStatus.REQUEST_TIMEOUT, HttpReason.REQUEST_TIMEOUT, detail, headers={"Connection": "close"})


class _NotTaken(BaseException):
    """Ends a request whose body is not taken; no handler of the application's is to catch it."""


class _Body:
    """The body of one request, as it comes."""

    def __init__(self, gate: BodyGate, receive: Receive, send: Send, bytes_left: int, deadline: float) -> None:
        self._gate = gate
        self._receive = receive
        self._send = send
        self._bytes_left = bytes_left
        self._deadline = deadline
        self._complete = False
        self._answered = self._ended = self._cut_off = False
        self._problem: Problem | None = None

    async def receive(self) -> Message:
        """Return the next part; what comes behind the body (a disconnection) may take its time."""
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            return self._not_taken(self._gate._too_slow())  # noqa: SLF001 - its own part
        if message["type"] == "http.request":
            self._bytes_left -= len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._bytes_left < 0:
                return self._not_taken(self._gate._too_large())  # noqa: SLF001 - its own part
        return message

    def _not_taken(self, problem: Problem) -> Message:
        """End the request; once it is being answered, only by saying that its caller is gone."""
        if self._answered:
            self._cut_off = self._complete = True
            return {"type": "http.disconnect"}
        self._problem = problem
        raise _NotTaken

    async def send(self, message: Message) -> None:
        """Pass an answer on, unless the request is refused."""
        if self._problem is None:
            self._answered = True
            self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await self._send(message)

    async def end(self) -> None:
        """End an answer that was cut off, if its application did not."""
        if self._cut_off and not self._ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, scope: Scope) -> None:
        """Answer with why the body was not taken."""
        if self._problem is not None:
            await self._problem.response()(scope, self._receive, self._send)
