"""The stream that tells an open page that its account has changed, and for how long it may stay open."""

from collections.abc import AsyncIterator
from http import HTTPStatus

from starlette.responses import Response, StreamingResponse

from services.dashboard.visits import Visit, page
from services.runtime.authentication import Kind

EVENT = "account-changed"


@page(None)
async def live(visit: Visit) -> Response:
    """Stream the changes of a member's account; 204 to anybody else, which ends nobody's page."""
    changes = visit.desk.changes
    if visit.caller is None or visit.caller.kind is not Kind.MEMBER or changes.full:
        return Response(status_code=HTTPStatus.NO_CONTENT)
    seen = visit.request.headers.get("last-event-id") or visit.query("seen")
    account_id, expires_at = visit.account_id, visit.caller.expires_at

    async def stream() -> AsyncIterator[str]:
        yield f"retry: 1000\nid: {changes.mark(account_id) if seen == '' else _plain(seen)}\n\n"
        async for mark in changes.follow(account_id, seen):
            if visit.desk.clock.now().timestamp() >= expires_at:
                return
            yield f"event: {EVENT}\nid: {mark}\ndata: {mark}\n\n" if mark else ": quiet\n\n"

    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


def _plain(mark: str) -> str:
    return "".join(each for each in mark if each.isascii() and (each.isalnum() or each == "-"))[:64]
