"""The Plan tab: every add-on with what this member can do about it, now."""

import asyncio
from http import HTTPStatus

from starlette.responses import Response

from services.dashboard.cards import banners_of, card_of
from services.dashboard.client import attempt
from services.dashboard.shapes import AddOns, Entitlements
from services.dashboard.visits import Visit, page
from services.runtime.authentication import Kind


@page(Kind.MEMBER)
async def plan(visit: Visit) -> Response:
    """Show the cards, or plainly why there are none."""
    desk = visit.desk
    access = attempt(desk.client.entitlements(visit.account_id, visit.token))
    shown, held = await asyncio.gather(visit.add_ons(), access)
    if not isinstance(shown, AddOns):
        return visit.live_page("plan.html", shown, cards=(), banners=(), status=status_of(shown))
    now, left = desk.clock.now(), _days_left(held)
    cards = tuple(card_of(each, visit.formats, now, left.get(each.add_on)) for each in shown.add_ons)
    return visit.live_page("plan.html", shown, cards=cards, banners=banners_of(shown, visit.formats, now, left))


def _days_left(held: object) -> dict[str, int]:
    """Return the days of the trials that run, as entitlements counts them: its time may be a rehearsal's."""
    found = held.entitlements if isinstance(held, Entitlements) else ()
    return {each.add_on: each.trial_days_left for each in found if each.trial_days_left is not None}


def status_of(shown: object) -> int:
    """Return the status of a page whose main part is missing."""
    return getattr(shown, "status", HTTPStatus.SERVICE_UNAVAILABLE)
