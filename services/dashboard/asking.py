"""Forms that lead to a command: buy, ask for a quote, try, ask the Owners. Each knows the one command it is for.

The form's id is part of its address: a reload and the back button show the form of the same command.
"""

from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from services.dashboard.arithmetic import at_most, sum_of
from services.dashboard.cards import LABELS, PATHS, closed_of, link_of
from services.dashboard.client import attempt
from services.dashboard.commands import entry_point, is_id, new_id, sent_as
from services.dashboard.orders import sent
from services.dashboard.plan import status_of
from services.dashboard.shapes import AddOns, Preview, ShownAddOn
from services.dashboard.visits import Visit, go, page
from services.runtime.authentication import Kind

STEPS = ("Choose", "Price", "Confirm", "Done")


class Offer(NamedTuple):
    """An add-on that the member may do something about, and everything they see."""

    shown: AddOns
    add_on: ShownAddOn
    entry_point: str


async def offer_of(visit: Visit, action: str) -> Offer | Response:
    """Return the add-on of an address where `action` is open to the member, else the page that says why not."""
    shown = await visit.add_ons()
    if not isinstance(shown, AddOns):
        return visit.page("plan.html", status_of(shown), shown=shown, cards=(), banners=())
    add_on = shown.find(visit.part("add_on"))
    if add_on is None:
        return visit.message(HTTPStatus.NOT_FOUND, "No such add-on", "Choose one of those in the Plan tab.")
    start = entry_point(visit.query("from"))
    if add_on.opens(action):
        return Offer(shown, add_on, start)
    found = add_on.action(action)
    instead = tuple(link_of(add_on, each.action, start) for each in add_on.actions if each.open)
    return visit.page(
        "closed.html",
        HTTPStatus.CONFLICT,
        shown=shown,
        add_on=add_on,
        label=LABELS[action],
        closed=closed_of((found,)) if found else (),
        instead=instead,
    )


def command_of(visit: Visit) -> str | Response:
    """Return the id of this form, or send the browser to the form with one."""
    given = visit.form.get("command_id") or visit.query("command")
    if is_id(given):
        return given
    kept = {name: text for name, text in visit.request.query_params.items() if name != "command"}
    return go(f"{visit.request.url.path}?{urlencode({**kept, 'command': new_id()})}")


def is_answered(visit: Visit, account_id: str, form_id: str, add_on: str = "") -> bool:
    """Whether this process has the answer to what the visitor sent with a form."""
    return visit.desk.answers.get(account_id, sent_as(form_id, account_id, visit.who.subject, add_on)) is not None


@page(Kind.MEMBER)
async def choose(visit: Visit) -> Response:
    """Let an Owner choose what to subscribe to: the first step."""
    shown = await visit.add_ons()
    if not isinstance(shown, AddOns):
        return visit.page("plan.html", status_of(shown), shown=shown, cards=(), banners=())
    start = entry_point(visit.query("from"))
    choices = tuple(
        (each, link_of(each, "subscribe_now", start)) for each in shown.add_ons if each.opens("subscribe_now")
    )
    return visit.page("choose.html", shown=shown, choices=choices, steps=STEPS)


@page(Kind.MEMBER)
async def price(visit: Visit) -> Response:
    """Show what the purchase costs, figure by figure: the second step."""
    offer = await offer_of(visit, "subscribe_now")
    if isinstance(offer, Response):
        return offer
    preview = await _preview(visit, offer)
    said = sum_of(preview, visit.formats) if isinstance(preview, Preview) else None
    bound = at_most(offer.add_on.price, visit.formats) if offer.add_on.price else None
    return visit.page(
        "price.html",
        shown=offer.shown,
        offer=offer,
        preview=preview,
        sum=said,
        bound=bound,
        steps=STEPS,
    )


@page(Kind.MEMBER)
async def confirm(visit: Visit) -> Response:
    """Ask for the last word, with the price promised: the third step."""
    done = await sent(visit)
    if done is not None:
        return done
    command_id = command_of(visit)
    if isinstance(command_id, Response):
        return command_id
    answered = is_answered(visit, visit.account_id, command_id, visit.part("add_on"))
    offer = await offer_of(visit, "subscribe_now")
    if isinstance(offer, Response):
        return go(f"/answers/{command_id}?add_on={visit.part('add_on')}") if answered else offer
    preview = await _preview(visit, offer)
    return visit.page(
        "confirm.html",
        visit.form_status,
        shown=offer.shown,
        offer=offer,
        preview=preview,
        sum=sum_of(preview, visit.formats) if isinstance(preview, Preview) else None,
        bound=at_most(offer.add_on.price, visit.formats) if offer.add_on.price else None,
        command_id=command_id,
        answered=answered,
        steps=STEPS,
    )


async def _preview(visit: Visit, offer: Offer) -> object:
    return await attempt(visit.desk.client.preview(visit.account_id, offer.add_on.add_on, visit.token))


_FORMS = {
    "request_quote": (
        "RequestQuote",
        "Request a quote for {name}",
        "Your account manager gets your request and answers with an offer. Nothing is bought until you accept it.",
        "What should your account manager know?",
        "Request the quote",
    ),
    "try_for_free": (
        "StartTrial",
        "Try {name} for free",
        "Everybody can use it for {days}. It costs nothing and ends by itself. There is one trial per add-on.",
        None,
        "Start the free trial",
    ),
    "request_feature": (
        "RequestFeature",
        "Request {name}",
        "The Owners of your account are told that you need it, together with everybody else who asks.",
        "Why do you need it?",
        "Send the request",
    ),
}


@page(Kind.MEMBER)
async def ask(visit: Visit) -> Response:
    """Ask for a quote, a trial or a feature."""
    done = await sent(visit)
    if done is not None:
        return done
    action = next(name for name, path in PATHS.items() if visit.request.url.path.startswith(f"{path}/"))
    command_id = command_of(visit)
    if isinstance(command_id, Response):
        return command_id
    answered = is_answered(visit, visit.account_id, command_id, visit.part("add_on"))
    offer = await offer_of(visit, action)
    if isinstance(offer, Response):
        return go(f"/answers/{command_id}?add_on={visit.part('add_on')}") if answered else offer
    kind, title, text, note, button = _FORMS[action]
    days = f"{visit.formats.number(offer.add_on.trial_days)} days"
    return visit.page(
        "ask.html",
        visit.form_status,
        shown=offer.shown,
        offer=offer,
        kind=kind,
        title=title.format(name=offer.add_on.name),
        text=text.format(name=offer.add_on.name, days=days),
        note=note,
        button=button,
        command_id=command_id,
        answered=answered,
    )
