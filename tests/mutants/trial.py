"""One mutant before the tests that must notice it, in a copy of the tree.

The copy is a folder of its own, so that nobody's checkout is ever broken. The tests run there with the copy first on
the path, and the plugin `watching.py` says from where everything was imported: what came from another tree (an editable
installation leads there) is no trial. Byte code is checked against its source, not against its date: a defect that is
made and taken back within a second may have the length of what it replaces.
"""

import json
import os
import py_compile
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests.architecture.sources import project_files
from tests.mutants.patches import HOW_TO_RENEW, ROOT, Mutant, apply
from tests.mutants.watching import REPORT_TO

SECONDS_MAX = 180
_LAST_LINES = 30


class Seen(NamedTuple):
    """What became of tests: `outcomes` by name, `strays` the modules that were another tree's, `output` for people."""

    outcomes: Mapping[str, str]
    strays: Mapping[str, str]
    output: str

    def of(self, test: str) -> list[str]:
        """Return the outcomes of a test, of all its cases where it names none."""
        return [outcome for name, outcome in self.outcomes.items() if name == test or name.startswith(f"{test}[")]


@contextmanager
def copy_of_the_tree() -> Iterator[Path]:
    """Give a folder with all files of the project as they are now."""
    with TemporaryDirectory(prefix="addonflow-mutants-") as folder:
        tree = Path(folder)
        for path in project_files():
            copied = tree / path
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, copied)
            if path.suffix == ".py":
                mode = py_compile.PycInvalidationMode.CHECKED_HASH
                py_compile.compile(str(copied), quiet=2, invalidation_mode=mode)
        yield tree


def run(tree: Path, tests: Sequence[str], seconds: float = SECONDS_MAX) -> Seen:
    """Run tests with the code of `tree`; after so many seconds they are ended and have no outcome."""
    with TemporaryDirectory(prefix="addonflow-mutants-") as folder:
        report = Path(folder, "report.json")
        options = ["-q", "--no-header", "--tb=short", "-p", "no:cacheprovider", "-p", "tests.mutants.watching"]
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, *tests],
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree), REPORT_TO: str(report)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that the servers it started end with it
        )
        try:
            output = process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return Seen({}, {}, f"took longer than {seconds:.0f} s")
        last = "\n".join(output.splitlines()[-_LAST_LINES:])
        if not report.exists():
            return Seen({}, {}, last)
        found = json.loads(report.read_text(encoding="utf-8"))
        return Seen(found["outcomes"], found["strays"], last)


def complaint_unbroken(tests: Sequence[str], seen: Seen) -> str:
    """Say what is wrong with tests of the code as it is: each must have run there, and passed; "" when all is well."""
    wrong = [f"{test}: {seen.of(test) or 'did not run'}" for test in tests if set(seen.of(test)) != {"passed"}]
    return "\n".join([*_strayed(seen), *wrong, *([seen.output] if wrong else [])])


def try_mutant(mutant: Mutant, tree: Path) -> str:
    """Break `tree`, run the tests that must notice, and mend it; return why the mutant is not caught, or nothing."""
    refused = apply(mutant, tree)
    if refused:
        return f"{HOW_TO_RENEW.format(name=mutant.name)}\n{refused}"
    try:
        return complaint(mutant, run(tree, mutant.tests))
    finally:
        apply(mutant, tree, "--reverse")


def complaint(mutant: Mutant, seen: Seen) -> str:
    """Say why a mutant is not caught: a test that it names did not fail, or something went wrong; "" when it is."""
    wrong = [f"{test}: {seen.of(test) or 'did not run'}" for test in mutant.tests if not _noticed(seen.of(test))]
    return "\n".join([*_strayed(seen), *wrong, *([seen.output] if wrong else [])])


def _noticed(outcomes: Sequence[str]) -> bool:
    return "failed" in outcomes and set(outcomes) <= {"failed", "passed"}


def _strayed(seen: Seen) -> list[str]:
    return [f"{name} was imported from {path}" for name, path in seen.strays.items()]
