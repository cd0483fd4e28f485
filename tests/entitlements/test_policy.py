"""What people are told when a command is refused, and what may never be told."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from contracts.accounts import Licenses
from contracts.results import Action, Reason
from services.entitlements.policy import may
from services.runtime.decision import Message
from tests.entitlements.scenario import (
    account,
    acme,
    asks,
    given,
    member,
    purchase,
    quote,
    refused,
    request,
    trial,
)

SHOWN = {"amount_minor": 97_700, "currency": "USD"}


@pytest.mark.parametrize("role", ["agent", "wizard", "Owner", "OWNER", "", "owner "])
def test_only_known_roles_may_do_anything(role: str) -> None:
    """An agent, and a role addonflow does not know to the letter, may do nothing."""
    assert may(role) == frozenset()


def told(command: Message, *before: Message, **changes: Any) -> str:
    """Return the sentence for a command that is refused after these messages."""
    return refused(acme(**changes).given(*before).when(command)).message


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (
            lambda: told(request("owner")),
            "An Owner need not request Analytics+: try it, subscribe to it or ask for a quote.",
        ),
        (lambda: told(purchase("admin")), "Only an Owner can subscribe to Analytics+: ask an Owner of your account."),
        (
            lambda: told(quote("admin")),
            "Only an Owner can request a quote for Analytics+: ask an Owner of your account.",
        ),
        (
            lambda: told(trial("supervisor")),
            "Only an Owner or an admin can start a free trial of Analytics+: ask an Owner of your account.",
        ),
        (lambda: told(purchase("nobody")), "You are not a member of this account: ask one of its Owners to add you."),
        (
            lambda: told(purchase(), status="closed"),
            "Your account is not active: it must be reactivated before Analytics+ can be added.",
        ),
        (
            lambda: told(asks(Action.TRY_FOR_FREE, "owner", "x")),
            "There is no such add-on: choose one of those in the Plan tab.",
        ),
        (lambda: told(purchase(), purchase()), "Your account already has Analytics+: it is ready to use."),
        (
            lambda: told(trial(), trial("admin")),
            "The free trial of Analytics+ is already running: use it until 2026-10-14 16:00 UTC.",
        ),
        (
            lambda: told(quote(), quote(), sales_managed=True),
            "A quote for Analytics+ has already been requested: your account manager will answer it.",
        ),
        (lambda: told(quote()), "Your account can buy Analytics+ at list price: subscribe now, without a quote."),
        (
            lambda: told(request(), request()),
            "You have already requested Analytics+ and your Owners know: ask one of them about it.",
        ),
        (
            lambda: told(purchase(), payment_method_on_file=False),
            "Add a payment method to your account, then subscribe to Analytics+.",
        ),
        (
            lambda: told(purchase(price_promise="p")),
            "This is no price promise of ours to your account for Analytics+: look at the price again and subscribe.",
        ),
        (
            lambda: told(purchase(), sales_managed=True),
            (
                "Analytics+ needs a quote, because your account is looked after by an account manager: "
                "request one from your account manager."
            ),
        ),
        (
            lambda: told(purchase(), licenses=Licenses(standard=201)),
            (
                "Analytics+ needs a quote, because your account has more than 200 seats: "
                "request one from your account manager."
            ),
        ),
        (
            lambda: told(purchase(), currency="CHF"),
            (
                "Analytics+ needs a quote, because there is no list price in your currency and billing frequency: "
                "request one from your account manager."
            ),
        ),
        (
            lambda: told(purchase(expected=SHOWN)),
            (
                "The price of Analytics+ is now 1077.00 USD per billing cycle, 100.00 USD more than the 977.00 USD "
                "you were shown: check it and subscribe again."
            ),
        ),
        (
            lambda: told(purchase(expected=SHOWN), licenses=Licenses(standard=50)),
            (
                "The price of Analytics+ is now 897.50 USD per billing cycle, 79.50 USD less than the 977.00 USD "
                "you were shown: check it and subscribe again."
            ),
        ),
        (
            lambda: told(purchase(expected=SHOWN | {"currency": "JPY"})),
            (
                "The price of Analytics+ is now 1077.00 USD per billing cycle, not 97700 JPY: "
                "check it and subscribe again."
            ),
        ),
    ],
)
def test_every_refusal_says_what_to_do(sentence: Callable[[], str], expected: str) -> None:
    """One English sentence per reason names the add-on as the catalog does and says what to do."""
    assert sentence() == expected


def test_an_unknown_account_and_a_used_trial_say_what_to_do() -> None:
    """The two refusals that need a story of their own have their sentence too."""
    unknown = refused(given(member("owner")).when(purchase()))
    assert unknown.message == "This account is not known here yet: try again in a few minutes."
    story = acme().given(trial())
    story.now += timedelta(days=14)
    assert refused(story.when(trial())).message == (
        "Your account has had its one free trial of Analytics+: an Owner can buy it or ask for a quote."
    )


BEFORE: dict[str, list[Message]] = {
    "fresh": [],
    "purchased": [purchase()],
    "trial": [trial()],
    "quote pending": [account(2, sales_managed=True), quote()],
    "suspended": [account(2, status="suspended")],
    "no price": [account(2, currency="CHF")],
    "asked as a supervisor": [
        member("agent", "supervisor", revision=2),
        request("agent"),
        member("agent", revision=3),
    ],
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("add_on", ["analytics_plus", "aircall_ai", "telepathy"])
@pytest.mark.parametrize("role", ["agent", "wizard"])
def test_an_agent_learns_nothing(role: str, add_on: str, before: str) -> None:
    """Whatever the account and the add-on are, a member who may do nothing gets one and the same answer."""
    story = acme().given(*BEFORE[before], member("agent", role, revision=9))
    for action in Action:
        more = {"expected": {"amount_minor": 1, "currency": "USD"}} if action is Action.SUBSCRIBE_NOW else {}
        answer = refused(story.when(asks(action, "agent", add_on, **more)))
        assert answer.reason is Reason.ROLE_NOT_PERMITTED
        assert answer.message == "Your role has no access to add-ons: ask an Owner of your account."
        assert answer.allowed_instead == ()


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("role", ["admin", "supervisor"])
def test_no_price_or_quote_is_told_to_those_who_may_not_buy(role: str, before: str) -> None:
    """An admin's or a supervisor's refusal to buy or to get a quote tells no figure and no state of the add-on."""
    fresh, story = acme(), acme().given(*BEFORE[before])
    for command in (purchase(role, expected=SHOWN), quote(role)):
        assert refused(story.when(command)).message == refused(fresh.when(command)).message
        assert not re.search(r"\d", refused(story).message)
