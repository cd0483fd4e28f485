"""Checks over HTTP: what is answered, to whom, and by which ETag it need not be answered again."""

import itertools
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from contracts.backoffice import CancelSubscription
from services.runtime.problems import MEDIA_TYPE
from tests.entitlements.scenario import ADD_ON, account, member, purchase, staff, trial
from tests.entitlements.serving import ISSUER, PRODUCT, STAFF_MEMBER, Served, member_token, serving
from tests.tokens import Issuer, bearer

ONE = f"/entitlements/{ADD_ON}"
PATHS = ("/entitlements", ONE, "/entitlements/changes")


async def test_an_account_without_anything_may_use_nothing(served: Served) -> None:
    """Every add-on of the catalog is there, and none may be used."""
    answer = await served.get("/entitlements")
    assert answer.status_code == 200
    assert answer.json()["account_id"] == "acme"
    assert [(each["add_on"], each["entitled"], each["access"]) for each in answer.json()["entitlements"]] == [
        (ADD_ON, False, "none"),
        ("aircall_ai", False, "none"),
        ("assist", False, "none"),
    ]


async def test_one_add_on_is_told_as_among_all(served: Served) -> None:
    """The answer about one add-on is the entry of the answer about all."""
    await served.tell(trial("owner"))
    every = (await served.get("/entitlements")).json()["entitlements"]
    assert (await served.get(ONE)).json() == every[0]
    assert every[0]["entitled"]


async def test_what_changes_is_seen_by_the_next_check(served: Served) -> None:
    """A purchase opens the add-on at once, and the version has grown."""
    before = (await served.get(ONE)).json()
    await served.tell(purchase())
    after = (await served.get(ONE)).json()
    assert (before["access"], after["access"]) == ("none", "active")
    assert after["version"] > before["version"]


async def test_what_time_ends_is_not_told_a_moment_longer(served: Served) -> None:
    """A trial gives access until its last moment and not at its end, whether or not its timer has fired."""
    await served.tell(trial("owner"))
    served.advance(days=14, microseconds=-1)
    last = (await served.get(ONE)).json()
    served.advance(microseconds=1)
    assert (last["access"], last["trial_days_left"]) == ("trial", 1)
    assert (await served.get(ONE)).json()["access"] == "none"


async def test_no_price_and_no_person_is_told(served: Served) -> None:
    """Of a purchase and a trial no amount, no seats and no user is in the answers."""
    await served.tell(purchase(), trial("owner", "assist"))
    text = (await served.get("/entitlements")).text
    assert not any(word in text for word in ("price", "amount", "licenses", "owner", "1795", "seats"))


# ------------------------------------------------------------------------------------------------------------ who asks


@pytest.mark.parametrize("path", PATHS[:2])
@pytest.mark.parametrize("user_id", ["owner", "admin", "supervisor", "agent"])
async def test_every_role_may_ask(served: Served, path: str, user_id: str) -> None:
    """A member may ask whatever their role: an agent needs to know what works."""
    assert (await served.get(path, member_token(user_id))).status_code == 200


