"""Message data: what readers tolerate, and what they refuse."""

from typing import Any

import pytest
from pydantic import ValidationError

from contracts.invoices import InvoiceIssued
from contracts.payload import Payload
from contracts.topics import TOPICS
from tests.contracts.examples import example

TYPES = {payload.__name__: payload for topic in TOPICS for payload in topic.payloads}


def read(name: str, **changes: Any) -> Payload:
    """Read the example of a message type, changed."""
    return TYPES[name].model_validate(example(name, **changes))


@pytest.mark.parametrize("name", TYPES)
def test_what_was_written_is_what_is_read(name: str) -> None:
    """A message that was read and is written again, under the names on the wire, says the same."""
    written = read(name).model_dump(mode="json", by_alias=True)
    assert written == example(name)


@pytest.mark.parametrize("name", TYPES)
def test_unknown_fields_are_ignored(name: str) -> None:
    """A field that a newer writer added is ignored: the message reads as if it were not there."""
    assert read(name, added_by_a_newer_writer={"deep": [1]}) == read(name)


def test_unknown_fields_are_ignored_inside_as_well() -> None:
    """A field that a newer writer added to a part of a message is ignored too."""
    licenses = {"standard": 3, "additional": 1, "guests": 7}
    assert read("AccountUpdated", licenses=licenses) == read("AccountUpdated")


@pytest.mark.parametrize("name", TYPES)
def test_every_message_names_its_account(name: str) -> None:
    """A message without an account id is refused, whatever its type."""
    without = example(name)
    del without["account_id"]
    with pytest.raises(ValidationError, match="account_id"):
        TYPES[name].model_validate(without)


NO_ACCOUNT_IDS = ["", "two words", "zürich", "a\nb", "a" * 129, 7, None, "/", "acme/x", "acme/", ".", "..", "../x"]


@pytest.mark.parametrize("account_id", NO_ACCOUNT_IDS)
def test_an_account_id_is_printable_ascii(account_id: object) -> None:
    """An account id is 1 to 128 printable ASCII characters: one part of a path, so no slash, nor "." or ".."."""
    with pytest.raises(ValidationError, match="account_id"):
        read("StartTrial", account_id=account_id)


@pytest.mark.parametrize(
    "account_id",
    ["a", "-", "a" * 128, "...", "..a", ".a", "." * 128, "".join(map(chr, range(33, 127))).replace("/", "")],
)
def test_an_account_id_may_be_anything_else(account_id: str) -> None:
    """Every other printable character may stand in an account id, at every place."""
    assert read("StartTrial", account_id=account_id).account_id == account_id


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("AccountUpdated", {"revision": "first"}),
        ("AccountUpdated", {"revision": -1}),
        ("AccountUpdated", {"sales_managed": "perhaps"}),
        ("AccountUpdated", {"licenses": 3}),
        ("AccountUpdated", {"licenses": {"standard": -1}}),
        ("AccountUpdated", {"licenses": {"standard": 1, "additional": -1}}),
        ("AccountUpdated", {"licenses": {"standard": 1.5}}),
        ("AccountUpdated", {"licenses": {}}),
        ("AccountUpdated", {"billing": {"frequency": "weekly", "cycle_anchor": "2026-01-15"}}),
        ("AccountUpdated", {"billing": {"frequency": "monthly", "cycle_anchor": "2026-02-30"}}),
        ("MemberUpdated", {"status": "asleep"}),
        ("PurchaseAddOn", {"add_on": ""}),
        ("PurchaseAddOn", {"add_on": "x" * 65}),
        ("PurchaseAddOn", {"user_id": ["olga"]}),
        ("PurchaseAddOn", {"expected": 1197}),
        ("PurchaseAddOn", {"expected": {"amount_minor": 11.97, "currency": "USD"}}),
        ("TrialStarted", {"ends_at": "2026-10-14T15:04:05"}),
        ("CommandRejected", {"reason": "because"}),
        ("InvoiceIssued", {"kind": "gift"}),
        ("NotificationRequested", {"recipients": []}),
    ],
)
def test_wrong_types_and_values_are_refused(name: str, changes: dict[str, Any]) -> None:
    """A value of the wrong type or out of its bounds is refused, at the field that holds it."""
    (field,) = changes
    with pytest.raises(ValidationError) as refused:
        read(name, **changes)
    assert {error["loc"][0] for error in refused.value.errors()} == {field}


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus_Mons", "", "../etc/passwd", "/etc/localtime", "Europe", "UTC\x00", "localtime"]
)
def test_an_unknown_zone_is_refused(zone: str) -> None:
    """A time zone that is not an IANA name is refused: no cycle could be computed in it."""
    with pytest.raises(ValidationError, match="IANA"):
        read("AccountUpdated", timezone=zone)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("MemberUpdated", {"role": "wizard"}),
        ("AccountUpdated", {"currency": "XYZ"}),
        ("AccountUpdated", {"status": "hibernating"}),
        ("PurchaseAddOn", {"add_on": "time_machine"}),
        ("PurchaseAddOn", {"entry_point": "fridge"}),
    ],
)
def test_what_may_grow_is_an_open_string(name: str, changes: dict[str, str]) -> None:
    """An unknown role, currency, status, add-on or entry point is read: it is refused, with a reason, when used."""
    ((field, value),) = changes.items()
    assert getattr(read(name, **changes), field) == value


@pytest.mark.parametrize("name", ["RequestQuote", "RequestFeature", "QuoteRequested", "FeatureRequested"])
def test_a_note_has_at_most_1000_characters(name: str) -> None:
    """A note of 1,000 characters, of whatever script, is read; one of 1,001 is refused."""
    assert read(name, note="é" * 1_000).model_dump()["note"] == "é" * 1_000
    with pytest.raises(ValidationError, match="note"):
        read(name, note="é" * 1_001)


def test_a_period_is_written_from_and_to() -> None:
    """An invoice line's period has the fields `from` and `to` on the wire, though `from` is a Python keyword."""
    invoice = InvoiceIssued.model_validate(example("InvoiceIssued"))
    assert invoice.lines[0].period.from_.isoformat() == "2026-09-30"
    assert '"period":{"from":"2026-09-30","to":"2026-10-20"}' in invoice.model_dump_json()


def test_seats_are_charged_standard_and_additional() -> None:
    """An add-on is charged for standard licenses and additional users together; 0 additional when not said."""
    account = TYPES["AccountUpdated"].model_validate(example("AccountUpdated", licenses={"standard": 3}))
    assert account.model_dump()["licenses"] == {"standard": 3, "additional": 0}
    assert InvoiceIssued.model_validate(example("InvoiceIssued")).lines[0].quantity.total == 1
