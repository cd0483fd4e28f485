"""How documents and rows are read back, whatever release wrote them.

Each stored text is of a schema, 1 where it does not say. A release that changes what is stored declares the next number
in the class, and how the older form becomes the newer:

    class Entitlements(Document):
        schema_version: Literal[2] = 2

        @classmethod
        def upcast(cls, stored, version):
            return stored | {"paused": False}

What is older is upcast as it is read, and stored as it is now with the account's next commit. What is newer stops the
process (`NewerSchema`): it must not be written by code that does not know all that is in it. The document's number is
never below its rows', so a row is not written over unread either. `tests/stored` keeps the schemas and samples.

Cost: a search of some hundred bytes for a text of schema 1, as all are now; for others a second parse of what is older.
"""

from typing import TypeVar

from pydantic_core import from_json, to_json

from services.runtime.decision import Stored
from services.runtime.errors import ConfigurationError

S = TypeVar("S", bound=Stored)
_FIELD = "schema_version"
_MARK = f'"{_FIELD}":'.encode()  # in a string of JSON the quotes would be escaped


class NewerSchema(ConfigurationError):  # noqa: N818 - named for what was found
    """A newer release wrote this; the message is one line for people."""


def known_schema(kind: type[Stored]) -> int:
    """Return the schema that this release stores."""
    field = kind.model_fields.get(_FIELD)
    return 1 if field is None else int(field.default)


def schema_of(text: bytes) -> int:
    """Return the schema of a stored text."""
    return int(from_json(text).get(_FIELD, 1)) if _MARK in text else 1


def read(kind: type[S], text: bytes) -> S:
    """Return what is stored, as of this release. NewerSchema when a newer release wrote it."""
    found, known = schema_of(text), known_schema(kind)
    if found == known:
        return kind.model_validate_json(text)
    if found > known:
        raise NewerSchema(
            f"{kind.__name__} is stored in schema {found}, and this release knows {known}: run the newer release, or "
            "stop all processes of the service and `addonflow rebuild` it with this one"
        )
    return kind.model_validate_json(to_json(kind.upcast(from_json(text), found) | {_FIELD: known}))


def is_older(kind: type[Stored], text: bytes | None) -> bool:
    """Whether a stored text is of an older schema than this release's."""
    return bool(text) and schema_of(text or b"") < known_schema(kind)
