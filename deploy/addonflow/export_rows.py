"""What an export says in a row: columns that keep their order and names, and cells that no spreadsheet executes.

Amounts are minor units, as everywhere; instants and dates are ISO texts. A column is only ever added at the end.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any, Final

from deploy.addonflow.records import Seen

ACCOUNTS: Final = (
    "account_id status currency timezone sales_managed payment_method_on_file licenses_standard licenses_additional "
    "frequency cycle_anchor subscriptions trials invoices requests_open"
).split()
INVOICES: Final = (
    "account_id invoice_number kind issued_at due_date currency total_minor line subscription_id add_on description "
    "period_from period_to standard additional unit_price_minor days_billed days_in_cycle price_version rule timezone "
    "amount_minor"
).split()
_OF_LINE: Final = "subscription_id add_on description price_version rule timezone".split()
EVENTS: Final = "time topic partition offset type id account_id sequence causation_id correlation_id data".split()
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
Row = dict[str, Any]


def safe(cell: Any) -> Any:
    """Return a cell that a spreadsheet takes for text: one that begins like a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" \n").startswith(_FORMULA) else cell


def csv_lines(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Return rows as CSV (RFC 4180), without a header. What a row lacks is empty, what it has beside is left out."""
    buffer = StringIO()
    writer = csv.writer(buffer)
    for row in rows:
        writer.writerow([safe(_cell(row.get(name))) for name in columns])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def account_row(account_id: str, entitlements: Row, billing: Row, notifications: Row) -> Row:
    """Return an account from the documents of the services, as they are stored; {} where one has none."""
    facts = entitlements.get("account") or {}
    licenses = facts.get("licenses") or {}
    add_ons = entitlements.get("add_ons") or {}
    return {
        **{name: facts.get(name) for name in ACCOUNTS},
        "account_id": account_id,
        "licenses_standard": licenses.get("standard"),
        "licenses_additional": licenses.get("additional"),
        "subscriptions": " ".join(sorted(name for name, has in add_ons.items() if has.get("subscription"))),
        "trials": " ".join(sorted(name for name, has in add_ons.items() if has.get("trial"))),
        "invoices": billing.get("next_number", 1) - 1,
        "requests_open": sum(each.get("people", 0) for each in (notifications.get("requests") or {}).values()),
    }


def invoice_rows(invoice: Row) -> Iterator[Row]:
    """Return an invoice as one row for each of its lines."""
    head = {name: invoice.get(name) for name in INVOICES} | {"total_minor": invoice["total"]["amount_minor"]}
    for number, line in enumerate(invoice["lines"], 1):
        yield {
            **head,
            **{name: line.get(name) for name in _OF_LINE},
            "line": number,
            "period_from": line["period"]["from"],
            "period_to": line["period"]["to"],
            "standard": line["quantity"]["standard"],
            "additional": line["quantity"].get("additional", 0),
            "unit_price_minor": line["unit_price"]["amount_minor"],
            "days_billed": line["days"]["billed"],
            "days_in_cycle": line["days"]["in_cycle"],
            "amount_minor": line["amount"]["amount_minor"],
        }


def event_row(seen: Seen) -> Row:
    """Return a record of a topic; `data` is None where it is no JSON object."""
    return {
        **seen.head,
        "causation_id": seen.attributes.get("ce_causationid"),
        "correlation_id": seen.attributes.get("ce_correlationid"),
        "data": seen.data,
    }
