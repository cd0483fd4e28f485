"""A year of three accounts on embedded servers: the calendar decides what is billed, and it comes to the cent."""

import asyncio
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from contracts.money import Money
from contracts.topics import BILLING, EVENTS, NOTIFICATIONS, RESULTS
from deploy.addonflow.records import Seen
from deploy.addonflow.year_demo import YearError, calendar, check, played


@pytest.fixture(scope="module")
def year() -> Sequence[Seen]:
    """Give everything the services said in a year that is played once."""
    return asyncio.run(played(Console(file=io.StringIO())))


def test_the_year_comes_to_what_was_worked_out(year: Sequence[Seen]) -> None:
    """Trials, purchases, growth, renewals, a leap day, a quote and a cancellation are billed as worked out by hand."""
    assert check(year) == [
        Money(amount_minor=3_327_869, currency="EUR"),
        Money(amount_minor=88_235, currency="USD"),
    ]


def test_the_calendar_shows_every_invoice(year: Sequence[Seen]) -> None:
    """What is printed has each invoice with its amount and the derivation of its lines."""
    shown = Console(file=io.StringIO(), width=200)
    shown.print(calendar(year))
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert sum(each.topic == BILLING.name for each in year) == 18
    assert "cedar-000002 renewal: 42.90 USD" in text
    assert "17.95 USD x 1 seat x 20/30 days (30 Sep 2028 to 19 Oct 2028, America/New_York) = 11.97 USD" in text


def without_one(topic: str) -> Callable[[Sequence[Seen]], list[Seen]]:
    """Return a change that loses the first record of a topic."""

    def change(seen: Sequence[Seen]) -> list[Seen]:
        lost = next(each for each in seen if each.topic == topic)
        return [each for each in seen if each is not lost]

    return change


def with_a_cent_more(seen: Sequence[Seen]) -> list[Seen]:
    """Bill one invoice a cent more than its lines."""
    return [_dearer(each) if each.type == "InvoiceIssued" and each.account_id == "cedar" else each for each in seen]


def _dearer(invoice: Seen) -> Seen:
    data: dict[str, Any] = invoice.data or {}
    total = {**data["total"], "amount_minor": data["total"]["amount_minor"] + 1}
    return replace(invoice, data={**data, "total": total})


def with_a_refusal(seen: Sequence[Seen]) -> list[Seen]:
    """Refuse one command that was accepted."""
    return [replace(each, type="CommandRejected") if each.topic == RESULTS.name else each for each in seen]


def with_one_id_twice(seen: Sequence[Seen]) -> list[Seen]:
    """Give an invoice the id of the one before it."""
    first, second = [each for each in seen if each.topic == BILLING.name][:2]
    return [replace(each, id=first.id) if each is second else each for each in seen]


@pytest.mark.parametrize(
    "change",
    [
        without_one(BILLING.name),
        without_one(EVENTS.name),
        without_one(NOTIFICATIONS.name),
        with_a_cent_more,
        with_a_refusal,
        with_one_id_twice,
    ],
)
def test_a_year_that_is_not_as_it_must_be_is_told(
    year: Sequence[Seen], change: Callable[[Sequence[Seen]], list[Seen]]
) -> None:
    """A missing invoice, event or notice, a cent too much, a refusal and an id used twice all fail the year."""
    with pytest.raises(YearError):
        check(change(year))
