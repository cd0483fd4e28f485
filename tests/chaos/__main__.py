"""Tries to break every promise: python -m tests.chaos [--minutes 10] [--seed N] [--faults a,b] [--rate 45].

Exit status 0 when every invariant held and every fault struck work in flight, else 1. The seed is printed first: the
same seed is the same plan and the same customers; what was in flight is the machine's.
"""

import argparse
import logging
import secrets
import sys
from pathlib import Path

from tests.chaos.campaign.run import Report, campaign
from tests.chaos.faults import FAULTS

_SEED_BITS = 24
_SHOWN = 12


def main() -> int:
    """Run a campaign and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=secrets.randbits(_SEED_BITS))
    parser.add_argument("--faults", default=",".join(FAULTS), help="names, comma separated; all by default")
    parser.add_argument("--rate", type=float, default=45.0, help="commands a second")
    parser.add_argument("--folder", type=Path, help="where the history is written")
    given = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it meets is what is done to it
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print(f"seed {given.seed}, {given.minutes:g} minutes", flush=True)
    report = campaign(given.seed, given.minutes, given.faults.split(","), given.rate, given.folder)
    for line in lines(report):
        print(line)
    return 0 if report.passed else 1


def lines(report: Report) -> list[str]:
    """Return a report for people."""
    said = [f"{name:32} {number:7,}" for name, number in report.counted.items()]
    said += ["", f"{'fault':32} {'hits':>7} {'misses':>7}"]
    said += [
        f"{name:32} {report.hits.get(name, 0):7} {report.misses.get(name, 0):7}" for name in sorted(set(report.struck))
    ]
    said.append("")
    said.append(
        f"{report.rounds} rounds, {sum(report.hits.values())} hits, {report.kills} kill -9 with work in flight, "
        f"{len(report.points)} at a named point ({len(set(report.points))} points); "
        f"{report.single_faults} faults of one process alone; at rest {report.rest_seconds} s after healing"
    )
    if report.struck_nothing:
        said.append(f"FAILED: these struck nothing: {', '.join(report.struck_nothing)}")
    for violation in report.violations[:_SHOWN]:
        said.append(f"VIOLATED {violation.invariant}: {violation.sentence}")
    if len(report.violations) > _SHOWN:
        said.append(f"and {len(report.violations) - _SHOWN} more")
    said.append(f"{len(report.violations)} violations; again with --seed {report.seed} --minutes {report.minutes:g}")
    return said


if __name__ == "__main__":
    sys.exit(main())
