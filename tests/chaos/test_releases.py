"""The release before this one, and this one, on one stack: upgraded process by process under load, and taken back."""

import io
import json
import subprocess
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.addonflow.main import app
from services.runtime.keys import ShardKeys, shard_of
from tests.chaos.ongoing import ongoing
from tests.e2e.observe import Deployment
from tests.e2e.services import ROOT, ServiceProcess, until

NewDeployment = Callable[[str], Deployment]
SERVICES = ("entitlements", "billing")
BEFORE = "4458f9b78ae06a124081e3d5be2590f5d21ade9a"
"""The commit that stands for the release before: it stores what these services store now."""


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the code of the release before, out of the history."""
    archive = subprocess.run(
        ["git", "archive", BEFORE, "contracts", "services"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"no history here: {archive.stderr.decode().strip()}")
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    assert not (folder / "services" / "runtime" / "stored.py").exists(), "it is this release"
    return folder


def owns(process: ServiceProcess) -> bool:
    """Whether a process has shards."""
    return process.metric("addonflow_shards") > 0


def test_an_upgrade_and_a_rollback_under_load_lose_and_double_nothing(
    new_deployment: NewDeployment, before: Path
) -> None:
    """Old beside new, new alone, old again: every command has one answer, every purchase one invoice.

    What a still newer release stored is in the way of this one, until a rebuild puts what the log says in its place.
    """
    deployment = new_deployment("releases")
    with ExitStack() as stack:

        def start(root: Path) -> list[ServiceProcess]:
            made = [ServiceProcess(service, deployment.settings(), root=root) for service in SERVICES]
            return [stack.enter_context(process) for process in made]

        def stop(processes: list[ServiceProcess]) -> None:
            for process in processes:
                assert process.terminate() == 0

        old = start(before)
        work = stack.enter_context(ongoing(deployment))
        new = start(ROOT)
        until("both releases own shards", lambda: all(map(owns, [*old, *new])), 60)
        work.until_more()
        stop(old)
        work.until_more()
        old = start(before)
        until("both releases own shards", lambda: all(map(owns, [*old, *new])), 60)
        stop(new)
        work.until_more()
        work.end()
        deployment.until_at_rest(*SERVICES)
        stop(old)
    work.assert_done_once()
    assert invoke(deployment, "audit").exit_code == 0

    store_as_newer(deployment, "customer-0")
    refused = invoke(deployment, "rebuild", "entitlements")
    assert (refused.exit_code, "run the newer release" in refused.output) == (1, True)
    assert invoke(deployment, "rebuild", "entitlements", "--force").exit_code == 0
    assert invoke(deployment, "rebuild", "entitlements").exit_code == 0


def invoke(deployment: Deployment, *words: str) -> Result:
    """Run the command against a deployment."""
    return CliRunner().invoke(app, words, env=deployment.settings())


def store_as_newer(deployment: Deployment, account_id: str) -> None:
    """Have an account's document be of a schema that nobody knows yet."""
    shard = shard_of(account_id, deployment.partitions)
    key = ShardKeys(deployment.namespace, "entitlements", shard).account(account_id)
    with deployment.redis as redis:
        document = json.loads(redis.hget(key, "document"))
        redis.hset(key, "document", json.dumps(document | {"schema_version": 2}, separators=(",", ":")))
