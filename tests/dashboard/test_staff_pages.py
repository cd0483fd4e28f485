"""What staff see of an account and can do about it: each state, and nothing that hides another."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx

from contracts.events import AddOnGranted
from contracts.payload import Payload
from contracts.topics import Topic
from services.dashboard.log import HISTORY, Entry
from services.dashboard.parts import Dashboard
from services.dashboard.shapes import InvoiceHead, Invoices
from services.runtime.authentication import STAFF_SCOPE
from tests.dashboard.desk import browsing, desk_of, sign_in, token_of
from tests.dashboard.shown import usd
from tests.dashboard.test_standing import ABOUT, ACCOUNT, BOUGHT, CANCELED, MARA, NOW, QUOTE, log

TODAY = NOW.date()


def having(folder: Path, *said: Payload) -> Dashboard:
    """Return a dashboard whose log says this of the account, at `NOW`."""
    desk = desk_of(folder)

    async def of(_: str, __: Sequence[Topic] = HISTORY) -> list[Entry]:
        return log(ACCOUNT, *said)

    desk.staff_log.of = of  # type: ignore[assignment, method-assign]
    desk.clock.now = lambda: NOW  # type: ignore[method-assign]
    return desk


@asynccontextmanager
async def staff_at(desk: Dashboard, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Visit the pages as staff."""
    async with browsing(desk) as client:
        await sign_in(client, token_of(folder, sub="mara", scope=STAFF_SCOPE))
        yield client


async def account_page(folder: Path, *said: Payload) -> str:
    """Return what is shown of an add-on of an account of which the log says this."""
    async with staff_at(having(folder, *said), folder) as client:
        page = await client.get("/back-office/account?id=acme")
    assert page.status_code == 200
    return page.text.partition('id="held-a"')[2].partition("</section>")[0]


async def test_a_quote_is_shown_whatever_was_sold_before(tmp_path: Path) -> None:
    """A quote can be answered after a subscription has ended, and while one is still running out."""
    for ends_on in (TODAY, TODAY + timedelta(days=1)):
        ended = CANCELED.model_copy(update={"effective_date": ends_on})
        shown = await account_page(tmp_path, BOUGHT, ended, QUOTE)
        assert ("order=activate" in shown, "order=decline" in shown) == (True, True)
        assert ("Ends" in shown, "order=modify" in shown) == (ends_on > TODAY, ends_on > TODAY)


async def test_what_is_free_is_said_to_be(tmp_path: Path) -> None:
    """An add-on that was given for free is shown as such, until its day."""
    granted = AddOnGranted(**ABOUT, until=TODAY + timedelta(days=1), granted_at=NOW, by=MARA)
    assert "Free until Oct 1, 2026" in await account_page(tmp_path, granted)
    over = granted.model_copy(update={"until": TODAY})
    assert "Not in the plan" in await account_page(tmp_path, over)


def billed(desk: Dashboard, count: int) -> None:
    """Have the account so many invoices, 20 on a page as billing gives them; every fourth is a credit."""

    async def invoices(account_id: str, _: str, before: str | None = None) -> Invoices:
        newest = count if before is None else int(before) - 1
        heads = tuple(
            InvoiceHead(
                invoice_number=f"acme-{number:06d}",
                kind="renewal" if number % 4 else "credit",
                issued_at=NOW,
                due_date=TODAY,
                currency="USD",
                total=usd(1795 if number % 4 else -100),
            )
            for number in range(newest, max(newest - 20, 0), -1)
        )
        return Invoices(account_id=account_id, invoices=heads, next=newest - 19 if newest > 20 else None)

    desk.client.invoices = invoices  # type: ignore[assignment, method-assign]


async def test_staff_reach_every_invoice_and_credit_all_but_credits(tmp_path: Path) -> None:
    """The older invoices follow on pages of their own, and what is a credit itself cannot be credited."""
    desk = having(tmp_path)
    billed(desk, 21)
    shown, credited, address = [], [], "/back-office/account?id=acme"
    async with staff_at(desk, tmp_path) as client:
        while address:
            page = unescape((await client.get(address)).text)
            shown += re.findall(r"<bdi>acme-(\d{6})</bdi></strong>", page)
            credited += re.findall(r"order=credit&invoice_number=acme-(\d{6})", page)
            address = "".join(re.findall(r'href="([^"]+)">Older invoices', page))
        assert "The newest" in page
    assert shown == [f"{number:06d}" for number in range(21, 0, -1)]
    assert credited == [each for each in shown if int(each) % 4]
