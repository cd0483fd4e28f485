"""What one release stored, and another reads: with a counter whose second release also counts days."""

from collections.abc import Mapping
from typing import Any, Literal

import pytest

from services.runtime.bootstrap import EXIT_CONFIGURATION, Process
from services.runtime.clock import ManualClock
from services.runtime.committing import Committing
from services.runtime.decision import Row
from services.runtime.problems import problem_of
from services.runtime.settings import Settings
from services.runtime.store import Store, Wanted
from services.runtime.stored import NewerSchema, known_schema, read
from tests.runtime.counting import committing, count_of
from tests.runtime.toys import NOW, Counted, CounterDecider, CounterDocument, answer, command


class SecondDocument(CounterDocument):
    """The counter of the second release."""

    schema_version: Literal[2] = 2
    days: int

    @classmethod
    def upcast(cls, stored: dict[str, Any], version: int) -> dict[str, Any]:
        """The first release knew no days."""
        assert version == 1
        return stored | {"days": 7}


class SecondRow(Counted):
    """A row of the second release, which counts in dozens."""

    schema_version: Literal[2] = 2

    @classmethod
    def upcast(cls, stored: dict[str, Any], version: int) -> dict[str, Any]:
        """The first release counted ones."""
        assert version == 1
        return stored | {"count": stored["count"] * 12}


class SecondDecider(CounterDecider):
    """The second release."""

    document: Any = SecondDocument
    row_types: Mapping[str, type[Row]] = {"total": SecondRow, "person": SecondRow}

    def initial(self) -> SecondDocument:
        """Start at nothing."""
        return SecondDocument(days=0)


def second(store: Store) -> Committing[CounterDocument]:
    """Return the second release on a store."""
    return Committing(SecondDecider(), answer, store, ManualClock(NOW), 5)


async def stored(store: Store) -> tuple[bytes | None, bytes | None]:
    """Return the account's document and row as they are stored."""
    (loaded,) = await store.load(0, [Wanted("acme", (), ("person:ann",))])
    return loaded.document, loaded.rows[0]


def test_a_text_that_says_no_schema_is_of_the_first() -> None:
    """All that releases stored before there were numbers is read as it is."""
    assert known_schema(CounterDocument) == 1
    assert read(CounterDocument, b'{"count":3}') == CounterDocument(count=3)


def test_what_looks_like_a_schema_in_a_value_is_none() -> None:
    """Words of people are no schema: in JSON their quotes are escaped."""
    text = CounterDocument(causes=('{"schema_version":9}',)).model_dump_json().encode()

    assert read(CounterDocument, text).causes == ('{"schema_version":9}',)


async def test_an_older_account_is_upcast_and_stored_so_with_its_next_commit(embedded_store: Store) -> None:
    """Decided and kept is what the newer release makes of document and rows."""
    await committing(embedded_store).run(0, [command("acme", "c1", "row")])

    await second(embedded_store).run(0, [command("acme", "c2", "row")])

    document, row = await stored(embedded_store)
    assert read(SecondDocument, document or b"") == SecondDocument(count=2, causes=("c1", "c2"), days=7)
    assert row == b'{"count":13}'  # a dozen, and one more
    assert b'"schema_version":2' in (document or b"")


async def test_a_commit_of_rows_alone_marks_the_account_as_newer(embedded_store: Store) -> None:
    """An older release must not write over rows it cannot read: the document, which is always read, says so."""
    await committing(embedded_store).run(0, [command("acme", "c1")])

    await second(embedded_store).run(0, [command("acme", "c2", "note")])

    document, _ = await stored(embedded_store)
    assert b'"schema_version":2' in (document or b"")


@pytest.mark.parametrize("wish", ["count", "row", "note"])
async def test_an_account_of_a_newer_release_is_left_alone(embedded_store: Store, wish: str) -> None:
    """The older release neither changes it nor sets the message aside: it says which release must run."""
    await second(embedded_store).run(0, [command("acme", "c1", "row")])
    before = await stored(embedded_store)

    with pytest.raises(NewerSchema, match="stored in schema 2, and this release knows 1: run the newer release"):
        await committing(embedded_store).run(0, [command("acme", "c2", wish)])

    assert await stored(embedded_store) == before
    await second(embedded_store).run(0, [command("acme", "c2", wish)])
    assert await count_of(embedded_store) == (1 if wish == "note" else 2)


def test_a_process_that_meets_state_of_a_newer_release_ends_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """78 and the line; a request is answered 503, and may be sent again."""
    process = Process("billing", CounterDecider(), lambda _: None, Settings())  # type: ignore[arg-type, return-value]

    process.defect(NewerSchema("run the newer release"))

    assert process.exit_code == EXIT_CONFIGURATION
    assert capsys.readouterr().err == "addonflow billing: run the newer release\n"
    assert problem_of(NewerSchema("run the newer release")).status == 503
