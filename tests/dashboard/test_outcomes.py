"""The answer to a command in words: what was done or not, and what the add-on is called, in its own direction."""

import pytest

from contracts.results import CommandAccepted, CommandRejected, Reason
from services.dashboard.cards import card_of
from services.dashboard.locales import formats_for
from services.dashboard.orders import outcome_of
from services.dashboard.shapes import AddOns
from tests.dashboard.shown import NOW, action, add_on

HEBREW = "אנליטיקה+"
APART = f"\u2068{HEBREW}\u2069"
COMMAND = {"account_id": "acme", "command_id": "c-1", "command_type": "addons.StartTrial.v1", "user_id": "olga"}


def shown_as(name: str) -> AddOns:
    """Return what an Owner sees, the add-on called so."""
    return AddOns(account_id="acme", user_id="olga", role="owner", add_ons=(add_on(action("try_for_free"), name=name),))


@pytest.mark.parametrize(
    ("name", "said"), [("Analytics+", "Analytics+"), (HEBREW, APART), ("+ ابجد", "\u2068+ ابجد\u2069")]
)
def test_an_outcome_keeps_its_order_around_a_name_from_right_to_left(name: str, said: str) -> None:
    """A name of another direction is isolated in what was done and in why not; any other stands as it is."""
    done = outcome_of(CommandAccepted(**COMMAND, events=()), shown_as(name), "analytics_plus")
    assert done.title == f"Your free trial of {said} has begun"
    told = f"The free trial of {name} is already running: use it."
    rejected = CommandRejected(**COMMAND, reason=Reason.TRIAL_ACTIVE, message=told)
    refused = outcome_of(rejected, shown_as(name), "analytics_plus")
    assert refused.text == f"The free trial of {said} is already running: use it."


def test_a_card_says_why_not_in_that_order_too() -> None:
    """The reason beside a closed action isolates the name as the heading above it does."""
    card = card_of(add_on(action("request_quote", f"Buy {HEBREW}: no quote."), name=HEBREW), formats_for("en"), NOW)
    assert [each.message for each in card.closed] == [f"Buy {APART}: no quote."]
