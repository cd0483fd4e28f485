"""Answers and changes: who waits is told once it is there, and what is kept is bounded."""

import asyncio

import pytest

from contracts.results import CommandAccepted
from services.dashboard import changes as changing
from services.dashboard.answers import Answers
from services.dashboard.changes import Changes


def answer(number: int) -> CommandAccepted:
    """Return an answer to a command."""
    return CommandAccepted(
        account_id="acme", command_id=f"c{number}", command_type="addons.StartTrial.v1", user_id="olga", events=()
    )


async def test_all_who_wait_get_the_answer() -> None:
    """Two clicks on one command get the one answer, and later ones find it."""
    answers = Answers(10, 10)
    waiting = [asyncio.create_task(answers.wait("acme", "c1", 5)) for _ in range(2)]
    await asyncio.sleep(0)
    answers.take(answer(1))
    assert await asyncio.gather(*waiting) == [answer(1), answer(1)]
    assert await answers.wait("acme", "c1", 0) == answers.get("acme", "c1") == answer(1)
    assert answers.get("other", "c1") is None


async def test_nobody_waits_for_ever_or_beyond_the_bound() -> None:
    """An answer that does not come is None in time; beyond the bound nobody waits at all."""
    answers = Answers(10, 1)
    assert await answers.wait("acme", "c1", 0.01) is None
    first = asyncio.create_task(answers.wait("acme", "c1", 5))
    await asyncio.sleep(0)
    assert await answers.wait("acme", "c2", 5) is None
    answers.take(answer(1))
    assert await first == answer(1)


async def test_kept_answers_are_bounded() -> None:
    """The oldest answer goes when there are too many."""
    answers = Answers(2, 1)
    for number in range(3):
        answers.take(answer(number))
    assert [answers.get("acme", f"c{number}") for number in range(3)] == [None, answer(1), answer(2)]


async def test_a_page_is_told_of_what_it_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change before the page connected is told at once, then again when it is quiet; other accounts' never."""
    monkeypatch.setattr(changing, "_SETTLED_SECONDS", 0.01)
    monkeypatch.setattr(changing, "_BEAT_SECONDS", 0.02)
    changes = Changes(10, 10)
    seen = changes.mark("acme")
    changes.tell("acme")
    changes.tell("other")
    following = changes.follow("acme", "olga", seen, 60)
    assert await anext(following) == changes.mark("acme")
    assert await anext(following) == changes.mark("acme")
    assert await anext(following) is None
    changes.tell("acme")
    assert await anext(following) == changes.mark("acme")
    changes.stop()
    assert [mark async for mark in following] in ([], [changes.mark("acme")])


async def test_marks_of_another_process_are_old() -> None:
    """A page that was shown by another process, or before a restart, is told to look again."""
    changes = Changes(10, 10)
    following = changes.follow("acme", "olga", Changes(10, 10).mark("acme"), 60)
    assert await anext(following) == changes.mark("acme")


async def test_streams_are_bounded_and_given_back() -> None:
    """A stream counts while it is followed, and no longer; one member cannot take the streams of all."""
    changes = Changes(3, 2)
    followings = [changes.follow("acme", user, "old", 60) for user in ("olga", "olga", "sam")]
    full = []
    for following in followings:
        await anext(following)
        full.append((changes.full("acme", "olga"), changes.full("acme", "sam")))
    assert full == [(False, False), (True, False), (True, True)]
    for following in followings:
        await following.aclose()  # type: ignore[attr-defined]
    assert not changes.full("acme", "olga")


async def test_a_stream_ends_with_its_time() -> None:
    """A page is followed for as long as its session lasts, to the moment and not to the next change."""
    following = Changes(10, 10).follow("acme", "olga", "old", 0.01)
    async with asyncio.timeout(2):
        assert len([mark async for mark in following]) <= 2
