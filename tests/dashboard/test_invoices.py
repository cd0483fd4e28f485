"""An invoice as its Owner sees it: every line says what it is for, and how billing came to its amount."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.accounts import Licenses
from contracts.cycles import local_date
from contracts.invoices import BASE_PLAN, BilledDays, Period, ProrationRule, Share
from services.dashboard.locales import formats_for
from services.dashboard.shapes import AddOns, ShownInvoice, ShownLine
from tests.dashboard.desk import browsing, desk_of, sign_in, token_of
from tests.dashboard.shown import add_on, usd

CHARGED = ShownLine(
    subscription_id="s",
    add_on="analytics_plus",
    description="analytics_plus, 30 Sep 2026 to 19 Oct 2026, 20 of 30 days",
    period=Period(from_=date(2026, 9, 30), to=date(2026, 10, 20)),
    quantity=Licenses(standard=5, additional=2),
    unit_price=usd(1795),
    days=BilledDays(billed=20, in_cycle=30),
    share=Share(numerator=20, denominator=30),
    price_version="2026-01",
    rule=ProrationRule.DAY,
    timezone="UTC",
    amount=usd(8377),
)
WHOLE = Share(numerator=1, denominator=1)
NO_DAYS = BilledDays(billed=0, in_cycle=30)


def line(**said: Any) -> ShownLine:
    """Return the line of a purchase, otherwise in these points."""
    return CHARGED.model_copy(update=said)


async def invoice_page(folder: Path, *lines: ShownLine, kind: str = "immediate", **said: Any) -> httpx.Response:
    """Return the page of an invoice with these lines, as an Owner of the account sees it."""
    desk = desk_of(folder)
    defaults: dict[str, Any] = {"issued_at": datetime(2026, 9, 30, 10, tzinfo=UTC), "due_date": date(2026, 9, 30)}
    found = ShownInvoice(
        invoice_number="acme-000002", kind=kind, currency="USD", total=usd(0), lines=lines, **(defaults | said)
    )

    async def add_ons(account_id: str, _: str) -> AddOns:
        return AddOns(account_id=account_id, user_id="olivia", role="owner", add_ons=(add_on(),))

    async def invoice(*_: str) -> ShownInvoice:
        return found

    desk.client.add_ons = add_ons  # type: ignore[assignment, method-assign]
    desk.client.invoice = invoice  # type: ignore[assignment, method-assign]
    async with browsing(desk) as client:
        await sign_in(client, token_of(folder, sub="olivia", account_id="acme"))
        return await client.get("/invoices/acme-000002")


def facts_of(page: httpx.Response) -> list[str]:
    """Return what the facts of the lines are called."""
    return [part.partition("<")[0] for part in page.text.split("<dt>")[1:]]


def equation_of(page: httpx.Response) -> str:
    """Return how the page says that its first line came to its amount."""
    return page.text.partition('class="equation">')[2].partition("</p>")[0]


async def test_a_charge_has_its_equation(tmp_path: Path) -> None:
    """A charge is price times seats times share, in the reader's own figures."""
    page = await invoice_page(tmp_path, CHARGED)
    assert equation_of(page) == "$17.95 × 7 × 20/30 = $83.77"
    assert facts_of(page) == ["Period", "Days", "Seats", "Price list"]


async def test_a_credit_is_explained_as_billing_does(tmp_path: Path) -> None:
    """What is given back has no price of a seat: billing says of which charge it is, and of which days."""
    derivation = (
        "-83.77 USD, charged by acme-000001, x 19/20 days not used (1 Oct 2026 to 19 Oct 2026, UTC) = -79.58 USD"
    )
    said = {"quantity": Licenses(standard=1), "credits": "acme-000001", "derivation": derivation}
    page = await invoice_page(tmp_path, line(**said), kind="credit")
    assert equation_of(page) == derivation
    assert facts_of(page) == ["Period", "Days", "Gives back of"]
    of_an_amount = await invoice_page(tmp_path, line(**said, days=NO_DAYS, share=WHOLE), kind="credit")
    assert facts_of(of_an_amount) == ["Gives back of"]


async def test_a_line_is_called_what_people_call_it(tmp_path: Path) -> None:
    """The page has the add-on's name as billing gives it, not its id, and its days in the reader's locale alone."""
    page = await invoice_page(tmp_path, line(name="Analytics+"))
    assert "<h2><bdi>Analytics+</bdi></h2>" in page.text
    assert "analytics_plus" not in page.text.partition("<main")[2]


@pytest.mark.parametrize("zone", ["Pacific/Pago_Pago", "Pacific/Kiritimati"])
@pytest.mark.parametrize("hour", [0, 10, 11, 23])
async def test_no_invoice_is_issued_after_it_is_due(tmp_path: Path, zone: str, hour: int) -> None:
    """The day of issue is that of the zone that the due date was counted in, whatever zone the account has now."""
    issued_at = datetime(2026, 9, 30, hour, tzinfo=UTC)
    due = local_date(issued_at, zone)
    page = await invoice_page(tmp_path, line(timezone=zone), issued_at=issued_at, due_date=due)
    day = formats_for("en").day(due)
    assert f"issued {day} · due {day}" in page.text


async def test_the_base_plan_has_no_seats(tmp_path: Path) -> None:
    """The base plan is charged for the account, not for seats."""
    base = line(subscription_id=BASE_PLAN, add_on=BASE_PLAN, quantity=Licenses(standard=1), share=WHOLE)
    page = await invoice_page(tmp_path, base.model_copy(update={"amount": usd(1795)}), kind="renewal")
    assert equation_of(page) == "$17.95 = $17.95"
    assert facts_of(page) == ["Period", "Days", "Price list"]
