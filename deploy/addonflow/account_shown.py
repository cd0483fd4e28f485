"""One account as people read it on a terminal. Names and addresses of people are shown only when asked for."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from deploy.addonflow.account_state import UNREADABLE, ServiceState
from deploy.addonflow.dead_letters import Letter
from deploy.addonflow.records import printable
from deploy.addonflow.retained import Published
from deploy.addonflow.words import money, short_type
from services.runtime.sequences import Sequences

_PEOPLE: Final = ("name", "email", "note", "locale")
_LATEST: Final = 5
_CELL: Final = 100
States = Mapping[str, ServiceState]


def print_account(
    console: Console, account_id: str, shard: int, states: States, letters: Sequence[Letter], *, people: bool
) -> None:
    """Show an account: its facts, members, add-ons, invoices, requests, then how each service stands."""
    console.print(Text(f"{account_id}, shard {shard}", "bold"))
    documents = {service: state.document or {} for service, state in states.items()}
    facts = documents["entitlements"].get("account") or {}
    console.print(_plain(facts) if facts else "no facts are known of it", markup=False, highlight=False)
    for service, document in documents.items():
        if UNREADABLE in document:
            console.print(Text(f"{service} cannot read what it keeps: {_plain(document)}", "red"))
    entitlements, billing, notifications = states["entitlements"], states["billing"], states["notifications"]
    _rows(console, "members", entitlements, "member", people=people)
    _entries(console, "add-ons", documents["entitlements"].get("add_ons"), people=people)
    _entries(console, "billed", documents["billing"].get("subscriptions"), people=people)
    _invoices(console, billing)
    _entries(console, "requests", documents["notifications"].get("requests"), people=people)
    _rows(console, "who asked", notifications, "asked", people=people)
    _entries(console, "still to be told", documents["notifications"].get("held"), people=people)
    _standing(console, states.values())
    for state in states.values():
        for said in state.latest[:_LATEST]:
            console.print(_said(state.service, said), markup=False, highlight=False)
    for letter in letters:
        console.print(Text(f"set aside by {letter.service}: {letter.id} {letter.reason}", "red"))


def _head(console: Console, title: str, count: int, shown: int) -> None:
    more = f" of {count}" if count > shown else ""
    console.print(Text(f"\n{title} ({shown}{more})", "bold"))


def _rows(console: Console, title: str, state: ServiceState, kind: str, *, people: bool) -> None:
    rows = state.rows.get(kind, {})
    if rows:
        _head(console, title, state.counts[kind], len(rows))
        _entries(console, "", {name.partition(":")[2]: row for name, row in sorted(rows.items())}, people=people)


def _entries(console: Console, title: str, entries: Any, *, people: bool) -> None:
    if not entries:
        return
    if title:
        _head(console, title, len(entries), len(entries))
    for name, entry in entries.items():
        line = Text(f"  {printable(str(name))}: ", "cyan")
        line.append(_plain(entry if people else _without_people(entry)))
        console.print(line)


def _without_people(value: Any) -> Any:
    """Return JSON without what says who people are, besides their ids."""
    if isinstance(value, dict):
        return {name: _without_people(each) for name, each in value.items() if name not in _PEOPLE}
    return [_without_people(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any) -> str:
    """Return JSON in a line: name value, name value; what is not set is left out."""
    if not isinstance(value, dict):
        return printable(json.dumps(value, ensure_ascii=False))
    return printable(", ".join(f"{name} {_cell(each)}" for name, each in value.items() if each not in (None, {}, [])))


def _cell(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"amount_minor", "currency"}:
        return money(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _invoices(console: Console, billing: ServiceState) -> None:
    rows = billing.rows.get("invoice", {})
    if not rows:
        return
    _head(console, "invoices", billing.counts["invoice"], len(rows))
    for name in sorted(rows, key=lambda each: int(each.partition(":")[2] or 0)):
        invoice = rows[name].get("invoice", {})
        total = money(invoice.get("total"))
        issued, number, kind = (str(invoice.get(each, "?")) for each in ("issued_at", "invoice_number", "kind"))
        console.print(f"  {number} {kind} {issued[:10]} {total}", markup=False, highlight=False)


def _standing(console: Console, states: Iterable[ServiceState]) -> None:
    """Show versions, sequences, gaps and timers of each service."""
    console.print()
    for state in states:
        line = Text(f"{state.service} ", "bold")
        line.append(f"version {state.version}" if state.version else "knows nothing of it")
        console.print(line)
        if state.version and state.sequences is None:
            console.print(Text("  its sequences cannot be read", "red"))
        for title, texts in _numbers(state):
            if texts:
                console.print(
                    f"  {title} {', '.join(texts)}", style="red" if title == "missing" else "", highlight=False
                )


def _numbers(state: ServiceState) -> Iterator[tuple[str, list[str]]]:
    sequences = state.sequences or Sequences()
    yield "said", [f"{topic} {count}" for topic, count in sequences.emitted.items()]
    yield "read", [f"{topic} {applied.highest}" for topic, applied in sequences.applied.items()]
    yield "missing", [f"{topic} {missing}" for topic, missing in state.gaps.items()]
    yield "timers", [f"{name} {due:%Y-%m-%d %H:%M:%S}" for name, due in state.timers.items()]
    yield "to be published", [str(state.unpublished)] if state.unpublished else []


def _said(service: str, said: Published) -> str:
    attributes = {name: (text or b"").decode(errors="replace") for name, text in said.headers}
    kind, time = short_type(attributes.get("ce_type", "?")), attributes.get("ce_time", "")[:19]
    cause = printable(attributes.get("ce_causationid", "?"))
    return f"{time} {service} said {kind} {said.sequence or ''} because of {cause}"
