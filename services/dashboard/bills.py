"""Invoices for Owners: the list, the next bill, one invoice with every figure of its lines, and the document."""

import re
from http import HTTPStatus

from starlette.responses import Response

from services.dashboard.client import Refused, Trouble, attempt
from services.dashboard.plan import status_of
from services.dashboard.shapes import AddOns, ShownLine, UpcomingBill
from services.dashboard.team import OWNER
from services.dashboard.visits import Visit, page
from services.runtime.authentication import Kind

KINDS = {"immediate": "Purchase", "renewal": "Renewal", "adjustment": "More seats", "credit": "Credit"}
_UNFIT_FOR_A_NAME = re.compile(r"[^A-Za-z0-9._-]")


@page(Kind.MEMBER)
async def invoices(visit: Visit) -> Response:
    """List the invoices, newest first, and what comes next."""
    shown = await visit.add_ons()
    if not_an_owner(shown):
        return visit.message(HTTPStatus.FORBIDDEN, "For Owners", "Invoices are shown to the Owners of your account.")
    before = visit.query("before") or None
    listed = await attempt(visit.desk.client.invoices(visit.account_id, visit.token, before))
    bill = await attempt(visit.desk.client.upcoming_bill(visit.account_id, visit.token))
    coming = bill if isinstance(bill, UpcomingBill) and bill.date is not None else None
    return visit.live_page("invoices.html", shown, listed=listed, coming=coming, kinds=KINDS, before=before)


@page(Kind.MEMBER)
async def invoice(visit: Visit) -> Response:
    """Show one invoice and how it came to its amounts."""
    shown = await visit.add_ons()
    if not_an_owner(shown):
        return visit.message(HTTPStatus.FORBIDDEN, "For Owners", "Invoices are shown to the Owners of your account.")
    found = await attempt(visit.desk.client.invoice(visit.account_id, visit.part("number"), visit.token))
    status = HTTPStatus.OK
    if isinstance(found, Trouble | Refused):
        status = HTTPStatus(status_of(found))
    elif found.lines:
        visit.formats = visit.formats.at(found.lines[0].timezone)  # where its days were counted
    return visit.page("invoice.html", status, shown=shown, found=found, kinds=KINDS, equation=equation_of)


@page(Kind.MEMBER)
async def document(visit: Visit) -> Response:
    """Hand an invoice's PDF on: a browser has no token to ask billing with."""
    number = visit.part("number")
    found = await attempt(visit.desk.client.invoice_document(visit.account_id, number, visit.token))
    if isinstance(found, Refused):
        return visit.message(found.status, "No such invoice", found.message)
    if isinstance(found, Trouble):
        return visit.message(HTTPStatus.SERVICE_UNAVAILABLE, "The document cannot be had now", found.sentence)
    name = _UNFIT_FOR_A_NAME.sub("_", number)
    headers = {"Content-Disposition": f'inline; filename="{name}.pdf"'}
    return Response(found, media_type="application/pdf", headers=headers)


def not_an_owner(shown: object) -> bool:
    """Whether it is known that somebody is no Owner; where it is not known, billing decides by itself."""
    return isinstance(shown, Refused) or (isinstance(shown, AddOns) and shown.role != OWNER)


def equation_of(line: ShownLine, visit: Visit) -> str:
    """Return how a line came to its amount, in the reader's own figures."""
    formats, share = visit.formats, line.share
    seats = f" × {formats.number(line.quantity.total)}" if line.has_seats else ""
    part = "" if share.numerator == share.denominator else f" × {share.numerator}/{share.denominator}"
    return f"{formats.money(line.unit_price)}{seats}{part} = {formats.money(line.amount)}"
