"""What a message costs does not depend on how many members an account has or how many of them asked."""

import pytest

from services.notifications.account import PAGE_SIZE, NotifiedAccount
from tests.notifications.messages import ANALYTICS, START, asks, buys, member, owner, story
from tests.scenario import Scenario

MANY = 400


@pytest.fixture
def large() -> Scenario[NotifiedAccount]:
    """Give an account in which MANY members asked for the same add-on, each with a note."""
    scene = story().given(owner())
    for n in range(MANY):
        scene.given(member(f"u{n:04}", "admin"), asks(f"u{n:04}", at=START, note="n" * 100))
    return scene


def test_the_document_does_not_grow_with_people(large: Scenario[NotifiedAccount]) -> None:
    """The document of MANY requesters is as large as that of 20, but for the digits of its counts."""
    small = story().given(owner())
    for n in range(20):
        small.given(member(f"u{n:04}", "admin"), asks(f"u{n:04}", at=START, note="n" * 100))

    assert abs(large.document_bytes - small.document_bytes) < 10


def test_a_request_reads_the_owners_and_one_row(large: Scenario[NotifiedAccount]) -> None:
    """A request reads the Owners, and whether this member asked before."""
    large.when(asks("u0000"))

    assert large.loaded == ("owners", f"asked:{ANALYTICS}:u0000")


def test_a_fact_reads_the_owners_and_one_row(large: Scenario[NotifiedAccount]) -> None:
    """A fact about a member reads the Owners and that member."""
    large.when(member("u0001", "supervisor", 2))

    assert large.loaded == ("owners", "member:u0001")


def test_a_purchase_reads_no_row_and_a_page_reads_its_own(large: Scenario[NotifiedAccount]) -> None:
    """A purchase reads nothing; each page of telling reads its requesters and their member rows."""
    assert large.when(buys()).loaded == ()

    large.advance()
    assert len(large.emitted) == MANY // PAGE_SIZE
    assert len(large.loaded) == 2 * PAGE_SIZE
