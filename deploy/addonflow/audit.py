"""`addonflow audit`: whether everybody is charged what was sold, and billing's state says what its log says.

    per shard: read the logs ─▶ per account: services.billing.audit over events, facts and invoices
                                             the fold of billing's history == what is stored in Redis

An account that differs from its stored state while billing runs may have been caught between log and state, so a shard
with such accounts is looked at once more and only those that differ again are told. Changes nothing.

Memory: one shard. Cost: each log that billing reads or writes once, those of outside writers twice.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from typing import Final

from redis.asyncio import Redis
from rich.console import Console
from rich.text import Text

from contracts.accounts import AccountUpdated
from contracts.events import AddOnPurchased
from contracts.invoices import InvoiceIssued
from contracts.payload import Payload
from contracts.topics import BILLING, EVENTS
from deploy.addonflow.history import Logs, ShardHistory, logs
from deploy.addonflow.rebuild_compare import LiveShard
from deploy.addonflow.rebuild_shard import process_of, shard_fold
from deploy.addonflow.rest import reach_redis
from services.billing.audit import audit as audit_account
from services.billing.ledger import Finding
from services.runtime.delivery import Delivery
from services.runtime.inputs import written_ms
from services.runtime.settings import Settings
from services.runtime.telling import Difference, told_in_order
from services.runtime.virtual_clock import time_of

_SERVICE: Final = BILLING.writer
_SHOWN_MAX: Final = 100
SECOND_LOOK_SECONDS: Final = 2


@dataclass(slots=True)
class Report:
    """What was looked at, and what is not as it should be: (account, place, sentence)."""

    accounts: int = 0
    invoices: int = 0
    lines: int = 0
    subscriptions: int = 0
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    def lines_of(self) -> Iterator[Text]:
        """Return the findings as lines, those of state and log last."""
        for account_id, finding in self.findings[:_SHOWN_MAX]:
            yield Text(f"{account_id}: {finding.place}: {finding.sentence}", "red")
        for each in self.differences[:_SHOWN_MAX]:
            yield Text(f"{each.account_id}: {each.kind}: {each.text}", "red")
        more = max(0, len(self.findings) - _SHOWN_MAX) + max(0, len(self.differences) - _SHOWN_MAX)
        if more:
            yield Text(f"and {more} more", "red")


async def audit(settings: Settings, console: Console) -> int:
    """Audit every account; return 0 when nothing is found, else 1."""
    report = Report()
    async with reach_redis(settings) as redis, logs(settings) as log:
        auditing = _Auditing(settings, redis, log)
        for shard in range(settings.partitions):
            await auditing.shard(shard, report)
    for line in report.lines_of():
        console.print(line)
    console.print(
        f"{report.accounts} accounts, {report.subscriptions} subscriptions, {report.invoices} invoices with "
        f"{report.lines} lines: {len(report.findings)} findings; "
        f"state and log differ in {len(report.differences)} places",
        highlight=False,
    )
    return int(bool(report.findings or report.differences))


class _Auditing:
    """One audit of a deployment."""

    def __init__(self, settings: Settings, redis: Redis, log: Logs) -> None:
        self._settings = settings
        self._redis = redis
        self._log = log
        self._process = process_of(_SERVICE, settings)

    async def shard(self, shard: int, report: Report) -> None:
        """Audit a shard; what differs, or is not charged yet, is looked at once more."""
        first = await self._look(shard)
        if first.differences or first.findings:
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            again = await self._look(shard)
            first.differences = [each for each in again.differences if each in first.differences]
            first.findings = [each for each in again.findings if each in first.findings]
        report.accounts += first.accounts
        report.invoices += first.invoices
        report.lines += first.lines
        report.subscriptions += first.subscriptions
        report.findings += first.findings
        report.differences += first.differences

    async def _look(self, shard: int) -> Report:
        now = await time_of(self._redis, self._settings.namespace)
        fold = await shard_fold(self._process, self._log, shard, now)
        live = LiveShard(self._redis, self._settings.namespace, _SERVICE, shard, self._process.decider)
        report = Report(differences=fold.trimmed())
        for account_id in fold.history.accounts:
            _audit(account_id, fold.history, now, report)
        for page in fold.pages():
            report.differences += [difference for account in page for difference in account.differences]
            report.differences += await live.differences(page)
        report.differences += await live.strangers(set(fold.history.accounts))
        return report


def _audit(account_id: str, history: ShardHistory, now: datetime, report: Report) -> None:
    events = facts_and_events(history.deliveries(account_id))
    told, _ = told_in_order(account_id, history.said(account_id))
    invoices = [one.payload for each in told for one in each.said if isinstance(one.payload, InvoiceIssued)]
    report.accounts += 1
    report.subscriptions += sum(isinstance(event, AddOnPurchased) for event in events)
    report.invoices += len(invoices)
    report.lines += sum(len(invoice.lines) for invoice in invoices)
    report.findings += [(account_id, finding) for finding in audit_account(account_id, events, invoices, now)]


def facts_and_events(deliveries: list[Delivery]) -> list[Payload]:
    """Return an account's facts and events in the order they were written, each topic's own order kept."""
    facts = [each for each in deliveries if isinstance(each.message, AccountUpdated)]
    events = [each for each in in_sequence(deliveries) if each.topic is EVENTS]
    merged = [each.message for each in merge(facts, events, key=written_ms)]
    return [message for message in merged if isinstance(message, Payload)]


def in_sequence(deliveries: list[Delivery]) -> list[Delivery]:
    """Return the records of streams in the order of their sequences, each once."""
    once = {(each.topic.name, each.sequence): each for each in reversed(deliveries) if each.topic and each.sequence}
    return [once[key] for key in sorted(once)]
