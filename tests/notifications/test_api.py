"""The doors of notifications, over a real store: what a team asks for, and what a member was told."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.runtime.authentication import PRODUCT_SCOPE, STAFF_SCOPE
from tests.doors import ISSUER, Opened
from tests.notifications.messages import (
    AI,
    ANALYTICS,
    DAY,
    START,
    asks,
    buys,
    declines,
    snoozes,
    tries,
    wants_digests,
)
from tests.notifications.opening import FEATURES, PEOPLE, TOLD, digest_comes, notifications
from tests.tokens import bearer


@pytest.fixture
async def service(embedded_valkey_url: str) -> AsyncIterator[Opened]:
    """Give notifications with its doors open."""
    async with notifications(embedded_valkey_url) as opened_service:
        yield opened_service


async def feature(service: Opened) -> Any:
    """Return what an Owner is shown of the one add-on that was asked for."""
    (shown,) = (await service.get(FEATURES)).json()["feature_requests"]
    return shown


async def test_an_owner_sees_what_the_team_asks_for(service: Opened) -> None:
    """Requests are added up: people once each, requests all, roles, newest notes, and the trend by local day."""
    await service.tell(
        asks("admin", note="<b>please</b>"),
        asks("supervisor", "supervisor", at=START + timedelta(hours=1)),
        asks("admin", at=START + DAY),
    )
    service.clock.advance(2 * DAY)
    reply = await service.get(FEATURES)
    assert reply.json() == {
        "account_id": "acme",
        "cadence": "daily",
        "feature_requests": [
            {
                "add_on": ANALYTICS,
                "name": "Analytics+",
                "people": 2,
                "requests": 3,
                "open": 3,
                "roles": {"admin": 1, "supervisor": 1},
                "first_at": "2026-09-30T09:00:00Z",
                "last_at": "2026-10-01T09:00:00Z",
                "newest": [
                    {
                        "user_id": "admin",
                        "name": "Admin",
                        "role": "admin",
                        "requested_at": "2026-10-01T09:00:00Z",
                        "note": "<b>please</b>",
                    },
                    {
                        "user_id": "supervisor",
                        "name": "Supervisor",
                        "role": "supervisor",
                        "requested_at": "2026-09-30T10:00:00Z",
                    },
                ],
                "trend": [{"day": "2026-09-30", "requests": 2}, {"day": "2026-10-01", "requests": 1}],
            }
        ],
    }


async def test_a_day_is_the_accounts_own(service: Opened) -> None:
    """A request after midnight UTC, before midnight in New York, counts for the day in New York."""
    await service.tell(asks("admin", at=datetime(2026, 10, 1, 3, 59, tzinfo=UTC)))
    service.clock.advance(DAY)
    assert (await feature(service))["trend"] == [{"day": "2026-09-30", "requests": 1}]


async def test_a_trend_ends_with_today(service: Opened) -> None:
    """A month after the last request the trend is empty, and the counts are still there."""
    await service.tell(asks("admin"))
    service.clock.advance(29 * DAY)
    assert len((await feature(service))["trend"]) == 1
    service.clock.advance(DAY)
    shown = await feature(service)
    assert (shown["trend"], shown["requests"], shown["people"]) == ([], 1, 1)


async def test_snoozes_and_cadence_are_shown(service: Opened) -> None:
    """A snooze is shown until its morning has come, and the cadence as the Owners chose it."""
    await service.tell(asks("admin"), snoozes(date(2026, 10, 2)), wants_digests("weekly"))
    assert (await service.get(FEATURES)).json()["cadence"] == "weekly"
    assert (await feature(service))["snoozed_until"] == "2026-10-02"
    service.clock.advance(datetime(2026, 10, 2, 13, tzinfo=UTC) - START)  # 09:00 in New York
    assert "snoozed_until" not in await feature(service)


@pytest.mark.parametrize("answer", [declines, buys])
async def test_an_owner_sees_when_requests_were_answered_and_what_is_open_since(service: Opened, answer: Any) -> None:
    """A refusal and a purchase leave nothing open and are dated; who asks afterwards is open, and the counts stay."""
    await service.tell(asks("admin"), asks("supervisor", "supervisor"))
    assert "answered_at" not in await feature(service)
    for day, asked_before in ((1, 2), (3, 3)):  # answered twice: the later answer counts
        await service.tell(answer(at=START + day * DAY))
        shown = await feature(service)
        assert (shown["open"], shown["requests"]) == (0, asked_before)
        assert datetime.fromisoformat(shown["answered_at"]) == START + day * DAY
        await service.tell(asks("admin", at=START + (day + 1) * DAY))
        shown = await feature(service)
        assert (shown["open"], shown["requests"], shown["people"]) == (1, asked_before + 1, 2)


async def test_what_is_told_or_tried_stays_open(service: Opened) -> None:
    """A notice, a digest, a snooze and a trial answer no request; one from before an answer is not open after it."""
    await service.tell(asks("admin"), asks("admin"), snoozes(date(2026, 10, 1)), tries())
    await digest_comes(service)
    assert (await feature(service))["open"] == 2
    await service.tell(declines(at=START + DAY), asks("supervisor", "supervisor"))
    shown = await feature(service)
    assert (shown["open"], shown["requests"]) == (0, 3)


async def test_nothing_was_asked_for(service: Opened) -> None:
    """An account in which nobody asked has an empty list, and no people for an add-on of the catalog."""
    assert (await service.get(FEATURES)).json()["feature_requests"] == []
    assert (await service.get(PEOPLE)).json() == {
        "account_id": "acme",
        "add_on": ANALYTICS,
        "name": "Analytics+",
        "people": 0,
        "requests": [],
    }


async def test_everybody_who_asked_is_shown_in_pages(service: Opened) -> None:
    """Following `next` shows each person once, first come first, with their latest request."""
    for number in range(7):
        await service.tell(asks(f"u{number}", at=START + timedelta(minutes=number)))
    await service.tell(asks("u0", note="again", at=START + DAY))
    found, after = [], 0
    for size in (3, 3, 1):
        page = (await service.get(f"{PEOPLE}?limit=3&after={after}")).json()
        assert (len(page["requests"]), page["people"]) == (size, 7)
        found += page["requests"]
        after = page.get("next", 0)
    assert after == 0
    assert [each["user_id"] for each in found] == [f"u{number}" for number in range(7)]
    assert found[0]["note"] == "again"


@pytest.mark.parametrize("path", [FEATURES, PEOPLE])
@pytest.mark.parametrize("user", ["admin", "supervisor", "agent", "nobody"])
async def test_only_owners_see_what_others_ask_for(service: Opened, path: str, user: str) -> None:
    """Whoever is not an Owner is refused (403), with whom to ask, and sees no name and no note."""
    await service.tell(asks("supervisor", "supervisor", note="secret"))
    reply = await service.get(path, user=user)
    expected = "member_unknown" if user == "nobody" else "role_not_permitted"
    assert (reply.status_code, reply.json()["reason"], reply.json()["ask"]) == (403, expected, "owner")
    assert "secret" not in reply.text


@pytest.mark.parametrize("path", [FEATURES, PEOPLE, TOLD])
async def test_nobody_reads_another_account(service: Opened, path: str) -> None:
    """An Owner of another account, staff and products are refused: these are a team's own words."""
    tokens = (
        ISSUER.token("owner", "globex"),
        ISSUER.token("sue", None, scope=STAFF_SCOPE),
        ISSUER.token("p", None, scope=PRODUCT_SCOPE),
    )
    for token in tokens:
        reply = await service.client.get(path, headers=bearer(token))
        assert (reply.status_code, reply.json()["reason"]) == (403, "not_permitted")


async def test_an_account_nobody_told_of_is_unknown(service: Opened) -> None:
    """An account without a fact is 404 for whoever has a token for it."""
    for path in ("feature-requests", f"feature-requests/{AI}", "notifications"):
        reply = await service.get(f"/v1/accounts/globex/{path}", account="globex")
        assert (reply.status_code, reply.json()["reason"]) == (404, "account_unknown")


async def test_an_unknown_add_on_is_not_found(service: Opened) -> None:
    """An add-on that neither the catalog has nor anybody asked for is 404."""
    reply = await service.get(f"{FEATURES}/telepathy")
    assert (reply.status_code, reply.json()["reason"]) == (404, "add_on_unknown")
    await service.tell(asks("admin", add_on="old:one"))
    assert (await service.get(f"{FEATURES}/old:one")).json()["people"] == 1


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", "after=1.5", "after=", f"after={2**63}", "limit=0", "limit=101", "limit=%00"],
)
async def test_a_malformed_cursor_of_people_is_told(service: Opened, query: str) -> None:
    """A page of people that cannot be is 422."""
    reply = await service.get(f"{PEOPLE}?{query}")
    assert (reply.status_code, reply.json()["reason"]) == (422, "request_invalid")