@pytest.mark.parametrize("path", PATHS[:2])
async def test_staff_may_ask(served: Served, path: str) -> None:
    """The vendor's staff may ask about any account."""
    assert (await served.get(path, STAFF_MEMBER)).status_code == 200


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        (member_token("owner", "globex"), 403, "not_permitted"),
        (member_token("stranger"), 403, "member_unknown"),
        (bearer(ISSUER.token(exp=1)), 401, "token_invalid"),
        (bearer(Issuer().token()), 401, "token_invalid"),
        ({"Authorization": ""}, 401, "token_missing"),
    ],
    ids=["other account", "no member", "expired", "forged", "none"],
)
async def test_who_may_not_ask_is_told_why(
    served: Served, path: str, headers: dict[str, str], status: int, reason: str
) -> None:
    """A member of another account, a stranger, and whoever has no good token get a problem, also for a stream."""
    answer = await served.get(path, headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_removed_member_may_ask_no_more(served: Served) -> None:
    """Whoever was removed from the directory is no member, with the same token."""
    await served.tell(member("agent", revision=2, removed=True))
    answer = await served.get(ONE, member_token("agent"))
    assert (answer.status_code, answer.json()["reason"]) == (403, "member_unknown")


async def test_another_account_is_refused_whether_it_exists_or_not(served: Served) -> None:
    """A member learns nothing of other accounts, not even which there are."""
    headers = PRODUCT | member_token("owner", "globex")
    known = await served.client.get("/v1/accounts/acme/entitlements", headers=headers)
    unknown = await served.client.get("/v1/accounts/nobody/entitlements", headers=headers)
    assert known.json() == unknown.json()


@pytest.mark.parametrize("path", PATHS)
async def test_an_unknown_account_is_not_found(served: Served, path: str) -> None:
    """A product that asks about an account nobody has told of gets 404, and no stream."""
    answer = await served.client.get(f"/v1/accounts/nobody{path}", headers=PRODUCT)
    assert (answer.status_code, answer.json()["reason"]) == (404, "account_unknown")


async def test_an_unknown_add_on_is_not_found(served: Served) -> None:
    """There is no entitlement of an add-on that is none."""
    answer = await served.get("/entitlements/no_such_add_on")
    assert (answer.status_code, answer.json()["reason"]) == (404, "add_on_unknown")


@pytest.mark.parametrize("path", ["/v1/accounts/%00/entitlements", f"/v1/accounts/{'x' * 300}/entitlements/{ADD_ON}"])
async def test_an_id_that_none_can_be_is_refused(served: Served, path: str) -> None:
    """An account id with control characters or of any length is 422, and says where."""
    answer = await served.client.get(path, headers=PRODUCT)
    assert (answer.status_code, answer.json()["errors"][0]["where"]) == (422, "path.account_id")


async def test_other_methods_are_refused_as_everywhere(served: Served) -> None:
    """A direct operation refuses what it does not do by a problem with the methods it has."""
    answer = await served.client.post("/v1/accounts/acme/entitlements", headers=PRODUCT)
    assert (answer.status_code, answer.json()["reason"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_a_member_who_asks_too_much_waits(embedded_valkey_url: str, own_namespace: str, tmp_path: Path) -> None:
    """Checks count into a caller's allowance, and a product has an allowance of its own."""
    limits = {"requests_per_minute": 20, "product_requests_per_minute": 100}
    async with serving(embedded_valkey_url, own_namespace, tmp_path, **limits) as served:
        await served.tell(account(), member("agent"))
        statuses = [(await served.get(ONE, member_token("agent"))).status_code for _ in range(3)]
        products = [(await served.get(ONE)).status_code for _ in range(11)]
        assert (statuses, set(products[:10]), products[10]) == ([200, 200, 429], {200}, 429)
        refused = await served.get(ONE)
        assert (refused.json()["reason"], int(refused.headers["retry-after"]) >= 1) == ("too_many_requests", True)


async def test_a_store_that_is_away_is_said_to_be(embedded_valkey_url: str, own_namespace: str, tmp_path: Path) -> None:
    """Without Redis the answer is 503 and when to come again, as of every door."""
    async with serving(embedded_valkey_url, own_namespace, tmp_path) as served:
        served.door.store._reads._redis = Redis(port=1, retry=Retry(NoBackoff(), 0))
        answer = await served.get(ONE)
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
        assert answer.headers["retry-after"] == "1"


# ---------------------------------------------------------------------------------------------------------------- ETag


@pytest.mark.parametrize("path", PATHS[:2])
async def test_who_has_the_answer_is_told_that_it_holds(served: Served, path: str) -> None:
    """With the ETag the answer is 304 without a body, until it would be another."""
    first = await served.get(path)
    tag = first.headers["etag"]
    again = await served.get(path, {"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    await served.tell(purchase())
    changed = await served.get(path, {"If-None-Match": tag})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


async def test_time_alone_changes_the_tag(served: Served) -> None:
    """A trial that ended without a word is not confirmed by 304."""
    await served.tell(trial("owner"))
    tag = (await served.get(ONE)).headers["etag"]
    served.advance(days=15)
    assert (await served.get(ONE, {"If-None-Match": tag})).status_code == 200


async def test_the_tags_of_two_accounts_differ(served: Served) -> None:
    """What holds of one account is not confirmed for another."""
    await served.tell(account().model_copy(update={"account_id": "globex"}))
    tag = (await served.get("/entitlements")).headers["etag"]
    other = await served.client.get("/v1/accounts/globex/entitlements", headers=PRODUCT | {"If-None-Match": tag})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("make", "status"),
    [
        ("{}", 304),
        ('"other", {}', 304),
        ("W/{}", 304),
        ("*", 304),
        ('"other"', 200),
        ("", 200),
        (",,,", 200),
        ("not a tag", 200),
        ('"' + "x" * 4_000, 200),
    ],
)
async def test_if_none_match_is_read_as_the_standard_says(served: Served, make: str, status: int) -> None:
    """One of several tags, a weak one and a star match; what is no tag matches nothing and is no error."""
    tag = (await served.get(ONE)).headers["etag"]
    assert (await served.get(ONE, {"If-None-Match": make.format(tag)})).status_code == status


async def test_answers_are_for_one_caller(served: Served) -> None:
    """No shared cache may keep an answer, and a private one asks again."""
    assert (await served.get(ONE)).headers["cache-control"] == "private, no-cache"


# ------------------------------------------------------------------------------------------------------- what it costs


async def test_a_check_is_one_call_to_redis(served: Served) -> None:
    """Whoever asks and however often, a check reads one hash once."""
    await served.tell(purchase())
    redis = served.door.store._redis
    calls = itertools.count()
    execute = redis.execute_command

    async def counting(*arguments: object, **options: object) -> object:
        next(calls)
        return await execute(*arguments, **options)

    redis.execute_command = counting
    for path, headers in itertools.product(PATHS[:2], (PRODUCT, STAFF_MEMBER, member_token("agent"))):
        assert (await served.get(path, headers)).status_code == 200
    assert next(calls) == 6


async def test_an_end_that_was_taken_back_is_seen(served: Served) -> None:
    """What was read last is not told when the account is another: each change is read."""
    await served.tell(purchase())
    for revision in range(2, 6):
        await served.tell(account(revision, name=f"Acme {revision}"))
        assert (await served.get(ONE)).json()["access"] == "active"
    subscription = (await served.door.look("acme")).state.document.add_ons[ADD_ON].subscription
    assert subscription is not None
    await served.tell(staff(CancelSubscription, subscription_id=subscription.id, when="now"))
    assert (await served.get(ONE)).json()["access"] == "none"


async def test_checks_are_in_the_document(served: Served) -> None:
    """Operations outside FastAPI's dependencies are described like the others: parameters, answers and problems."""
    paths = (await served.client.get("/openapi.json")).json()["paths"]
    operation = paths["/v1/accounts/{account_id}/entitlements/{add_on}"]["get"]
    assert [each["name"] for each in operation["parameters"]] == ["account_id", "add_on", "if-none-match"]
    assert set(operation["responses"]) == {"200", "304", "401", "403", "404", "422", "429", "503"}
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Entitlement")
    assert operation["responses"]["404"]["content"].keys() == {MEDIA_TYPE}
    flag = paths["/ofrep/v1/evaluate/flags/{key}"]["post"]
    assert flag["requestBody"]["content"].keys() == {"application/json"}
    assert "422" not in flag["responses"]
