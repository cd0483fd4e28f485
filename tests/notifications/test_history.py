"""The history of notifications: a ring of rows that holds whom each was for."""

from contracts.accounts import AccountManager
from services.notifications.account import Known, NotifiedAccount
from services.notifications.history import HISTORY_MAX, said_row
from services.notifications.queries import said_to
from services.runtime.decision import State
from tests.notifications.messages import account, asks, asks_for_quote, buys, invoice, member, owner, story
from tests.scenario import Scenario


def readers(scene: Scenario[NotifiedAccount], number: int) -> set[str]:
    """Return the members whom the account's n-th notification was for."""
    row = scene.row(said_row(number))
    assert row.number == number
    return set(row.user_ids)


def test_a_page_of_those_who_asked_is_one_notification() -> None:
    """What became of an add-on is in the history once for all who are told together."""
    scene = story().given(owner(), member("adam", "admin"), member("sam", "supervisor"))
    scene.given(asks("adam"), asks("sam", "supervisor"), buys()).advance()
    assert scene.document.notifications == 2
    assert readers(scene, 1) == {"olga"}
    assert readers(scene, 2) == {"adam", "sam"}


def test_who_is_no_member_has_no_history() -> None:
    """A quote that goes to the account manager's address is in nobody's history."""
    manager = AccountManager(name="Mia", email="mia@vendor.test")
    scene = story().given(account(manager=manager), owner(), asks_for_quote())
    assert readers(scene, 1) == set()


def test_the_history_does_not_grow_beyond_its_bound() -> None:
    """After more notifications than are kept there are as many rows as are kept, and the document is no longer."""
    scene = story().given(owner(), *(invoice(number) for number in range(1, HISTORY_MAX + 1)))
    size = scene.document_bytes
    scene.given(*(invoice(number) for number in range(HISTORY_MAX + 1, HISTORY_MAX + 31)))
    assert scene.document.notifications == HISTORY_MAX + 30
    assert scene.row(said_row(HISTORY_MAX + 30)).number == HISTORY_MAX + 30
    assert len([name for name in scene._rows if name.startswith("said:")]) == HISTORY_MAX
    assert scene.document_bytes == size


def test_what_was_overwritten_meanwhile_is_not_shown_in_its_place() -> None:
    """A row that a newer notification took while a page was read is not taken for the older one."""
    scene = story().given(owner(), *(invoice(number) for number in range(1, 3)))
    newer = scene.row(said_row(2)).model_copy(update={"number": 2 + HISTORY_MAX})
    state: Known = State("acme", scene.document, {said_row(2): newer, said_row(1): scene.row(said_row(1))})
    assert [row.number for row in said_to(state, [2, 1], "olga", "owner")] == [1]
