"""Credits by the vendor's staff over HTTP, over a real store."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.results import CreditAccepted, CreditRejected
from contracts.topics import BILLING_RESULTS
from tests.billing.opening import CREDIT, CREDITS, INVOICES, as_staff, billing, numbers
from tests.billing.scenario import purchase
from tests.doors import Opened


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give billing with its doors open."""
    async with billing(embedded_valkey_url) as opened_service:
        yield opened_service


async def test_staff_give_back_a_part_of_an_invoice(service: Opened) -> None:
    """A credit takes effect at once: its invoice is there, the credited one says what was given back of it."""
    await service.tell(purchase())
    reply = await service.post_as_staff(CREDITS, CREDIT)
    assert (reply.status_code, reply.json()["user_id"]) == (200, "sue")
    assert numbers(await service.get(INVOICES)) == ["acme-000002", "acme-000001"]
    credited, credit = [await service.get(f"{INVOICES}/acme-00000{each}") for each in (1, 2)]
    assert credited.json()["credited"] == {"amount_minor": 100, "currency": "USD"}
    assert credit.json()["total"] == {"amount_minor": -100, "currency": "USD"}
    last = (await service.said())[-1]
    assert last.topic is BILLING_RESULTS
    assert CreditAccepted.model_validate_json(last.value).events


async def test_the_words_of_staff_are_for_staff(service: Opened) -> None:
    """Who of the vendor's staff gave a credit, and why, is shown to staff and not to Owners."""
    await service.tell(purchase())
    await service.post_as_staff(CREDITS, CREDIT)
    for_owner, for_staff = (
        await service.get(f"{INVOICES}/acme-000002"),
        await as_staff(service, f"{INVOICES}/acme-000002"),
    )
    assert "by" not in for_owner.json()
    assert "bad week" not in for_owner.text
    assert for_staff.json()["by"] == {"staff_id": "sue", "reason": "<b>a bad week</b>"}


async def test_a_credit_sent_again_has_one_effect(service: Opened) -> None:
    """The same key and request have one effect and one answer; another request with the key is refused."""
    await service.tell(purchase())
    first, again = [await service.post_as_staff(CREDITS, CREDIT) for _ in range(2)]
    assert first.json() == again.json()
    assert len(numbers(await service.get(INVOICES))) == 2
    other = await service.post_as_staff(CREDITS, CREDIT | {"reason": "another"})
    assert (other.status_code, other.json()["reason"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"invoice_number": "acme-000009"}, 404, "invoice_unknown"),
        ({"invoice_number": "globex-000001"}, 404, "invoice_unknown"),
        ({"amount": {"amount_minor": 1_198, "currency": "USD"}}, 409, "credit_exceeds_paid"),
        ({"amount": {"amount_minor": 1, "currency": "EUR"}}, 409, "change_not_allowed"),
        ({"amount": {"amount_minor": 0, "currency": "USD"}}, 409, "change_not_allowed"),
        ({"amount": {"amount_minor": 1.5, "currency": "USD"}}, 422, "request_invalid"),
        ({"amount": {"amount_minor": "1", "currency": "USD"}}, 422, "request_invalid"),
        ({"reason": ""}, 422, "request_invalid"),
        ({"staff_id": "somebody"}, 422, "request_invalid"),
        ({"type": "ActivateAddOn"}, 422, "request_invalid"),
    ],
)
async def test_a_credit_is_refused_in_words(service: Opened, changes: dict[str, Any], status: int, reason: str) -> None:
    """A credit that cannot be is refused with its reason, and gives nothing back."""
    await service.tell(purchase())
    reply = await service.post_as_staff(CREDITS, CREDIT | changes)
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)
    assert len(numbers(await service.get(INVOICES))) == 1
    answers = [each for each in await service.said() if each.topic is BILLING_RESULTS]
    assert [CreditRejected.model_validate_json(each.value).reason for each in answers] == [reason] * (status != 422)


async def test_members_give_no_credits(service: Opened) -> None:
    """Not even an Owner may credit their own account."""
    reply = await service.post(CREDITS, CREDIT)
    assert (reply.status_code, reply.json()["reason"]) == (403, "not_permitted")
