"""A story that writes down what was taken and what came of it, and what its subscriptions cost."""

import copy
from collections import Counter
from datetime import datetime

from contracts.invoices import BASE_PLAN, InvoiceIssued, InvoiceKind
from contracts.payload import Payload
from services.billing.account import BillingAccount
from services.billing.domain import BillingDecider
from services.runtime.decision import Accepted, Message, Row, TimerDue
from tests.scenario import Scenario


class Every(dict[str, Row | None]):
    """Rows of an account of which none was stored."""

    def __missing__(self, name: str) -> None:
        return None


class Logged(Scenario[BillingAccount]):
    """A story that writes down what was taken, and what each came to."""

    def __init__(self, decider: BillingDecider, account_id: str, now: datetime, log: list[Message]) -> None:
        super().__init__(decider, account_id, now)
        self.log = log
        self.history: list[tuple[Message, tuple[Payload, ...]]] = []

    def copied(self) -> "Logged":
        """Return the story as it is, to go on without changing this one."""
        other = copy.copy(self)
        for name in ("_rows", "events", "log", "history"):
            setattr(other, name, copy.copy(getattr(self, name)))
        return other

    def _deliver(self, message: Message, cause_id: str) -> None:
        super()._deliver(message, cause_id)
        self.log.append(message)
        if isinstance(self.decision, Accepted):
            self.history.append((message, self.decision.events))
        if isinstance(message, TimerDue):
            assert caused(self.decision), "a timer that is due has something to charge"


def costs(story: Scenario[BillingAccount], *others: str) -> dict[tuple[str, str], tuple[int, int]]:
    """Return what each subscription costs in each currency, and how many roundings of more seats are in it.

    The base plan counts as one where `others` names it.
    """
    minor: Counter[tuple[str, str]] = Counter()
    roundings: Counter[tuple[str, str]] = Counter()
    more: set[tuple[str, str]] = set()
    for invoice in story.events:
        assert isinstance(invoice, InvoiceIssued)
        for line in invoice.lines:
            name = (line.subscription_id, invoice.currency)
            if line.subscription_id == BASE_PLAN and BASE_PLAN not in others:
                continue
            minor[name] += line.amount.amount_minor
            if invoice.kind is InvoiceKind.ADJUSTMENT:
                more.add((invoice.invoice_number, line.subscription_id))
            if (line.credits or invoice.invoice_number, line.subscription_id) in more:
                roundings[name] += 1
    return {name: (each, roundings[name]) for name, each in minor.items() if each}


def caused(decision: object) -> bool:
    """Tell whether a decision emits anything."""
    return isinstance(decision, Accepted) and bool(decision.events)
