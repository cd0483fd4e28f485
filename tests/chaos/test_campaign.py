"""A short campaign of a fixed seed: real processes, real servers, faults of every family, and nothing violated."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import lines
from tests.chaos.campaign.run import campaign

pytestmark = pytest.mark.docker
SEED = 20_261_201
MINUTES = 0.75
FAULTS = (
    "process-killed",
    "process-killed-at-a-point",
    "process-stopped",
    "kafka-acknowledgement-lost",
    "kafka-cut",
    "valkey-killed",
    "valkey-reply-lost",
    "valkey-functions-flushed",
    "poison",
    "repeated",
    "clock-stepped",
)
"""Those that need no long wait; all of them are in `make chaos`."""


def test_a_short_campaign_violates_nothing(tmp_path: Path) -> None:
    """Whatever is broken for three quarters of a minute, every invariant holds afterwards, and faults struck work."""
    report = campaign(SEED, MINUTES, FAULTS, rate=30, folder=tmp_path)
    told = "\n".join(lines(report))
    print(told)
    assert report.violations == [], told
    assert sum(report.hits.values()) >= report.rounds > 0, told
    assert report.kills > 0, told
