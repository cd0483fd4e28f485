"""Who may import whom: the contracts of pyproject.toml, checked on the code as it is."""

import tomllib

import pytest
from importlinter.cli import lint_imports

from tests.architecture.sources import ROOT


def test_the_import_contracts_are_kept(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every import contract is kept: services apart, domains pure, one place for Redis and for Kafka."""
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_every_module_has_a_place() -> None:
    """Every layered package lists all its modules, so a module without a place breaks the build."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layered = {package for rule in rules if rule.get("exhaustive") for package in rule.get("containers", ())}
    services = {f"services.{path.parent.name}" for path in (ROOT / "services").glob("*/__init__.py")}
    assert layered == {"contracts", "services"} | services
