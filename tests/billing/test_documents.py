"""Invoices for people: the same bytes for the same invoice, and every figure and name as it is."""

import hashlib
import io
import os
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from pypdf import PdfReader

from contracts.backoffice import Staff
from services.billing import documents
from services.billing.account import InvoiceRow
from services.billing.queries import shown
from tests.billing.bills import account_fact
from tests.billing.printed import EVIL, NAMED, ONE, Seen, invoice, text_of
from tests.billing.running import Running, credit
from tests.billing.scenario import given, purchase

NAMES = "Zażółć gęślą jaźń, Ελλάς, Україна, שלום, سلام"
RENDER = """
import hashlib, sys
from services.billing import documents
from services.billing.queries import ShownInvoice
invoice = ShownInvoice.model_validate_json(sys.stdin.read())
print(hashlib.sha256(documents.pdf(invoice)).hexdigest(), hashlib.sha256(documents.page(invoice).encode()).hexdigest())
"""


def test_two_runs_write_the_same_bytes() -> None:
    """Processes with other hash seeds and zones, at other moments, write the same PDF and the same page."""
    given_to = invoice(NAMES)
    written = {
        subprocess.run(
            [sys.executable, "-c", RENDER],
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
    for text in (text_of(documents.pdf(given_to)), re.sub(r"\s+", " ", Seen(documents.page(given_to)).text)):
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
    assert "שלום" in Seen(documents.page(given_to)).text
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
    plain = Seen(documents.page(invoice()))
    seen = Seen(documents.page(made))
    assert (seen.elements, seen.attributes) == (plain.elements, plain.attributes)
    assert EVIL in seen.text
    written = text_of(documents.pdf(made)).replace(" ", "")
    assert EVIL.replace(" ", "") in written
    assert b"/JavaScript" not in documents.pdf(made)
    assert b"/URI" not in documents.pdf(made)


def test_a_page_needs_nothing_else() -> None:
    """A page has no script, no link and no address of another host."""
    seen = Seen(documents.page(invoice()))
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
        for text in (text_of(documents.pdf(made)), Seen(documents.page(made)).text.replace(" , ", ", ")):
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
