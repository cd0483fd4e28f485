"""Checks on real Kafka and Valkey: what a command does is seen by whoever asks, and a stop ends open streams."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from services.runtime.authentication import PRODUCT_SCOPE
from tests.e2e.observe import Deployment
from tests.e2e.records import record
from tests.e2e.services import ServiceProcess, until
from tests.entitlements.scenario import account, member, purchase
from tests.tokens import Issuer, bearer

PATH = "/v1/accounts/acme/entitlements"


@pytest.fixture
def deployment(new_deployment: Callable[[str], Deployment]) -> Deployment:
    """Give a deployment of this test's own."""
    return new_deployment("checks")


def accesses(data: str) -> set[str]:
    """Return the accesses in a document."""
    return {each["access"] for each in json.loads(data)["entitlements"]}


def test_a_purchase_reaches_those_who_follow_and_a_stop_ends_them(deployment: Deployment, tmp_path: Path) -> None:
    """What Kafka brings is told by a check and an open stream; told to stop, the process ends it and exits with 0."""
    issuer = Issuer()
    headers = bearer(issuer.token("dialer", None, scope=PRODUCT_SCOPE))
    settings = deployment.settings(token_jwks=issuer.write(tmp_path / "jwks.json"))
    told: list[set[str]] = []
    with ServiceProcess("entitlements", settings) as service:
        service.until_ready()
        url = f"http://127.0.0.1:{service.port}"
        deployment.send(record(account(), "account-1"), record(member("owner"), "owner-1"))
        until("the account is known", lambda: httpx.get(url + PATH, headers=headers).status_code == 200, 20)

        def follow() -> None:
            with httpx.stream("GET", f"{url}{PATH}/changes", headers=headers, timeout=60) as response:
                told.extend(accesses(line[6:]) for line in response.iter_lines() if line.startswith("data: "))

        following = threading.Thread(target=follow)
        following.start()
        until("the stream began", lambda: len(told) == 1, 10)
        deployment.send(record(purchase(), "buy"))
        until("the purchase is told", lambda: len(told) == 2, 20)
        assert told == [{"none"}, {"none", "active"}]
        assert accesses(httpx.get(url + PATH, headers=headers).text) == {"none", "active"}
        started = time.monotonic()
        assert service.terminate() == 0
        following.join(5)
        assert not following.is_alive()
        assert time.monotonic() - started < 10
        assert "graceful shutdown exceeded" not in service.log
