"""What says who a member is is found in every message and in what is kept, and taken out; all else stays."""

from typing import Any

import pytest

from contracts.commands import RequestFeature
from contracts.erasure import found, member_of, without, without_member
from contracts.events import FeatureDeclined, MemberErased, TrialEnded
from contracts.payload import Payload
from contracts.schemas import payload_types
from contracts.topics import ACCOUNTS, COMMANDS, EVENTS
from tests.contracts.examples import example

OLGA = {"user_id": "olga", "role": "owner", "name": "Olga"}
SAM = {"user_id": "sam", "role": "supervisor", "name": "Sam"}
NAMED = ("Olga", "olga@example.com", "fr-FR", "please", "next year", "for 300 seats", "for the night shift")


def said(payload: type[Payload]) -> Payload:
    """Return the example of a message, in which Olga is whoever it is about or by."""
    return payload.model_validate(example(payload.__name__))


def is_olga(user_id: str) -> bool:
    """Whether it is Olga."""
    return user_id == "olga"


@pytest.mark.parametrize("payload", [*ACCOUNTS.payloads, *COMMANDS.payloads, *EVENTS.payloads])
def test_a_message_without_its_member_says_nothing_of_them(payload: type[Payload]) -> None:
    """Neither name, e-mail, locale nor note is left, whatever the message; the id, and what happened, stay."""
    message = said(payload)
    if member_of(message) is None:
        assert "olga" not in message.model_dump_json().lower()
        return

    rest = without_member(message)

    assert member_of(rest) == member_of(message) == "olga"
    assert not [word for word in NAMED if f'"{word}"' in rest.model_dump_json()]
    assert {name for name, _ in rest if getattr(rest, name) != getattr(message, name)} <= {
        *("name", "email", "locale", "note"),
        *(name for name in payload.model_fields if name.endswith("_by")),
    }


@pytest.mark.parametrize("payload", payload_types(), ids=lambda payload: payload.ce_type)
def test_json_without_a_member_is_the_message_without_them(payload: type[Payload]) -> None:
    """What takes them out of what is kept as JSON takes out what it takes out of a message, and nothing of others."""
    message = said(payload)
    data = message.model_dump(mode="json")

    assert without(data, {"nobody"}.__contains__) == data
    rest = without(data, is_olga)
    if payload in {*ACCOUNTS.payloads, *COMMANDS.payloads, *EVENTS.payloads} and member_of(message):
        assert rest == without_member(message).model_dump(mode="json")
    assert bool(list(found(data, is_olga))) == (rest != data)
    assert list(found(rest, is_olga)) == []


def test_a_note_is_of_the_member_beside_it() -> None:
    """Only whose note it is takes it along; others keep their names and words in the same document."""
    digest = {"newest": [{**OLGA, "note": "hers"}, {**SAM, "note": "his"}], "name": "a digest", "note": "of all"}
    first = {"requested_by": SAM, "note": "his", "declined_by": None}

    assert without(digest, is_olga) == {
        "newest": [{"user_id": "olga", "role": "owner", "name": None, "note": None}, {**SAM, "note": "his"}],
        "name": "a digest",
        "note": "of all",
    }
    assert without(first, is_olga) == first
    assert without(first, {"sam"}.__contains__) == {
        "requested_by": {"user_id": "sam", "role": "supervisor", "name": None},
        "note": None,
        "declined_by": None,
    }


@pytest.mark.parametrize("odd", [None, 7, "olga", [], {}, {"user_id": None}, {"user_id": {"a": 1}}, {"by": [OLGA]}])
def test_whatever_is_kept_can_be_looked_through(odd: Any) -> None:
    """Values of any form are passed over or looked into, and never an error."""
    assert without(odd, {"x"}.__contains__) == odd
    assert list(found([odd, {"a": odd}], {"x"}.__contains__)) == []


def test_who_a_message_is_about() -> None:
    """A member's own message has their id, an event names one person or nobody, and what staff say is of no member."""
    assert (
        member_of(said(RequestFeature)) == member_of(said(FeatureDeclined)) == member_of(said(MemberErased)) == "olga"
    )
    assert member_of(said(TrialEnded).model_copy(update={"started_by": None})) is None
    nobodys = {payload for payload in payload_types() if member_of(said(payload)) is None}
    assert {"AccountUpdated", "InvoiceIssued", "NotificationRequested", "GrantAddOn"} <= {
        payload.__name__ for payload in nobodys
    }
