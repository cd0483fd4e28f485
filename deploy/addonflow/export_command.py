"""`addonflow export`: accounts, invoices and events as JSON lines or CSV."""

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from deploy.addonflow.command import Kafka, RedisUrl, run_to_end, settings_of
from services.runtime.settings import Settings

_PRIVATE = 0o600


class What(StrEnum):
    """What can be exported."""

    ACCOUNTS = "accounts"
    INVOICES = "invoices"
    EVENTS = "events"


class Format(StrEnum):
    """How."""

    JSON_LINES = "jsonl"
    CSV = "csv"


def export(
    what: Annotated[What, typer.Argument(help="Accounts and invoices are from state, events from the log.")],
    form: Annotated[Format, typer.Option("--format", help="CSV has a row for each line of an invoice.")] = Format.CSV,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new file, for its owner only; else standard output.")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option("--topic", help="Events of topics whose names have this.")] = None,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Write all accounts, invoices or events, one by one, in columns that keep their order."""
    run_to_end(_export(settings_of(kafka, redis), what, form, out, topic or []))


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    from deploy.addonflow.messages import BadInput

    if path is None:
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    except OSError as error:
        raise BadInput(f"{path} cannot be made: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        yield file


async def _export(settings: Settings, what: What, form: Format, out: Path | None, topic: list[str]) -> int:
    from deploy.addonflow.export_rows import ACCOUNTS, EVENTS, INVOICES, csv_lines, invoice_rows

    columns = {What.ACCOUNTS: ACCOUNTS, What.INVOICES: INVOICES, What.EVENTS: EVENTS}[what]
    count = 0
    with _output(out) as file:
        if form is Format.CSV:
            file.writelines(csv_lines(columns, [dict(zip(columns, columns, strict=True))]))
        async for row in _rows(settings, what, topic):
            count += 1
            if form is Format.CSV:
                file.writelines(csv_lines(columns, invoice_rows(row) if what is What.INVOICES else [row]))
            else:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    typer.echo(f"{count} {what}", err=True)
    return 0


async def _rows(settings: Settings, what: What, topic: list[str]) -> AsyncIterator[dict[str, Any]]:
    from deploy.addonflow.export import Export, events
    from deploy.addonflow.history import logs
    from deploy.addonflow.rest import reach_redis
    from deploy.addonflow.watch import choose_topics

    if what is What.EVENTS:
        async with logs(settings) as log:
            async for row in events(log, settings, choose_topics(topic)):
                yield row
        return
    async with reach_redis(settings) as redis:
        export = Export(redis, settings)
        async for row in export.accounts() if what is What.ACCOUNTS else export.invoices():
            yield row
