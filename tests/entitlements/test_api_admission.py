"""Which commands entitlements takes over HTTP, and when: not before its time, not too many, one after another."""

import asyncio
import os
from collections.abc import AsyncIterator
from itertools import count

import pytest
from redis.asyncio import Redis

from contracts.commands import RequestFeature
from services.entitlements.api import doors
from services.entitlements.domain import answer
from services.runtime.keys import shard_of
from tests.doors import Opened, opened
from tests.e2e.records import record
from tests.entitlements.scenario import ACCOUNT, ADD_ON, DECIDER, NOW, account, member
from tests.entitlements.test_api import ADD_ONS, BUY, COMMANDS, STAFF
from tests.runtime.toys import kafka_record

namespaces = (f"admission{os.getpid()}-{number}." for number in count())


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give entitlements with an account, an Owner and an admin, whose id is the role."""
    async with (
        Redis.from_url(embedded_valkey_url) as redis,
        opened("entitlements", DECIDER, doors, redis, next(namespaces), NOW, answer) as service,
    ):
        await service.tell(account(), member("owner"), member("admin"))
        yield service


async def test_no_command_is_taken_before_the_log_is_heard(embedded_valkey_url: str) -> None:
    """Until what the log says of accounts is heard a command is 503 and has no effect, while reads are answered."""
    namespace = next(namespaces)
    async with (
        Redis.from_url(embedded_valkey_url) as redis,
        opened("entitlements", DECIDER, doors, redis, namespace, NOW, answer, commands=False) as service,
    ):
        await service.tell(account(), member("owner"))
        reply = await service.post(COMMANDS, BUY)
        assert (reply.status_code, reply.json()["reason"], reply.headers["retry-after"]) == (503, "unavailable", "1")
        assert await service.said() == []
        assert (await service.get(ADD_ONS)).status_code == 200
        service.opening.to_commands()
        assert (await service.post(COMMANDS, BUY)).status_code == 200


async def test_a_process_that_stops_takes_no_command(service: Opened) -> None:
    """While a process stops, a command is answered with 503 and has no effect: another process takes it."""
    service.patience.stop()
    reply = await service.post(COMMANDS, BUY)
    assert (reply.status_code, await service.said()) == (503, [])


async def test_a_caller_who_asks_too_much_is_told_when_to_come_back(embedded_valkey_url: str) -> None:
    """Beyond their allowance a caller gets 429 with the seconds to wait, and others do not notice."""
    namespace = next(namespaces)
    async with (
        Redis.from_url(embedded_valkey_url) as redis,
        opened("entitlements", DECIDER, doors, redis, namespace, NOW, answer, requests_per_minute=20) as service,
    ):
        replies = [await service.get(ADD_ONS) for _ in range(3)]
        assert [each.status_code for each in replies] == [404, 404, 429]
        assert 1 <= int(replies[2].headers["retry-after"]) <= 3
        assert (await service.get(ADD_ONS, user="admin")).status_code == 404


async def test_a_member_may_look_far_more_than_order(embedded_valkey_url: str) -> None:
    """Beyond their allowance of commands a member gets 429 and leaves nothing, while looks, others and staff go on."""
    async with (
        Redis.from_url(embedded_valkey_url) as redis,
        opened("entitlements", DECIDER, doors, redis, next(namespaces), NOW, answer, commands_per_minute=30) as service,
    ):
        await service.tell(account(), member("owner"), member("agent"))
        replies = [await service.post(COMMANDS, BUY, user="agent", key=f"k{number}") for number in range(5)]
        assert [each.status_code for each in replies] == [403, 403, 403, 429, 429]
        assert 1 <= int(replies[3].headers["retry-after"]) <= 2
        assert len(await service.said()) == 3
        assert {(await service.get(ADD_ONS, user="owner")).status_code for _ in range(5)} == {200}
        assert (await service.post(COMMANDS, BUY, user="owner", key="other")).status_code == 200
        order = {"type": "CancelSubscription", "subscription_id": "none", "when": "now", "reason": "asked"}
        by_staff = [await service.post_as_staff(STAFF, order, key=f"s{number}") for number in range(5)]
        assert {each.status_code for each in by_staff} == {404}


async def test_many_at_once_have_one_effect(service: Opened) -> None:
    """Twenty requests with one key, all under way together, are one purchase with one answer."""
    replies = await asyncio.gather(*(service.post(COMMANDS, BUY) for _ in range(20)))
    assert {(each.status_code, each.content) for each in replies} == {(200, replies[0].content)}
    assert len(await service.said()) == 2


async def test_two_purchases_at_once_are_one(service: Opened) -> None:
    """Of two different requests for the same add-on, one is accepted and the other told that it is purchased."""
    replies = await asyncio.gather(service.post(COMMANDS, BUY, key="a"), service.post(COMMANDS, BUY, key="b"))
    assert sorted(each.status_code for each in replies) == [200, 409]
    (refused,) = (each.json() for each in replies if each.status_code == 409)
    assert (refused["reason"], refused["status"]) == ("already_purchased", 409)


async def test_a_crowd_gets_through(service: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred requests about one account at once are all decided, beside what comes from Kafka, and nothing is away.

    By themselves they would defeat each other at every commit, and most would be told to come again.
    """
    away: list[str] = []
    monkeypatch.setattr(service.health, "away", lambda action, _: away.append(action))
    ask = {"type": "RequestFeature", "add_on": ADD_ON}
    asked = [asyncio.create_task(service.post(COMMANDS, ask, user="admin", key=f"k{number}")) for number in range(100)]
    sent = record(RequestFeature(account_id=ACCOUNT, user_id="admin", add_on=ADD_ON), "from-kafka")
    topic, shard = service.settings.namespace + sent.topic, shard_of(ACCOUNT, service.settings.partitions)
    await service.handling.handle_records([kafka_record(sent.value, sent.headers, topic, sent.key, shard)])
    statuses = [each.status_code for each in await asyncio.gather(*asked)]
    assert {*statuses} <= {200, 409}
    assert statuses.count(200) <= 1
    assert len(await service.said()) == 101 + 1  # an answer to each, and one request for the feature
    assert away == []
