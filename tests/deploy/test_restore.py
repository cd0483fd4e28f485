"""`addonflow backup` and `restore` on real Kafka and Valkey: under load, after a loss of Redis, and of Kafka too."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from contracts.commands import PurchaseAddOn, RequestFeature
from contracts.topics import BILLING, EVENTS, READERS, RESULTS, TOPICS
from deploy.addonflow.backup_files import Manifest
from deploy.addonflow.main import app
from deploy.addonflow.script import AI, ANALYTICS
from tests.chaos import load
from tests.e2e.conftest import bare_deployment, new_deployment
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, by_account, record
from tests.e2e.services import SERVICES, ServiceProcess

__all__ = ["bare_deployment", "new_deployment"]  # fixtures of deployments with a namespace of their own
OWN = [topic for topic in TOPICS if topic.writer in READERS]
ACCOUNTS = tuple(f"account-{number}" for number in range(9))
NEW = "came-later"
SUPERVISORS = 12


@pytest.fixture(scope="module")
def deployment(new_deployment: Callable[[str], Deployment]) -> Deployment:
    """Give a deployment with topics and nothing in them."""
    return new_deployment("restore")


def run(deployment: Deployment, *words: str) -> Result:
    """Run `addonflow`."""
    return CliRunner().invoke(app, list(words), env=settings(deployment))


def settings(deployment: Deployment) -> dict[str, str]:
    """Return the environment of services whose digests wait a second."""
    return deployment.settings(digest_delay_seconds=1)


def facts(*accounts: str) -> list[Record]:
    """Return accounts with an Owner and supervisors."""
    people = [("owner", "owner"), *((f"s{number}", "supervisor") for number in range(SUPERVISORS))]
    return [record(load.account(account), f"{account}-fact") for account in accounts] + [
        record(load.member(account, user, role), f"{account}-{user}") for account in accounts for user, role in people
    ]


def asks(add_on: str, *accounts: str) -> list[Record]:
    """Return what every supervisor of the accounts asks for."""
    return [
        record(RequestFeature(account_id=account, user_id=f"s{number}", add_on=add_on), f"{account}-{add_on}-{number}")
        for number in range(SUPERVISORS)
        for account in accounts
    ]


def buys(add_on: str, *accounts: str) -> list[Record]:
    """Return a purchase of each account."""
    return [
        record(PurchaseAddOn(account_id=account, user_id="owner", add_on=add_on), f"{account}-buys-{add_on}")
        for account in accounts
    ]


def content(deployment: Deployment) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the services have said, each once; AssertionError where two versions of one record were said."""
    return {
        topic.name: sorted(each.content for found in by_account(deployment.read(topic)).values() for each in found)
        for topic in OWN
    }


def running(deployment: Deployment, *stages: Callable[[], Any], killed: bool = False) -> None:
    """Run the services for some stages, then stop or kill them: what they had in hand is lost with them."""
    processes = [ServiceProcess(service, settings(deployment)).start() for service in SERVICES]
    try:
        for process in processes:
            process.until_ready()
        for stage in stages:
            stage()
    finally:
        for process in processes:
            process.kill() if killed else process.terminate()


def restored(deployment: Deployment, folder: Path, *options: str) -> Result:
    """Lose everything in Redis and restore it, as soon as the group has forgotten the killed processes."""
    deployment.forget_state()
    while True:
        result = run(deployment, "restore", str(folder), *options)
        if "stop them first" not in result.output:
            return result


