"""The repository tests itself: sizes, names, docstrings, and the places where a thing may be said."""

import ast
import re
from pathlib import Path

import pytest

from contracts.topics import TOPICS, dead_letter_topics
from tests.architecture.sources import (
    MODULE_LINES_MAX,
    binary_fractions,
    functions,
    long_functions,
    make_targets,
    modules,
    project_files,
    strings,
    text,
    tree,
)

MONEY_MODULES = (
    "contracts/money.py",
    "contracts/cycles.py",
    "contracts/invoices.py",
    "contracts/offers.py",
    "contracts/promises.py",
    "services/billing/account.py",
    "services/billing/audit.py",
    "services/billing/audit_base_plan.py",
    "services/billing/base_plan.py",
    "services/billing/charges.py",
    "services/billing/credits.py",
    "services/billing/domain.py",
    "services/billing/ledger.py",
    "services/billing/preview.py",
    "services/billing/proration.py",
    "services/billing/queries.py",
    "services/billing/schedule.py",
    "deploy/addonflow/year_check.py",
    "services/entitlements/offers.py",
    "services/entitlements/promised.py",
)
TOPIC_REGISTRY = Path("contracts/topics.py")
NAMELESS = {"base", "common", "helper", "helpers", "misc", "shared", "util", "utils"}
# In two parts, so that this file passes its own test.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs"),
        ("repo", "maven"),
        ("repo1", "maven"),
        ("proxy", "golang"),
        ("hub", "docker"),
        ("registry-1", "docker"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("gcr", "io"),
        ("deb", "debian"),
        ("crates", "io"),
    )
)


def test_modules_are_short() -> None:
    """No module has more than 300 lines."""
    lines = {path: len(text(path).splitlines()) for path in modules()}
    assert {path: count for path, count in lines.items() if count > MODULE_LINES_MAX} == {}


def test_functions_are_short() -> None:
    """No function has more than 70 lines; those with more than 40 are reported as warnings."""
    assert [place for path in modules() for place in long_functions(path)] == []


def test_modules_say_what_they_promise() -> None:
    """Every module with code has a docstring."""
    assert [path for path in modules() if tree(path).body and not ast.get_docstring(tree(path))] == []


def test_tests_state_their_rule() -> None:
    """Every test has a docstring, a sentence that states the rule it proves."""
    silent = [
        f"{path}:{function.lineno} {function.name}"
        for path in modules("tests")
        if path.name.startswith("test_")
        for function in functions(path)
        if function.name.startswith("test_") and not (ast.get_docstring(function) or "").rstrip().endswith(".")
    ]
    assert silent == []


def test_test_modules_are_collected() -> None:
    """A module that defines tests is named test_*.py, or pytest would pass over it in silence."""
    missed = [
        f"{path}:{function.lineno} {function.name}"
        for path in modules("tests")
        if not path.name.startswith("test_")
        for function in functions(path)
        if function.name.startswith("test_")
    ]
    assert missed == []


def test_topics_are_spelled_once() -> None:
    """No string outside contracts/topics.py spells a topic: code and tests name it through the registry."""
    spelled = re.compile(
        "|".join(re.escape(name) for name in [*(topic.name for topic in TOPICS), *dead_letter_topics()])
    )
    found = [
        f"{path}:{line} {string!r}"
        for path in modules()
        if path != TOPIC_REGISTRY
        for line, string in strings(path)
        if spelled.search(string)
    ]
    assert found == []


@pytest.mark.parametrize("name", MONEY_MODULES)
def test_no_binary_fraction_comes_near_money(name: str) -> None:
    """Modules that compute money neither name, write nor divide into a `float`, nor round by any rule but their own."""
    assert binary_fractions(Path(name)) == []


def test_everything_has_a_name() -> None:
    """No module or package is called utils, helpers or common: a thing without a name has no place yet."""
    assert [path for path in modules() if NAMELESS & {path.stem, *path.parent.parts}] == []


def test_no_file_names_a_registry() -> None:
    """No file names the host of a package or image registry: where packages come from is the machine's business."""
    found = [(path, host) for path in project_files() for host in REGISTRY_HOSTS if host in text(path)]
    assert found == []


@pytest.mark.parametrize("name", ["runtime", "build", "dev"])
def test_locks_pin_versions_and_hashes_only(name: str) -> None:
    """Every line of a lock is a version with its hashes; no URL, index or option is in it."""
    lock = text(Path(f"requirements/{name}.txt"))
    requirements = re.split(r"\n(?=[a-z0-9])", re.sub(r"^ *#.*\n", "", lock, flags=re.MULTILINE).strip())
    pinned = re.compile(r"[a-z0-9.-]+==[\w.]+( ; [^\\\n]+)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\\n|\n?$))+")
    assert [each for each in requirements if not pinned.fullmatch(each)] == []
    assert "://" not in lock


def test_locks_agree() -> None:
    """What is tested is what runs: a package has the same version in every lock."""
    versions: dict[str, set[str]] = {}
    for name in ("runtime", "build", "dev"):
        for package, version in re.findall(r"^(\S+)==(\S+)", text(Path(f"requirements/{name}.txt")), re.MULTILINE):
            versions.setdefault(package, set()).add(version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_the_commands_of_the_readme_exist() -> None:
    """`make demo` and `make test` are in the README, and every target that a page names is in the Makefile."""
    pages = {path: text(path) for path in project_files() if path.suffix == ".md"}
    in_code = re.compile(r"(?:^|`)make ([a-z]+)\b", re.MULTILINE)
    named = {target for page in pages.values() for target in in_code.findall(page)}
    assert {"demo", "test"} <= set(in_code.findall(pages[Path("README.md")]))
    assert named <= make_targets(Path("Makefile"))
