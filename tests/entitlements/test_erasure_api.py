"""Staff erase a member over HTTP as from Kafka: one command, one answer, and nobody else may."""

import os
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from contracts.events import MemberErased
from services.entitlements.api import doors
from services.entitlements.domain import answer
from tests.doors import Opened, opened
from tests.entitlements.scenario import ACCOUNT, DECIDER, NOW, account, member

ORDERS = f"/v1/accounts/{ACCOUNT}/back-office/commands"
ADD_ONS = f"/v1/accounts/{ACCOUNT}/add-ons"
ERASE = {"type": "EraseMember", "user_id": "supervisor", "reason": "asked to be erased"}


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give entitlements with an account, its Owner, and a supervisor who was removed."""
    namespace = f"erasure{os.getpid()}."
    async with (
        Redis.from_url(embedded_valkey_url) as redis,
        opened("entitlements", DECIDER, doors, redis, namespace, NOW, answer) as service,
    ):
        await service.tell(account(), member("owner"), member("supervisor", revision=2, removed=True))
        yield service
        await redis.delete(*[key async for key in redis.scan_iter(f"{{{namespace}*")])


async def test_staff_erase_a_member_over_http(service: Opened) -> None:
    """The answer is the command's, repeated it is the same; who acted is the token's subject, and Kafka hears of it."""
    by_member = await service.post(ORDERS, ERASE, key="erase-1")
    replies = [await service.post_as_staff(ORDERS, ERASE, key="erase-1") for _ in range(2)]
    again = await service.post_as_staff(ORDERS, ERASE, key="erase-2")
    assert by_member.status_code == 403
    assert [reply.status_code for reply in replies] == [200, 200]
    assert replies[0].content == replies[1].content
    assert (again.status_code, again.json()["reason"]) == (409, "change_not_allowed")
    told = [each for each in await service.said() if ("ce_type", MemberErased.ce_type.encode()) in [*each.headers]]
    assert len(told) == 1
    assert b'"user_id":"supervisor"' in told[0].value
    assert b'"by":{"staff_id":"sue"' in told[0].value


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [("owner", "change_not_allowed"), ("stranger", "member_unknown"), ("no body", "request_invalid")],
)
async def test_who_cannot_be_erased_is_refused(service: Opened, user_id: str, reason: str) -> None:
    """A member who is active, one nobody knows and what is no id at all are refused, and nothing is said."""
    reply = await service.post_as_staff(ORDERS, ERASE | {"user_id": user_id})
    assert reply.json()["reason"] == reason
    assert not [each for each in await service.said() if MemberErased.ce_type.encode() in dict(each.headers).values()]
