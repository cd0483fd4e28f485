"""`addonflow erase-member` on real Kafka and Valkey: whom it erases is in no key any more, nor comes back from the log.

Marla asks, and Maro, an Owner, wants a quote, tries and refuses, all in words of their own; then both leave. Outboxes
and the log keep what was said: they are the proof that the marks were there.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from contracts.accounts import MemberUpdated
from contracts.commands import DeclineFeature, RequestFeature, RequestQuote, StartTrial
from contracts.topics import EVENTS, NOTIFICATIONS, RESULTS
from deploy.addonflow.main import app
from deploy.addonflow.script import AI, ANALYTICS
from tests.e2e import services
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, record
from tests.e2e.services import SERVICES
from tests.entitlements.scenario import ACCOUNT, account, member

MARK = "Kerr-Ozgur"
"""In names, addresses and words of the two who are erased, and nowhere else."""
ROLES = {"marla": "supervisor", "maro": "owner"}


@pytest.fixture(scope="module")
def deployment(new_deployment: Callable[[str], Deployment]) -> Deployment:
    """Give a deployment with topics and nothing in them."""
    return new_deployment("erasure")


def run(deployment: Deployment, *words: str, typed: str | None = None) -> Result:
    """Run `addonflow`, and answer what it asks."""
    return CliRunner().invoke(app, list(words), env=settings(deployment), input=typed)


def settings(deployment: Deployment) -> dict[str, str]:
    """Return the environment of services whose digests wait for an hour: they are still to come in these tests."""
    return deployment.settings(digest_delay_seconds=3_600)


def fact(user_id: str, revision: int, *, active: bool = True) -> Record:
    """State who Marla or Maro is."""
    said = MemberUpdated(
        account_id=ACCOUNT,
        revision=revision,
        user_id=user_id,
        role=ROLES[user_id],
        status="active" if active else "removed",
        name=f"{user_id.title()} {MARK}",
        email=f"{user_id}@{MARK}.example",
        locale=MARK,
    )
    return record(said, f"{user_id}-{revision}")


def commands() -> list[Record]:
    """Return what the two, and others, ask for."""
    about: dict[str, Any] = {"account_id": ACCOUNT, "add_on": ANALYTICS}
    note = f"please, {MARK}"
    said = [
        RequestFeature(**about, user_id="marla", note=note),
        RequestFeature(**about, user_id="admin", note="me too"),
        RequestFeature(account_id=ACCOUNT, add_on=AI, user_id="marla", note=note),
        StartTrial(account_id=ACCOUNT, add_on=AI, user_id="maro"),
        RequestQuote(**about, user_id="maro", note=note),
        DeclineFeature(account_id=ACCOUNT, add_on=AI, user_id="maro", note=note),
    ]
    return [record(each, f"command-{number}") for number, each in enumerate(said)]


def found(deployment: Deployment) -> dict[str, list[str]]:
    """Return where the mark is in Redis: the keys of each kind, a kind being what comes behind the shard."""
    kinds: dict[str, list[str]] = {}
    with deployment.redis as client:
        for key in client.scan_iter(f"*{deployment.namespace}*", count=1_000):
            if MARK in repr(_content(client, key)):
                kinds.setdefault(key.partition(b"}:")[2].partition(b":")[0].decode(), []).append(key.decode())
    return kinds


def _content(client: Any, key: bytes) -> Any:
    match client.type(key):
        case b"hash":
            return client.hgetall(key)
        case b"zset":
            return client.zrange(key, 0, -1, withscores=True)
        case b"stream":
            return client.xrange(key)
    return client.get(key)


@pytest.fixture(scope="module")
def story(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Have everything happen, and the services stopped; give what was seen."""
    seen: dict[str, Any] = {"backup": tmp_path_factory.mktemp("backups") / "before"}
    with services.running(settings(deployment)):
        deployment.send(record(account(sales_managed=True), "fact"))
        deployment.send(*(record(member(role), f"fact-{role}") for role in ("owner", "admin")))
        deployment.send(*(fact(user_id, 1) for user_id in ROLES))
        deployment.until_at_rest("entitlements")
        deployment.send(*commands())
        deployment.until_at_rest(*SERVICES)
        seen["before"] = found(deployment)
        seen["too early"] = run(deployment, "erase-member", ACCOUNT, "marla", "--yes")
        deployment.send(*(fact(user_id, 2, active=False) for user_id in ROLES))
        deployment.until_at_rest(*SERVICES)
        assert run(deployment, "backup", str(seen["backup"])).exit_code == 0
        seen["dry run"] = run(deployment, "erase-member", ACCOUNT, "marla", "--dry-run")
        seen["declined"] = run(deployment, "erase-member", ACCOUNT, "marla", typed="n\n")
        seen["kept"] = found(deployment)
        seen["marla"] = run(deployment, "erase-member", ACCOUNT, "marla", "--by", "mara", typed="y\n")
        seen["maro"] = run(deployment, "erase-member", ACCOUNT, "maro", "--yes", "--id", "erase-maro")
        seen["again"] = run(deployment, "erase-member", ACCOUNT, "maro", "--yes")
        seen["stranger"] = run(deployment, "erase-member", ACCOUNT, "nobody", "--yes")
        seen["after"] = found(deployment)
        seen["said"] = {topic.name: len(deployment.read(topic)) for topic in (EVENTS, RESULTS, NOTIFICATIONS)}
        newer = (fact(user_id, revision) for user_id in ROLES for revision in (1, 2, 9))
        deployment.send(*newer, record(member("otto", "owner"), "fact-otto"))
        deployment.until_at_rest(*SERVICES)
        late = [record(RequestFeature(account_id=ACCOUNT, add_on=AI, user_id="marla", note=MARK), "late")]
        late += [record(RequestFeature(account_id=ACCOUNT, add_on=AI, user_id="admin"), "last")]
        deployment.send(*late)
        deployment.until_at_rest(*SERVICES)
        seen["later"] = found(deployment)
    return seen


