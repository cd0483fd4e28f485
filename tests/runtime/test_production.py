"""Production: nothing starts that is open, unencrypted, a sample or made for development; one line says what to set."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.addonflow.tokens import KeyFolder
from services.dashboard.settings import DashboardSettings
from services.runtime.errors import ConfigurationError
from services.runtime.production import load_settings, refuse_in_production
from services.runtime.secret_files import is_sample
from services.runtime.settings import Settings

GOOD = "uT9x-2Wq8ZpL0vRk5Hs3"


def production(folder: Path, **changes: Any) -> Settings:
    """Return settings that production takes, with changes."""
    password = folder / "password"
    password.write_text(GOOD)
    said: dict[str, Any] = {
        "environment": "production",
        "kafka_bootstrap": "kafka-1.example.com:9093,kafka-2.example.com:9093",
        "kafka_security_protocol": "SASL_SSL",
        "kafka_username": "billing",
        "kafka_password_file": password,
        "redis_url": "rediss://redis.example.com:6380/0",
        "redis_username": "billing",
        "redis_password_file": password,
        "promise_keys": GOOD * 2,
        "token_jwks": "https://identity.example.com/jwks.json",
    }
    return Settings(**(said | changes))


def test_production_takes_users_passwords_and_tls(tmp_path: Path) -> None:
    """A process that comes in with a user and a random password over TLS starts."""
    refuse_in_production(production(tmp_path))


def test_the_dashboard_has_no_redis(tmp_path: Path) -> None:
    """A process without Redis starts without a word about Redis."""
    without = production(
        tmp_path, redis_url="redis://redis.example.com/0", redis_username=None, redis_password_file=None
    )
    refuse_in_production(without, redis=False)


def test_a_private_network_needs_no_tls(tmp_path: Path) -> None:
    """Servers on this machine, or beside it under a name without a dot, may be spoken to without encryption."""
    for host in ("127.0.0.1", "[::1]", "kafka", "localhost"):
        beside = {"kafka_bootstrap": f"{host}:9092", "kafka_security_protocol": "SASL_PLAINTEXT"}
        refuse_in_production(production(tmp_path, **beside, redis_url=f"redis://{host}:6379/0"))


def test_a_certificate_of_its_own_stands_for_a_password(tmp_path: Path) -> None:
    """Where brokers know a process by its certificate, no SASL is needed."""
    files = {"kafka_certificate_file": tmp_path / "c.pem", "kafka_key_file": tmp_path / "k.pem"}
    nobody = {"kafka_username": None, "kafka_password_file": None}
    refuse_in_production(production(tmp_path, kafka_security_protocol="SSL", **files, **nobody))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"kafka_security_protocol": "PLAINTEXT"},
            "ADDONFLOW_KAFKA_SECURITY_PROTOCOL=PLAINTEXT tells brokers of no user",
        ),
        ({"kafka_security_protocol": "SSL"}, "set it to SASL_SSL"),
        ({"kafka_security_protocol": "SASL_PLAINTEXT"}, "kafka-1.example.com:9093 could be read on the way"),
        (
            {"kafka_bootstrap": "10.1.2.3:9092", "kafka_security_protocol": "SASL_PLAINTEXT"},
            "10.1.2.3:9092 could be read",
        ),
        ({"redis_url": "redis://redis.example.com/0"}, "have ADDONFLOW_REDIS_URL begin with rediss://"),
        (
            {"redis_username": None, "redis_password_file": None},
            "set ADDONFLOW_REDIS_USERNAME and ADDONFLOW_REDIS_PASS",
        ),
        ({"redis_url": "rediss://u:changeme@redis/0"}, "ADDONFLOW_REDIS_URL holds a sample"),
        ({"redis_unsafe_allowed": True}, "ADDONFLOW_REDIS_UNSAFE_ALLOWED=true"),
        ({"virtual_clock": True}, "ADDONFLOW_VIRTUAL_CLOCK=true is for rehearsals"),
        ({"digest_delay_seconds": 5}, "ADDONFLOW_DIGEST_DELAY_SECONDS is for demonstrations"),
        ({"promise_keys": "a" * 40}, "ADDONFLOW_PROMISE_KEYS holds a sample"),
        ({"promise_keys": "change-me-change-me-change-me-change-me"}, "ADDONFLOW_PROMISE_KEYS holds a sample"),
    ],
)
def test_what_production_refuses_is_said_in_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Each weakness alone is refused, in one line that names the variable."""
    with pytest.raises(ConfigurationError) as caught:
        refuse_in_production(production(tmp_path, **changes))
    assert str(caught.value).startswith("ADDONFLOW_ENVIRONMENT=production, but ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)

    refuse_in_production(production(tmp_path, **changes, environment="development"))


@pytest.mark.parametrize(
    "text", ["changeme", "password-of-the-broker", "brief-one", "abababababababababab", "Example1234567890"]
)
def test_a_sample_password_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    """A short or guessable password in a file is refused by the file's name alone."""
    (tmp_path / "sample").write_text(text)
    with pytest.raises(ConfigurationError, match=r"ADDONFLOW_KAFKA_PASSWORD_FILE=.* holds a sample") as caught:
        refuse_in_production(production(tmp_path, kafka_password_file=tmp_path / "sample"))
    assert text not in str(caught.value)


def test_what_keys_makes_is_no_sample(tmp_path: Path) -> None:
    """Secrets that `addonflow keys` makes are random enough for production; its signing key is development's own."""
    keys = KeyFolder(tmp_path)
    keys.make()
    assert not is_sample(keys.promise_secret.read_text())
    with pytest.raises(ConfigurationError, match=r"ADDONFLOW_TOKEN_JWKS=.* is of development"):
        refuse_in_production(production(tmp_path, token_jwks=str(keys.jwks)))

    theirs = json.loads(keys.jwks.read_text())
    theirs["keys"][0]["kid"] = "2026-11"
    keys.jwks.write_text(json.dumps(theirs))
    refuse_in_production(production(tmp_path, token_jwks=str(keys.jwks)))


def test_a_process_reads_its_environment_by_these_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of the box production is refused: nothing is set."""
    monkeypatch.setenv("ADDONFLOW_ENVIRONMENT", "production")
    with pytest.raises(ConfigurationError, match="ADDONFLOW_KAFKA_SECURITY_PROTOCOL"):
        load_settings()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"demo_keys": "keys"}, "ADDONFLOW_DASHBOARD_DEMO_KEYS=keys lets anybody be anyone"),
        ({"public_url": "http://plan.example.com"}, "ADDONFLOW_DASHBOARD_PUBLIC_URL=http://plan.example.com"),
        ({}, "holds a sample"),
    ],
)
def test_the_dashboard_refuses_what_is_for_demonstrations(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """The role switcher, sessions in the clear and a sample secret are refused in production, and only there."""
    secret = tmp_path / "secret"
    secret.write_text(GOOD * 2 if changes else "a" * 40)
    said_before: dict[str, Any] = {"secret_file": secret, "public_url": "https://plan.example.com"}
    own = DashboardSettings(**(said_before | changes))
    with pytest.raises(ConfigurationError) as caught:
        own.refuse_in_production(production(tmp_path))
    assert said in str(caught.value)
    own.refuse_in_production(Settings())
