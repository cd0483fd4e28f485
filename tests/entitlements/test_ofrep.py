"""OpenFeature asks: its own Python SDK and provider against the running service, and the protocol by hand."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagEvaluationDetails, Reason

from contracts.backoffice import GrantAddOn
from tests.entitlements.scenario import ADD_ON, account, member, purchase, staff, trial
from tests.entitlements.serving import ISSUER, PRODUCT, STAFF_MEMBER, Served, member_token, serving
from tests.tokens import Issuer, bearer

FLAGS = "/ofrep/v1/evaluate/flags"
ONE = f"{FLAGS}/{ADD_ON}"
ACME = {"context": {"targetingKey": "olga", "account_id": "acme"}}
Sdk = Callable[..., Any]


@pytest.fixture
def sdk(served: Served) -> Iterator[Sdk]:
    """Give what evaluates a flag by the real SDK: with these headers, for this account."""

    def evaluate(key: str, headers: dict[str, str], *, default: bool = False, **attributes: str) -> Any:
        domain = f"test-{len(headers)}-{key}"
        api.set_provider(OFREPProvider(served.url, headers_factory=lambda: headers, timeout=5.0), domain=domain)
        client: OpenFeatureClient = api.get_client(domain)
        context = EvaluationContext("olga", attributes) if attributes else None
        return client.get_boolean_details(key, default, context)

    yield evaluate
    api.clear_providers()


async def evaluated(sdk: Sdk, *arguments: Any, **attributes: Any) -> FlagEvaluationDetails[bool]:
    """Evaluate in a thread: the SDK waits in the one it is called in."""
    found: FlagEvaluationDetails[bool] = await asyncio.to_thread(sdk, *arguments, **attributes)
    return found


# --------------------------------------------------------------------------------------------------------- the real SDK


async def test_the_sdk_is_told_what_an_account_may_use(served: Served, sdk: Sdk) -> None:
    """A product's SDK names the account in the context, and gets the value, the access as variant, and metadata."""
    await served.tell(purchase())
    found = await evaluated(sdk, ADD_ON, PRODUCT, account_id="acme")
    assert (found.value, found.variant, found.reason) == (True, "active", Reason.TARGETING_MATCH)
    assert found.error_code is None
    assert found.flag_metadata["since"] == "2026-09-30"


async def test_the_sdk_is_told_what_an_account_may_not_use(served: Served, sdk: Sdk) -> None:
    """What was never bought is false though the default is true: the default is for failures alone."""
    found = await evaluated(sdk, ADD_ON, PRODUCT, default=True, account_id="acme")
    assert (found.value, found.variant, found.error_code) == (False, "none", None)


async def test_the_sdk_of_a_member_needs_no_context(served: Served, sdk: Sdk) -> None:
    """A member's token says which account is meant; the SDK then sends no context at all."""
    await served.tell(trial("owner"))
    found = await evaluated(sdk, ADD_ON, member_token("agent"))
    assert (found.value, found.variant, found.flag_metadata["trial_days_left"]) == (True, "trial", 14)


@pytest.mark.parametrize(
    ("key", "headers", "attributes", "code", "says"),
    [
        ("no_such_add_on", PRODUCT, {"account_id": "acme"}, ErrorCode.FLAG_NOT_FOUND, "no such add-on"),
        (ADD_ON, PRODUCT, {}, ErrorCode.INVALID_CONTEXT, "must name the account"),
        (ADD_ON, PRODUCT, {"account_id": "nobody"}, ErrorCode.INVALID_CONTEXT, "not known here"),
        (ADD_ON, member_token("owner"), {"account_id": "globex"}, ErrorCode.GENERAL, "forbidden"),
        (ADD_ON, bearer(Issuer().token()), {}, ErrorCode.GENERAL, "unauthorized"),
    ],
    ids=["flag", "no account", "unknown account", "other account", "token"],
)
async def test_the_sdk_understands_every_failure(
    served: Served, sdk: Sdk, key: str, headers: dict[str, str], attributes: dict[str, str], code: ErrorCode, says: str
) -> None:
    """Each failure gives the default with the protocol's code and a sentence, never an exception of the client's."""
    found = await evaluated(sdk, key, headers, default=True, **attributes)
    assert (found.value, found.reason, found.error_code) == (True, Reason.ERROR, code)
    assert says in (found.error_message or "")


