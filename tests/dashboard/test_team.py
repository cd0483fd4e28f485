"""What an Owner sees of the team's requests: how many, since when, and what of it is answered."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.dashboard.shapes import AddOns, FeatureRequest, FeatureRequests
from tests.dashboard.desk import browsing, desk_of, sign_in, token_of
from tests.dashboard.shown import NOW, action, add_on

ASKED: dict[str, Any] = {"add_on": "analytics_plus", "name": "Analytics+", "people": 3, "requests": 4}


async def seen(folder: Path, **said: Any) -> httpx.Response:
    """Return the page of an Owner whose team has asked as it is said."""
    desk = desk_of(folder)

    async def add_ons(account_id: str, _: str) -> AddOns:
        return AddOns(account_id=account_id, user_id="olivia", role="owner", add_ons=(add_on(action("subscribe_now")),))

    async def feature_requests(account_id: str, _: str) -> FeatureRequests:
        return FeatureRequests(account_id=account_id, feature_requests=(FeatureRequest(**(ASKED | said)),))

    desk.client.add_ons = add_ons  # type: ignore[assignment, method-assign]
    desk.client.feature_requests = feature_requests  # type: ignore[assignment, method-assign]
    async with browsing(desk) as client:
        await sign_in(client, token_of(folder, sub="olivia", account_id="acme"))
        return await client.get("/requests", headers={"accept-language": "en-US"})


@pytest.mark.parametrize(
    ("since", "said"),
    [
        (0, "answered September 20, 2026, no request since"),
        (1, "answered September 20, 2026, 1 request since"),
        (1_200, "answered September 20, 2026, 1,200 requests since"),
        (None, "answered September 20, 2026</span>"),
    ],
)
async def test_what_was_answered_says_when_and_what_came_since(tmp_path: Path, since: int | None, said: str) -> None:
    """An Owner sees when a purchase or a refusal answered the requests, and how many are open since."""
    page = await seen(tmp_path, last_at=NOW, answered_at=NOW - timedelta(days=10), open=since)
    assert f'<span class="quiet">· {said}' in page.text


async def test_what_was_never_answered_says_nothing_of_an_answer(tmp_path: Path) -> None:
    """Before the first answer all requests are open, and the page says how many people wait."""
    page = await seen(tmp_path, open=4)
    assert "<strong>3</strong><span>people</span>" in page.text
    assert "answered" not in page.text


@pytest.mark.parametrize(("said", "offered"), [({"open": 0}, False), ({"open": 1}, True), ({}, True)])
async def test_what_is_answered_cannot_be_declined_once_more(
    tmp_path: Path, said: dict[str, Any], offered: bool
) -> None:
    """Where no request is open, declining would be refused and is not offered; where that is not known, it is."""
    page = await seen(tmp_path, answered_at=NOW, **said)
    assert ("/requests/decline?add_on=analytics_plus" in page.text) is offered
    assert "/requests/snooze?add_on=analytics_plus" in page.text
