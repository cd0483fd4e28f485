"""From a form to a command: who sends it comes from the session, and nothing a form says can change that."""

from datetime import date
from urllib.parse import urlencode

import pytest

from contracts.backoffice import (
    ActivateAddOn,
    CancelSubscription,
    EraseMember,
    ExtendTrial,
    IssueCredit,
    ModifySubscription,
)
from contracts.commands import PurchaseAddOn, RequestFeature, SnoozeFeature
from services.dashboard.commands import FormError, entry_point, id_of, is_id, member_command, new_id, sent_as
from services.dashboard.staff_orders import ORDERS, staff_command
from services.dashboard.visits import fields_of

PURCHASE = {"type": "PurchaseAddOn", "add_on": "analytics_plus", "entry_point": "sidebar", "understood": "on"}


def test_a_form_becomes_the_command_of_who_is_signed_in() -> None:
    """Account and member are the session's, whatever the form claims."""
    form = PURCHASE | {"account_id": "other", "user_id": "olivia", "price_promise": "p", "note": "ignored"}
    command = member_command(form, "acme", "sam")
    assert command == PurchaseAddOn(
        account_id="acme", user_id="sam", add_on="analytics_plus", entry_point="sidebar", price_promise="p"
    )


def test_what_was_shown_is_what_is_expected() -> None:
    """Without a promise the price that was shown goes along, so that another is refused."""
    command = member_command(PURCHASE | {"expected_minor": "12565", "expected_currency": "USD"}, "acme", "olga")
    assert isinstance(command, PurchaseAddOn)
    assert str(command.expected) == "125.65 USD"


def test_a_day_is_read() -> None:
    """A date field's text is a day."""
    form = {"type": "SnoozeFeature", "add_on": "analytics_plus", "until": "2027-01-31"}
    command = member_command(form, "acme", "olga")
    assert isinstance(command, SnoozeFeature)
    assert command.until == date(2027, 1, 31)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"type": "ActivateAddOn", "add_on": "analytics_plus"},
        {"type": "PurchaseAddOn", "understood": "on"},
        PURCHASE | {"understood": ""},
        PURCHASE | {"add_on": "x" * 65},
        PURCHASE | {"expected_minor": "a lot", "expected_currency": "USD"},
        PURCHASE | {"expected_minor": "1", "expected_currency": "dollars"},
        {"type": "RequestFeature", "add_on": "analytics_plus", "note": "x" * 1_001},
        {"type": "SnoozeFeature", "add_on": "analytics_plus", "until": "tomorrow"},
        {"type": "ChangeDigest", "cadence": "hourly"},
    ],
)
def test_a_form_that_cannot_be_is_said_for_people(form: dict[str, str]) -> None:
    """A form that is no command of a member's is refused in one sentence; a member cannot send staff's commands."""
    with pytest.raises(FormError) as caught:
        member_command(form, "acme", "olga")
    assert str(caught.value).endswith(".") or "2027" in str(caught.value)


def test_ids_are_ours_and_never_twice() -> None:
    """An id that was not made here is not taken, and no two are alike."""
    made = {new_id() for _ in range(100)}
    assert len(made) == 100
    assert all(is_id(each) for each in made)
    for text in ("", "x", "dashboard-", f"{new_id()} ", new_id().upper(), "../" + new_id()):
        assert not is_id(text)
        with pytest.raises(FormError):
            id_of({"command_id": text})


def test_a_command_is_the_one_of_who_sends_it() -> None:
    """A form is one command, however often it is sent; of another member, account or add-on it is another."""
    form = new_id()
    assert sent_as(form, "acme", "sam") == sent_as(form, "acme", "sam")
    others = [
        sent_as(form, "acme", "sam", "x"),
        sent_as(new_id(), "acme", "sam"),
        sent_as(form, "acme", "sina"),
        sent_as(form, "other", "sam"),
    ]
    made = {form, sent_as(form, "acme", "sam"), *others, sent_as(form, "acmes", "am")}
    assert len(made) == 7
    assert all(is_id(each) for each in made)


def test_a_line_end_counts_as_one_character() -> None:
    """A note that a browser allows is taken: it counts a line end once and sends it as two characters."""
    note = "\r\n".join([*["x" * 99] * 9, "x" * 100])
    sent = fields_of(urlencode({"type": "RequestFeature", "add_on": "analytics_plus", "note": note}).encode())
    command = member_command(sent, "acme", "sam")
    assert isinstance(command, RequestFeature)
    assert command.note == note.replace("\r", "")
    assert len(command.note) == 1_000


def test_an_unknown_entry_point_is_the_plan_tab() -> None:
    """Where a flow began is one of the known words."""
    assert [entry_point(each) for each in ("sidebar", "trial", "<script>", None)] == [
        "sidebar",
        "trial",
        "plan_tab",
        "plan_tab",
    ]


def test_staff_orders_become_commands_of_who_is_signed_in() -> None:
    """Every form of staff becomes its command, with the reason and the member of staff."""
    activate = {"order": "activate", "add_on": "a", "price": "14,50", "currency": "eur", "standard": "9", "reason": "r"}
    command = staff_command(activate | {"staff_id": "somebody"}, "acme", "mara")
    assert isinstance(command, ActivateAddOn)
    assert (str(command.unit_price), command.staff_id, command.reason) == ("14.50 EUR", "mara", "r")
    assert command.licenses is not None
    assert (command.licenses.standard, command.licenses.additional) == (9, 0)

    modify = {"order": "modify", "subscription_id": "s", "follow_account": "yes", "reason": "r"}
    assert staff_command(modify, "acme", "mara") == ModifySubscription(
        account_id="acme", staff_id="mara", reason="r", subscription_id="s", follow_account=True
    )
    cancel = {"order": "cancel", "subscription_id": "s", "when": "now", "reason": "r"}
    assert isinstance(staff_command(cancel, "acme", "mara"), CancelSubscription)
    extend = staff_command({"order": "extend", "add_on": "a", "ends_on": "2027-01-31", "reason": "r"}, "acme", "mara")
    assert isinstance(extend, ExtendTrial)
    assert extend.ends_at.isoformat() == "2027-01-31T00:00:00+00:00"
    credit = {"order": "credit", "invoice_number": "acme-000001", "price": "5", "currency": "JPY", "reason": "r"}
    assert isinstance(staff_command(credit, "acme", "mara"), IssueCredit)
    erase = {"order": "erase", "user_id": " olivia ", "reason": "r"}
    assert staff_command(erase, "acme", "mara") == EraseMember(
        account_id="acme", staff_id="mara", reason="r", user_id="olivia"
    )


@pytest.mark.parametrize("order", [*ORDERS, "nonsense"])
def test_no_order_without_a_reason(order: str) -> None:
    """Staff say why, or nothing is sent."""
    form = {
        "order": order,
        "add_on": "a",
        "subscription_id": "s",
        "invoice_number": "n",
        "user_id": "u",
        "price": "1",
        "currency": "USD",
    }
    form |= {"when": "now", "ends_on": "2027-01-01", "until": "2027-01-01"}
    with pytest.raises(FormError):
        staff_command(form, "acme", "mara")
