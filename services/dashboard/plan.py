"""The Plan tab: every add-on with what this member can do about it, now."""

from http import HTTPStatus

from starlette.responses import Response

from services.dashboard.cards import banners_of, card_of
from services.dashboard.shapes import AddOns
from services.dashboard.visits import Visit, page
from services.runtime.authentication import Kind


@page(Kind.MEMBER)
async def plan(visit: Visit) -> Response:
    """Show the cards, or plainly why there are none."""
    shown = await visit.add_ons()
    if not isinstance(shown, AddOns):
        return visit.live_page("plan.html", shown, cards=(), banners=(), status=status_of(shown))
    now = visit.desk.clock.now()
    cards = tuple(card_of(each, visit.formats, now) for each in shown.add_ons)
    return visit.live_page("plan.html", shown, cards=cards, banners=banners_of(shown, visit.formats, now))


def status_of(shown: object) -> int:
    """Return the status of a page whose main part is missing."""
    return getattr(shown, "status", HTTPStatus.SERVICE_UNAVAILABLE)
