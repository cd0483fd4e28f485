"""Plays the story for people: on embedded servers of its own (`demo`), or against a running deployment (`story`)."""

import asyncio
import secrets
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from contracts.invoices import InvoiceIssued
from deploy.addonflow import player, stack
from deploy.addonflow import story as stories
from deploy.addonflow.explain import contradictions
from deploy.addonflow.player import Failure
from deploy.addonflow.processes import Child
from deploy.addonflow.records import Seen, essence
from deploy.addonflow.script import Expected, Step
from services.billing.proration import derivation
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings

PARTITIONS = 4
DIGEST_DELAY_SECONDS = 2
_SEE_IT = "\nTo click through it: [bold]make up[/], then open http://127.0.0.1:18080 and be anybody you like."
STEP_SECONDS = 15


class Narrator:
    """Shows a story on the terminal as it is played."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, number: int, step: Step) -> None:
        """Say what somebody does."""
        self._console.print(Text(f"\n{number}. {step.title}", "bold"))

    def settled(self, facts: int) -> None:
        """Say that the facts have taken effect."""
        self._line("the services that keep a directory have read all of it", f"{facts} facts")

    def outcome(self, expected: Expected, seen: Seen) -> None:
        """Say what came of it; an invoice line by line, worked out again from the line alone."""
        self._line(expected.says, f"{seen.type}: {essence(seen)}")
        if seen.type == "InvoiceIssued":
            invoice = InvoiceIssued.model_validate(seen.data)
            wrong = contradictions(invoice)
            if wrong:
                raise AssertionError(f"{invoice.invoice_number} contradicts itself: {'; '.join(wrong)}")
            for line in invoice.lines:
                self._console.print(Text(f"       {line.description}\n       {derivation(line)}", "yellow"))

    def failed(self, failure: Failure) -> None:
        """Say what is not as stated."""
        text = Text("\nNot as stated: ", "bold red")
        text.append(f"{failure.step}\n", "bold")
        text.append(f"  expected  {failure.expected}\n  came      {failure.came}")
        self._console.print(text)

    def _line(self, says: str, came: str) -> None:
        text = Text("   ✓ ", "green")
        text.append(says, "default")
        text.append(f"  {came}", "dim")
        self._console.print(text)


async def play_story(settings: Settings, console: Console, step_seconds: float, digest_seconds: float) -> int:
    """Play the story against a running deployment; return 0 when every outcome is as stated, else 1."""
    narrator = Narrator(console)
    story = stories.write(secrets.token_hex(4), SystemClock().now())
    async with player.stage(settings, story.accounts) as stage:
        failure = await player.play(story, stage, narrator, step_seconds, digest_seconds)
    if failure is not None:
        narrator.failed(failure)
        return 1
    outcomes = sum(len(step.expects) for step in story.steps)
    console.print(Text(f"\nAll {outcomes} outcomes are as stated, and nothing else came.", "bold green"))
    return 0


async def demonstrate(console: Console) -> int:
    """Start a deployment of its own, play the story on it, stop it and forget it; return the exit status."""
    started = asyncio.get_running_loop().time()
    settings = Settings(partitions=PARTITIONS, namespace="")
    extra = {
        "ADDONFLOW_PARTITIONS": str(PARTITIONS),
        "ADDONFLOW_DIGEST_DELAY_SECONDS": str(DIGEST_DELAY_SECONDS),
    }
    with tempfile.TemporaryDirectory(prefix="addonflow-demo-") as folder:
        async with stack.running(Path(folder), stack.Ports.free(), settings, extra, console.print) as running:
            ready = asyncio.get_running_loop().time() - started
            console.print(f"everything is ready after {ready:.1f} s")
            status = await play_story(running.settings, console, STEP_SECONDS, DIGEST_DELAY_SECONDS + STEP_SECONDS)
            if status:
                _show_logs(running.services, console)
    console.print(f"{asyncio.get_running_loop().time() - started:.1f} s in all")
    console.print(_SEE_IT, highlight=False)
    return status


def _show_logs(children: list[Child], console: Console) -> None:
    for child in children:
        console.print(f"\n[bold]the last lines of {child.name}[/]")
        console.print(child.tail(), markup=False, highlight=False)
