"""Commands over HTTP on real Kafka and Valkey: their events leave by the outbox, whoever relays the shard."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from contracts.commands import PurchaseAddOn
from contracts.topics import BILLING, COMMANDS, EVENTS, RESULTS
from tests.chaos.launcher import words
from tests.e2e.observe import Deployment
from tests.e2e.records import record
from tests.e2e.services import ServiceProcess, running, until
from tests.entitlements.scenario import ADD_ON, account, member
from tests.tokens import Issuer, bearer

BUY = {"type": "PurchaseAddOn", "add_on": ADD_ON}
COMMANDS_PATH = "/v1/accounts/acme/commands"
_SECONDS = 30


class Place:
    """A deployment, the keys its services take tokens of, and an account with one Owner."""

    def __init__(self, deployment: Deployment, folder: Path) -> None:
        self.deployment = deployment
        self.issuer = Issuer()
        self._keys = self.issuer.write(folder / "jwks.json")

    @property
    def settings(self) -> dict[str, str]:
        """The environment of a service here."""
        return self.deployment.settings(token_jwks=self._keys)

    def tell_facts(self) -> None:
        """Have the account system say who is there, and wait until entitlements knows."""
        self.deployment.send(record(account(), "account-1"), record(member("owner"), "owner-1"))
        self.deployment.until_at_rest("entitlements")

    def post(self, service: ServiceProcess, key: str) -> httpx.Response:
        """Buy over HTTP."""
        headers = bearer(self.issuer.token("owner")) | {"Idempotency-Key": key}
        return httpx.post(
            f"http://127.0.0.1:{service.port}{COMMANDS_PATH}", json=BUY, headers=headers, timeout=_SECONDS
        )

    def results(self) -> list[str]:
        """Return the ids of the commands that were answered on Kafka, in order."""
        return [each.data["command_id"] for each in self.deployment.read(RESULTS)]


@pytest.fixture
def place(new_deployment: Callable[[str], Deployment], tmp_path: Path) -> Place:
    """Give a deployment with keys."""
    return Place(new_deployment("doors"), tmp_path)


def test_a_purchase_over_http_is_billed_like_one_from_kafka(place: Place) -> None:
    """A command that is accepted over HTTP is on the events topic, answered on the results topic, and billed once."""
    with running(place.settings, "entitlements", "billing") as (entitlements, _):
        place.tell_facts()
        reply = place.post(entitlements, "over-http")
        assert reply.status_code == 200, reply.text
        until("the answer is published", lambda: place.results() == ["over-http"], _SECONDS)
        place.deployment.until_at_rest("entitlements", "billing")
        (purchased,) = place.deployment.read(EVENTS)
        assert [purchased.id] == reply.json()["events"]
        (invoice,) = place.deployment.read(BILLING)
        assert invoice.attributes["ce_causationid"] == purchased.id
        assert place.deployment.read(COMMANDS) == []


def test_any_process_serves_any_account(place: Place) -> None:
    """With two processes, each answers for the account, and what either commits is published by the shard's owner."""
    with running(place.settings, "entitlements", "entitlements") as processes:
        place.tell_facts()
        replies = [place.post(process, f"key-{number}") for number, process in enumerate(processes)]
        assert [each.status_code for each in replies] == [200, 409]
        until("both answers are published", lambda: place.results() == ["key-0", "key-1"], _SECONDS)


def test_one_key_is_one_command_on_both_ways(place: Place) -> None:
    """A command sent over HTTP and then to Kafka under the same id has one effect and one answer."""
    with running(place.settings, "entitlements") as (entitlements,):
        place.tell_facts()
        assert place.post(entitlements, "both").status_code == 200
        command = PurchaseAddOn(account_id="acme", user_id="owner", add_on=ADD_ON)
        place.deployment.send(record(command, "both"))
        place.deployment.until_at_rest("entitlements")
        assert (place.results(), len(place.deployment.read(EVENTS))) == (["both"], 1)
        assert place.post(entitlements, "both").status_code == 200


def test_a_reply_that_was_lost_is_given_again(place: Place) -> None:
    """Killed between commit and reply, a command has its effect once: the same request gets the answer that stands."""
    with running(place.settings, "entitlements"):
        place.tell_facts()
    with ServiceProcess("entitlements", place.settings, words("entitlements", "after_commit", 1)) as entitlements:
        entitlements.until_ready()
        with pytest.raises(httpx.HTTPError):
            place.post(entitlements, "lost")
        assert entitlements.wait() == -9
    with running(place.settings, "entitlements") as (entitlements,):
        reply = place.post(entitlements, "lost")
        assert reply.status_code == 200, reply.text
        until("the answer is published", lambda: place.results() == ["lost"], _SECONDS)
        assert len(place.deployment.read(EVENTS)) == 1
