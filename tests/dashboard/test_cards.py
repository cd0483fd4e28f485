"""Cards: each shows the state in words, the price, exactly what is open, and why the rest is not."""

from datetime import date, timedelta

import pytest

from services.dashboard.cards import banners_of, card_of, closed_of, days_left, discoveries_of
from services.dashboard.locales import formats_for
from services.dashboard.shapes import AddOns
from tests.dashboard.shown import NOW, action, add_on

EN = formats_for("en-US")


def test_exactly_the_open_actions_are_links() -> None:
    """What is open is a link into its flow, in the order given; what is closed is none."""
    card = card_of(add_on(action("subscribe_now"), action("request_quote", "No."), action("try_for_free")), EN, NOW)
    assert [(link.label, link.href) for link in card.links] == [
        ("Subscribe now", "/subscribe/analytics_plus?from=plan_tab"),
        ("Try it for free", "/try/analytics_plus?from=plan_tab"),
    ]


def test_an_action_of_a_newer_service_is_passed_over() -> None:
    """An open action that this page has no flow for is not shown as a dead link."""
    assert card_of(add_on(action("lease")), EN, NOW).links == ()


def test_the_price_is_per_seat_and_for_all_seats() -> None:
    """The card names the price of a seat, and what all seats come to."""
    card = card_of(add_on(), EN, NOW)
    assert (card.price, card.price_note) == ("$17.95 per seat and month", "$125.65 a month for your 7 seats")


@pytest.mark.parametrize(
    ("said", "state", "tone"),
    [
        ({"access": "active"}, "Active", "ready"),
        ({"access": "active", "until": date(2026, 10, 20)}, "Active until October 20, 2026", "ready"),
        ({"access": "granted", "until": date(2026, 10, 20)}, "Free until October 20, 2026", "ready"),
        ({"access": "trial", "until": NOW + timedelta(days=3)}, "Trial · 3 days left", "trial"),
        ({"access": "trial", "until": NOW + timedelta(hours=1)}, "Trial · 1 day left", "trial"),
        ({"quote_pending": True}, "Quote requested", "waiting"),
        ({"requested_by_you": True}, "Requested by you", "waiting"),
        ({}, "Not in your plan", "open"),
        ({"access": "something new"}, "Not in your plan", "open"),
    ],
)
def test_the_state_is_said_in_words(said: dict[str, object], state: str, tone: str) -> None:
    """Each state has its words, and none is told by color alone."""
    card = card_of(add_on(**said), EN, NOW)
    assert (card.state, card.tone) == (state, tone)


def test_closed_actions_with_one_reason_stand_together() -> None:
    """A reason is said once, for all actions it closes, with whom to ask unless it says so itself."""
    closed = closed_of(
        [
            action("subscribe_now", "Only an Owner can subscribe: ask an Owner of your account.", "owner"),
            action("request_quote", "It needs a quote.", "account_manager"),
            action("try_for_free", "It needs a quote.", "account_manager"),
            action("request_feature"),
        ]
    )
    assert [(each.labels, each.ask) for each in closed] == [
        ("Subscribe now", None),
        ("Request a quote · Try it for free", "Ask your account manager."),
    ]


@pytest.mark.parametrize(("seconds", "days"), [(-5, 0), (0, 0), (1, 1), (86_400, 1), (86_401, 2), (14 * 86_400, 14)])
def test_a_day_begun_counts(seconds: int, days: int) -> None:
    """The days left of a trial are counted up, and never below nothing."""
    assert days_left(NOW + timedelta(seconds=seconds), NOW) == days


def test_banners_are_of_running_trials_and_lead_on() -> None:
    """A running trial has a banner that leads into the purchase, told that it began at the trial."""
    trial = add_on(action("subscribe_now"), access="trial", until=NOW + timedelta(days=2))
    shown = AddOns(account_id="acme", user_id="olga", role="owner", add_ons=(add_on(), trial))
    [banner] = banners_of(shown, EN, NOW, {})
    assert (banner.days_left, banner.link and banner.link.href) == (2, "/subscribe/analytics_plus?from=trial")


def test_days_that_entitlements_counts_go_first() -> None:
    """Where entitlements says how many days are left, its time counts: it may be a rehearsal's."""
    trial = add_on(access="trial", until=NOW + timedelta(days=2))
    shown = AddOns(account_id="acme", user_id="olga", role="owner", add_ons=(trial,))
    [banner] = banners_of(shown, EN, NOW, {"analytics_plus": 9})
    assert banner.days_left == 9
    assert card_of(trial, EN, NOW, 9).state == "Trial · 9 days left"


def test_the_sidebar_offers_what_is_missing_and_possible() -> None:
    """The sidebar has an entry for what the account lacks and the member can do something about."""
    had = add_on(action("request_feature"), access="active")
    closed = add_on(action("subscribe_now", "No."))
    wanted = add_on(action("subscribe_now", "No."), action("request_feature"))
    shown = AddOns(account_id="acme", user_id="sam", role="supervisor", add_ons=(had, closed, wanted))
    assert [link.href for _, link in discoveries_of(shown)] == ["/request/analytics_plus?from=sidebar"]
