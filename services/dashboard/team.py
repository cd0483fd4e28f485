"""The Owner's view of what the team asks for: counts, names and notes, and what can be done about it."""

from http import HTTPStatus
from typing import NamedTuple

from starlette.responses import Response

from services.dashboard.asking import command_of, is_answered
from services.dashboard.cards import Link, link_of
from services.dashboard.client import attempt
from services.dashboard.orders import sent
from services.dashboard.plan import status_of
from services.dashboard.shapes import AddOns, FeatureRequest, FeatureRequests, ShownAddOn
from services.dashboard.visits import Visit, page
from services.runtime.authentication import Kind

OWNER = "owner"
_TREND_DAYS_MAX = 30
_FORMS = {"decline": "DeclineFeature", "snooze": "SnoozeFeature", "digest": "ChangeDigest"}
_BUYING = ("subscribe_now", "request_quote", "try_for_free")


class Wish(NamedTuple):
    """What the team asks for: an add-on, who asked as far as that is known, and what an Owner can do about it."""

    add_on: ShownAddOn
    waiting: int
    request: FeatureRequest | None
    links: tuple[Link, ...]
    bars: tuple[tuple[str, int, int], ...]

    @property
    def may_be_declined(self) -> bool:
        """Whether somebody waits for an answer: to decline what was answered already is refused."""
        return self.request is None or self.request.open != 0


@page(Kind.MEMBER)
async def requests(visit: Visit) -> Response:
    """Show an Owner the team's requests; how many there are is known even where notifications does not answer."""
    shown = await visit.add_ons()
    if not isinstance(shown, AddOns):
        return visit.live_page("team.html", shown, wishes=(), asked=None, status=status_of(shown))
    if shown.role != OWNER:
        return visit.message(HTTPStatus.FORBIDDEN, "For Owners", "What the team asks for is shown to the Owners.")
    asked = await attempt(visit.desk.client.feature_requests(visit.account_id, visit.token))
    by_add_on = {each.add_on: each for each in asked.feature_requests} if isinstance(asked, FeatureRequests) else {}
    wishes = tuple(
        wish for wish in (wish_of(each, by_add_on.get(each.add_on)) for each in shown.add_ons) if wish is not None
    )
    return visit.live_page("team.html", shown, wishes=wishes, asked=asked)


def wish_of(add_on: ShownAddOn, request: FeatureRequest | None) -> Wish | None:
    """Return what is shown of an add-on that somebody waits for, None when nobody does."""
    waiting = request.people if request is not None else add_on.requests_open or 0
    if waiting == 0:
        return None
    links = tuple(link_of(add_on, each, "email") for each in _BUYING if add_on.opens(each))
    return Wish(add_on, waiting, request, links, bars_of(request))


def bars_of(request: FeatureRequest | None) -> tuple[tuple[str, int, int], ...]:
    """Return the trend as bars: day, how many asked, the height of its bar from 1 to 24. One day is no trend."""
    days = request.trend[-_TREND_DAYS_MAX:] if request is not None and len(request.trend) > 1 else ()
    most = max((day.requests for day in days), default=0)
    return tuple((day.day.isoformat(), day.requests, 1 + 23 * day.requests // most if most else 1) for day in days)


@page(Kind.MEMBER)
async def decide(visit: Visit) -> Response:
    """Ask an Owner how to decline or snooze requests, or how often to hear of them."""
    what = visit.part("what")
    if what not in _FORMS:
        return visit.message(HTTPStatus.NOT_FOUND, "Not found", "There is no such page.")
    done = await sent(visit)
    if done is not None:
        return done
    command_id = command_of(visit)
    if isinstance(command_id, Response):
        return command_id
    shown = await visit.add_ons()
    if not isinstance(shown, AddOns):
        return visit.page("team.html", status_of(shown), shown=shown, wishes=(), asked=None)
    add_on = shown.find(visit.query("add_on"))
    if shown.role != OWNER or (add_on is None and what != "digest"):
        return visit.message(HTTPStatus.FORBIDDEN, "For Owners", "What the team asks for is decided by the Owners.")
    about = add_on.add_on if add_on is not None and what != "digest" else ""
    answered = is_answered(visit, visit.account_id, command_id, about)
    return visit.page(
        "decide.html",
        visit.form_status,
        shown=shown,
        what=what,
        kind=_FORMS[what],
        add_on=add_on,
        command_id=command_id,
        answered=answered,
        today=visit.formats.local_day(visit.desk.clock.now()),
        cadence=visit.form.get("cadence") or (await _cadence(visit) if what == "digest" else None),
    )


async def _cadence(visit: Visit) -> str | None:
    """Return how often the Owners hear of requests now, None where that cannot be asked."""
    asked = await attempt(visit.desk.client.feature_requests(visit.account_id, visit.token))
    return asked.cadence if isinstance(asked, FeatureRequests) else None
