"""`addonflow dead-letters` on real Kafka and Valkey: what was set aside can be seen, and has its one effect later.

An account is poisoned (what is stored of it cannot be read) in one service after the other; its neighbour goes on.
"""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from typer.testing import CliRunner, Result

from contracts.commands import ChangeDigest, PurchaseAddOn
from contracts.topics import ACCOUNTS, BILLING, COMMANDS, EVENTS, READERS, RESULTS, TOPICS
from deploy.addonflow.main import app
from deploy.addonflow.script import AI, ANALYTICS
from services.runtime.keys import ShardKeys, shard_of
from tests.chaos import load
from tests.e2e import services
from tests.e2e.conftest import bare_deployment, new_deployment
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, record
from tests.e2e.services import SERVICES

__all__ = ["bare_deployment", "new_deployment"]  # fixtures of deployments with a namespace of their own
OWN = [topic for topic in TOPICS if topic.writer in READERS]
POISONED, NEIGHBOUR = "acme", "birch"


@pytest.fixture(scope="module")
def deployment(new_deployment: Callable[[str], Deployment]) -> Deployment:
    """Give a deployment with topics and nothing in them."""
    return new_deployment("letters")


def run(deployment: Deployment, *words: str) -> Result:
    """Run `addonflow`."""
    return CliRunner().invoke(app, list(words), env=deployment.settings())


def letters(deployment: Deployment, *words: str) -> list[dict[str, Any]]:
    """Return what `dead-letters list` tells of the letters."""
    listed = run(deployment, "dead-letters", "list", "--json", "--all", "--limit", "100", *words)
    return [json.loads(line) for line in listed.stdout.splitlines()]


class Poison:
    """Makes what a service stores of an account unreadable, until it is cured."""

    def __init__(self, deployment: Deployment, service: str) -> None:
        self._redis = deployment.redis
        keys = ShardKeys(deployment.namespace, service, shard_of(POISONED, deployment.partitions))
        self._account = keys.account(POISONED)
        self._gaps = keys.gaps
        self._document: Any = self._redis.hget(self._account, "document")
        self._redis.hset(self._account, "document", '{"poison')

    def cure(self) -> None:
        """Put back what was there."""
        self._redis.hset(self._account, "document", self._document)

    def gap(self) -> bytes | None:
        """Return what is noted as missing of the account's events."""
        return self._redis.hget(self._gaps, f"{EVENTS.name} {POISONED}")  # type: ignore[return-value]


def purchase(account_id: str, add_on: str) -> Record:
    """Return an Owner's purchase."""
    return record(PurchaseAddOn(account_id=account_id, user_id="owner", add_on=add_on), f"{account_id}-{add_on}")


def digest(command_id: str, cadence: Literal["weekly", "never"]) -> Record:
    """Return an Owner's wish, which is of no concern to billing."""
    return record(ChangeDigest(account_id=POISONED, user_id="owner", cadence=cadence), command_id)


def fact(account_id: str, revision: int) -> Record:
    """Return an account's fact."""
    return record(load.account(account_id, revision), f"{account_id}-fact-{revision}")


