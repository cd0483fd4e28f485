"""Every message of the registry has words of its own."""

import pytest

from contracts.payload import Payload
from contracts.schemas import payload_types
from deploy.addonflow.words import words_of
from tests.contracts.examples import example


@pytest.mark.parametrize("payload", payload_types(), ids=lambda payload: payload.ce_type)
def test_a_message_is_told_in_words(payload: type[Payload]) -> None:
    """What a message of any type says is told in a line of words, and never as its JSON."""
    said = words_of(payload.__name__, example(payload.__name__))
    assert said
    assert not said.startswith("{")


def test_an_order_that_says_nothing_of_what_it_is_about_is_told_all_the_same() -> None:
    """Whatever the data is, a watcher goes on: what is missing is said to be nothing."""
    assert words_of("EndTrial", {"staff_id": "sue", "reason": "r"}) == "None by staff sue: “r”"
    assert words_of("EraseMember", {}).startswith("{")


def test_what_staff_did_names_them_and_their_reason() -> None:
    """What the back office caused tells who did it and why."""
    assert words_of("SubscriptionCanceled", example("SubscriptionCanceled")) == (
        "analytics_plus from 2026-10-20 (back_office), by staff sue: “agreed by phone”"
    )
    assert words_of("IssueCredit", example("IssueCredit")) == (
        "17.95 USD of acme-000001 by staff sue: “agreed by phone”"
    )
