"""The mutants: a patch each, whose first lines say what is wrong in it and which tests must fail for that.

    Defect: an offset is saved before its batch is durable
    Caught-by: tests/runtime/test_pipeline.py::test_offsets_are_saved_in_order

    --- a/services/runtime/pipeline.py
    ...

A test is named as pytest names it. Without a part in brackets all its cases are meant, of which one at least must fail.
"""

import ast
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
MUTABLE = ("contracts", "services", "deploy")
HOW_TO_RENEW = (
    "does not apply: the code it breaks has moved. Make the same defect by hand, write `git diff -U1` over the diff in "
    "the patch (its head stays), restore the code, and run `make mutants ARGS={name}`"
)
_DEFECT, _CAUGHT_BY = "Defect: ", "Caught-by: "
_TABLE = "| mutant | what is wrong in it | caught by |\n|---|---|---|\n"


class Mutant(NamedTuple):
    """A defect: its patch, what is wrong in words, the tests that must fail, and the files it changes."""

    patch: Path
    defect: str
    tests: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of its file."""
        return self.patch.stem


def read(patch: Path) -> Mutant:
    """Read a patch; ValueError when its head does not say what is wrong and who must notice."""
    text = patch.read_text(encoding="utf-8")
    head, _, _ = text.partition("\n--- ")
    defects = [line.removeprefix(_DEFECT) for line in head.splitlines() if line.startswith(_DEFECT)]
    tests = tuple(line.removeprefix(_CAUGHT_BY) for line in head.splitlines() if line.startswith(_CAUGHT_BY))
    files = tuple(re.findall(r"^\+\+\+ b/(\S+)", text, re.MULTILINE))
    if len(defects) != 1 or not tests or not files:
        raise ValueError(f"{patch.name} has not one `{_DEFECT}`, a `{_CAUGHT_BY}` and a diff")
    return Mutant(patch, defects[0], tests, files)


def mutants(folder: Path = FOLDER) -> tuple[Mutant, ...]:
    """Return every mutant, by name."""
    return tuple(read(patch) for patch in sorted(folder.glob("*.patch")))


def apply(mutant: Mutant, tree: Path, *options: str) -> str:
    """Apply a patch to a tree (`--check`: only try, `--reverse`: take it back); return why not, or nothing."""
    command = ["git", "apply", *options, str(mutant.patch)]
    alone = os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)}  # a copy is no part of a repository above it
    done = subprocess.run(command, cwd=tree, env=alone, capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


def unknown_tests(mutant: Mutant) -> list[str]:
    """Return the tests that it names and that are not there."""
    return [test for test in mutant.tests if not _is_there(test)]


def _is_there(test: str) -> bool:
    path, _, name = test.partition("[")[0].partition("::")
    if not (ROOT / path).is_file():
        return False
    module = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return name in {node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def table(all_of_them: Sequence[Mutant]) -> str:
    """Return the table of the README."""
    rows = (f"| `{each.name}` | {each.defect} | {'<br>'.join(map(_short, each.tests))} |" for each in all_of_them)
    return _TABLE + "\n".join(rows) + "\n"


def _short(test: str) -> str:
    path, _, name = test.partition("::")
    return f"`{path.removeprefix('tests/')}::{name}`"
