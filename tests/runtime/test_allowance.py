"""How much one caller may ask of a process."""

import asyncio

import pytest

from services.runtime import allowance
from services.runtime.allowance import Allowance
from services.runtime.problems import Problem


def taken(bucket: Allowance, caller: str, times: int) -> int:
    """Return how many of so many requests pass."""
    passed = 0
    for _ in range(times):
        try:
            bucket.take(caller)
        except Problem:
            continue
        passed += 1
    return passed


async def test_a_caller_may_ask_a_tenth_at_once_and_the_rest_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 600 a minute 60 pass at once and ten a second after; a refusal says how many seconds to wait."""
    bucket = Allowance(600)
    seconds = [1_000.0]
    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "time", lambda: seconds[0])
        assert taken(bucket, "olga", 100) == 60
        with pytest.raises(Problem) as caught:
            bucket.take("olga")
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
        seconds[0] += 1
        assert taken(bucket, "olga", 100) == 10
        seconds[0] += 3_600
        assert taken(bucket, "olga", 100) == 60


async def test_what_is_dear_counts_as_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 60 at once three of 20 pass; a refusal says when the next may, and takes nothing. None is too dear for all."""
    bucket = Allowance(600)
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1_000.0)
    for _ in range(2):
        bucket.take("olga", cost=20)
    assert taken(bucket, "olga", 10) == 10
    with pytest.raises(Problem) as caught:
        bucket.take("olga", cost=20)
    assert caught.value.headers == {"Retry-After": "1"}
    assert taken(bucket, "olga", 20) == 10
    bucket.take("sam", cost=1_000)
    assert taken(bucket, "sam", 1) == 0


async def test_one_caller_takes_nothing_from_another() -> None:
    """Each caller has a bucket of their own."""
    bucket = Allowance(600)
    taken(bucket, "olga", 100)
    assert taken(bucket, "sam", 50) == 50


async def test_the_number_of_buckets_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many callers there are, a bounded number is remembered, the latest."""
    monkeypatch.setattr(allowance, "_BUCKETS_MAX", 10)
    bucket = Allowance(600)
    for number in range(100):
        bucket.take(f"caller-{number}")
    assert len(bucket._full_at) == 10


async def test_a_bucket_that_is_full_again_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has asked nothing for so long that all is allowed again takes no memory; who still lacks some is known."""
    bucket = Allowance(600)
    seconds = [1_000.0]
    with monkeypatch.context() as patched:
        patched.setattr(asyncio.get_running_loop(), "time", lambda: seconds[0])
        for number in range(100):
            bucket.take(f"caller-{number}")
        taken(bucket, "olga", 100)
        seconds[0] += 1
        bucket.take("sam")
        assert list(bucket._full_at) == ["olga", "sam"]
        assert taken(bucket, "olga", 100) == 10
