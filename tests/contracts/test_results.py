"""Answers to commands: the closed set of reasons, what is allowed instead, and whom to ask."""

from contracts.results import Action, Ask, Reason


def test_the_reasons_are_a_closed_set() -> None:
    """A command is refused for one of these reasons and no other; dashboards have a text for each."""
    assert set(Reason) == {
        "account_unknown",
        "account_not_active",
        "member_unknown",
        "role_not_permitted",
        "add_on_unknown",
        "already_purchased",
        "trial_active",
        "trial_already_used",
        "quote_required",
        "quote_not_offered",
        "quote_pending",
        "no_quote_pending",
        "already_requested",
        "payment_method_required",
        "price_changed",
        "promise_invalid",
        "subscription_unknown",
        "change_not_allowed",
        "trial_not_active",
        "nothing_requested",
        "invoice_unknown",
        "credit_exceeds_paid",
    }


def test_the_actions_are_those_of_the_dashboards() -> None:
    """What may be allowed instead is one of the flow's four buttons; whom to ask is an Owner or the account manager."""
    assert set(Action) == {"subscribe_now", "request_quote", "try_for_free", "request_feature"}
    assert set(Ask) == {"owner", "account_manager"}
