"""Trials that end, quotes that are answered and subscriptions that end: who concerned is told, once."""

from typing import Any

import pytest

from contracts.catalog import Catalog
from contracts.notices import NotificationRequested, Recipient
from contracts.payload import Payload
from services.notifications.domain import NotificationsDecider
from tests.notifications.messages import (
    ACCOUNT,
    ANALYTICS,
    CATALOG,
    DAY,
    START,
    activates_quote,
    asks,
    buys,
    declines_quote,
    is_canceled,
    member,
    notices,
    owner,
    quote_expires,
    said,
    story,
    trial_ends,
    trial_ends_soon,
    trial_is_extended,
)
from tests.scenario import Scenario

SOON, ENDED, CANCELED = "trial_ending_soon", "trial_ended", "subscription_canceled"
PURCHASED, ACTIVATED = "requested_add_on_purchased", "quote_activated"
NAMING = {"add_on": ANALYTICS, "add_on_name": "Analytics+"}
ADAM = {"user_id": "adam", "role": "admin", "name": "Adam"}
OLGA = {"user_id": "olga", "role": "owner", "name": "Olga"}
ANSWERS: dict[str, tuple[Payload, dict[str, Any]]] = {
    "quote_declined": (declines_quote(), {"declined_at": "2026-09-30T09:00:00Z"}),
    "quote_expired": (quote_expires(), {"expired_at": "2026-09-30T09:00:00Z"}),
    ACTIVATED: (
        activates_quote(),
        {
            "activated_at": "2026-09-30T09:00:00Z",
            "effective_date": "2026-09-30",
            "licenses": {"standard": 1, "additional": 0},
            "reference": "C-17",
            "subscription_id": "subscription-analytics_plus",
        },
    ),
}


def told(scene: Scenario[Any], template: str) -> list[list[str | None]]:
    """Return the readers of each notice that the last step made by a template."""
    return [readers for used, readers in notices(scene) if used == template]


def test_a_trial_that_ends_soon_is_told_to_the_owners_and_who_started_it() -> None:
    """The Owners and the starter, at their addresses, hear when the trial ends and what comes then."""
    scene = story().given(owner(), owner("otto"), member("adam", "admin")).when(trial_ends_soon())

    assert notices(scene) == [(SOON, ["olga", "otto", "adam"])]
    assert scene.emitted_of(NotificationRequested)[0].recipients[2] == Recipient(
        user_id="adam", email="adam@acme.test", name="Adam"
    )
    assert said(scene) == {
        **NAMING,
        "started_by": ADAM,
        "ends_at": "2026-10-03T09:00:00Z",
        "after_trial": "lapse",
    }
    assert scene.document.held == {}


def test_what_comes_after_a_trial_is_said_by_the_event() -> None:
    """Where the event says what comes after the trial, that is told, whatever the catalog says."""
    event = trial_ends_soon().model_copy(update={"after_trial": "convert"})
    assert said(story().given(owner()).when(event))["after_trial"] == "convert"


def test_what_comes_after_a_trial_is_else_said_by_the_catalog() -> None:
    """A trial that is bought as it ends says so in time; of an add-on that is not listed nothing is claimed."""
    data = CATALOG.model_dump()
    data["add_ons"][ANALYTICS]["after_trial"] = "convert"
    scene = Scenario(NotificationsDecider(Catalog.model_validate(data)), ACCOUNT, START).given(owner())

    assert said(scene.when(trial_ends_soon()))["after_trial"] == "convert"
    assert said(scene.when(trial_ends_soon(add_on="unheard_of")))["after_trial"] is None


@pytest.mark.parametrize("reason", ["expired", "back_office"])
def test_a_trial_that_is_over_is_told_to_the_owners_and_who_started_it(reason: str) -> None:
    """When a trial expires or is ended by the staff, the Owners and the starter hear it, without the staff's words."""
    scene = story().given(owner(), member("adam", "admin")).when(trial_ends(reason=reason))

    assert notices(scene) == [(ENDED, ["olga", "adam"])]
    assert said(scene) == {**NAMING, "started_by": ADAM, "ended_at": "2026-09-30T09:00:00Z", "reason": reason}


def test_a_trial_that_a_purchase_ends_is_not_told() -> None:
    """The purchase speaks for itself: nobody hears that the trial is over."""
    story().given(owner()).when(trial_ends(reason="purchased")).then_nothing()


def test_a_trial_whose_starter_is_not_named_is_told_to_the_owners() -> None:
    """The event may name no starter: then nobody else is told."""
    assert notices(story().given(owner()).when(trial_ends(None))) == [(ENDED, ["olga"])]


@pytest.mark.parametrize("happens", [trial_ends_soon("olga"), trial_ends("olga")], ids=[SOON, ENDED])
def test_an_owner_who_started_the_trial_is_told_once(happens: Payload) -> None:
    """Whoever is both an Owner and the starter is one recipient."""
    (notice,) = story().given(owner()).when(happens).emitted_of(NotificationRequested)

    assert [reader.user_id for reader in notice.recipients] == ["olga"]


@pytest.mark.parametrize("happens", [trial_ends_soon(), trial_ends()], ids=[SOON, ENDED])
def test_a_starter_whose_fact_is_still_to_come_goes_by_the_name_in_the_event(happens: Payload) -> None:
    """Id and name come from the event, the address from whoever sends mail."""
    (notice,) = story().given(owner()).when(happens).emitted_of(NotificationRequested)

    assert notice.recipients[1] == Recipient(user_id="adam", name="Adam")


