"""Settings of the dashboard: a value that cannot be used stops the start with one line that names its variable."""

from pathlib import Path

import pytest

from services.dashboard import app
from services.dashboard.demo import Demo
from services.dashboard.settings import DashboardSettings
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

BAD = {
    "PUBLIC_URL": ["plan.example", "ftp://plan.example", "https://", ""],
    "ENTITLEMENTS_URL": ["127.0.0.1:8081", "http://x?y"],
    "BILLING_URL": ["nowhere"],
    "NOTIFICATIONS_URL": ["http://"],
    "REQUEST_SECONDS": ["0", "61"],
    "SEND_SECONDS": ["0", "soon"],
    "ANSWER_SECONDS": ["0"],
    "SESSION_HOURS": ["0", "169"],
    "ANSWERS_MAX": ["99"],
    "WAITING_MAX": ["0"],
    "STREAMS_MAX": ["0"],
}


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep this machine's own settings out, and have a secret."""
    for name in DashboardSettings.model_fields:
        monkeypatch.delenv(f"ADDONFLOW_DASHBOARD_{name.upper()}", raising=False)
    (tmp_path / "secret").write_text("s" * 32)
    monkeypatch.setenv("ADDONFLOW_DASHBOARD_SECRET_FILE", str(tmp_path / "secret"))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_a_value_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The error is one line: the variable, what it is set to, and why that cannot be."""
    monkeypatch.setenv(f"ADDONFLOW_DASHBOARD_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        DashboardSettings.load()
    assert str(caught.value).startswith(f"ADDONFLOW_DASHBOARD_{name}={value!r}: ")
    assert "\n" not in str(caught.value)


def test_without_a_secret_nothing_starts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """No secret: status 78 and one line that says which variable, and who makes what it names."""
    monkeypatch.delenv("ADDONFLOW_DASHBOARD_SECRET_FILE")
    assert app.main() == 78
    said = capsys.readouterr().err
    assert said.startswith("addonflow dashboard: ADDONFLOW_DASHBOARD_SECRET_FILE is not set")
    assert "addonflow keys" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("secret", ["", "short", " " * 40])
def test_a_weak_secret_is_refused(tmp_path: Path, secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A secret of under 32 bytes is refused in one line, which does not repeat it."""
    (tmp_path / "secret").write_text(secret)
    assert app.main() == 78
    said = capsys.readouterr().err
    assert "at least 32 are needed" in said
    assert len(said.splitlines()) == 1


def test_a_demonstration_needs_its_key(tmp_path: Path) -> None:
    """A folder without a key is refused, with the command that makes one."""
    with pytest.raises(ConfigurationError, match="addonflow keys"):
        Demo(tmp_path, Settings())


def test_an_empty_folder_is_no_demonstration(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, as compose passes one on, switches the role switcher off."""
    monkeypatch.setenv("ADDONFLOW_DASHBOARD_DEMO_KEYS", "")
    assert DashboardSettings.load().demo_keys is None
