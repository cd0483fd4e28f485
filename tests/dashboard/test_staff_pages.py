"""What staff see of an account and can do about it: each state, and nothing that hides another."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from contracts.events import AddOnGranted
from contracts.payload import Payload
from contracts.topics import Topic
from services.dashboard.log import HISTORY, Entry
from services.dashboard.parts import Dashboard
from services.runtime.authentication import STAFF_SCOPE
from tests.dashboard.desk import browsing, desk_of, sign_in, token_of
from tests.dashboard.test_standing import ABOUT, ACCOUNT, BOUGHT, CANCELED, MARA, NOW, QUOTE, log

TODAY = NOW.date()


def having(folder: Path, *said: Payload) -> Dashboard:
    """Return a dashboard whose log says this of the account, at `NOW`."""
    desk = desk_of(folder)

    async def of(_: str, __: Sequence[Topic] = HISTORY) -> list[Entry]:
        return log(ACCOUNT, *said)

    desk.staff_log.of = of  # type: ignore[assignment, method-assign]
    desk.clock.now = lambda: NOW  # type: ignore[method-assign]
    return desk


async def account_page(folder: Path, *said: Payload) -> str:
    """Return the page of an account of which the log says this."""
    async with browsing(having(folder, *said)) as client:
        await sign_in(client, token_of(folder, sub="mara", scope=STAFF_SCOPE))
        page = await client.get("/back-office/account?id=acme")
    assert page.status_code == 200
    return page.text.partition('id="held-a"')[2].partition("</section>")[0]


async def test_a_quote_is_shown_whatever_was_sold_before(tmp_path: Path) -> None:
    """A quote can be answered after a subscription has ended, and while one is still running out."""
    for ends_on in (TODAY, TODAY + timedelta(days=1)):
        ended = CANCELED.model_copy(update={"effective_date": ends_on})
        shown = await account_page(tmp_path, BOUGHT, ended, QUOTE)
        assert ("order=activate" in shown, "order=decline" in shown) == (True, True)
        assert ("Ends" in shown, "order=modify" in shown) == (ends_on > TODAY, ends_on > TODAY)


async def test_what_is_free_is_said_to_be(tmp_path: Path) -> None:
    """An add-on that was given for free is shown as such, until its day."""
    granted = AddOnGranted(**ABOUT, until=TODAY + timedelta(days=1), granted_at=NOW, by=MARA)
    assert "Free until Oct 1, 2026" in await account_page(tmp_path, granted)
    over = granted.model_copy(update={"until": TODAY})
    assert "Not in the plan" in await account_page(tmp_path, over)
