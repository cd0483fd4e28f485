"""Who may be in an account, and how ids that we emit come about.

Ids are derived, never drawn: a decision that is tried again yields the same ids, so a reader can tell a repetition
from something new (design section 2).
"""

import hashlib
from enum import StrEnum

_NAMESPACE = hashlib.sha1(bytes.fromhex("8d3f0c5e6b1a5c0f9a55d2f6b7c4e913"), usedforsecurity=False)
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))  # the two highest bits of the digit are 10


class Role(StrEnum):
    """The roles addonflow knows. The wire carries any string: an unknown role is a member who may do nothing."""

    OWNER = "owner"
    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    AGENT = "agent"


def derive_id(account_id: str, cause_id: str, what: int | str) -> str:
    """Return the id of a thing caused by `cause_id` in an account: a name-based UUID (version 5, RFC 9562).

    `what` tells the things of one cause apart. The account is part of it because senders choose the ids of commands,
    and two accounts' senders may choose the same.
    """
    digest = _NAMESPACE.copy()
    digest.update(f"{account_id} {cause_id}:{what}".encode())
    text = digest.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"


def derive_record_id(account_id: str, cause_id: str, topic: str, sequence: int, time: str) -> str:
    """Return the `ce_id` of the record that an account has on `topic` under this `ce_sequence`.

    Its place is part of it: a sender who uses an id again, long after its answer was forgotten, causes new records.
    What has no place (0, a refusal for an account nobody knows) has its `ce_time`.
    """
    return derive_id(account_id, cause_id, f"{topic}:{sequence or time}")
