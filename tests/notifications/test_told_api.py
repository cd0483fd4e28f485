"""What a member was told, over a real store: whose it is, in pages, as far as it is kept."""

from collections.abc import AsyncIterator

import pytest

from contracts.invoices import InvoiceKind
from services.notifications import history
from tests.doors import Opened
from tests.notifications.messages import (
    asks,
    asks_for_quote,
    invoice,
    member,
    trial_ends_soon,
)
from tests.notifications.opening import TOLD, digest_comes, notifications, templates


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give notifications with its doors open."""
    async with notifications(embedded_valkey_url) as opened_service:
        yield opened_service


@pytest.mark.parametrize(
    "query", ["before=0", "before=-5", "before=x", "before=1e3", f"before={'9' * 400}", "limit=1000"]
)
async def test_a_malformed_cursor_of_notifications_is_told(service: Opened, query: str) -> None:
    """A page of notifications that cannot be is 422."""
    reply = await service.get(f"{TOLD}?{query}")
    assert (reply.status_code, reply.json()["reason"]) == (422, "request_invalid")


async def test_a_member_sees_what_they_were_told(service: Opened) -> None:
    """Each member sees the notifications that were to them, newest first, and nobody else's."""
    await service.tell(asks("admin"), trial_ends_soon("admin"), invoice())
    assert templates(await service.get(TOLD)) == ["purchase_receipt", "trial_ending_soon", "feature_request_first"]
    assert templates(await service.get(TOLD, user="admin")) == ["trial_ending_soon"]
    assert templates(await service.get(TOLD, user="supervisor")) == []
    (shown,) = (await service.get(TOLD, user="admin")).json()["notifications"]
    assert (shown["requested_at"], shown["data"]["add_on_name"]) == ("2026-09-30T09:00:00Z", "Analytics+")
    assert "user_ids" not in shown


@pytest.mark.parametrize(("user", "reason"), [("agent", "role_not_permitted"), ("nobody", "member_unknown")])
async def test_who_has_no_access_is_told_nothing(service: Opened, user: str, reason: str) -> None:
    """An agent and a stranger have no history of add-ons."""
    reply = await service.get(TOLD, user=user)
    assert (reply.status_code, reply.json()["reason"]) == (403, reason)


async def test_a_former_owner_sees_no_prices_and_no_words_of_others(service: Opened) -> None:
    """Receipts, invoices, requests and quotes go with the role: a former Owner sees the rest of what they were told."""
    await service.tell(
        asks("admin", note="private words"),
        asks("supervisor", "supervisor", note="more of them"),
        asks_for_quote(),
        trial_ends_soon("admin"),
        invoice(),
        invoice(2, InvoiceKind.RENEWAL),
    )
    await digest_comes(service)
    told = (await service.get(TOLD)).json()["notifications"]
    assert {each["template"] for each in told} == {
        "trial_ending_soon",
        "purchase_receipt",
        "invoice",
        "quote_requested",
        "feature_request_first",
        "feature_request_digest",
    }
    await service.tell(member("owner", "supervisor", 2))
    reply = await service.get(TOLD)
    assert templates(reply) == ["trial_ending_soon"]
    assert "words" not in reply.text
    await service.tell(member("owner", "owner", 3, active=False))
    assert (await service.get(TOLD)).json()["reason"] == "member_unknown"


@pytest.mark.parametrize("rows_at_once", [1, 4, 100])
async def test_notifications_come_in_pages(service: Opened, rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Following `next` shows every notification once, also between those of others and wherever rows are read to."""
    monkeypatch.setattr("services.notifications.api._ROWS_AT_ONCE", rows_at_once)
    for number in range(5):
        await service.tell(trial_ends_soon("admin"), invoice(number))
    mine, before = [], ""
    for size in (2, 2, 1):
        page = (await service.get(f"{TOLD}?limit=2{before}", user="admin")).json()
        assert len(page["notifications"]) == size
        mine += [each["notification_id"] for each in page["notifications"]]
        before = f"&before={page.get('next')}"
    assert before == "&before=None"
    assert len(mine) == 5


async def test_the_history_is_a_ring(service: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its bound the oldest notifications are forgotten, whoever they were for; the newest stay, in order."""
    for module in ("history", "queries"):
        monkeypatch.setattr(f"services.notifications.{module}.HISTORY_MAX", 5)
    assert history.said_row(6) == history.said_row(1)
    await service.tell(asks("admin"), *(invoice(number) for number in range(1, 7)))
    page = (await service.get(f"{TOLD}?limit=100")).json()
    assert [each["data"]["invoice_number"][-1] for each in page["notifications"]] == list("65432")
    assert "next" not in page
    assert templates(await service.get(f"{TOLD}?before=2")) == []


async def test_a_long_history_is_read_through(service: Opened) -> None:
    """What was told to a member long ago is found behind all that was told to others since, as far as it is kept."""
    await service.tell(trial_ends_soon("admin"))
    await service.tell(*(invoice(number) for number in range(150)))
    assert templates(await service.get(TOLD, user="admin")) == ["trial_ending_soon"]
