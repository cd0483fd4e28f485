"""From what a person types to the record that is published."""

import json

import pytest

from contracts.accounts import AccountUpdated
from contracts.topics import ACCOUNTS, COMMANDS
from deploy.addonflow.messages import BadInput, data_of_pairs, of_data, of_lines

PURCHASE = {"account_id": "acme", "user_id": "olivia", "add_on": "analytics_plus"}
ACCOUNT_PAIRS = (
    "account_id=acme",
    "revision=1",
    "name=Acme Ltd",
    "status=active",
    "currency=USD",
    "timezone=Europe/Paris",
    "sales_managed=false",
    "payment_method_on_file=true",
    "licenses.standard=5",
    "licenses.additional=2",
    "billing.frequency=monthly",
    "billing.cycle_anchor=2026-09-20",
)


def test_a_command_goes_to_its_topic_as_a_cloudevent() -> None:
    """A command has the topic, source and type of the registry, its account as subject, and the id it was given."""
    message = of_data("PurchaseAddOn", PURCHASE, "p-1")

    assert (message.topic, message.account_id, message.answered) == (COMMANDS, "acme", True)
    assert json.loads(message.value) == PURCHASE
    assert (message.id, message.type, message.topic.source) == ("p-1", "addons.PurchaseAddOn.v1", "/dashboard")


def test_nested_and_typed_values_can_be_typed_as_words() -> None:
    """A dot in a key goes one level deeper, and the model reads numbers, booleans and dates from text."""
    message = of_data("AccountUpdated", data_of_pairs(ACCOUNT_PAIRS))

    fact = AccountUpdated.model_validate_json(message.value)
    assert (message.topic, message.answered) == (ACCOUNTS, False)
    assert (fact.licenses.total, fact.sales_managed, fact.billing.cycle_anchor.isoformat()) == (7, False, "2026-09-20")


def test_a_missing_id_is_drawn_anew_each_time() -> None:
    """Two messages without an id are two commands."""
    assert of_data("PurchaseAddOn", PURCHASE).id != of_data("PurchaseAddOn", PURCHASE).id


@pytest.mark.parametrize(
    ("type_name", "data", "says"),
    [
        ("Purchase", PURCHASE, "unknown type 'Purchase': one of AccountUpdated, "),
        ("InvoiceIssued", PURCHASE, "unknown type 'InvoiceIssued'"),
        ("PurchaseAddOn", {**PURCHASE, "user_id": 7}, "PurchaseAddOn: user_id: Input should be a valid string"),
        ("PurchaseAddOn", {}, "PurchaseAddOn: account_id: Field required (and 2 more)"),
        ("PurchaseAddOn", [], "PurchaseAddOn: data: Input should be a valid dictionary"),
        ("RequestQuote", {**PURCHASE, "note": "x" * 1_001}, "RequestQuote: note: String should have at most 1000"),
    ],
)
def test_bad_input_is_one_clear_line(type_name: str, data: object, says: str) -> None:
    """What the contract does not allow, or what outside writers may not write, is refused in one line."""
    with pytest.raises(BadInput) as refused:
        of_data(type_name, data)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("pair", ["account_id", "=acme", "account_id.x=1"])
def test_words_that_are_no_data_are_refused(pair: str) -> None:
    """A word without =, without a key, or below a plain value is named."""
    with pytest.raises(BadInput, match=pair.replace(".", r"\.")):
        data_of_pairs(["account_id=acme", pair])


def test_unchecked_data_goes_out_as_it_is() -> None:
    """Unchecked, the model is not asked: wrong types and missing fields are published for a reader to refuse."""
    message = of_data("PurchaseAddOn", data_of_pairs(["account_id=acme", "user_id=7"], checked=False), checked=False)

    assert json.loads(message.value) == {"account_id": "acme", "user_id": 7}
    assert message.account_id == "acme"


def test_lines_are_messages_in_their_order() -> None:
    """One JSON object a line becomes one message, in order; ids are optional, blank lines nothing."""
    lines = [
        json.dumps({"type": "PurchaseAddOn", "id": "p-1", "data": PURCHASE}),
        "",
        json.dumps({"type": "StartTrial", "data": PURCHASE}),
    ]
    found = list(of_lines(lines))

    assert [message.type for message in found] == ["addons.PurchaseAddOn.v1", "addons.StartTrial.v1"]
    assert found[0].id == "p-1"
    assert found[1].id


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 2 is not JSON: "),
        ("[1]", "line 2 must be {"),
        ('{"type": "PurchaseAddOn"}', "line 2 must be {"),
        ('{"type": "PurchaseAddOn", "id": 5, "data": {}}', "line 2: the id must be text"),
        ('{"type": "PurchaseAddOn", "data": {}}', "line 2: PurchaseAddOn: account_id: Field required"),
    ],
)
def test_a_bad_line_is_named_by_its_number(line: str, says: str) -> None:
    """What is wrong in a file is said with the number of the line."""
    good = json.dumps({"type": "PurchaseAddOn", "data": PURCHASE})
    with pytest.raises(BadInput) as refused:
        list(of_lines([good, line]))
    assert str(refused.value).startswith(says)
