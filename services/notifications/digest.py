"""How feature requests for one add-on add up, and what Owners are told about them.

What stays true (`tests/notifications/test_digest.py`):
- A person counts once however often they ask, under the role of their latest request.
- An aggregate's size does not depend on how many people asked.
- Every request is news until a notice tells it, a purchase leaves nothing to ask for, or an Owner turns it down.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from contracts.payload import Value

NEWEST_MAX: Final = 10


class Request(Value):
    """Who asked, in which role, and in which words."""

    user_id: str
    role: str
    requested_at: datetime
    name: str | None = None
    note: str | None = None


class News(Value):
    """Requests that no notice has told yet.

    `since` is when the oldest of them was made. `opener` is the one that the first notice is about, while that notice
    is outstanding.
    """

    requests: int
    since: datetime
    opener: Request | None = None


class Aggregate(Value):
    """Everything Owners learn about the requests for one add-on.

    `people` counts distinct members and is the sum of `roles`; `newest` holds the latest request of at most NEWEST_MAX
    of them, newest first. `noticed` says that some notice has reached the Owners since they last turned requests down.
    `open_requests` are those that neither a purchase nor a refusal has answered, whether a notice told them or not.
    """

    first_requested_at: datetime
    last_requested_at: datetime
    people: int = 0
    roles: Mapping[str, int] = {}
    newest: tuple[Request, ...] = ()
    news: News | None = None
    noticed: bool = False
    open_requests: int = 0


def latest(earlier: Request | None, request: Request) -> Request:
    """Return what a member asks for after asking again: the newer request, with the older one's note if it has none."""
    if earlier is None:
        return request
    newer, older = (request, earlier) if request.requested_at >= earlier.requested_at else (earlier, request)
    return newer if newer.note is not None or older.note is None else newer.model_copy(update={"note": older.note})


def add(aggregate: Aggregate | None, request: Request, earlier: Request | None, *, is_news: bool) -> Aggregate:
    """Count a request. `earlier` is the same member's latest one so far, None when they never asked.

    A request that is not news only completes the history (it was answered before it arrived). Cost: NEWEST_MAX.
    """
    at = request.requested_at
    before = aggregate or Aggregate(first_requested_at=at, last_requested_at=at)
    current = latest(earlier, request)
    others = (entry for entry in before.newest if entry.user_id != request.user_id)
    newest = sorted((current, *others), key=lambda entry: entry.requested_at, reverse=True)
    return before.model_copy(
        update={
            "first_requested_at": min(before.first_requested_at, at),
            "last_requested_at": max(before.last_requested_at, at),
            "people": before.people + (earlier is None),
            "roles": _moved(before.roles, earlier.role if earlier else None, current.role),
            "newest": tuple(newest[:NEWEST_MAX]),
            "news": _with_request(before, request) if is_news else before.news,
            "open_requests": before.open_requests + is_news,
        }
    )


def _moved(roles: Mapping[str, int], old: str | None, new: str) -> Mapping[str, int]:
    if old == new:
        return roles
    counts = {**roles, new: roles.get(new, 0) + 1}
    if old is not None:
        counts[old] -= 1
    return {role: count for role, count in counts.items() if count}


def _with_request(aggregate: Aggregate, request: Request) -> News:
    news = aggregate.news
    if news is None:
        return News(requests=1, since=request.requested_at, opener=None if aggregate.noticed else request)
    since = min(news.since, request.requested_at)
    return news.model_copy(update={"requests": news.requests + 1, "since": since})


def after_first_notice(aggregate: Aggregate) -> Aggregate:
    """Mark the opener as told; what came after it stays news, still counted from `since`, so never told too late."""
    news = aggregate.news
    rest = None
    if news is not None and news.requests > 1:
        rest = news.model_copy(update={"requests": news.requests - 1, "opener": None})
    return aggregate.model_copy(update={"news": rest, "noticed": True})


def after_digest(aggregate: Aggregate) -> Aggregate:
    """Mark everything as told."""
    return aggregate.model_copy(update={"news": None, "noticed": True})


def after_purchase(aggregate: Aggregate, purchased_at: datetime) -> Aggregate:
    """Drop the news, as there is nothing left to ask for, unless somebody asked again after that purchase.

    The counts stay as history.
    """
    if aggregate.last_requested_at > purchased_at:
        return aggregate
    return aggregate.model_copy(update={"news": None, "open_requests": 0})


def after_decline(aggregate: Aggregate, declined_at: datetime) -> Aggregate:
    """Drop the news and let the next request open anew, unless somebody asked again after it was turned down.

    The counts stay as history.
    """
    if aggregate.last_requested_at > declined_at:
        return aggregate
    return aggregate.model_copy(update={"news": None, "noticed": False, "open_requests": 0})


def first_notice(opener: Request) -> dict[str, Any]:
    """Return what the first notice says, as plain data: requested_by {user_id, role, name}, note, requested_at."""
    said = opener.model_dump(mode="json")
    return {
        "requested_by": {key: said[key] for key in ("user_id", "role", "name")},
        "note": said["note"],
        "requested_at": said["requested_at"],
    }


def digest(aggregate: Aggregate) -> dict[str, Any]:
    """Return what a digest says, as plain data: the whole aggregate, and `new_requests` since the last notice.

    `people` and `roles` count everybody who ever asked, `new_requests` also those who asked again.
    """
    told = {"people", "roles", "first_requested_at", "last_requested_at", "newest"}
    new = aggregate.news.requests if aggregate.news else 0
    return {**aggregate.model_dump(mode="json", include=told), "new_requests": new}
