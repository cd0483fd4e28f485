"""What an examination found: one line each, with what it means and what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rich.text import Text


class Level(StrEnum):
    """ok: as it should be. warn: works, but look at it. FAIL: something is lost, stands still or may be lost."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


_COLORS = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination: `subject` names what was looked at, `advice` what to do when it is not ok."""

    level: Level
    subject: str
    state: str
    advice: str = ""

    def line(self) -> Text:
        """Return the finding as one colored line."""
        text = Text(no_wrap=True, overflow="ignore")
        text.append(f"{self.level:<5}", _COLORS[self.level])
        text.append(f"{self.subject}: ", "bold")
        text.append(self.state)
        if self.advice:
            text.append(f" -> {self.advice}", "italic")
        return text


def ok(subject: str, state: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(Level.OK, subject, state)


def warn(subject: str, state: str, advice: str) -> Finding:
    """Say that something works but needs a look."""
    return Finding(Level.WARN, subject, state, advice)


def fail(subject: str, state: str, advice: str) -> Finding:
    """Say that something is wrong."""
    return Finding(Level.FAIL, subject, state, advice)


def failed(findings: Iterable[Finding]) -> bool:
    """Return whether anything is wrong."""
    return any(finding.level is Level.FAIL for finding in findings)