@pytest.fixture(scope="module")
def story(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Back up under load, go on, lose Redis, restore; give what was seen."""
    seen: dict[str, Any] = {"folder": tmp_path_factory.mktemp("backups") / "under load"}

    def before() -> None:
        deployment.send(*facts(*ACCOUNTS))
        deployment.until_at_rest("entitlements")
        deployment.send(*asks(ANALYTICS, *ACCOUNTS[:5]), *buys(ANALYTICS, *ACCOUNTS[:2]))
        deployment.until_at_rest(*SERVICES)

    def meanwhile() -> None:
        many = [*asks(AI, *ACCOUNTS), *buys(ANALYTICS, *ACCOUNTS[2:6]), *facts(NEW), *asks(ANALYTICS, *ACCOUNTS[5:])]

        def send_all() -> None:
            for first in range(0, len(many), 20):
                deployment.send(*many[first : first + 20])

        sending = threading.Thread(target=send_all)
        sending.start()
        seen["backup"] = run(deployment, "backup", str(seen["folder"]))
        sending.join()

    def after() -> None:
        deployment.until_at_rest(*SERVICES)
        deployment.send(*buys(ANALYTICS, *ACCOUNTS[6:], NEW), *buys(AI, *ACCOUNTS[:4]))
        deployment.send(*facts(NEW), *asks(AI, NEW))
        deployment.until_at_rest("entitlements", "billing")

    running(deployment, before, meanwhile, after, killed=True)
    seen["heard"] = content(deployment)
    seen["restored"] = restored(deployment, seen["folder"])
    seen["rebuilt"] = {service: run(deployment, "rebuild", service, "--dry-run") for service in SERVICES}
    return seen


def test_a_backup_is_taken_as_the_services_run(story: dict[str, Any]) -> None:
    """It counts what it holds, and only its owner can read it."""
    assert story["backup"].exit_code == 0, story["backup"].output
    kept = Manifest.read(story["folder"]).services
    assert len(ACCOUNTS) <= kept["entitlements"].accounts <= len(ACCOUNTS) + 1
    assert 0 < kept["entitlements"].records < sum(len(story["heard"][topic.name]) for topic in (EVENTS, RESULTS))
    modes = {path.stat().st_mode & 0o777 for path in story["folder"].iterdir()}
    assert modes == {0o600}


def test_what_is_restored_is_what_the_whole_log_says(story: dict[str, Any]) -> None:
    """Kept state and the log since come to the fold of the log from its beginning: rebuild finds no difference."""
    assert story["restored"].exit_code == 0, story["restored"].output
    for service, rebuilt in story["rebuilt"].items():
        assert "3 of 3 shards are stored" in rebuilt.stdout, service
        kinds = {line.partition(":")[0] for line in rebuilt.stdout.splitlines()[1:] if line[-1].isdecimal()}
        assert kinds <= {"not published"}, rebuilt.stdout  # the relay's place is that of the backup: it publishes again


def test_nothing_is_lost_or_doubled_behind_it(story: dict[str, Any], deployment: Deployment) -> None:
    """What was said stays what was said, to the byte; every command has one answer, every purchase one invoice."""
    last = buys(AI, *ACCOUNTS[4:])

    def go_on() -> None:
        deployment.send(*last, *buys(ANALYTICS, *ACCOUNTS), *asks(AI, *ACCOUNTS))
        deployment.until_at_rest(*SERVICES)
        story["audit"] = run(deployment, "audit")
        story["late"] = run(deployment, "backup", str(story["folder"].parent / "late"))

    running(deployment, go_on)
    now = content(deployment)
    for name, said in story["heard"].items():
        assert set(said) <= set(now[name])
    answers = [each for found in by_account(deployment.read(RESULTS)).values() for each in found]
    ids = [(each.attributes["ce_subject"], each.data["command_id"]) for each in answers]
    assert len(ids) == len(set(ids))
    accepted = [each for each in answers if each.type == "CommandAccepted" and "buys" in each.data["command_id"]]
    invoices = [each for found in by_account(deployment.read(BILLING)).values() for each in found]
    assert len(invoices) == len(accepted) == 2 * len(ACCOUNTS) + 1
    assert story["audit"].exit_code == 0, story["audit"].stdout


def test_what_does_not_fit_is_refused(story: dict[str, Any], deployment: Deployment, tmp_path: Path) -> None:
    """A backup that is not whole, of another deployment, or into a folder in use ends with one line, and 1."""
    assert run(deployment, "backup", str(story["folder"])).exit_code == 1
    assert "no backup that was completed" in run(deployment, "restore", str(tmp_path)).stderr
    other = deployment.settings(namespace="other.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment, "settings", lambda **_: other)
        assert run(deployment, "restore", str(story["folder"])).exit_code in (1, 78)


def test_after_the_loss_of_both_the_deployment_goes_on_from_the_backup(
    story: dict[str, Any], deployment: Deployment
) -> None:
    """Without Redis and Kafka the backup is all there is: sequences and numbers go on, and nobody misses anything."""
    for topic in TOPICS:
        deployment.lose_log(topic)
    folder = story["folder"].parent / "late"
    refused = restored(deployment, folder)
    assert refused.exit_code == 1
    assert "log lost" in refused.stdout
    assert restored(deployment, folder, "--force").exit_code == 0

    def go_on() -> None:
        deployment.send(*buys(AI, NEW), *buys(AI, *ACCOUNTS))
        deployment.until_at_rest(*SERVICES)

    running(deployment, go_on)
    numbers = [each.data["invoice_number"] for each in deployment.read(BILLING) if each.data["account_id"] == NEW]
    assert set(numbers) == {f"{NEW}-000002"}
    assert run(deployment, "explain", f"{NEW}-000001").exit_code == 0
    assert run(deployment, "gaps", "list", "--ends").stdout == "nothing is missing\n"