def said(deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    """Return all that the services have said, each once."""
    return {topic.name: sorted({each.content for each in deployment.read(topic)}) for topic in OWN}


@pytest.fixture(scope="module")
def story(deployment: Deployment) -> dict[str, Any]:
    """Play a poisoned account from the first letter to the last replay; give what was seen on the way."""
    seen: dict[str, Any] = {}
    with services.running(deployment.settings()):
        for account in (POISONED, NEIGHBOUR):
            owner = load.member(account, "owner", "owner").model_copy(update={"name": "Nora"})
            member = record(owner, f"{account}-owner")
            deployment.send(fact(account, 1), member)
        deployment.until_at_rest(*SERVICES)
        poisons = {service: Poison(deployment, service) for service in ("entitlements", "billing")}
        deployment.send(fact(POISONED, 2), purchase(POISONED, ANALYTICS), purchase(NEIGHBOUR, ANALYTICS))
        deployment.send(digest("dropped", "weekly"))
        deployment.send(fact(NEIGHBOUR, 2).with_(value=b"\x1b[31m{"))
        deployment.until_at_rest(*SERVICES)
        seen["shown"] = run(deployment, "account", "show", POISONED)
        seen["poisoned"] = (letters(deployment), said(deployment))

        poisons["entitlements"].cure()
        dry = run(deployment, "dead-letters", "replay", "--service", "entitlements", "--dry-run")
        seen["dry"] = (dry, letters(deployment), said(deployment))
        [unwanted] = of(letters(deployment), message_id="dropped")
        run(deployment, "dead-letters", "drop", unwanted["id"], "--why", "asked otherwise by phone", "--by", "mara")
        seen["replayed"] = run(deployment, "dead-letters", "replay", "--service", "entitlements", "--by", "mara")
        deployment.until_at_rest(*SERVICES)
        deployment.send(purchase(POISONED, AI))
        deployment.until_at_rest(*SERVICES)
        seen["events set aside"] = letters(deployment, "--service", "billing", "--topic", EVENTS.name)

        poisons["billing"].cure()
        deployment.send(digest("an event that is no purchase", "never"))
        deployment.until_at_rest(*SERVICES)
        seen["gap before"] = poisons["billing"].gap()
        seen["filled"] = run(deployment, "dead-letters", "replay", "--account", POISONED)
        deployment.until_at_rest(*SERVICES)
        seen["gap after"] = poisons["billing"].gap()
        seen["end"] = said(deployment)
        commands = of(letters(deployment, "--topic", COMMANDS.name), message_id=f"{POISONED}-{ANALYTICS}")
        seen["again"] = [
            run(deployment, "dead-letters", "replay", "--all", "--again", "--topic", topic.name)
            for topic in (ACCOUNTS, EVENTS)
        ] + [run(deployment, "dead-letters", "replay", "--again", each["id"]) for each in commands]
        deployment.until_at_rest(*SERVICES)
        seen["end again"] = said(deployment)
    return seen


def of(found: list[dict[str, Any]], **what: Any) -> list[dict[str, Any]]:
    """Return the letters that have these values."""
    return [each for each in found if {name: each[name] for name in what} == what]


def test_the_others_go_on_beside_a_poisoned_account(story: dict[str, Any]) -> None:
    """What is of the poisoned account is set aside, fact and command, and its neighbour buys and is billed."""
    found, heard = story["poisoned"]
    assert {each["service"]: each["reason"] for each in of(found, account_id=POISONED)} == {
        "entitlements": "handler_failed",
        "billing": "handler_failed",
    }
    topics = [each["topic"] for each in of(found, account_id=POISONED, service="entitlements")]
    assert sorted(topics) == [ACCOUNTS.name, COMMANDS.name, COMMANDS.name]
    assert [key for _, key, *_ in heard[BILLING.name]] == [NEIGHBOUR.encode()]


def test_an_account_that_cannot_be_read_is_shown(story: dict[str, Any]) -> None:
    """What is stored is shown as it is, with what was set aside of the account."""
    assert story["shown"].exit_code == 0, story["shown"].output
    assert 'entitlements cannot read what it keeps: unreadable {"poison' in story["shown"].stdout
    assert f"set aside by entitlements: {COMMANDS.dead_letters_of('entitlements')}" in story["shown"].stdout


def test_a_dry_run_does_nothing(story: dict[str, Any]) -> None:
    """It tells what would be replayed, and what cannot be; no letter is marked and nothing is published."""
    result, found, heard = story["dry"]
    assert "3 would be replayed, 0 dealt with before" in result.stdout
    assert "1 left open: this release cannot read it either: not_json" in result.stdout
    assert result.exit_code == 1
    assert (found, heard) == story["poisoned"]


def test_a_replayed_command_has_its_effect(story: dict[str, Any]) -> None:
    """Replayed to a cured service the command is decided, under its own id; the letter tells who did it."""
    assert "2 replayed, 1 dealt with before" in story["replayed"].stdout
    ids = [
        json.loads(value)["command_id"] for _, key, value, _ in story["end"][RESULTS.name] if key == POISONED.encode()
    ]
    assert sorted(ids) == sorted([f"{POISONED}-{ANALYTICS}", f"{POISONED}-{AI}", "an event that is no purchase"])


def test_a_set_aside_event_is_a_gap_and_its_replay_fills_it(story: dict[str, Any]) -> None:
    """Two events that billing set aside are missing to it as soon as it reads a third; replayed, none is missing."""
    assert [each["type"] for each in story["events set aside"]] == ["AddOnPurchased", "AddOnPurchased"]
    assert story["gap before"] == b"1-2"
    assert story["filled"].exit_code == 0, story["filled"].output
    assert story["gap after"] is None
    invoices = [json.loads(value)["invoice_number"] for _, key, value, _ in story["end"][BILLING.name]]
    assert sorted(invoices) == [f"{POISONED}-000001", f"{POISONED}-000002", f"{NEIGHBOUR}-000001"]


def test_what_is_replayed_twice_has_one_effect(story: dict[str, Any]) -> None:
    """Facts, commands and events published once more change nothing and say nothing."""
    assert all("replayed, 0 dealt with before" in each.stdout for each in story["again"])
    assert len(story["again"]) == 3
    assert story["end again"] == story["end"]


def test_letters_and_what_became_of_them_are_listed(story: dict[str, Any], deployment: Deployment) -> None:
    """The list counts by reason and ends with 1 while a letter is open; one that is dropped tells why and by whom."""
    listed = run(deployment, "dead-letters", "list")
    assert listed.exit_code == 1
    assert "handler_failed" in listed.stdout
    wrong, *others = of(letters(deployment, "--newer-than", "1h"), reason="not_json")
    assert others, "every reader of facts has its own"
    shown = run(deployment, "dead-letters", "show", wrong["id"])
    assert "cannot read it either" in shown.stdout
    assert "\\x1b[31m{" in shown.stdout
    assert "\x1b" not in shown.stdout

    assert run(deployment, "dead-letters", "drop", "--reason", "not_json").exit_code == 2
    dropped = run(deployment, "dead-letters", "drop", "--reason", "not_json", "--why", "a typo", "--by", "mara")
    assert "3 dropped, 0 dealt with before" in dropped.stdout
    assert run(deployment, "dead-letters", "list").exit_code == 0
    [settled, *_] = [each["settled"] for each in of(letters(deployment), reason="not_json")]
    assert (settled["outcome"], settled["by"], settled["why"]) == ("dropped", "mara", "a typo")
    again = run(deployment, "dead-letters", "replay", "--all")
    assert "0 replayed" in again.stdout
    assert run(deployment, "dead-letters", "replay").exit_code == 2
    assert run(deployment, "dead-letters", "show", f"{COMMANDS.dead_letters_of('entitlements')}/0/999").exit_code == 2


def test_an_account_is_shown_across_all_services(story: dict[str, Any], deployment: Deployment) -> None:
    """State, sequences and timers of every service; people's names are left out unless they are asked for."""
    shown = json.loads(run(deployment, "account", "show", NEIGHBOUR, "--json").stdout)
    states = shown["services"]
    assert {service: state["said"].get(BILLING.name) for service, state in states.items()} == {
        "entitlements": None,
        "billing": 1,
        "notifications": None,
    }
    assert states["notifications"]["read"] == {EVENTS.name: 1, BILLING.name: 1}
    assert (states["billing"]["row_counts"]["invoice"], [*states["billing"]["timers"]]) == (1, ["renewal"])
    for options, named in (((), False), (("--people",), True)):
        lines = run(deployment, "account", "show", NEIGHBOUR, *options).stdout
        assert f"{NEIGHBOUR}-000001 immediate" in lines
        assert ("name Nora" in lines) == named
    assert run(deployment, "account", "show", "nobody").exit_code == 1


def test_the_history_of_an_account_goes_from_cause_to_effect(story: dict[str, Any], deployment: Deployment) -> None:
    """Everything of the account on all topics, each below its cause: command, event, invoice, notice."""
    told = run(deployment, "account", "show", NEIGHBOUR, "--history", "--json")
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert {each["account_id"] for each in lines} == {NEIGHBOUR}
    depths = [(each["type"], each["depth"]) for each in lines if each["depth"] or each["type"] == "PurchaseAddOn"]
    assert depths == [
        ("PurchaseAddOn", 0),
        ("AddOnPurchased", 1),
        ("CommandAccepted", 1),
        ("InvoiceIssued", 2),
        ("NotificationRequested", 3),
    ]
    shown = run(deployment, "account", "show", NEIGHBOUR, "--history").stdout.splitlines()
    by_depth = {line.split()[4]: len(line) - len(line.lstrip()) for line in shown}
    assert (by_depth["PurchaseAddOn"], by_depth["InvoiceIssued"], by_depth["NotificationRequested"]) == (0, 4, 6)


def test_accounts_invoices_and_events_are_exported(
    story: dict[str, Any], deployment: Deployment, tmp_path: Path
) -> None:
    """Each account once, each line of an invoice once, each record of a topic once, in CSV and as JSON lines."""
    accounts = list(csv.DictReader(io.StringIO(run(deployment, "export", "accounts").stdout)))
    assert {each["account_id"]: each["invoices"] for each in accounts} == {POISONED: "2", NEIGHBOUR: "1"}
    assert {each["subscriptions"] for each in accounts} == {f"{AI} {ANALYTICS}", ANALYTICS}

    out = tmp_path / "invoices.csv"
    assert run(deployment, "export", "invoices", "--out", str(out)).exit_code == 0
    assert out.stat().st_mode & 0o777 == 0o600
    lines = list(csv.DictReader(out.open(newline="")))
    billed = [(line["invoice_number"], line["line"], int(line["amount_minor"])) for line in lines]
    said = [json.loads(value) for _, _, value, _ in story["end"][BILLING.name]]
    assert sorted(billed) == sorted(
        (each["invoice_number"], str(number), line["amount"]["amount_minor"])
        for each in said
        for number, line in enumerate(each["lines"], 1)
    )
    assert run(deployment, "export", "invoices", "--out", str(out)).exit_code == 2

    told = run(deployment, "export", "events", "--format", "jsonl", "--topic", EVENTS.name).stdout
    rows = [json.loads(line) for line in told.splitlines()]
    whole = {(each["topic"], each["partition"], each["offset"]): each["data"] for each in rows}
    assert len(whole) == len(rows)
    assert [data for (name, *_), data in sorted(whole.items(), key=lambda each: each[0]) if name == EVENTS.name] == [
        each.data for each in deployment.read(EVENTS)
    ]


def test_the_audit_finds_nothing_behind_a_replay(story: dict[str, Any], deployment: Deployment) -> None:
    """What was set aside, repaired and replayed is charged once, and billing's state is what its log says."""
    audited = run(deployment, "audit")
    assert audited.exit_code == 0, audited.stdout


@pytest.mark.parametrize("service", ["entitlements", "billing", "notifications"])
def test_a_rebuild_comes_to_the_same(story: dict[str, Any], deployment: Deployment, service: str) -> None:
    """What was set aside and replayed is rebuilt as it was decided, and of what was dropped comes nothing."""
    rebuilt = run(deployment, "rebuild", service)
    assert rebuilt.exit_code == 0, rebuilt.stdout
