"""The mutants themselves, and those who judge them: without running what `make mutants` runs."""

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.mutants.patches import (
    FOLDER,
    HOW_TO_RENEW,
    MUTABLE,
    ROOT,
    Mutant,
    apply,
    mutants,
    read,
    table,
    unknown_tests,
)
from tests.mutants.trial import Seen, complaint, complaint_unbroken, copy_of_the_tree, run, try_mutant

MUTANTS = mutants()
TEST = "tests/contracts/test_identity.py::test_there_are_four_roles"
CHANGED = "contracts/identity.py"
HARMLESS = ("ids that we emit", "ids which we emit")
HARMFUL = ('    AGENT = "agent"\n', "")


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    """Give a copy of the project."""
    with copy_of_the_tree() as copied:
        yield copied


def mutant(folder: Path, change: tuple[str, str] = HARMLESS, without: str = "") -> Mutant:
    """Return the mutant in which a text is replaced; `without` is what its patch lacks."""
    before = (ROOT / CHANGED).read_text(encoding="utf-8")
    old, new = (text.splitlines(keepends=True) for text in (before, before.replace(*change)))
    diff = "".join(difflib.unified_diff(old, new, f"a/{CHANGED}", f"b/{CHANGED}", n=1))
    patch = folder / "one.patch"
    patch.write_text(f"Defect: as it says\nCaught-by: {TEST}\n\n{diff}".replace(without, ""), encoding="utf-8")
    return read(patch)


def seen(outcomes: Mapping[str, str]) -> Seen:
    """Return outcomes as they are seen in the right tree."""
    return Seen(outcomes, {}, "output")


@pytest.mark.parametrize("each", MUTANTS, ids=lambda each: each.name)
def test_every_mutant_can_be_tried(each: Mutant) -> None:
    """Each patch applies to the code as it is, breaks the product and no test, and names tests that are there."""
    refused = apply(each, ROOT, "--check")
    assert not refused, f"{each.name} {HOW_TO_RENEW.format(name=each.name)}\n{refused}"
    assert {name.partition("/")[0] for name in each.files} <= set(MUTABLE)
    assert unknown_tests(each) == []


def test_the_table_is_what_is_tried() -> None:
    """README.md says of every mutant what is wrong in it, and by which test it is caught."""
    readme = FOLDER / "README.md"
    assert table(MUTANTS) in readme.read_text(encoding="utf-8"), f"the table of {readme} should be:\n{table(MUTANTS)}"


@pytest.mark.parametrize(
    ("outcomes", "caught"),
    [
        ({TEST: "failed"}, True),
        ({f"{TEST}[a]": "failed", f"{TEST}[b]": "passed"}, True),
        ({TEST: "passed"}, False),
        ({TEST: "skipped"}, False),
        ({TEST: "error"}, False),
        ({f"{TEST}[a]": "failed", f"{TEST}[b]": "error"}, False),
        ({f"{TEST}_others": "failed"}, False),
        ({}, False),
    ],
)
def test_only_a_test_that_fails_catches(tmp_path: Path, outcomes: Mapping[str, str], caught: bool) -> None:
    """Passed, skipped, not run, or broken before it began: the mutant survives, and it is said by which test."""
    said = complaint(mutant(tmp_path), seen(outcomes))
    assert said.startswith("" if caught else f"{TEST}: ")
    assert bool(said) is not caught


@pytest.mark.parametrize("outcomes", [{TEST: "failed"}, {TEST: "skipped"}, {}, {f"{TEST}[a]": "passed", TEST: "error"}])
def test_a_test_that_does_not_pass_as_the_code_is_catches_nothing(outcomes: Mapping[str, str]) -> None:
    """What fails or is skipped with the code unbroken would prove nothing of a defect."""
    assert complaint_unbroken([TEST], seen({TEST: "passed"})) == ""
    assert complaint_unbroken([TEST], seen(outcomes)).startswith(f"{TEST}: ")


def test_code_of_another_tree_is_no_trial(tmp_path: Path) -> None:
    """Where an installed copy is imported in place of the broken one, nothing was tried, whatever failed."""
    strayed = Seen({TEST: "failed"}, {"contracts.identity": "/elsewhere/identity.py"}, "")
    said = "contracts.identity was imported from /elsewhere/identity.py"
    assert complaint(mutant(tmp_path), strayed) == said
    assert complaint_unbroken([], strayed) == said


def test_a_head_that_says_too_little_is_refused(tmp_path: Path) -> None:
    """A patch without a defect in words, without a test or without a diff is a mistake."""
    for missing in ("Defect: as it says\n", f"Caught-by: {TEST}\n", f"+++ b/{CHANGED}\n"):
        with pytest.raises(ValueError, match=r"one\.patch has not one"):
            mutant(tmp_path, without=missing)


def test_a_defect_that_nobody_notices_survives(tmp_path: Path, tree: Path) -> None:
    """Tried for real: a change that no test sees is said to survive, and the copy is as it was."""
    said = try_mutant(mutant(tmp_path), tree)
    assert said.startswith(f"{TEST}: ['passed']\n")
    assert complaint_unbroken([TEST], run(tree, [TEST])) == ""


def test_a_defect_is_tried_in_the_copy_and_nowhere_else(tmp_path: Path, tree: Path) -> None:
    """Tried for real: the broken copy is what the test imports, this checkout stays whole, and the copy is mended."""
    assert try_mutant(mutant(tmp_path, HARMFUL), tree) == ""
    assert (tree / CHANGED).read_bytes() == (ROOT / CHANGED).read_bytes()


def test_a_patch_that_does_not_apply_says_how_to_renew_it(tmp_path: Path, tree: Path) -> None:
    """Code moves: the complaint tells what to do."""
    said = try_mutant(mutant(tmp_path, without="Who may be"), tree)
    assert said.startswith("does not apply: the code it breaks has moved.")


def test_tests_that_do_not_end_are_ended(tree: Path) -> None:
    """A defect may make a test wait for ever: it is ended, and has no outcome."""
    assert run(tree, [TEST], seconds=0.1) == Seen({}, {}, "took longer than 0 s")
