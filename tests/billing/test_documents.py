"""Invoices for people: the same bytes for the same invoice, and every figure and name as it is."""

import asyncio
import hashlib
import io
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from contracts.backoffice import Staff
from contracts.invoices import InvoiceIssued
from services.billing import documents, printing
from services.billing.account import InvoiceRow
from services.billing.queries import ShownInvoice, shown
from tests.billing.bills import account_fact
from tests.billing.opening import CREDIT, CREDITS, INVOICES, as_staff, billing
from tests.billing.previewing import account
from tests.billing.running import Running, credit
from tests.billing.scenario import given, purchase
from tests.doors import Opened

NAMES = "Zażółć gęślą jaźń, Ελλάς, Україна, שלום"
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> & {{ 7 * 7 }} **b** ${x} {nb}"
ONE = "acme-000001"
NAMED = {"analytics_plus": "Analytics+"}
_RENDER = """
import hashlib, sys
from services.billing import documents
from services.billing.queries import ShownInvoice
invoice = ShownInvoice.model_validate_json(sys.stdin.read())
print(hashlib.sha256(documents.pdf(invoice)).hexdigest(), hashlib.sha256(documents.page(invoice).encode()).hexdigest())
"""


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


class _Seen(HTMLParser):
    """What a browser sees of a page: its elements, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_two_runs_write_the_same_bytes() -> None:
    """Processes with other hash seeds and zones, at other moments, write the same PDF and the same page."""
    given_to = invoice(NAMES)
    written = {
        subprocess.run(
            [sys.executable, "-c", _RENDER],
            input=given_to.model_dump_json(by_alias=True),
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    here = (documents.pdf(given_to), documents.page(given_to).encode())
    assert written == {" ".join(hashlib.sha256(each).hexdigest() for each in here) + "\n"}


def test_a_pdf_has_no_time_but_its_invoices_own() -> None:
    """The document says that it was made when the invoice was issued, and names no version of anything."""
    content = documents.pdf(invoice())
    metadata = PdfReader(io.BytesIO(content)).metadata
    assert metadata is not None
    assert metadata.creation_date == invoice().issued_at
    assert metadata.producer == "addonflow"
    assert metadata.title == f"Invoice {ONE}"
    assert b"fpdf" not in content.lower()


def test_both_say_what_the_invoice_says() -> None:
    """Number, names of any script, dates, seats, unit price, derivation and amounts are on the page and in the PDF."""
    given_to = invoice("Zażółć Ελλάς Україна")
    for text in (text_of(documents.pdf(given_to)), re.sub(r"\s+", " ", _Seen(documents.page(given_to)).text)):
        for said in (
            ONE,
            "Zażółć Ελλάς Україна",
            "30 Sep 2026, 16:00 UTC",
            "1 seat",
            "17.95 USD x 1 seat x 20/30 days (30 Sep 2026 to 19 Oct 2026, America/New_York) = 11.97 USD",
            "17.95 USD",
            "11.97 USD",
            "Total",
        ):
            assert said in text


def test_letters_from_right_to_left_are_all_there() -> None:
    """A Hebrew name is whole on the page, and its letters are in the PDF."""
    given_to = invoice("שלום")
    assert "שלום" in _Seen(documents.page(given_to)).text
    assert set("שלום") <= set(text_of(documents.pdf(given_to)))


def test_letters_without_a_form_do_no_harm() -> None:
    """Names with letters that the fonts lack, or with control characters, still make a document with all figures."""
    given_to = invoice("株式会社 😀 \x00\x1b[31m\r\nX: y\x85")
    assert "11.97 USD" in text_of(documents.pdf(given_to))
    page = documents.page(given_to)
    assert "株式会社 😀" in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)


@pytest.mark.parametrize("where", ["name", "description", "reason"])
def test_html_is_text_everywhere(where: str) -> None:
    """HTML in a name, a description or a reason makes no element and no attribute, and is read as it was written."""
    by = Staff(staff_id="<sue>", reason=EVIL)
    made = {
        "name": lambda: invoice(EVIL),
        "description": lambda: invoice(description=EVIL),
        "reason": lambda: invoice(to_staff=True, by=by),
    }[where]()
    plain = _Seen(documents.page(invoice()))
    seen = _Seen(documents.page(made))
    assert (seen.elements, seen.attributes) == (plain.elements, plain.attributes)
    assert EVIL in seen.text
    written = text_of(documents.pdf(made)).replace(" ", "")
    assert EVIL.replace(" ", "") in written
    assert b"/JavaScript" not in documents.pdf(made)
    assert b"/URI" not in documents.pdf(made)


def test_a_page_needs_nothing_else() -> None:
    """A page has no script, no link and no address of another host."""
    seen = _Seen(documents.page(invoice()))
    assert not seen.elements & {"script", "link", "img", "iframe", "a", "form", "object"}
    assert not re.search(r"https?:|url\(|@import", documents.page(invoice()))


def test_a_long_invoice_has_all_its_lines() -> None:
    """Two hundred lines go over pages, each with the headings, and none is lost."""
    one = invoice()
    numbered = tuple(each.model_copy(update={"description": f"line-{n:03d}"}) for n in range(200) for each in one.lines)
    content = documents.pdf(one.model_copy(update={"lines": numbered}))
    text = text_of(content)
    pages = len(PdfReader(io.BytesIO(content)).pages)
    assert pages > 3
    assert [n for n in range(200) if f"line-{n:03d}" not in text] == []
    assert text.count("Unit price") == pages
    assert f"page {pages} of {pages}" in text


def test_add_ons_have_the_names_of_the_catalog() -> None:
    """Neither document says the id of an add-on or of the base plan, whether charged or credited; the event does."""
    story = given().given(account_fact(), purchase()).advance(timedelta(days=20))
    story.when(credit("5.00 USD", "acme-000002"))
    for number, called in ((1, ["Analytics+"]), (2, ["Professional", "Analytics+"]), (3, ["Base plan", "Analytics+"])):
        row: InvoiceRow = story.row(f"invoice:{number}")
        assert "analytics_plus, " in "".join(line.description for line in row.invoice.lines)
        made = shown(row, NAMED, to_staff=False)
        assert [line.name for line in made.lines] == called
        for text in (text_of(documents.pdf(made)), _Seen(documents.page(made)).text):
            assert not re.search("analytics_plus|base_plan", text)
            assert all(f"{name}, " in text for name in called)


def test_a_credit_note_names_what_it_gives_back() -> None:
    """A credit is called one, and its negative amounts and the invoice it is of are shown."""
    running = Running()
    running.credit("1.00 USD")
    text = text_of(documents.pdf(shown(running.story.row("invoice:2"), NAMED, to_staff=False)))
    assert "Credit note" in text
    assert "Total -1.00 USD" in text
    assert f"-1.00 USD of what {ONE} charged" in text


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give billing with its doors open."""
    async with billing(embedded_valkey_url) as opened_service:
        yield opened_service


