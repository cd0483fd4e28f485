"""What an idempotency key is for: one request, on either way, for as long as its answer is kept."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.commands import PurchaseAddOn
from contracts.events import AddOnPurchased
from services.entitlements.api import doors
from services.entitlements.domain import answer
from tests.doors import Opened, opened
from tests.entitlements.scenario import ACCOUNT, ADD_ON, CONVERTING, DECIDER, NOW, account, member

COMMANDS = f"/v1/accounts/{ACCOUNT}/commands"
BUY = {"type": "PurchaseAddOn", "add_on": ADD_ON}
_numbers = count()


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give entitlements with an account and its Owner."""
    space = f"keys{os.getpid()}-{next(_numbers)}."
    async with (
        Redis.from_url(embedded_valkey_url) as redis,
        opened("entitlements", DECIDER, doors, redis, space, NOW, answer) as service,
    ):
        await service.tell(account(), member("owner"))
        yield service


@pytest.mark.parametrize(
    "body", [{"type": "PurchaseAddOn", "add_on": CONVERTING}, {"type": "StartTrial", "add_on": ADD_ON}]
)
async def test_a_key_that_was_used_on_kafka_is_for_that_command(service: Opened, body: dict[str, Any]) -> None:
    """The key of a command that came from Kafka answers the same request over HTTP, and refuses another with 422."""
    await service.tell(PurchaseAddOn(account_id=ACCOUNT, user_id="owner", add_on=ADD_ON), command_id="key-1")
    assert (await service.post(COMMANDS, BUY)).status_code == 200
    reply = await service.post(COMMANDS, body)
    assert (reply.status_code, reply.json()["reason"]) == (422, "idempotency_key_reused")
    assert len(await service.said()) == 2


async def test_a_key_used_again_behind_the_retention_buys_something_of_its_own(service: Opened) -> None:
    """Whoever uses a key again when its answer is forgotten gets another subscription, in records of their own ids."""
    await service.post(COMMANDS, BUY)
    await service.forget()
    service.clock.advance(timedelta(days=8))
    assert (await service.post(COMMANDS, BUY | {"add_on": CONVERTING})).status_code == 200
    said = await service.said()
    bought = [AddOnPurchased.model_validate_json(each.value) for each in (said[0], said[2])]
    assert [each.add_on for each in bought] == [ADD_ON, CONVERTING]
    assert bought[0].subscription_id != bought[1].subscription_id
    assert len({dict(each.headers)["ce_id"] for each in said}) == 4


async def test_a_refusal_of_an_unknown_account_has_an_id_of_its_own_each_time(service: Opened) -> None:
    """Refusals that have no sequence, of one key used twice, are told apart by their ids all the same."""
    for _ in range(2):
        service.clock.advance(timedelta(days=8))
        reply = await service.post("/v1/accounts/unheard-of/commands", BUY, account="unheard-of")
        assert reply.json()["reason"] == "account_unknown"
        await service.forget("unheard-of")
    assert len({dict(each.headers)["ce_id"] for each in await service.said("unheard-of")}) == 2


async def test_keys_of_timers_are_no_ones(service: Opened) -> None:
    """A key that begins as the ids of timers do is refused, and has no effect."""
    reply = await service.post(COMMANDS, BUY, key=f"timer:{ACCOUNT}:trial_end:{ADD_ON}:1791993601000")
    assert (reply.status_code, await service.said()) == (400, [])
