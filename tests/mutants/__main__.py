"""Tries every mutant: `python -m tests.mutants [NAME ...]`.

First the named tests must pass as the code is; then each defect is made by itself, and the tests that it names must
fail. Exit status 1 when a mutant survives, or its patch does not apply.
"""

import argparse
import sys
import time

from tests.mutants.patches import Mutant, mutants
from tests.mutants.trial import complaint_unbroken, copy_of_the_tree, run, try_mutant

_SECONDS_UNBROKEN_MAX = 900


def main() -> int:
    """Try the mutants that are named, or all; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants by the names of their patches; all of them")
    names = set(parser.parse_args().names)
    chosen = [each for each in mutants() if not names or each.name in names]
    unknown = names - {each.name for each in chosen}
    if unknown:
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}")
    began = time.monotonic()
    survived = _try_all(chosen)
    print(f"{len(chosen) - survived} of {len(chosen)} mutants caught in {time.monotonic() - began:.0f} s")
    return 1 if survived else 0


def _try_all(chosen: list[Mutant]) -> int:
    """Try mutants one after another and say of each what became of it; return how many survived."""
    tests = sorted({test for each in chosen for test in each.tests})
    with copy_of_the_tree() as tree:
        wrong = complaint_unbroken(tests, run(tree, tests, _SECONDS_UNBROKEN_MAX))
        if wrong:
            print(f"the tests do not pass as the code is:\n{wrong}")
            return len(chosen)
        print(f"{len(tests)} tests pass as the code is", flush=True)
        survived = 0
        for each in chosen:
            began = time.monotonic()
            why = try_mutant(each, tree)
            survived += bool(why)
            print(f"{'SURVIVES' if why else 'caught':9}{time.monotonic() - began:5.1f} s  {each.name}: {each.defect}")
            print(f"{why}\n" if why else "".join(f"{'':18}by {test}\n" for test in each.tests), end="", flush=True)
    return survived


if __name__ == "__main__":
    sys.exit(main())