async def test_documents_are_served_to_who_may_see_the_invoice(service: Opened) -> None:
    """The page and the PDF have their media types, stay with the reader, and show what was credited since."""
    await service.tell(account_fact(2), account(3, name=EVIL), purchase())
    await service.post_as_staff(CREDITS, CREDIT)
    page = await service.get(f"{INVOICES}/{ONE}/document.html")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script>" not in page.text
    pdf = await as_staff(service, f"{INVOICES}/{ONE}/document.pdf")
    assert (pdf.status_code, pdf.headers["content-type"]) == (200, "application/pdf")
    assert pdf.headers["content-disposition"] == f'inline; filename="{ONE}.pdf"'
    assert pdf.headers["cache-control"] == "private, no-cache"
    for text in (text_of(pdf.content), re.sub(r"\s+", " ", _Seen(page.text).text)):
        assert "Credited since -1.00 USD" in text
        assert "Left 10.97 USD" in text
    again = await service.get(f"{INVOICES}/{ONE}/document.pdf")
    assert again.content == pdf.content


async def test_the_words_of_staff_are_on_no_owners_document(service: Opened) -> None:
    """The document of a credit has staff's reason for staff, escaped, and not for Owners."""
    await service.tell(purchase())
    await service.post_as_staff(CREDITS, CREDIT)
    path = f"{INVOICES}/acme-000002/document"
    for_owner, for_staff = await service.get(f"{path}.html"), await as_staff(service, f"{path}.html")
    assert "bad week" not in for_owner.text
    assert "&lt;b&gt;a bad week&lt;/b&gt;" in for_staff.text
    assert "bad week" not in text_of((await service.get(f"{path}.pdf")).content)


async def test_only_so_many_wait_for_a_pdf(service: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """PDFs are made one after another; beyond those that may wait the next is 503 at once, and the others are made."""
    await service.tell(purchase())
    go_on, at_once = threading.Event(), threading.Semaphore(1)

    def slow(_: ShownInvoice) -> bytes:
        assert at_once.acquire(blocking=False)
        assert go_on.wait(30)
        at_once.release()
        return b"%PDF-"

    monkeypatch.setattr(documents, "pdf", slow)
    asked = [
        asyncio.create_task(as_staff(service, f"{INVOICES}/{ONE}/document.pdf", f"sue-{number}"))
        for number in range(printing.ASKED_MAX + 1)
    ]
    try:
        (first, *_), _ = await asyncio.wait(asked, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    finally:
        go_on.set()
    assert ((await first).status_code, (await first).headers["retry-after"]) == (503, "1")
    answers = [(await each).status_code for each in asked]
    assert sorted(answers) == [200] * printing.ASKED_MAX + [503]
    assert (await as_staff(service, f"{INVOICES}/{ONE}/document.pdf")).status_code == 200


async def test_one_owners_pdfs_leave_time_for_others(service: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PDF counts as 20 requests: who asks for one after another is told to wait, and another caller is not."""
    await service.tell(purchase())
    monkeypatch.setattr(documents, "pdf", lambda _: b"%PDF-")
    path = f"{INVOICES}/{ONE}/document.pdf"
    answers = [await service.get(path) for _ in range(12)]
    assert [each.status_code for each in answers[:6]] == [200] * 6
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    assert refused[0].json()["reason"] == "too_many_requests"
    assert (await as_staff(service, path)).status_code == 200


@pytest.mark.parametrize("kind", ["html", "pdf"])
async def test_documents_are_refused_as_invoices_are(service: Opened, kind: str) -> None:
    """Another role, another account and an unknown invoice are refused as problems, whatever was asked for."""
    await service.tell(purchase())
    path = f"{INVOICES}/{ONE}/document.{kind}"
    answers = [
        await service.get(path, user="admin"),
        await service.get(path, account="globex"),
        await service.get(f"{INVOICES}/acme-000009/document.{kind}"),
    ]
    assert [(each.status_code, each.json()["reason"]) for each in answers] == [
        (403, "role_not_permitted"),
        (403, "not_permitted"),
        (404, "invoice_unknown"),
    ]
    assert {each.headers["content-type"] for each in answers} == {"application/problem+json"}
