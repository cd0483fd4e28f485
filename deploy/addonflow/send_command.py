"""`addonflow send`: from what was typed, piped or written in a file to published messages and shown answers."""

import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from deploy.addonflow.messages import BadInput, Outbound, data_of_pairs, of_data, of_json, of_lines
from deploy.addonflow.send import UNANSWERED, send
from deploy.addonflow.watch import as_line
from services.runtime.settings import Settings

STANDARD_INPUT = "-"


def messages_of(
    type_name: str | None,
    pairs: Sequence[str],
    json_text: str | None,
    file: str | None,
    message_id: str | None,
    *,
    checked: bool,
) -> list[Outbound]:
    """Return the messages that the arguments mean; BadInput when they contradict each other or hold no message."""
    if type_name == STANDARD_INPUT and file is None:
        type_name, file = None, STANDARD_INPUT
    if file is not None:
        if type_name is not None or json_text is not None or message_id is not None or pairs:
            raise BadInput("a file says everything itself: give neither TYPE nor KEY=VALUE, --json or --id")
        return list(of_lines(_lines_of(file), checked=checked))
    if type_name is None:
        raise BadInput(
            "say what to send: TYPE KEY=VALUE …, TYPE --json '{…}', --file lines.jsonl, or - for standard input"
        )
    if json_text is not None and pairs:
        raise BadInput("give the data as KEY=VALUE or as --json, not both")
    data = data_of_pairs(pairs, checked=checked) if json_text is None else of_json(json_text, "--json")
    return [of_data(type_name, data, message_id, checked=checked)]


def _lines_of(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}") from error
    return text.splitlines()


async def send_and_show(settings: Settings, messages: Sequence[Outbound], wait_seconds: float | None) -> int:
    """Publish messages, print where each went and every answer; return the exit status."""
    console = Console(soft_wrap=True)

    def sent(message: Outbound, topic: str, partition: int, offset: int) -> None:
        typer.echo(f"sent {message.id} to {topic}[{partition}]@{offset}")

    status = await send(
        settings,
        messages,
        wait_seconds=wait_seconds,
        on_sent=sent,
        on_answer=lambda seen: console.print(as_line(seen)),
    )
    if status == UNANSWERED:
        typer.echo(
            f"addonflow: no answer within {wait_seconds:g} s: are the services running? `addonflow doctor`", err=True
        )
    return status