def test_the_marks_were_everywhere_before(story: dict[str, Any]) -> None:
    """Names and words of the two were in the accounts and in the outboxes: these tests look in the right places."""
    assert story["before"].keys() == {"account", "outbox"}
    assert len(story["before"]["account"]) == 2
    assert story["kept"]["account"] == story["before"]["account"]


def test_what_is_held_where_is_said_without_saying_it(story: dict[str, Any]) -> None:
    """A dry run names services, rows and fields, and changes nothing; nor does an erasure that is not confirmed."""
    shown = story["dry run"]
    assert shown.exit_code == 0, shown.output
    assert MARK not in shown.stdout
    lines = {line.strip() for line in shown.stdout.splitlines()}
    assert {
        "entitlements, member: email, name",
        "notifications, member: email, name",
        "notifications, 2 × asked: name, note",
        "notifications, document: name, note",
    } <= lines
    assert story["declined"].exit_code == 1
    assert story["declined"].stdout.startswith(shown.stdout)


def test_the_command_says_what_became_of_it(story: dict[str, Any], deployment: Deployment) -> None:
    """0 when nothing is kept any more; 1 for who is active, unknown or erased already, with the sentence."""
    for name in ("marla", "maro"):
        assert story[name].exit_code == 0, story[name].output
        assert "nothing is kept that says who they are" in story[name].stdout.splitlines()[-1]
    sentences = {
        "too early": "remove them in the account system first",
        "again": "nothing is left to erase",
        "stranger": "No fact has told of such a member",
    }
    for name, sentence in sentences.items():
        assert story[name].exit_code == 1, story[name].output
        assert sentence in story[name].stdout
    erased = [each for each in deployment.read(EVENTS) if each.type == "MemberErased"]
    assert [each.data["user_id"] for each in erased] == ["marla", "maro"]
    assert erased[0].data["by"] == {"staff_id": "mara", "reason": "asked to be erased"}


@pytest.mark.parametrize("when", ["after", "later"])
def test_no_key_has_what_said_who_they_were(story: dict[str, Any], when: str) -> None:
    """Right behind the command, and after facts and commands that came later: only outboxes have what was said then."""
    assert story[when].keys() == {"outbox"}


def test_nothing_is_said_of_them_later(story: dict[str, Any], deployment: Deployment) -> None:
    """Events, answers and notices from then on have neither names nor words; a command of theirs is refused."""
    for topic in (EVENTS, RESULTS, NOTIFICATIONS):
        said = deployment.read(topic)
        assert MARK in repr([each.value for each in said]) or topic is RESULTS
        later = said[story["said"][topic.name] :]
        assert later or topic is NOTIFICATIONS
        assert MARK not in repr([each.value for each in later])
    [late] = [each for each in deployment.read(RESULTS) if each.data["command_id"] == "late"]
    assert late.data["reason"] == "member_unknown"


def test_what_operators_look_at_works_and_does_not_show_them(story: dict[str, Any], deployment: Deployment) -> None:
    """The account, its history from the log, exports and the audit: as ever, with ids in the place of names."""
    for words in (
        ["account", "show", ACCOUNT, "--people"],
        ["account", "show", ACCOUNT, "--json"],
        ["account", "show", ACCOUNT, "--history"],
        ["account", "show", ACCOUNT, "--history", "--json"],
        ["export", "accounts"],
        ["export", "invoices"],
        ["audit"],
    ):
        shown = run(deployment, *words)
        assert shown.exit_code == 0, shown.output
        assert MARK not in shown.output
    history = run(deployment, "account", "show", ACCOUNT, "--history", "--json").stdout.splitlines()
    facts = [each["data"] for each in map(json.loads, history) if each["type"] == "MemberUpdated"]
    assert {each["name"] for each in facts if each["user_id"] in ROLES} == {None}
    assert {each["name"] for each in facts if each["user_id"] == "otto"} == {"Otto"}


def test_the_log_alone_brings_nobody_back(story: dict[str, Any], deployment: Deployment) -> None:
    """With Redis lost, each service made again from the topics, which have it all, ends erased."""
    deployment.forget_state()
    for service in SERVICES:
        rebuilt = run(deployment, "rebuild", service)
        assert rebuilt.exit_code == 0, rebuilt.output
    assert found(deployment) == {}
    kept = run(deployment, "erase-member", ACCOUNT, "marla", "--dry-run")
    assert (kept.exit_code, kept.stdout.startswith("erased on ")) == (0, True)


def test_a_backup_from_before_brings_nobody_back(story: dict[str, Any], deployment: Deployment) -> None:
    """A restore replays the log behind the backup, and with it the erasure; outboxes are as they were kept."""
    deployment.forget_state()
    restored = run(deployment, "restore", str(story["backup"]))
    assert restored.exit_code == 0, restored.output
    assert found(deployment).keys() == {"outbox"}
    with services.running(settings(deployment)):
        deployment.until_at_rest(*SERVICES)
    assert found(deployment).keys() == {"outbox"}
