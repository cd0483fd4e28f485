"""Derived ids: the same cause gives the same id, for ever."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from contracts.identity import Role, derive_id

NAMESPACE = uuid.UUID("8d3f0c5e-6b1a-5c0f-9a55-d2f6b7c4e913")


@given(st.text(max_size=200), st.integers(min_value=0, max_value=10_000))
def test_derived_ids_are_name_based_uuids(cause: str, ordinal: int) -> None:
    """An id is the version 5 UUID of `<account> <cause id>:<ordinal>` in addonflow's namespace."""
    assert derive_id("acme", cause, ordinal) == str(uuid.uuid5(NAMESPACE, f"acme {cause}:{ordinal}"))


def test_derived_ids_never_change() -> None:
    """The id of a cause is the same in every release: records and inboxes of years ago depend on it."""
    assert derive_id("acme", "7a1e", 0) == "e31aa34b-27a7-5ea9-b14a-a4c893239c34"


@given(st.lists(st.tuples(st.uuids().map(str), st.integers(0, 9)), unique=True, min_size=2, max_size=20))
def test_different_causes_and_ordinals_have_different_ids(causes: list[tuple[str, int]]) -> None:
    """No two effects share an id, be they of one cause or of two, or of causes that two senders called the same."""
    ids = {derive_id(account, cause, ordinal) for account in ("acme", "globex") for cause, ordinal in causes}
    assert len(ids) == 2 * len(causes)


def test_there_are_four_roles() -> None:
    """The roles addonflow knows are those of the permission table."""
    assert set(Role) == {"owner", "admin", "supervisor", "agent"}
