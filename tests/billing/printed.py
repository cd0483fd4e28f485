"""Invoices as people read them: one to print, what is written in the PDF, and what a browser sees of the page."""

import io
import re
from html.parser import HTMLParser
from typing import Any

from pypdf import PdfReader

from contracts.backoffice import Staff
from contracts.invoices import InvoiceIssued
from services.billing.account import InvoiceRow
from services.billing.queries import ShownInvoice, shown
from tests.billing.scenario import given, purchase

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> & {{ 7 * 7 }} **b** ${x} {nb}"
ONE = "acme-000001"
NAMED = {"analytics_plus": "Analytics+"}


def invoice(billed_to: str = "Acme", *, to_staff: bool = False, by: Staff | None = None, **line: Any) -> ShownInvoice:
    """Return the invoice of a purchase, with these fields of its line changed."""
    (issued,) = given().when(purchase()).emitted
    assert isinstance(issued, InvoiceIssued)
    lines = tuple(each.model_copy(update=line) for each in issued.lines)
    row = InvoiceRow(invoice=issued.model_copy(update={"lines": lines, "by": by}), billed_to=billed_to)
    return shown(row, NAMED, to_staff=to_staff)


def text_of(content: bytes) -> str:
    """Return the text of a PDF with single spaces."""
    pages = PdfReader(io.BytesIO(content)).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


class Seen(HTMLParser):
    """What a browser sees of a page: its elements, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and its attributes."""
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += f"{data} "
