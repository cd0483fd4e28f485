"""Dead letters as people see them: counted, and one of them whole. Whatever the bytes are, a terminal can show it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.addonflow.dead_letters import Choice, Letter, Settled, read_letters
from deploy.addonflow.dead_letters_replay import CONNECT_SECONDS, obstacle
from deploy.addonflow.history import logs
from deploy.addonflow.messages import BadInput
from deploy.addonflow.records import printable
from services.runtime.settings import Settings

_SHOWN_BYTES_MAX: Final = 16_384
_ACCOUNT_CHARACTERS: Final = 40
_OPEN: Final = "open"
Found = tuple[Letter, Settled | None]


@dataclass(slots=True)
class Summary:
    """How many there are by (service, topic, reason) and by what was done, and the latest."""

    counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    latest: list[Found] = field(default_factory=list)

    @property
    def open(self) -> int:
        """How many are not dealt with."""
        return sum(count for (*_, outcome), count in self.counts.items() if outcome == _OPEN)

    def print(self, console: Console) -> None:
        """Show the counts, then a line for each of the latest."""
        if not self.counts:
            console.print("no dead letters")
            return
        table = Table("service", "topic", "reason", "open", "replayed", "dropped", box=None, header_style="bold")
        for service, topic, reason in sorted({key[:3] for key in self.counts}):
            numbers = [str(self.counts[service, topic, reason, each]) for each in (_OPEN, "replayed", "dropped")]
            table.add_row(service, topic, reason, *numbers)
        console.print(table, highlight=False)
        for letter, settled in self.latest:
            console.print(_line(letter, settled))


async def summary(settings: Settings, choice: Choice, limit: int, *, every: bool) -> Summary:
    """Count the chosen letters, and keep the latest `limit` of those that are open, or of all."""
    found, latest = Summary(), list[tuple[int, str, Found]]()
    async with (
        logs(settings, CONNECT_SECONDS) as log,
        aclosing(read_letters(log, settings.partitions, choice)) as letters,
    ):
        async for letter, settled in letters:
            outcome = settled.outcome if settled else _OPEN
            found.counts[letter.service, letter.topic.name, letter.reason, outcome] += 1
            if every or not settled:
                push = heappush if len(latest) < limit else heappushpop
                push(latest, (int(letter.original.timestamp), letter.id, (letter, settled)))
    found.latest = [each for *_, each in sorted(latest, key=lambda one: one[:2])][:limit]
    return found


async def find(settings: Settings, choice: Choice) -> tuple[Letter, Settled | None, str | None]:
    """Return the one letter of an id, what was done about it, and why it cannot be replayed; BadInput for none."""
    async with (
        logs(settings, CONNECT_SECONDS) as log,
        aclosing(read_letters(log, settings.partitions, choice)) as letters,
    ):
        async for letter, settled in letters:
            return letter, settled, obstacle(letter, settings, choice.now, settled)
    raise BadInput(f"there is no dead letter {choice.ids[0]}")


def _line(letter: Letter, settled: Settled | None) -> Text:
    line = Text(no_wrap=True, overflow="ignore")
    line.append(f"{letter.written_at:%Y-%m-%d %H:%M:%S} ", "dim")
    line.append(f"{letter.id} ", "bold")
    line.append(f"{printable(letter.seen.account_id)[:_ACCOUNT_CHARACTERS]} {printable(letter.seen.type)} ")
    line.append(f"{letter.reason}: ", "red")
    line.append(printable(" ".join(letter.detail.split())))
    if settled:
        line.append(f" ({_done(settled)})", "green")
    return line


def _done(settled: Settled) -> str:
    why = f": {settled.why}" if settled.why else ""
    return printable(f"{settled.outcome} by {settled.by} at {settled.at:%Y-%m-%d %H:%M:%S}{why}")


def print_letter(console: Console, letter: Letter, settled: Settled | None, why_not: str | None) -> None:
    """Show a letter whole: reason, origin, what was done or can be, headers, value."""
    for name, text in _about(letter, settled, why_not):
        line = Text(f"{name:<12}", "bold")
        line.append(printable(text))
        console.print(line)
    for name, header in letter.original.headers:
        line = Text(f"  {printable(name)}: ", "cyan")
        line.append(_text(header)[0])
        console.print(line)
    text, form = _text(letter.original.value)
    console.print(Text(f"value ({form})", "bold"))
    console.print(Text(text[:_SHOWN_BYTES_MAX]))
    if len(text) > _SHOWN_BYTES_MAX:
        console.print(f"… {len(text) - _SHOWN_BYTES_MAX} more characters: --json has all", highlight=False)


def _about(letter: Letter, settled: Settled | None, why_not: str | None) -> Iterator[tuple[str, str]]:
    yield "letter", letter.id
    yield "set aside", f"{letter.written_at:%Y-%m-%d %H:%M:%S} UTC by {letter.service}"
    yield "reason", f"{letter.reason}: {letter.detail}"
    yield "origin", f"{letter.topic.name} partition {letter.place[1]} offset {letter.origin_offset}"
    yield "key", _text(letter.original.key)[0]
    yield "account", letter.seen.account_id
    if letter.truncated_from is not None:
        yield "cut", f"the value had {letter.truncated_from} bytes"
    yield "done", _done(settled) if settled else "no, it is open"
    yield "replay", f"no: {why_not}" if why_not else "`addonflow dead-letters replay` may publish it again"


def _text(value: bytes | None) -> tuple[str, str]:
    """Return bytes as text where they are, else as hexadecimal, and which of them it is."""
    if value is None:
        return "none", "none"
    try:
        return printable(value.decode()), "text"
    except UnicodeDecodeError:
        return value.hex(" ", 2), f"hexadecimal, {len(value)} bytes"


def letter_json(letter: Letter, settled: Settled | None, *, whole: bool = False) -> dict[str, Any]:
    """Return a letter as JSON; `whole`: with headers and value, in hexadecimal where they are no text."""
    shown: dict[str, Any] = {
        "id": letter.id,
        "service": letter.service,
        "topic": letter.topic.name,
        "partition": letter.place[1],
        "origin_offset": letter.origin_offset,
        "set_aside_at": letter.written_at.isoformat(),
        "reason": letter.reason,
        "detail": letter.detail,
        "account_id": letter.seen.account_id,
        "type": letter.seen.type,
        "message_id": letter.seen.id,
        "truncated_from_bytes": letter.truncated_from,
        "settled": settled
        and {"outcome": settled.outcome, "by": settled.by, "why": settled.why, "at": settled.at.isoformat()},
    }
    if whole:
        shown["headers"] = [[name, _json_bytes(text)] for name, text in letter.original.headers]
        shown["value"] = _json_bytes(letter.original.value)
    return shown


def _json_bytes(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
