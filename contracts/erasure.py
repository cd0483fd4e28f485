"""What of a message, or of JSON that is kept, says who a member is, and the same without it.

A member goes by `user_id`, which says nothing of them: it stays. What says more stands beside it: name, e-mail, locale.
A note is of the member it stands beside, whom `user_id` or a field `…_by` names. What others wrote is not looked into.
"""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel

from contracts.events import EntitlementEvent, Person

P = TypeVar("P", bound=BaseModel)
IsErased = Callable[[str], bool]
_OF_A_MEMBER: Final = ("name", "email", "locale", "note")
_BESIDE_A_MEMBER: Final = ("note",)
_PERSONS: Final[Mapping[type[Any], str]] = MappingProxyType(
    {
        event: name
        for event in get_args(EntitlementEvent)
        for name, field in event.model_fields.items()
        if Person in (field.annotation, *get_args(field.annotation))
    }
)
"""Where an event has the one member whom it names."""


def member_of(message: object) -> str | None:
    """Return the id of the member whom a message is about or by; None where it has none."""
    place = _PERSONS.get(type(message))
    named = message if place is None else getattr(message, place)
    return getattr(named, "user_id", None)


def without_member(message: P) -> P:
    """Return a message without what says who the member is whom it is about or by."""
    changes: dict[str, Any] = {name: None for name in _OF_A_MEMBER if name in type(message).model_fields}
    place = _PERSONS.get(type(message))
    if place is not None and getattr(message, place) is not None:
        changes[place] = without_member(getattr(message, place))
    return message.model_copy(update=changes)


def without(data: Any, is_erased: IsErased) -> Any:
    """Return JSON in which nothing says who erased members are. Its form stays: what is taken out becomes None."""
    if isinstance(data, Mapping):
        gone = _personal(data, is_erased)
        return {name: None if name in gone else without(each, is_erased) for name, each in data.items()}
    return [without(each, is_erased) for each in data] if isinstance(data, list | tuple) else data


def found(data: Any, is_erased: IsErased) -> Iterator[str]:
    """Yield the names of the fields that `without` would take out."""
    if isinstance(data, Mapping):
        yield from (name for name in _personal(data, is_erased) if data.get(name) is not None)
        data = list(data.values())
    if isinstance(data, list | tuple):
        for each in data:
            yield from found(each, is_erased)


def _personal(data: Mapping[str, Any], is_erased: IsErased) -> tuple[str, ...]:
    user_id = data.get("user_id")
    if isinstance(user_id, str) and is_erased(user_id):
        return _OF_A_MEMBER
    persons = (each for name, each in data.items() if name.endswith("_by") and isinstance(each, Mapping))
    ids = (person.get("user_id") for person in persons)
    return _BESIDE_A_MEMBER if any(isinstance(each, str) and is_erased(each) for each in ids) else ()
