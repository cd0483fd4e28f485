"""Invoices for people over HTTP: to whom, with which media types, and never at the cost of everybody else."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator

import pytest

from services.billing import documents, printing
from services.billing.queries import ShownInvoice
from tests.billing.bills import account_fact
from tests.billing.opening import CREDIT, CREDITS, INVOICES, as_staff, billing
from tests.billing.previewing import account
from tests.billing.printed import EVIL, ONE, Seen, text_of
from tests.billing.scenario import purchase
from tests.doors import Opened


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
    for text in (text_of(pdf.content), re.sub(r"\s+", " ", Seen(page.text).text)):
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
