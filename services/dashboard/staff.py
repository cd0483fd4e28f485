"""The vendor's staff: find an account, see what it has and what happened to it, and order what only staff may."""

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.responses import Response

from services.dashboard.asking import command_of, is_answered
from services.dashboard.bills import KINDS
from services.dashboard.client import attempt
from services.dashboard.commands import FormError, id_of, is_id, sent_as
from services.dashboard.log import LogAway
from services.dashboard.orders import answer_page, carry_out, outcome_of
from services.dashboard.shapes import Entitlements, Invoices
from services.dashboard.staff_orders import ORDERS, staff_command
from services.dashboard.standing import standing_of
from services.dashboard.visits import Visit, go, page
from services.runtime.authentication import Kind

_NAMED = ("add_on", "invoice_number")
_ABOUT = ("add_on", "subscription_id", "invoice_number", "currency")


@page(Kind.STAFF)
async def find(visit: Visit) -> Response:
    """Ask which account."""
    wanted = visit.query("id").strip()
    if wanted:
        return go(_address(wanted))
    return visit.page("find.html")


@page(Kind.STAFF)
async def account(visit: Visit) -> Response:
    """Show an account: what it has, its invoices and its history."""
    account_id = visit.query("id")
    try:
        names = {each: add_on.name for each, add_on in visit.desk.catalog.add_ons.items()}
        standing = standing_of(await visit.desk.staff_log.of(account_id), names, visit.desk.clock.now())
    except LogAway:
        text = "The log cannot be read right now: nothing is lost, try again in a moment."
        return visit.message(HTTPStatus.SERVICE_UNAVAILABLE, "Try again in a moment", text)
    if standing.account is None and not standing.history:
        text = f"Nothing has been said of an account {account_id}: its id is what the account system calls it."
        return visit.page("find.html", HTTPStatus.NOT_FOUND, said=text)
    if standing.account is not None:
        visit.formats = visit.formats.at(standing.account.timezone)
    before = visit.query("before") or None
    listed = await attempt(visit.desk.client.invoices(account_id, visit.token, before))
    access = await attempt(visit.desk.client.entitlements(account_id, visit.token))
    add_ons = dict.fromkeys([*visit.desk.catalog.add_ons, *standing.add_ons])
    return visit.page(
        "account.html",
        account_id=account_id,
        standing=standing,
        held=[(each, name_of(visit, each), standing.held(each)) for each in add_ons],
        listed=listed,
        older=_address(account_id, before=str(listed.next)) if isinstance(listed, Invoices) and listed.next else None,
        newest=_address(account_id) if before else None,
        access={each.add_on: each for each in access.entitlements} if isinstance(access, Entitlements) else None,
        kinds=KINDS,
        order_at=order_at,
    )


def name_of(visit: Visit, add_on: str) -> str:
    """Return what the catalog calls an add-on."""
    found = visit.desk.catalog.add_ons.get(add_on)
    return found.name if found is not None else add_on


def order_at(account_id: str, order: str, **about: str) -> str:
    """Return the address of a form of staff."""
    return f"/back-office/order?{urlencode({'id': account_id, 'order': order, **about})}"


def _address(account_id: str, **about: str) -> str:
    return f"/back-office/account?{urlencode({'id': account_id, **about})}"


@page(Kind.STAFF)
async def order(visit: Visit) -> Response:
    """Show a form of staff, and send what it orders."""
    done = await _sent(visit)
    if done is not None:
        return done
    command_id = command_of(visit)
    if isinstance(command_id, Response):
        return command_id
    wanted = ORDERS.get(visit.query("order"))
    if wanted is None:
        return visit.message(HTTPStatus.NOT_FOUND, "Not found", "There is no such form.")
    account_id = visit.query("id")
    return visit.page(
        "staff_order.html",
        visit.form_status,
        account_id=account_id,
        back=_address(account_id),
        order=wanted,
        name=visit.query("order"),
        about={name: visit.query(name) for name in _ABOUT if visit.query(name)},
        named=[account_id, *(name_of(visit, visit.query(each)) for each in _NAMED if visit.query(each))],
        command_id=command_id,
        answered=is_answered(visit, account_id, command_id),
    )


async def _sent(visit: Visit) -> Response | None:
    if visit.request.method != "POST" or visit.resumed:
        return None
    account_id = visit.form.get("id", "")
    try:
        form_id = id_of(visit.form)
        command = staff_command(visit.form, account_id, visit.who.subject)
    except FormError as error:
        visit.wrong = error
        return None
    then = urlencode({"id": account_id, "command": form_id})
    return await carry_out(
        visit, command, sent_as(form_id, account_id, visit.who.subject), f"/back-office/answer?{then}"
    )


@page(Kind.STAFF)
async def answer(visit: Visit) -> Response:
    """Show the answer to an order of staff, or that it is on its way."""
    account_id, form_id = visit.query("id"), visit.query("command")
    command_id = sent_as(form_id, account_id, visit.who.subject)
    found = await visit.desk.find_answer(account_id, command_id) if is_id(form_id) else None
    outcome = outcome_of(found, None, "") if found is not None else None
    return answer_page(visit, outcome, _address(account_id))
