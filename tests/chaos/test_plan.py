"""What a campaign breaks is told by its seed alone."""

from itertools import islice

from tests.chaos.campaign.plan import ROUND_SECONDS, Family, rounds
from tests.chaos.campaign.script import customer
from tests.chaos.faults import FAULTS, decks

_TEN_MINUTES = 80  # rounds


def test_the_same_seed_is_the_same_plan() -> None:
    """Two campaigns of a seed break the same things at the same moments; another seed breaks others."""
    first, again, other = (list(islice(rounds(seed, decks()), 50)) for seed in (7, 7, 8))
    assert first == again != other


def test_the_same_seed_has_the_same_customers() -> None:
    """A customer is told by seed and number, whatever was asked for before."""
    assert customer(7, 3) == customer(7, 3)
    assert customer(7, 3).steps != customer(8, 3).steps


def test_ten_minutes_break_everything_twice() -> None:
    """Every fault comes at least twice in the rounds of ten minutes, with any seed; each round keeps to its bounds."""
    for seed in range(20):
        plan = list(islice(rounds(seed, decks()), _TEN_MINUTES))
        struck = [each.fault for this in plan for each in this.strikes]
        assert [name for name in FAULTS if struck.count(name) < 2] == []
        for this in plan:
            assert ROUND_SECONDS[0] <= this.seconds <= ROUND_SECONDS[1]
            assert all(0 <= each.after + each.seconds <= this.seconds for each in this.strikes)


def test_some_faults_alone_are_a_plan_too() -> None:
    """A plan of chosen faults holds no other."""
    chosen = {"process-killed", "valkey-cut"}
    plan = list(islice(rounds(1, decks(chosen)), 30))
    assert {each.fault for this in plan for each in this.strikes} == chosen


def test_no_two_faults_strike_one_server_at_once() -> None:
    """A server is broken in one way at a time."""
    for this in islice(rounds(3, decks()), 200):
        families = [FAULTS[each.fault].family for each in this.strikes]
        assert max(families.count(each) for each in (Family.KAFKA, Family.VALKEY)) <= 1