@pytest.mark.parametrize("happens", [trial_ends_soon(), trial_ends()], ids=[SOON, ENDED])
def test_a_starter_who_was_removed_is_left_out(happens: Payload) -> None:
    """Only the Owners hear of the trial of somebody who is no member any more."""
    scene = story().given(owner(), member("adam", "admin", active=False)).when(happens)

    assert [readers for _, readers in notices(scene)] == [["olga"]]


def test_owners_who_come_later_hear_of_a_trial_that_its_starter_knows_of() -> None:
    """Without an Owner the starter is told at once, and the first Owner when they join; nobody twice."""
    scene = story().given(member("adam", "admin")).when(trial_ends())
    assert notices(scene) == [(ENDED, ["adam"])]

    scene.when(member("adam", "admin", 2)).then_nothing()
    assert notices(scene.when(owner())) == [(ENDED, ["olga"])]
    scene.when(owner("otto")).then_nothing()


def test_without_any_reader_the_end_of_a_trial_waits() -> None:
    """With neither an Owner nor the starter, the notice waits for whoever comes first, and is told to both."""
    scene = story().given(member("adam", "admin", active=False)).when(trial_ends()).then_nothing()

    assert notices(scene.when(member("adam", "admin", 2))) == [(ENDED, ["adam"])]
    assert notices(scene.when(owner())) == [(ENDED, ["olga"])]
    assert scene.document.held == {}


@pytest.mark.parametrize(
    "happens", [trial_is_extended(), buys(), trial_ends(reason="purchased")], ids=["extended", "bought", "ended"]
)
def test_a_warning_that_is_true_no_more_is_not_sent(happens: Payload) -> None:
    """A warning that still waits for an Owner is dropped when the trial is extended or over."""
    scene = story().given(member("adam", "admin"), trial_ends_soon(), happens).when(owner()).then_nothing()

    assert scene.document.held == {}


@pytest.mark.parametrize("template", ANSWERS)
def test_the_answer_to_a_quote_reaches_its_requester(template: str) -> None:
    """Whoever requested the quote, and no other Owner, hears that it was activated, declined or has expired."""
    event, says = ANSWERS[template]
    scene = story().given(owner(), owner("otto")).when(event)

    assert notices(scene) == [(template, ["olga"])]
    assert said(scene) == {**NAMING, "quote_id": "quote-1", "requested_by": OLGA, **says}
    assert scene.document.held == {}


@pytest.mark.parametrize("template", ANSWERS)
def test_the_answer_to_a_quote_finds_a_requester_whose_fact_is_still_to_come(template: str) -> None:
    """Id and name come from the event."""
    (notice,) = story().when(ANSWERS[template][0]).emitted_of(NotificationRequested)

    assert notice.recipients == (Recipient(user_id="olga", name="Olga"),)


@pytest.mark.parametrize("template", ANSWERS)
def test_the_answer_to_a_quote_waits_for_a_requester_who_was_removed(template: str) -> None:
    """No other Owner is told instead; when the requester is back they hear it, once."""
    scene = story().given(member("olga", "owner", active=False)).when(ANSWERS[template][0]).then_nothing()

    scene.when(owner("otto")).then_nothing()
    assert notices(scene.when(owner(revision=2))) == [(template, ["olga"])]
    assert scene.document.held == {}


def test_an_activated_quote_is_told_as_a_purchase_too() -> None:
    """Those who asked for the add-on hear that it was bought; the requester of the quote only that it was activated."""
    scene = story().given(owner(), asks("sam"), asks("olga"))

    assert told(scene.when(activates_quote()), ACTIVATED) == [["olga"]]
    assert told(scene.advance(), PURCHASED) == [["sam"]]


def test_a_purchase_in_self_service_is_no_activated_quote() -> None:
    """Only what came of a quote is told to its requester."""
    story().given(owner()).when(buys()).then_nothing()


@pytest.mark.parametrize("cause", ["back_office", "account_closed"])
def test_the_end_of_a_subscription_is_told_to_the_owners(cause: str) -> None:
    """Every Owner hears from which day on the add-on is gone, without the staff's words."""
    scene = story().given(owner(), owner("otto"), member("adam", "admin")).when(is_canceled(cause))

    assert notices(scene) == [(CANCELED, ["olga", "otto"])]
    assert said(scene) == {
        **NAMING,
        "subscription_id": "subscription-1",
        "canceled_at": "2026-09-30T09:00:00Z",
        "effective_date": "2026-10-20",
        "cause": cause,
    }


def test_the_end_of_a_subscription_waits_for_an_owner() -> None:
    """Without an Owner it waits; a second ending of the same add-on replaces the first."""
    scene = story().when(is_canceled("back_office"), is_canceled("account_closed")).then_nothing()

    scene.when(owner())
    assert notices(scene) == [(CANCELED, ["olga"])]
    assert said(scene)["cause"] == "account_closed"


def test_what_waits_is_bounded_by_the_catalog() -> None:
    """A year of the same notices without a reader weighs what the first of them weighed, but for changed figures."""
    scene = story().given(member("adam", "admin", active=False), member("olga", "owner", active=False))
    year = (trial_ends_soon(), trial_ends(), is_canceled(), *(event for event, _ in ANSWERS.values()))
    scene.given(*year, *year)
    before = scene.document_bytes
    for _ in range(50):
        scene.advance(7 * DAY).given(*year)

    assert scene.document_bytes == before
