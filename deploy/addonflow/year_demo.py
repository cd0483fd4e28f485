"""`addonflow demo --year`: plays the year on embedded servers whose clock is moved, and checks what it was billed.

The calendar that is printed is what the topics hold. What it must come to is worked out beforehand by `year_check`.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from contracts.commands import PurchaseAddOn
from contracts.invoices import InvoiceIssued
from contracts.money import Money
from contracts.notices import Template
from contracts.topics import BILLING, EVENTS, NOTIFICATIONS, RESULTS
from deploy.addonflow import connections, stack
from deploy.addonflow.clock import advance
from deploy.addonflow.explain import contradictions
from deploy.addonflow.records import REFUSALS, Seen, essence
from deploy.addonflow.rest import reach, until_at_rest
from deploy.addonflow.send import publish
from deploy.addonflow.watch import follow
from deploy.addonflow.year import BEGINS, ENDS, expected_charges, messages, moments
from deploy.addonflow.year_check import Charge
from services.billing.proration import derivation
from services.runtime.settings import Settings

PARTITIONS = 3
STEP_SECONDS = 20
_IDLE_SECONDS = 0.5
_SHOWN = (EVENTS.name, BILLING.name, NOTIFICATIONS.name)
HAPPENS = Counter(
    TrialStarted=1,
    TrialEndingSoon=1,
    TrialEnded=1,
    QuoteRequested=2,
    QuoteExpired=1,
    FeatureRequested=2,
    AddOnPurchased=3,
    SubscriptionModified=3,
    SubscriptionCanceled=1,
)
TOLD = {
    Template.FEATURE_REQUEST_FIRST: 1,
    Template.FEATURE_REQUEST_DIGEST: 1,
    Template.TRIAL_ENDING_SOON: 1,
    Template.TRIAL_ENDED: 1,
    Template.QUOTE_ACTIVATED: 1,
    Template.QUOTE_EXPIRED: 1,
    Template.SUBSCRIPTION_CANCELED: 1,
}


class YearError(AssertionError):
    """The year did not come to what it must; the text says in what."""


async def play_year(console: Console) -> int:
    """Play the year, print its calendar and check it; 0 when all is right."""
    started = asyncio.get_running_loop().time()
    seen = await played(console)
    console.print(calendar(seen))
    try:
        totals = ", ".join(str(total) for total in check(seen))
    except YearError as error:
        console.print(Text(f"\nNot as it must be: {error}", "bold red"))
        return 1
    console.print(Text(f"\nThe year comes to {totals}, as worked out day by day beforehand.", "bold green"))
    console.print(f"{asyncio.get_running_loop().time() - started:.1f} s in all")
    return 0


async def played(console: Console) -> list[Seen]:
    """Start a deployment of its own with a virtual clock, play the year on it, and return what its topics then hold."""
    settings = Settings(partitions=PARTITIONS, namespace="", virtual_clock=True)
    extra = {"ADDONFLOW_PARTITIONS": str(PARTITIONS)}
    with tempfile.TemporaryDirectory(prefix="addonflow-year-") as folder:
        async with stack.running(
            Path(folder), stack.Ports.free(), settings, extra, console.print, begins=BEGINS
        ) as running:
            await _play(running.settings, console)
            return [each async for each in _records(running.settings, (*_SHOWN, RESULTS.name))]


async def _play(settings: Settings, console: Console) -> None:
    subscriptions: dict[str, str] = {}
    async with reach(settings) as deployment, connections.producer(settings, STEP_SECONDS) as producer:
        for moment in moments(subscriptions.__getitem__):
            await advance(deployment, moment.at, STEP_SECONDS)
            console.print(f"{moment.at:%d %b %Y}  {moment.title}", highlight=False)
            for message in messages(moment):
                await publish(producer, settings, message)
            await until_at_rest(deployment, STEP_SECONDS)
            if any(isinstance(each, PurchaseAddOn) for each in moment.sends):
                subscriptions |= await _subscriptions(settings)
        await advance(deployment, ENDS, STEP_SECONDS)


async def _subscriptions(settings: Settings) -> dict[str, str]:
    purchases = [each async for each in _records(settings, (EVENTS.name,)) if each.type == "AddOnPurchased"]
    return {each.account_id: each.data["subscription_id"] for each in purchases if each.data}


def _records(settings: Settings, topics: Sequence[str]) -> AsyncIterator[Seen]:
    return follow(settings, topics, from_start=True, idle_seconds=_IDLE_SECONDS)


def calendar(seen: Sequence[Seen]) -> Table:
    """Return what happened, was billed and was told, in the order of the virtual time it happened at."""
    table = Table("when (UTC)", "account", "what", "", title="The year", box=None, pad_edge=False)
    for each in sorted(seen, key=lambda each: (each.attributes["ce_time"], each.topic, each.sequence)):
        if each.topic in _SHOWN:
            color = {BILLING.name: "yellow", NOTIFICATIONS.name: "dim"}.get(each.topic, "")
            when = each.attributes["ce_time"][:16].replace("T", " ")
            table.add_row(Text(when, "dim"), each.account_id, Text(each.type, color), Text(essence(each), color))
            if each.topic == BILLING.name:
                for line in InvoiceIssued.model_validate(each.data).lines:
                    table.add_row("", "", "", Text(f"  {derivation(line)}", "dim yellow"))
    return table


def check(seen: Sequence[Seen]) -> list[Money]:
    """Return what was billed in each currency; YearError says in what the year is not as it must be."""
    refused = [each for each in seen if each.type in REFUSALS]
    if refused:
        raise YearError(f"refused: {essence(refused[0])}")
    first: dict[tuple[str, str], Seen] = {}
    for each in seen:
        same = first.setdefault((each.attributes["ce_source"], each.id), each)
        if (same.topic, same.account_id, same.sequence) != (each.topic, each.account_id, each.sequence):
            raise YearError(f"two records have one id: {essence(same)}; {essence(each)}")
    happened = Counter(each.type for each in seen if each.topic == EVENTS.name)
    if happened != HAPPENS:
        raise YearError(f"what happened: {dict(happened)}, must be {dict(HAPPENS)}")
    told = Counter(str((each.data or {})["template"]) for each in seen if each.topic == NOTIFICATIONS.name)
    missing = {template: count for template, count in TOLD.items() if told[template] != count}
    if missing:
        raise YearError(f"what was told: {dict(told)}, must have {missing}")
    invoices = [InvoiceIssued.model_validate(each.data) for each in seen if each.topic == BILLING.name]
    _check_invoices(invoices)
    return _totals(invoices)


def _check_invoices(invoices: Sequence[InvoiceIssued]) -> None:
    for invoice in invoices:
        wrong = contradictions(invoice)
        if wrong:
            raise YearError(f"{invoice.invoice_number} contradicts itself: {'; '.join(wrong)}")
    charged = sorted((_charge_of(invoice) for invoice in invoices), key=lambda each: (each.day, each.account_id))
    expected = expected_charges()
    if charged != expected:
        different = [each for each in charged if each not in expected] + [
            each for each in expected if each not in charged
        ]
        raise YearError(f"what was billed differs from what was worked out, first in {different[0]}")


def _charge_of(invoice: InvoiceIssued) -> Charge:
    return Charge(invoice.account_id, invoice.lines[0].period.from_, invoice.kind.value, invoice.total.amount_minor)


def _totals(invoices: Sequence[InvoiceIssued]) -> list[Money]:
    totals: Counter[str] = Counter()
    for invoice in invoices:
        totals[invoice.total.currency] += invoice.total.amount_minor
    return [Money(amount_minor=total, currency=currency) for currency, total in sorted(totals.items())]
