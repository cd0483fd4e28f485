"""Whatever is sent to a door, right or wrong, is answered as its document says, and never with the server's error.

Schemathesis makes the requests from the OpenAPI documents, within the bounds they state and beyond them. They go over
real sockets to the services' whole applications, on a real store with an account that is known. Every other request is
to what is there, and every other body one that can be taken, so that each operation is seen to succeed as well.
"""

import asyncio
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from redis.asyncio import Redis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from contracts.payload import Payload
from contracts.topics import topic_of
from deploy.openapi import document_of
from services.runtime import functions
from services.runtime.authentication import STAFF_SCOPE
from services.runtime.clock import SystemClock
from services.runtime.committing import Committing
from services.runtime.decision import Cause
from services.runtime.delivery import Delivery
from services.runtime.keys import shard_of
from services.runtime.settings import Settings
from services.runtime.store import Store
from tests.billing.scenario import purchase
from tests.containers import free_port
from tests.e2e.services import until
from tests.entitlements.scenario import ACCOUNT, ADD_ON, account, member
from tests.notifications.messages import asks
from tests.tokens import Issuer, bearer

ISSUER = Issuer()
_HOST = "127.0.0.1"
_EXAMPLES = 30
_DONE = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)
_UNBOUGHT = "aircall_ai"
_PROMISE_KEYS = "the-promise-secret-of-this-test-alone"
_MONEY = {"amount_minor": 1, "currency": "USD"}
_BODIES: Mapping[str, Mapping[str, Any]] = {
    "/v1/accounts/{account_id}/commands": {"type": "ChangeDigest", "cadence": "weekly"},
    "/v1/accounts/{account_id}/back-office/commands": {
        "type": "GrantAddOn",
        "add_on": _UNBOUGHT,
        "until": "2027-06-30",
        "reason": "a pilot",
    },
    "/v1/accounts/{account_id}/back-office/credits": {
        "type": "IssueCredit",
        "invoice_number": f"{ACCOUNT}-000001",
        "amount": _MONEY,
        "reason": "a bad week",
    },
    "/ofrep/v1/evaluate/flags": {"context": {"targetingKey": "owner"}},
    "/ofrep/v1/evaluate/flags/{key}": {"context": {"targetingKey": "owner"}},
}
"""By path a body that is taken, as often as it is sent."""
_CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
    checks.missing_required_header,
]


def served(service: str, redis_url: str, keys: str, *events: Payload) -> Iterator[str]:
    """Serve a service's application, without Kafka, with the facts of an account and these events in its store."""
    module = __import__(f"services.{service}.app", fromlist=["build"])
    plenty: dict[str, Any] = {"requests_per_minute": 10**6, "commands_per_minute": 10**6}
    known = Settings(
        namespace=f"fuzz{os.getpid()}.", redis_url=redis_url, token_jwks=keys, promise_keys=_PROMISE_KEYS, **plenty
    )
    process = module.build(known)
    asyncio.run(_tell(known, service, process.decider, events))
    process.opening.to_commands()
    application: FastAPI = process.application()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, _HOST, port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until("the application is served", lambda: server.started, 10)
    yield f"http://{_HOST}:{port}"
    server.should_exit = True
    thread.join()


async def _tell(known: Settings, service: str, decider: Any, events: Sequence[Payload]) -> None:
    async with Redis.from_url(known.redis_url) as redis:
        await functions.ensure_loaded(redis)
        store = Store(redis, known.namespace, service, known.partitions, known.inbox_retention_ms)
        committing = Committing(decider, None, store, SystemClock(), conflicts_max=3)
        for message in (account(), member("owner"), member("sue", "admin"), *events):
            delivery = Delivery(ACCOUNT, message, Cause("told", message.ce_type), topic_of(type(message)))
            assert await committing.run(shard_of(ACCOUNT, known.partitions), [delivery]) == []


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the key set that the applications take tokens of."""
    return str(ISSUER.write(tmp_path_factory.mktemp("keys") / "jwks.json"))


@pytest.fixture(scope="module")
def entitlements(embedded_valkey_url: str, keys: str) -> Iterator[str]:
    """Give the address of entitlements' application."""
    yield from served("entitlements", embedded_valkey_url, keys)


@pytest.fixture(scope="module")
def billing(embedded_valkey_url: str, keys: str) -> Iterator[str]:
    """Give the address of billing's application, which has billed a purchase."""
    yield from served("billing", embedded_valkey_url, keys, purchase())


@pytest.fixture(scope="module")
def notifications(embedded_valkey_url: str, keys: str) -> Iterator[str]:
    """Give the address of notifications' application, which has told of a request."""
    yield from served("notifications", embedded_valkey_url, keys, asks("owner"))


def fuzzed(service: str) -> Any:
    """Return the decorator that gives a test the requests made from a service's document, but for endless streams."""
    made_from = schemathesis.openapi.from_dict(document_of(service)).exclude(path_regex="/changes$")
    checked = [HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    bounded = settings(max_examples=_EXAMPLES, deadline=None, derandomize=True, suppress_health_check=checked)
    return lambda test: made_from.parametrize()(bounded(test))


@pytest.fixture
def statuses() -> Iterator[list[int]]:
    """Give a list for the answers of one operation, one of which at least must say that it was done."""
    answered: list[int] = []
    yield answered
    assert [status for status in answered if status in _DONE] != [], sorted(set(answered))


def is_kept(case: Any, url: str, statuses: list[int]) -> None:
    """Send a request, as staff where the door is theirs, else as an Owner; raise when the answer is not documented."""
    staff = "/back-office/" in case.path
    token = ISSUER.token("sue", None, scope=STAFF_SCOPE) if staff else ISSUER.token("owner")
    statuses.append(case.call_and_validate(base_url=url, headers=bearer(token), checks=_CHECKS).status_code)


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Send every other request to what is there, so that it passes the first checks."""
    return _there(context, path_parameters) if len(str(path_parameters)) % 2 else path_parameters


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:
    """Make every other request a good one: to what is there, with a body that is taken, under a key of its own."""
    if len(str(case.body)) % 2 and case.operation.path in _BODIES:
        case.path_parameters = _there(context, case.path_parameters)
        case.body = dict(_BODIES[case.operation.path])
        if "Idempotency-Key" in (case.headers or {}):  # one that is left out is left out on purpose
            case.headers["Idempotency-Key"] = "good"
    return case


def _there(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any]:
    add_on = _UNBOUGHT if context.operation.path.endswith("/preview") else ADD_ON
    there = {"account_id": ACCOUNT, "add_on": add_on, "key": add_on, "invoice_number": f"{ACCOUNT}-000001"}
    return {name: there.get(name, text) for name, text in (path_parameters or {}).items()}


@fuzzed("entitlements")
def test_entitlements_keeps_its_document(case: Any, entitlements: str, statuses: list[int]) -> None:
    """Any request made from entitlements' document, or against it, gets a documented answer, good ones a good one."""
    is_kept(case, entitlements, statuses)


@fuzzed("billing")
def test_billing_keeps_its_document(case: Any, billing: str, statuses: list[int]) -> None:
    """Any request made from billing's document, or against it, gets a documented answer, good ones a good one."""
    is_kept(case, billing, statuses)


@fuzzed("notifications")
def test_notifications_keeps_its_document(case: Any, notifications: str, statuses: list[int]) -> None:
    """Any request made from notifications' document, or against it, gets a documented answer, good ones a good one."""
    is_kept(case, notifications, statuses)
