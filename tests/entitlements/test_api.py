"""The doors of entitlements, over a real store."""

import json
import os
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
from redis.asyncio import Redis

from contracts.events import AddOnPurchased
from contracts.results import Action
from services.entitlements.api import doors
from services.entitlements.domain import answer
from tests.doors import ISSUER, Opened, opened
from tests.entitlements.scenario import ACCOUNT, ADD_ON, DECIDER, NOW, account, member
from tests.tokens import bearer

ADD_ONS = f"/v1/accounts/{ACCOUNT}/add-ons"
COMMANDS = f"/v1/accounts/{ACCOUNT}/commands"
STAFF = f"/v1/accounts/{ACCOUNT}/back-office/commands"
BUY = {"type": "PurchaseAddOn", "add_on": ADD_ON}
_numbers = count()


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give entitlements with an account and one member of each role, whose id is the role."""
    async with (
        Redis.from_url(embedded_valkey_url) as redis,
        opened("entitlements", DECIDER, doors, redis, f"api{os.getpid()}-{next(_numbers)}.", NOW, answer) as service,
    ):
        await service.tell(account(), *(member(role) for role in ("owner", "admin", "supervisor", "agent")))
        yield service


def open_to(reply: dict[str, Any], add_on: str = ADD_ON) -> set[str]:
    """Return the actions a reply shows as open."""
    (shown,) = (each for each in reply["add_ons"] if each["add_on"] == add_on)
    return {each["action"] for each in shown["actions"] if each["open"]}


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("owner", {Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE}),
        ("admin", {Action.TRY_FOR_FREE, Action.REQUEST_FEATURE}),
        ("supervisor", {Action.REQUEST_FEATURE}),
    ],
)
async def test_a_member_is_shown_what_their_role_may_do(service: Opened, user: str, expected: set[Action]) -> None:
    """Each role sees the actions of its row of the table as open, and why each other one is not."""
    reply = await service.get(ADD_ONS, user=user)
    assert (reply.status_code, reply.json()["role"], reply.json()["timezone"]) == (200, user, account().timezone)
    assert open_to(reply.json()) == expected
    closed = [each for each in reply.json()["add_ons"][0]["actions"] if not each["open"]]
    assert all(each["reason"] and each["message"] for each in closed)


@pytest.mark.parametrize(
    ("user", "account_id", "status", "reason"),
    [
        ("agent", ACCOUNT, 403, "role_not_permitted"),
        ("nobody", ACCOUNT, 403, "member_unknown"),
        ("owner", "unheard-of", 404, "account_unknown"),
    ],
)
async def test_who_may_see_nothing_is_told_so_without_a_price(
    service: Opened, user: str, account_id: str, status: int, reason: str
) -> None:
    """Agents, strangers and members of an account nobody told of get a reason and no prices."""
    reply = await service.get(f"/v1/accounts/{account_id}/add-ons", user=user, account=account_id)
    assert (reply.status_code, reply.json()["reason"]) == (status, reason)
    assert reply.headers["content-type"] == "application/problem+json"
    assert "price" not in reply.text


async def test_a_price_is_what_the_account_would_be_charged_for_a_cycle(service: Opened) -> None:
    """The price shown is the list price in the account's currency and frequency, times all its seats."""
    shown = (await service.get(ADD_ONS)).json()["add_ons"][0]
    assert shown["price"]["unit_price"] == {"amount_minor": 1_795, "currency": "USD"}
    assert (shown["price"]["seats"], shown["price"]["full_price"]["amount_minor"]) == (60, 60 * 1_795)


async def test_a_command_is_answered_and_its_event_leaves_by_the_outbox(service: Opened) -> None:
    """A purchase over HTTP is accepted in the reply, and event and answer are in the shard's outbox, in that order."""
    reply = await service.post(COMMANDS, BUY)
    assert (reply.status_code, reply.json()["command_id"], reply.json()["user_id"]) == (200, "key-1", "owner")
    said = await service.said()
    assert [dict(each.headers)["ce_type"].decode() for each in said] == [
        AddOnPurchased.ce_type,
        "addons.CommandAccepted.v1",
    ]
    assert reply.json()["events"] == [dict(said[0].headers)["ce_id"].decode()]
    assert service.woken


async def test_the_same_key_and_request_have_one_effect_and_one_answer(service: Opened) -> None:
    """A request that is sent again gets the answer of the first, to the byte, and nothing more is said."""
    first = await service.post(COMMANDS, BUY)
    again = await service.post(COMMANDS, BUY)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert len(await service.said()) == 2


