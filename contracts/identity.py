"""Who may be in an account, and how ids that we emit come about.

Ids are derived, never drawn: a decision that is tried again yields the same ids, so a reader can tell a repetition
from something new (design section 2).
"""

import hashlib
from enum import StrEnum

_NAMESPACE = hashlib.sha1(bytes.fromhex("8d3f0c5e6b1a5c0f9a55d2f6b7c4e913"), usedforsecurity=False)


class Role(StrEnum):
    """The roles addonflow knows. The wire carries any string: an unknown role is a member who may do nothing."""

    OWNER = "owner"
    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    AGENT = "agent"


def derive_id(account_id: str, cause_id: str, what: int | str) -> str:
    """Return the id of a thing caused by `cause_id` in an account: a name-based UUID (version 5, RFC 9562).

    `what` tells the things of one cause apart: an ordinal, or a name. The account is part of it because senders choose
    the ids of commands, and two accounts' senders may choose the same.
    """
    digest = _NAMESPACE.copy()
    digest.update(f"{account_id} {cause_id}:{what}".encode())
    raw = bytearray(digest.digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x50
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
