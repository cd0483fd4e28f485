"""The bad input of one scenario: every record that is wrong, between neighbours that are not.

A record's `case` header names it; it stays with the record into the dead-letter topic.
"""

from typing import Any, Final

from pydantic_core import to_json

from contracts.accounts import AccountUpdated, Licenses, MemberUpdated
from contracts.backoffice import EndTrial
from contracts.commands import PurchaseAddOn, RequestFeature, RequestQuote
from contracts.payload import Payload
from contracts.topics import ACCOUNTS, COMMANDS, EVENTS
from services.runtime.keys import shard_of
from tests.chaos import load
from tests.e2e.observe import PARTITIONS
from tests.e2e.records import Record, record

ADD_ON: Final = "analytics_plus"
TWO_MEGABYTES: Final = 2_000_000
NEIGHBOURS: Final = 12


def case(name: str, payload: Payload) -> Record:
    """Return a command or fact named after its case, which is its id too."""
    return record(payload, name).but(case=name)


def request(name: str, account_id: str = "acme", user_id: str = "supervisor") -> Record:
    """Return a request for Analytics+."""
    return case(name, RequestFeature(account_id=account_id, user_id=user_id, add_on=ADD_ON))


def purchase(name: str, account_id: str, add_on: str = ADD_ON) -> Record:
    """Return an Owner's purchase."""
    return case(name, PurchaseAddOn(account_id=account_id, user_id="owner", add_on=add_on))


def changed(source: Record, **data: Any) -> Record:
    """Return a record with other data; its headers stay."""
    return source.with_(value=to_json(source.data | data))


def _account(name: str, account_id: str, revision: int = 5, **changes: Any) -> Record:
    fact = load.account(account_id, revision).model_dump(mode="json") | changes
    return case(name, AccountUpdated.model_validate(fact))


def _member(name: str, account_id: str, user_id: str, role: str, revision: int = 5, status: str = "active") -> Record:
    fact = load.member(account_id, user_id, role, revision).model_dump() | {"status": status}
    return case(name, MemberUpdated.model_validate(fact))


def same_shard_as(account_id: str) -> str:
    """Return another account of that account's shard."""
    shard = shard_of(account_id, PARTITIONS)
    return next(name for name in map("twin-{}".format, range(100)) if shard_of(name, PARTITIONS) == shard)


TWIN: Final = same_shard_as("acme")
_ACCOUNTS: Final = ("acme", "backwards", "no-seats", "odd-currency", "other-currency", "elsewhere", TWIN)
_MEMBERS: Final = {"owner": "owner", "supervisor": "supervisor", "stranger-role": "wizard"}