async def test_a_refusal_is_remembered_like_an_acceptance(service: Opened) -> None:
    """The same refused request is refused in the same words, even when it would be accepted by now."""
    first = await service.post(COMMANDS, BUY, user="admin")
    await service.tell(member("admin", "owner", revision=2))
    again = await service.post(COMMANDS, BUY, user="admin")
    assert (first.status_code, first.json()["reason"]) == (403, "role_not_permitted")
    assert again.content == first.content


@pytest.mark.parametrize(
    ("body", "user"),
    [
        ({"type": "StartTrial", "add_on": ADD_ON}, "owner"),
        (BUY | {"entry_point": "email"}, "owner"),
        (BUY, "admin"),
    ],
)
async def test_a_key_is_for_one_request(service: Opened, body: dict[str, Any], user: str) -> None:
    """The key of one request with another body, or of another member, is refused with 422 and has no effect."""
    await service.post(COMMANDS, BUY)
    reply = await service.post(COMMANDS, body, user=user)
    assert (reply.status_code, reply.json()["reason"]) == (422, "idempotency_key_reused")
    assert len(await service.said()) == 2


@pytest.mark.parametrize("lost", ["before", "behind"])
async def test_trouble_is_answered_and_the_same_request_sent_again(
    service: Opened, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """With Redis gone before a commit, or its reply lost, the answer is 503; the request sent again has one effect."""
    commit = service.store.commit

    async def failing(*arguments: Any) -> list[bool]:
        if lost == "behind":
            await commit(*arguments)
        raise ConnectionError

    with monkeypatch.context() as patched:
        patched.setattr(service.store, "commit", failing)
        reply = await service.post(COMMANDS, BUY)
    assert (reply.status_code, reply.json()["reason"], reply.headers["retry-after"]) == (503, "unavailable", "1")
    assert (await service.post(COMMANDS, BUY)).status_code == 200
    assert len(await service.said()) == 2


async def test_what_is_refused_says_what_to_do_instead(service: Opened) -> None:
    """A refusal's body has the reason, a sentence, what the member could do instead, and whom to ask."""
    body = (await service.post(COMMANDS, BUY, user="supervisor")).json()
    assert body["type"] == "urn:addonflow:problem:role_not_permitted"
    assert (body["allowed_instead"], body["ask"]) == (["request_feature"], "owner")
    assert body["detail"].endswith("ask an Owner of your account.")


@pytest.mark.parametrize(
    ("body", "status", "where"),
    [
        ({}, 422, "body"),
        ({"type": "BuyEverything"}, 422, "'PurchaseAddOn', "),
        (BUY | {"role": "owner"}, 422, "role"),
        (BUY | {"user_id": "owner"}, 422, "user_id"),
        (BUY | {"account_id": "other"}, 422, "account_id"),
        (BUY | {"expected": {"amount_minor": "1197", "currency": "USD"}}, 422, "amount_minor"),
        ({"type": "RequestFeature", "add_on": ADD_ON, "note": "x" * 1_001}, 422, "note"),
        ([BUY], 422, "body"),
    ],
)
async def test_a_body_that_is_not_a_command_is_told_what_is_wrong(
    service: Opened, body: Any, status: int, where: str
) -> None:
    """A body with a wrong, missing or claimed field is refused with the place, and has no effect."""
    reply = await service.post(COMMANDS, body)
    assert (reply.status_code, reply.json()["reason"]) == (status, "request_invalid")
    assert where in reply.text or where == "body"
    assert await service.said() == []


SECRET = "<script>SECRET</script>" * 1_000


@pytest.mark.parametrize(
    "body",
    [
        {"type": SECRET},
        {"type": [SECRET]},
        BUY | {SECRET: 1},
        BUY | {"expected": {SECRET: 1}},
        BUY | {"entry_point": SECRET},
        BUY | {"add_on": SECRET},
        BUY | {"expected": {"amount_minor": SECRET, "currency": SECRET}},
        BUY | {f"{SECRET[:2_300]}{number}": 1 for number in range(20)},
    ],
    ids=["tag", "no tag", "field", "inner field", "value", "text", "inner values", "fields"],
)
async def test_what_was_sent_does_not_come_back(service: Opened, body: dict[str, Any]) -> None:
    """An answer to a body that is wrong repeats nothing of it, whatever is in it and however much."""
    reply = await service.post(COMMANDS, body)
    assert reply.status_code == 422
    assert "SECRET" not in reply.text
    assert len(reply.content) < 3_000


@pytest.mark.parametrize("text", ["", "{", '{"type": "PurchaseAddOn", "add_on": "\\ud800"}', "\x00", '{"n": 1e400}'])
async def test_a_body_that_is_no_json_is_refused(service: Opened, text: str) -> None:
    """Bytes that are not JSON, or text that is not Unicode, are a client's error and never the server's."""
    headers = bearer(ISSUER.token("owner")) | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    reply = await service.client.post(COMMANDS, content=text.encode(), headers=headers)
    assert reply.status_code in {400, 422}
    assert reply.json()["reason"] == "request_invalid"


async def test_a_body_must_say_that_it_is_json(service: Opened) -> None:
    """Another content type, or none, is refused with 415."""
    headers = bearer(ISSUER.token("owner")) | {"Idempotency-Key": "k", "Content-Type": "text/plain"}
    reply = await service.client.post(COMMANDS, content=b"{}", headers=headers)
    assert (reply.status_code, reply.json()["reason"]) == (415, "media_type_unsupported")


@pytest.mark.parametrize("key", [None, "", "two words", "x" * 129, "é"])
async def test_a_command_needs_a_key(service: Opened, key: str | None) -> None:
    """Without an idempotency key of visible ASCII a command is refused with 400: it could not be sent again safely."""
    headers = bearer(ISSUER.token("owner")) | ({} if key is None else {"Idempotency-Key": key})
    reply = await service.client.post(
        COMMANDS, json=BUY, headers=[(n.encode(), v.encode()) for n, v in headers.items()]
    )
    assert (reply.status_code, reply.json()["reason"]) == (400, "request_invalid")


async def test_no_account_is_open_to_another(service: Opened) -> None:
    """A member's token opens its own account alone, and another one answers the same whether it exists or not."""
    texts = set()
    for other in ("acme", "unheard-of"):
        read = await service.get(f"/v1/accounts/{other}/add-ons", user="owner", account="globex")
        wrote = await service.post(f"/v1/accounts/{other}/commands", BUY, account="globex")
        assert (read.status_code, wrote.status_code) == (403, 403)
        texts |= {read.text, wrote.text}
    assert len(texts) == 1


async def test_staff_act_by_their_own_door(service: Opened) -> None:
    """A command of staff is decided with the token's subject as who acted; a member's token does not open that door."""
    await service.tell(account(revision=2, sales_managed=True))
    await service.post(COMMANDS, {"type": "RequestQuote", "add_on": ADD_ON})
    order = {
        "type": "ActivateAddOn",
        "add_on": ADD_ON,
        "unit_price": {"amount_minor": 1_500, "currency": "USD"},
        "reason": "agreed by phone",
    }
    by_member = await service.post(STAFF, order, key="key-2")
    by_staff = await service.post_as_staff(STAFF, order, key="key-2")
    assert (by_member.status_code, by_staff.status_code) == (403, 200)
    purchased = next(each for each in await service.said() if each.value.find(b"subscription_id") > 0)
    assert b'"by":{"staff_id":"sue","reason":"agreed by phone"}' in purchased.value


async def test_staff_are_no_members(service: Opened) -> None:
    """A token of staff opens no member's door."""
    reply = await service.post_as_staff(COMMANDS, BUY)
    assert (reply.status_code, reply.json()["reason"]) == (403, "not_permitted")


async def test_a_member_and_staff_may_choose_one_id(service: Opened) -> None:
    """A purchase and an activation under the same id are two commands, and what they sell are two subscriptions."""
    await service.post(COMMANDS, BUY, key="same")
    await service.tell(account(revision=2, sales_managed=True))
    await service.post(COMMANDS, {"type": "RequestQuote", "add_on": "aircall_ai"}, key="quote")
    price = {"amount_minor": 900, "currency": "USD"}
    order = {"type": "ActivateAddOn", "add_on": "aircall_ai", "unit_price": price, "reason": "agreed"}
    assert (await service.post_as_staff(STAFF, order, key="same")).status_code == 200
    sold = [json.loads(each.value) for each in await service.said() if b"subscription_id" in each.value]
    assert len({each["subscription_id"] for each in sold}) == len(sold) == 2


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",) * 2,
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 or so", ""),
    ],
)
async def test_the_trace_of_a_request_goes_on_in_what_it_causes(service: Opened, sent: str, passed_on: str) -> None:
    """A caller's W3C trace context is in every record of its command; what is none is left out."""
    headers = bearer(ISSUER.token("owner", ACCOUNT)) | {"Idempotency-Key": "key-1", "traceparent": sent}
    assert (await service.client.post(COMMANDS, json=BUY, headers=headers)).status_code == 200
    contexts = [dict(record.headers).get("ce_traceparent", b"").decode() for record in await service.said()]
    assert contexts == [passed_on] * 2
