"""The OpenAPI documents: what the applications say, whole, and kept by them whatever is sent."""

import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.openapi import DIRECTORY, SERVICES, document_of, golden_files
from services.runtime.settings import Settings
from tests.tokens import Issuer, bearer

ISSUER = Issuer()
DOCUMENTS = {service: document_of(service) for service in SERVICES}
OPERATIONS = [
    pytest.param(service, path, method, id=f"{method} {path}")
    for service, document in DOCUMENTS.items()
    for path, operations in document["paths"].items()
    for method in operations
]
WITH_A_BODY = [
    case
    for case in OPERATIONS
    for service, path, method in [map(str, case.values)]
    if "requestBody" in DOCUMENTS[service]["paths"][path][method]
]
OF_AN_ACCOUNT = [case for case in OPERATIONS if "{account_id}" in str(case.values[1])]


@asynccontextmanager
async def client_of(service: str, url: str, keys: Path, *, started: bool = True) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a service's whole application, which is not connected to Kafka."""
    module = __import__(f"services.{service}.app", fromlist=["build"])
    settings = Settings(namespace=f"o{os.getpid()}.", redis_url=url, token_jwks=str(ISSUER.write(keys / "jwks.json")))
    process = module.build(settings)
    if started:
        process.opening.to_commands()
    transport = httpx.ASGITransport(process.application(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


def filled(path: str) -> str:
    """Return a path with something in the place of every parameter; the account is "other"."""
    return re.sub(r"\{(\w+)\}", lambda match: "other" if match[1] == "account_id" else "analytics_plus", path)


def references(part: Any) -> Iterator[str]:
    """Yield every reference of a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        yield from (found for each in part.values() for found in references(each))
    elif isinstance(part, list):
        yield from (found for each in part for found in references(each))


def test_the_committed_documents_are_what_the_applications_say() -> None:
    """Every document is committed as the applications make it: `make schemas` writes them."""
    golden = dict(golden_files())
    assert {path: path.read_text("utf-8") for path in DIRECTORY.glob("*.json")} == golden


@pytest.mark.parametrize("service", SERVICES)
def test_every_reference_leads_somewhere(service: str) -> None:
    """A document refers to nothing that is not in it, and keeps no note of the runtime's own."""
    document = DOCUMENTS[service]
    for reference in set(references(document)):
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
    assert "x-schemas" not in json.dumps(document)


@pytest.mark.parametrize(("service", "path", "method"), OPERATIONS)
def test_every_operation_says_what_it_may_answer(service: str, path: str, method: str) -> None:
    """Each operation has a description and the problems that each caller may meet; with a body, those of a body too."""
    operation = DOCUMENTS[service]["paths"][path][method]
    assert operation.get("description")
    of_a_body = {"400", "408", "413"} if "requestBody" in operation else set()
    assert {"401", "403", "429", "503"} | of_a_body <= set(operation["responses"])


@pytest.mark.parametrize(("service", "path", "method"), WITH_A_BODY)
async def test_a_body_that_is_too_large_is_refused_in_the_documented_form(
    service: str, path: str, method: str, embedded_valkey_url: str, tmp_path: Path
) -> None:
    """Each operation with a body refuses one beyond the bound with 413, in the media type that its document names."""
    documented = DOCUMENTS[service]["paths"][path][method]["responses"]["413"]["content"]
    async with client_of(service, embedded_valkey_url, tmp_path) as client:
        reply = await client.request(
            method, filled(path), content=b" " * (Settings(namespace="").request_bytes_max + 1)
        )
    assert reply.status_code == 413
    assert reply.headers["content-type"] in documented


@pytest.mark.parametrize(("service", "path", "method"), OPERATIONS)
async def test_no_operation_answers_without_a_token(
    service: str, path: str, method: str, embedded_valkey_url: str, tmp_path: Path
) -> None:
    """Each operation of each document asks for a token first, whatever else is right or wrong with the request."""
    async with client_of(service, embedded_valkey_url, tmp_path) as client:
        reply = await client.request(method, filled(path), json={})
    assert (reply.status_code, reply.headers["www-authenticate"]) == (401, 'Bearer realm="addonflow"')
    if not path.startswith("/ofrep/"):  # whose clients read errors in the protocol's own form
        assert reply.json()["reason"] == "token_missing"


@pytest.mark.parametrize(("service", "path", "method"), OPERATIONS)
async def test_no_operation_answers_before_the_process_has_passed_its_checks(
    service: str, path: str, method: str, embedded_valkey_url: str, tmp_path: Path
) -> None:
    """Each operation of each document is 503 with when to come again until Redis is seen to be the right one."""
    async with client_of(service, embedded_valkey_url, tmp_path, started=False) as client:
        reply = await client.request(method, filled(path), json={}, headers=bearer(ISSUER.token("olga", "other")))
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(("service", "path", "method"), OF_AN_ACCOUNT)
async def test_no_operation_opens_another_account(
    service: str, path: str, method: str, embedded_valkey_url: str, tmp_path: Path
) -> None:
    """Each operation on an account refuses a member of another one with 403, and says nothing about the account."""
    headers = bearer(ISSUER.token("olga", "acme")) | {"Idempotency-Key": "k"}
    async with client_of(service, embedded_valkey_url, tmp_path) as client:
        reply = await client.request(method, filled(path), json={}, headers=headers)
    assert (reply.status_code, reply.json()["reason"]) == (403, "not_permitted")
