"""Rows of an export: columns stay as they are, and no cell is a formula to a spreadsheet."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as some

from deploy.addonflow.export_rows import ACCOUNTS, EVENTS, INVOICES, account_row, csv_lines, safe

FORMULAS = ("=", "+", "-", "@", "\t", "\r")


@given(some.lists(some.text(), min_size=1))
def test_every_text_is_one_cell_and_no_formula(texts: list[str]) -> None:
    """Whatever a text holds it is read back as one cell, with an apostrophe where it would be executed."""
    columns = [str(number) for number in range(len(texts))]
    [line] = csv_lines(columns, [dict(zip(columns, texts, strict=True))])
    [cells] = csv.reader(io.StringIO(line, newline=""))
    assert [cell in (text, f"'{text}") for cell, text in zip(cells, texts, strict=True)] == [True] * len(texts)
    assert not [cell for cell in cells if cell.lstrip(" \n").startswith(FORMULAS)]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1"])
def test_what_a_spreadsheet_would_execute_is_text(cell: str) -> None:
    """The beginnings that spreadsheets take for formulas, behind blanks too."""
    assert safe(cell) == f"'{cell}"


def test_numbers_stay_numbers() -> None:
    """A negative amount is a number, not a formula; what is not there is empty; what is nested is JSON."""
    row = {"a": -1_197, "b": None, "c": True, "d": {"x": 1}}
    assert list(csv_lines(["a", "b", "c", "d", "e"], [row])) == ['-1197,,true,"{""x"": 1}",\r\n']


def test_an_account_that_nobody_can_read_is_a_row() -> None:
    """Its id is there; what the others know of it, too."""
    row = account_row("acme", {}, {"next_number": 3}, {})
    assert (row["account_id"], row["status"], row["invoices"], row["requests_open"]) == ("acme", None, 2, 0)
    assert list(row) == ACCOUNTS


def test_columns_keep_their_order() -> None:
    """Who reads a column by its place goes on reading it: columns are only added at the end."""
    assert (ACCOUNTS[0], ACCOUNTS[13], len(ACCOUNTS)) == ("account_id", "requests_open", 14)
    assert (INVOICES[0], INVOICES[21], len(INVOICES)) == ("account_id", "amount_minor", 22)
    assert (EVENTS[0], EVENTS[10], len(EVENTS)) == ("time", "data", 11)
