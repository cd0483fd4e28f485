"""A pytest plugin: what became of each test, and from where the code under test was really imported, as JSON.

    {"outcomes": {"tests/…::test_…": "passed"}, "strays": {"services.runtime.relay": "/another/tree/…"}}

A test is "failed" only where it failed itself; where what it needs could not be made, it is an "error".
"""

import json
import os
import sys
from pathlib import Path

import pytest

REPORT_TO = "ADDONFLOW_MUTANTS_REPORT"
_CODE = {"contracts", "services", "deploy", "tests"}
_outcomes: dict[str, str] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the end of a test; what goes wrong around it counts as an error."""
    if report.when == "call" or report.skipped:
        _outcomes[report.nodeid] = report.outcome
    elif report.failed:
        _outcomes[report.nodeid] = "error"


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a module that cannot be read."""
    if report.failed:
        _outcomes[report.nodeid] = "error"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was seen to the file that the variable names."""
    root = session.config.rootpath
    ours = {name: module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] in _CODE}
    strays = {name: file for name, file in ours.items() if file and not Path(file).is_relative_to(root)}
    Path(os.environ[REPORT_TO]).write_text(json.dumps({"outcomes": _outcomes, "strays": strays}), encoding="utf-8")
