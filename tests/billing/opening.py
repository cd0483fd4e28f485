"""Billing with its doors open: an account, a member of each role, and where to ask."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count

import httpx
from redis.asyncio import Redis

from services.billing.api import Prices, doors
from services.billing.credits import answer
from services.billing.domain import BillingDecider
from services.runtime.authentication import STAFF_SCOPE
from tests.billing.previewing import ACCOUNT, CATALOG, NOW, account, member
from tests.doors import ISSUER, Opened, opened
from tests.promising import KEYS
from tests.tokens import bearer

ROOT = f"/v1/accounts/{ACCOUNT}"
INVOICES, UPCOMING, CREDITS = f"{ROOT}/invoices", f"{ROOT}/upcoming-bill", f"{ROOT}/back-office/credits"
PREVIEW = f"{ROOT}/add-ons/analytics_plus/preview"
PRICES = Prices(CATALOG, KEYS, timedelta(minutes=15))
CREDIT = {
    "type": "IssueCredit",
    "invoice_number": "acme-000001",
    "amount": {"amount_minor": 100, "currency": "USD"},
    "reason": "<b>a bad week</b>",
}
READS = [("GET", INVOICES), ("GET", f"{INVOICES}/acme-000001"), ("GET", UPCOMING), ("POST", PREVIEW)]
_numbers = count()


@asynccontextmanager
async def billing(url: str) -> AsyncIterator[Opened]:
    """Open billing over a store of its own, with an account and one member of each role, whose id is the role."""
    namespace = f"bill{os.getpid()}-{next(_numbers)}."
    async with (
        Redis.from_url(url) as redis,
        opened("billing", BillingDecider(), doors(PRICES), redis, namespace, NOW, answer) as service,
    ):
        await service.tell(account(), *(member(role, role) for role in ("owner", "admin", "supervisor", "agent")))
        yield service


async def as_staff(service: Opened, path: str, staff: str = "sue") -> httpx.Response:
    """Ask as one of the vendor's staff."""
    return await service.client.get(path, headers=bearer(ISSUER.token(staff, None, scope=STAFF_SCOPE)))


def numbers(reply: httpx.Response) -> list[str]:
    """Return the numbers of the invoices of a page."""
    return [each["invoice_number"] for each in reply.json()["invoices"]]