async def test_the_sdk_is_told_to_wait(embedded_valkey_url: str, own_namespace: str, tmp_path: Path) -> None:
    """Too many evaluations are answered 429 with Retry-After, which the provider heeds."""
    async with serving(embedded_valkey_url, own_namespace, tmp_path, product_requests_per_minute=10) as served:
        await served.tell(account())
        provider = OFREPProvider(served.url, headers_factory=lambda: PRODUCT)
        context = EvaluationContext("olga", {"account_id": "acme"})
        first = await asyncio.to_thread(provider.resolve_boolean_details, ADD_ON, False, context)
        assert first.variant == "none"
        with pytest.raises(Exception, match="Rate limited"):
            await asyncio.to_thread(provider.resolve_boolean_details, ADD_ON, False, context)
        assert provider.retry_after is not None


# -------------------------------------------------------------------------------------------------------- the protocol


async def test_one_flag_is_as_the_protocol_says(served: Served) -> None:
    """A success has key, value, reason, variant and flat metadata, as plain JSON."""
    await served.tell(staff(GrantAddOn, until="2026-12-31"))
    reply = await served.client.post(ONE, json=ACME, headers=PRODUCT)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    version = (await served.get("/entitlements")).json()["version"]
    assert reply.json() == {
        "key": ADD_ON,
        "value": True,
        "reason": "TARGETING_MATCH",
        "variant": "granted",
        "metadata": {"access": "granted", "version": version, "until": "2026-12-31"},
    }


async def test_all_flags_are_those_of_the_single_evaluation(served: Served) -> None:
    """The bulk has each add-on once, each as it is evaluated by itself."""
    await served.tell(purchase(), trial("owner", "assist"))
    flags = (await served.client.post(FLAGS, json=ACME, headers=PRODUCT)).json()["flags"]
    singles = [
        (await served.client.post(f"{FLAGS}/{each['key']}", json=ACME, headers=PRODUCT)).json() for each in flags
    ]
    assert flags == singles
    assert [(each["key"], each["value"]) for each in flags] == [(ADD_ON, True), ("aircall_ai", False), ("assist", True)]


async def test_all_flags_are_confirmed_by_their_tag(served: Served) -> None:
    """The bulk with the ETag of what the caller has is 304 without a body, until it would be something else."""
    first = await served.client.post(FLAGS, json=ACME, headers=PRODUCT)
    held = PRODUCT | {"If-None-Match": first.headers["etag"]}
    again = await served.client.post(FLAGS, json=ACME, headers=held, params={"flagConfigEtag": "x"})
    assert (again.status_code, again.content) == (304, b"")
    await served.tell(purchase())
    changed = await served.client.post(FLAGS, json=ACME, headers=held)
    assert (changed.status_code, changed.json()["flags"][0]["value"]) == (200, True)


async def test_the_tag_of_one_account_confirms_no_other(served: Served) -> None:
    """What one account may use is not confirmed for another that may not."""
    await served.tell(account().model_copy(update={"account_id": "globex"}))
    await served.tell(purchase())
    other = {"context": {"targetingKey": "gus", "account_id": "globex"}}
    held = PRODUCT | {"If-None-Match": (await served.client.post(FLAGS, json=ACME, headers=PRODUCT)).headers["etag"]}
    reply = await served.client.post(FLAGS, json=other, headers=held)
    assert (reply.status_code, reply.json()["flags"][0]["value"]) == (200, False)


