"""Passwords of every user: who may read which, what is kept, and how one is replaced."""

import re
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.access import ADMIN, PARTIES, SERVICES, rights
from deploy.addonflow.main import app
from deploy.addonflow.passwords import BROKER, KAFKA, REDIS, Passwords
from deploy.addonflow.tokens import KeyFolder


def invoke(folder: Path, *words: str, **variables: str) -> Result:
    """Run a command on a folder of keys."""
    environment = {f"ADDONFLOW_{name.upper()}": text for name, text in variables.items()}
    return CliRunner().invoke(app, [*words, "--keys", str(folder)], env=environment)


def files(folder: Path) -> dict[Path, str]:
    """Return every password file with what it holds."""
    return {path: path.read_text() for path in sorted((folder / "passwords").rglob("*")) if path.is_file()}


def test_every_user_has_a_password_of_its_own(tmp_path: Path) -> None:
    """Every party, administrator and broker has a random password on Kafka; services and administrator on Redis."""
    assert invoke(tmp_path, "keys").exit_code == 0
    passwords = Passwords(tmp_path)
    found = [passwords.read(party, KAFKA) for party in (*PARTIES, ADMIN, BROKER)]
    found += [passwords.read(party, REDIS) for party in (*SERVICES, ADMIN)]
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[\w-]{43}", each) for each in found)


def test_a_password_is_its_owners(tmp_path: Path) -> None:
    """A password file is its owner's alone; what a server reads in a container of its own, it reads by the group."""
    invoke(tmp_path, "keys")
    passwords = Passwords(tmp_path)
    by_group = {passwords.path(BROKER, KAFKA), passwords.users}
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in files(tmp_path)}
    assert {path for path, mode in modes.items() if mode == 0o640} == by_group
    assert {mode for path, mode in modes.items() if path not in by_group} == {0o600}


def test_redis_is_told_digests_alone(tmp_path: Path) -> None:
    """The list of users that Redis reads holds no password, lets nobody in without one but to ask for health."""
    invoke(tmp_path, "keys")
    passwords = Passwords(tmp_path)
    users = {line.split()[1]: line for line in passwords.users.read_text().splitlines()}
    assert set(users) == {*SERVICES, ADMIN, "health", "default"}
    assert users["default"] == "user default off"
    assert [name for name, line in users.items() if "nopass" in line] == ["health"]
    secrets = [text for path, text in files(tmp_path).items() if path != passwords.users]
    assert not [secret for secret in secrets if secret in passwords.users.read_text()]


def test_what_is_there_is_kept_and_what_was_removed_is_made_anew(tmp_path: Path) -> None:
    """A second run changes nothing. A file that was removed is a new password, and no other changes with it."""
    invoke(tmp_path, "keys")
    before = files(tmp_path)
    assert invoke(tmp_path, "keys").exit_code == 0
    assert files(tmp_path) == before

    replaced = Passwords(tmp_path).path("billing", REDIS)
    replaced.unlink()
    invoke(tmp_path, "keys")
    changed = {path for path, text in files(tmp_path).items() if before[path] != text}
    assert changed == {replaced, Passwords(tmp_path).users}


def test_production_has_no_development_key(tmp_path: Path) -> None:
    """In production passwords and secrets are made, and no key by which anybody could be anyone."""
    result = invoke(tmp_path, "keys", environment="production")
    assert result.exit_code == 0, result.output
    assert not KeyFolder(tmp_path).signing_key.exists()
    assert not KeyFolder(tmp_path).jwks.exists()
    assert KeyFolder(tmp_path).promise_secret.exists()
    assert Passwords(tmp_path).path("billing", KAFKA).exists()


def test_a_password_is_handed_out_by_name(tmp_path: Path) -> None:
    """`access password` prints one password; an unknown party is one line with status 78."""
    invoke(tmp_path, "keys")
    assert invoke(tmp_path, "access", "password", "subscriber").stdout.strip() == Passwords(tmp_path).read(
        "subscriber", KAFKA
    )
    unknown = invoke(tmp_path, "access", "password", "nobody")
    assert unknown.exit_code == 78
    assert len(unknown.stderr.splitlines()) == 1


@pytest.mark.parametrize("namespace", ["", "ours."])
def test_the_same_rights_are_shown_for_other_tools(namespace: str) -> None:
    """`access show` prints a line of kafka-acls for every right, and an ACL of Redis for every service, no password."""
    shown = CliRunner().invoke(app, ["access", "show"], env={"ADDONFLOW_NAMESPACE": namespace})
    lines = shown.stdout.splitlines()
    kafka = [line for line in lines if line.startswith("kafka-acls.sh ")]
    assert len(kafka) == len(rights(namespace))
    assert len(lines) == len(kafka) + len(SERVICES)
    for line, right in zip(kafka, rights(namespace), strict=True):
        assert f"--allow-principal User:{right.user} " in line
        assert f"--{right.resource} {right.name} " in line
    assert f"ACL SETUSER {namespace}billing reset on ~{{{namespace}billing.*}}:*" in shown.stdout
