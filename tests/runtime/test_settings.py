"""Settings: a value that cannot be used stops the start with one line that names its variable."""

import pytest

from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

BAD = {
    "NAMESPACE": ["UPPER", "with space", "x" * 33, "{tag}"],
    "KAFKA_IDEMPOTENCE": ["perhaps"],
    "KAFKA_REQUEST_TIMEOUT_MS": ["0", "soon"],
    "KAFKA_SESSION_TIMEOUT_MS": ["-1"],
    "PARTITIONS": ["0", "4097", "many", "", "1.5"],
    "REDIS_URL": ["127.0.0.1:6379", "http://127.0.0.1", ""],
    "REDIS_TIMEOUT_SECONDS": ["0"],
    "REDIS_UNSAFE_ALLOWED": ["sometimes"],
    "HTTP_PORT": ["65536", "-1", "http"],
    "BATCH_RECORDS_MAX": ["0", "10001"],
    "BATCH_WAIT_MS": ["0"],
    "VALUE_BYTES_MAX": ["1023"],
    "CONFLICTS_MAX": ["0"],
    "BACKOFF_MS_MAX": ["0"],
    "INBOX_RETENTION_HOURS": ["0"],
    "OUTBOX_RETENTION_HOURS": ["-3"],
    "RELAY_POLL_MS": ["0"],
    "RELAY_SAVE_MS": ["0"],
    "RELAY_RECORDS_MAX": ["0"],
    "LOG_CHECK_MS": ["0"],
    "TIMER_POLL_MS": ["0"],
    "TIMER_BATCH_MAX": ["0"],
    "STALL_SECONDS": ["0"],
    "DIGEST_DELAY_SECONDS": ["0"],
    "PRORATION_RULE": ["weekly"],
    "PAYMENT_TERMS_DAYS": ["366"],
    "LOG_LEVEL": ["loud"],
    "VIRTUAL_CLOCK": ["perhaps"],
}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's own settings out."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ADDONFLOW_{name.upper()}", raising=False)


def test_without_variables_the_defaults_stand() -> None:
    """Every setting has a default that can be used."""
    settings = Settings.load()

    assert (settings.partitions, settings.namespace, settings.redis_unsafe_allowed) == (12, "", False)
    assert settings.digest_delay_seconds is None


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with the prefix sets its field; others are none of ours."""
    monkeypatch.setenv("ADDONFLOW_PARTITIONS", "24")
    monkeypatch.setenv("ADDONFLOW_SOMETHING_ELSE", "x")
    monkeypatch.setenv("PARTITIONS", "7")

    assert Settings.load().partitions == 24


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The error is one line: the variable, what it is set to, and why that cannot be."""
    monkeypatch.setenv(f"ADDONFLOW_{name}", value)

    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert str(caught.value).startswith(f"ADDONFLOW_{name}={value!r}: ")
    assert "\n" not in str(caught.value)


def test_a_password_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line for a Redis URL that cannot be used does not show the secret in it."""
    monkeypatch.setenv("ADDONFLOW_REDIS_URL", "http://user:s3cret@redis.internal:6379")

    with pytest.raises(ConfigurationError) as caught:
        Settings.load()

    assert str(caught.value).startswith("ADDONFLOW_REDIS_URL=")
    assert "s3cret" not in str(caught.value)