@pytest.mark.parametrize("path", [ONE, FLAGS])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b"\xff\xfe", "PARSE_ERROR"),
        (b"[" * 20_000, "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b"null", "INVALID_CONTEXT"),
        (b'"acme"', "INVALID_CONTEXT"),
        (b"{}", "INVALID_CONTEXT"),
        (b'{"context": null}', "INVALID_CONTEXT"),
        (b'{"context": []}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": 7, "account_id": "acme"}}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": "olga", "account_id": 7}}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": "olga", "account_id": ""}}', "INVALID_CONTEXT"),
        (b'{"context": {"account_id": "\\ud800"}}', "PARSE_ERROR"),
        (b'{"context": {"account_id": "a\\u0000b"}}', "INVALID_CONTEXT"),
    ],
)
async def test_a_body_that_cannot_be_read_is_400(served: Served, path: str, body: bytes, code: str) -> None:
    """Whatever is wrong with a body, the answer is 400 in the protocol's form, never 422 and never a problem."""
    reply = await served.client.post(path, content=body, headers=PRODUCT | {"Content-Type": "application/json"})
    failure = reply.json()
    assert (reply.status_code, reply.headers["content-type"], failure["errorCode"]) == (400, "application/json", code)
    assert failure["errorDetails"]
    assert failure.get("key") == (ADD_ON if path == ONE else None)


async def test_a_body_of_another_type_is_400(served: Served) -> None:
    """What is not said to be JSON is not parsed as such, whatever is in it."""
    headers = PRODUCT | {"Content-Type": "text/plain"}
    reply = await served.client.post(ONE, content=b'{"context": {"account_id": "acme"}}', headers=headers)
    assert (reply.status_code, reply.json()["errorCode"]) == (400, "PARSE_ERROR")


async def test_attributes_of_the_application_are_borne(served: Served) -> None:
    """A context may hold whatever an application knows; it decides nothing."""
    context = {"targetingKey": "olga", "account_id": "acme", "plan": {"tier": 3}, "beta": True, "role": "owner"}
    reply = await served.client.post(ONE, json={"context": context}, headers=PRODUCT)
    assert (reply.status_code, reply.json()["value"]) == (200, False)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (bearer(ISSUER.token(exp=1)), 401),
        (member_token("owner", "globex"), 403),
        (member_token("stranger"), 403),
        (STAFF_MEMBER, 200),
        (member_token("agent"), 200),
    ],
    ids=["none", "expired", "other account", "stranger", "staff", "agent"],
)
async def test_who_may_ask_is_as_for_every_check(served: Served, headers: dict[str, str], status: int) -> None:
    """Tokens, accounts and members are judged as by the other doors; a context opens no other account."""
    for path in (ONE, FLAGS):
        reply = await served.client.post(path, json=ACME, headers=headers)
        assert (reply.status_code, reply.headers["content-type"]) == (status, "application/json")
        assert status == 200 or reply.json()["errorCode"] == "GENERAL"


async def test_a_removed_member_is_refused(served: Served) -> None:
    """Who is no member any more gets no flag of the account."""
    await served.tell(member("agent", revision=2, removed=True))
    assert (await served.client.post(ONE, json={}, headers=member_token("agent"))).status_code == 403


@pytest.mark.parametrize("key", ["a%20b", "x" * 500, "%00", "%ff", "a%2Fb", "a/b", "changes", "Analytics_Plus"])
async def test_a_key_that_is_no_add_on_is_not_found(served: Served, key: str) -> None:
    """Whatever a key looks like, it is a flag that there is not."""
    reply = await served.client.post(f"{FLAGS}/{key}", json=ACME, headers=PRODUCT)
    assert (reply.status_code, reply.json()["errorCode"]) == (404, "FLAG_NOT_FOUND")


async def test_trouble_and_defects_have_the_protocols_form_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis away is 503 with when to come again, a defect is 500, both with the protocol's code."""

    def failing(error: Exception) -> Any:
        async def fail(*_: object) -> None:
            raise error

        return fail

    for error, status in ((ConnectionError("away"), 503), (ValueError("a defect"), 500)):
        monkeypatch.setattr(served.door.store, "look", failing(error))
        reply = await served.client.post(ONE, json=ACME, headers=PRODUCT)
        assert (reply.status_code, reply.json()["errorCode"]) == (status, "GENERAL")
        assert ("retry-after" in reply.headers) == (status == 503)
        assert "defect" not in reply.text or "log says more" in reply.text
