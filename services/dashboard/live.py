"""The stream that tells an open page that its account has changed, and for how long it may stay open."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.responses import Response, StreamingResponse

from services.dashboard.visits import Visit, page
from services.runtime.authentication import Kind

_ENDED = "event: session-ended\ndata: -\n\n"
_RETRY_MS = 1_000
_RETRY_AFTER_SECONDS = "30"


@page(None)
async def live(visit: Visit) -> Response:
    """Stream the changes of a member's account for as long as their session lasts; then say that it has ended.

    A page whose session is no longer the browser's is told so at once. 503 where there are too many streams, of this
    member or in all: browsers then wait ever longer before they ask again.
    """
    changes, caller = visit.desk.changes, visit.caller
    if caller is None or caller.kind is not Kind.MEMBER or not visit.is_of_this_session:
        return _stream(_said(_ENDED))
    if changes.full(visit.account_id, caller.subject):
        return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": _RETRY_AFTER_SECONDS})
    seen = visit.request.headers.get("last-event-id") or visit.query("seen")
    account_id = visit.account_id
    left_seconds = caller.accepted_until - visit.desk.clock.now().timestamp()

    async def said() -> AsyncIterator[str]:
        begin = changes.mark(account_id) if seen == "" else _plain(seen)
        yield f"event: connected\nretry: {_RETRY_MS}\nid: {begin}\ndata: -\n\n"
        async for mark in changes.follow(account_id, caller.subject, seen, left_seconds):
            yield f"event: account-changed\nid: {mark}\ndata: {mark}\n\n" if mark else ": quiet\n\n"
        if not changes.stopped:
            yield _ENDED

    return _stream(said())


def _stream(said: AsyncIterator[str]) -> Response:
    return StreamingResponse(said, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _said(text: str) -> AsyncIterator[str]:
    yield text


def _plain(mark: str) -> str:
    return "".join(each for each in mark if each.isascii() and (each.isalnum() or each == "-"))[:64]