FACTS: Final = (
    _account("acme", "acme"),
    _account("backwards", "backwards"),
    _account("backwards older", "backwards", 4, status="closed"),
    _account("no-seats", "no-seats", licenses=Licenses(standard=0).model_dump()),
    _account("odd-currency", "odd-currency", currency="XTS"),
    _account("other-currency", "other-currency", currency="XTS"),
    _account("elsewhere", "elsewhere"),
    _account("twin", TWIN),
    *(_member(f"{name} {user}", name, user, role) for name in _ACCOUNTS for user, role in _MEMBERS.items()),
    *(_member(f"neighbour {n}", "acme", f"neighbour-{n}", "supervisor") for n in range(NEIGHBOURS)),
    _member("removed in an older revision", "backwards", "owner", "owner", 4, "removed"),
)
UNREADABLE_FACTS: Final = {
    "unknown zone": (changed(_account("unknown zone", "lost"), timezone="Mars/Olympus_Mons"), "data_invalid"),
    "currency of two letters": (changed(_account("currency of two letters", "lost"), currency="US"), "data_invalid"),
    "negative seats": (changed(_account("negative seats", "lost"), licenses={"standard": -1}), "data_invalid"),
}
UNREADABLE_COMMANDS: Final = {
    "tombstone": (request("tombstone").with_(value=None), "tombstone"),
    "2 MB": (request("2 MB").with_(value=b'{"note": "' + b"x" * TWO_MEGABYTES + b'"}'), "too_large"),
    "no JSON": (request("no JSON").with_(value=b"\xff\x00"), "not_json"),
    "a list": (request("a list").with_(value=b"[]"), "data_invalid"),
    "wrong type": (changed(request("wrong type"), user_id=7), "data_invalid"),
    "field missing": (request("field missing").with_(value=b'{"account_id": "acme"}'), "data_invalid"),
    "header": (request("header").but(tenant=b"\xff\xfe"), "header_not_utf8"),
    "no id": (request("no id").but(ce_id=None), "attribute_missing"),
    "empty id": (request("empty id").but(ce_id=""), "attribute_missing"),
    "unknown type": (request("unknown type").but(ce_type="addons.BuyTheMoon.v1"), "type_unknown"),
    "another's subject": (request("another's subject").but(ce_subject="odd-currency"), "subject_mismatch"),
    "CloudEvents 9": (request("CloudEvents 9").but(ce_specversion="9.0"), "specversion_unknown"),
}
UNREADABLE_EVENTS: Final = {
    "no sequence": (load.purchases(1, 1)[0].but(case="no sequence", ce_sequence=None), "sequence_missing"),
    "sequence 0": (load.purchases(1, 1)[0].but(case="sequence 0", ce_sequence="0"), "sequence_missing"),
    "endless sequence": (
        load.purchases(1, 1)[0].but(case="endless sequence", ce_sequence="9" * 5_000),
        "sequence_missing",
    ),
    "no such cycle": (
        changed(load.purchases(1, 1)[0].but(case="no such cycle"), effective_date="yesterday"),
        "data_invalid",
    ),
}
UNREADABLE: Final = {
    ACCOUNTS: UNREADABLE_FACTS,
    COMMANDS: UNREADABLE_COMMANDS,
    EVENTS: UNREADABLE_EVENTS,
}

REFUSED: Final = {
    "unknown account": (request("unknown account", "nobody"), "account_unknown"),
    "account whose fact was unreadable": (request("account whose fact was unreadable", "lost"), "account_unknown"),
    "unknown member": (request("unknown member", user_id="nobody"), "member_unknown"),
    "unknown role": (request("unknown role", user_id="stranger-role"), "role_not_permitted"),
    "unknown add-on": (changed(request("unknown add-on"), add_on="flying_car"), "add_on_unknown"),
    "a member as staff": (
        changed(request("a member as staff").but(ce_type=EndTrial.ce_type), staff_id="mallory", reason="because"),
        "change_not_allowed",
    ),
    "unknown currency": (purchase("unknown currency", "odd-currency"), "quote_required"),
}
_WRONG_PARTITION: Final = (shard_of("elsewhere", PARTITIONS) + 1) % PARTITIONS
MISROUTED: Final = (
    request("another key", "elsewhere").with_(key=b"acme", partition=_WRONG_PARTITION),
    case("key of no text", RequestQuote(account_id="other-currency", user_id="owner", add_on=ADD_ON)).with_(
        key=b"\xff\xfe", partition=(shard_of("other-currency", PARTITIONS) + 1) % PARTITIONS
    ),
)
ACCEPTED: Final = (
    *MISROUTED,
    request("no key", TWIN).with_(key=None, partition=shard_of(TWIN, PARTITIONS)),
    purchase("a stale revision changes nothing", "backwards"),
    purchase("0 seats", "no-seats"),
    changed(purchase("a field nobody knows", "acme", "aircall_ai"), color="blue"),
    *(request(f"neighbour {n}", user_id=f"neighbour-{n}") for n in range(NEIGHBOURS)),
)
SAME_ID: Final = (  # two dashboards that number their commands alike
    request("number 1", user_id="owner").but(ce_type="addons.StartTrial.v1"),
    request("number 1", TWIN, user_id="owner").but(ce_type="addons.StartTrial.v1"),
)


def commands() -> list[Record]:
    """Return all commands, good and bad in turns."""
    bad = [each for each, _ in (*UNREADABLE_COMMANDS.values(), *REFUSED.values())]
    good = list(ACCEPTED)
    mixed = [each for pair in zip(bad, good, strict=False) for each in pair]
    return mixed + bad[len(good) :] + good[len(bad) :]
