"""The base of every message's data, and the field types that messages share.

Readers ignore unknown fields (`extra="ignore"`), so a newer writer never breaks an older reader; writers only ever add
optional fields within a version (checked by `tests/contracts/test_schemas.py`).
"""

from functools import lru_cache
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

_ZONES_OF_THE_MACHINE = frozenset({"localtime", "posixrules", "Factory"})


# zoneinfo keeps eight zones and re-reads the others from disk; an account's zone must not cost a file per message.
@lru_cache(maxsize=1_024)
def zone_of(name: str) -> ZoneInfo | None:
    """Return the IANA time zone of that name; None where this machine's zone data has none, or none any more."""
    if name in _ZONES_OF_THE_MACHINE:  # they are others on each machine
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def _known_zone(name: str) -> str:
    if zone_of(name) is None:
        raise ValueError(f"{name!r} is not an IANA time zone")
    return name


# One part of a URL's path, whoever encodes it: servers split at an encoded slash too, and clients resolve "." and "..".
AccountId = Annotated[
    str,
    Field(
        max_length=128,
        pattern=r"^([!-,0-~-]|\.[!-,0-~-]|\.\.[!-.0-~])[!-.0-~]*$",
        description='Opaque id: printable ASCII, no spaces or slashes, neither "." nor "..".',
    ),
]
UserId = Annotated[str, Field(pattern=r"^[!-~]{1,128}$", description="Opaque id: printable ASCII, no spaces.")]
AddOnId = Annotated[str, Field(min_length=1, max_length=64, description="An add-on's id in the catalog.")]
Note = Annotated[str, Field(max_length=1_000, description="Free text of a member, at most 1,000 characters.")]
CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code.")]
TimeZoneName = Annotated[str, AfterValidator(_known_zone), Field(max_length=64, description="IANA time zone name.")]
Instant = Annotated[AwareDatetime, Field(description="RFC 3339 instant, UTC.")]


class Value(BaseModel):
    """A part of a message: immutable, tolerant of unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Payload(Value):
    """The data of one message type. `ce_type` is its CloudEvents type, version included."""

    ce_type: ClassVar[str]

    account_id: AccountId
