"""What a message costs does not depend on how many members an account has or how many of them asked."""

from datetime import date

import pytest

from contracts.payload import Payload
from services.notifications.account import NotifiedAccount
from services.notifications.timers import PAGE_SIZE
from tests.notifications.messages import (
    ANALYTICS,
    HOUR,
    START,
    activates_quote,
    asks,
    buys,
    declines,
    declines_quote,
    invoice,
    is_canceled,
    member,
    owner,
    quote_expires,
    snoozes,
    story,
    trial_ends,
    trial_ends_soon,
    trial_is_extended,
    wants_digests,
)
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


def test_a_request_reads_the_owners_and_two_rows(large: Scenario[NotifiedAccount]) -> None:
    """A request reads the Owners, whether this member asked before, and whether they were erased."""
    large.when(asks("u0000"))

    assert large.loaded == ("owners", f"asked:{ANALYTICS}:u0000", "member:u0000")


def test_a_fact_reads_the_owners_and_one_row(large: Scenario[NotifiedAccount]) -> None:
    """A fact about a member reads the Owners and that member."""
    large.when(member("u0001", "supervisor", 2))

    assert large.loaded == ("owners", "member:u0001")


def test_a_purchase_reads_one_row_and_a_page_reads_its_own(large: Scenario[NotifiedAccount]) -> None:
    """A purchase reads whose it is; each page of telling reads its requesters and their member rows."""
    assert large.when(buys()).loaded == ("member:olga",)

    large.advance()
    assert len(large.emitted) == MANY // PAGE_SIZE
    assert len(large.loaded) == 2 * PAGE_SIZE


def test_a_refusal_reads_one_row_and_each_page_three_rows_per_person(large: Scenario[NotifiedAccount]) -> None:
    """A refusal reads whose it is, a page of it its requesters, their rows and, the second time, their requests."""
    assert large.when(declines(START + HOUR)).loaded == ("member:olga",)
    large.advance(HOUR)
    assert len(large.emitted) == MANY // PAGE_SIZE
    assert len(large.loaded) == 2 * PAGE_SIZE

    large.given(declines(START + 2 * HOUR)).advance(HOUR).then_nothing()
    assert len(large.loaded) == 3 * PAGE_SIZE


@pytest.mark.parametrize(
    ("message", "loaded"),
    [
        (trial_ends_soon("u0001"), ("owners", "member:u0001")),
        (trial_ends("u0001"), ("owners", "member:u0001")),
        (declines_quote(user_id="u0001"), ("owners", "member:u0001")),
        (quote_expires(user_id="u0001"), ("owners", "member:u0001")),
        (activates_quote("u0001"), ("owners", "member:u0001")),
        (is_canceled(), ("owners",)),
        (invoice(), ("owners",)),
        (snoozes(date(2026, 10, 10)), ("owners", "member:olga")),
        (wants_digests("weekly"), ("owners", "member:olga")),
        (trial_is_extended(), ()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_an_event_reads(large: Scenario[NotifiedAccount], message: Payload, loaded: tuple[str, ...]) -> None:
    """An event reads the Owners, and the one member it names."""
    assert large.when(message).loaded == loaded
