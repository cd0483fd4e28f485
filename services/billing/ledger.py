"""The charges of an account's invoices, less what credits gave back of each: what the audit looks at.

Made of the log alone. A credit's line belongs to the line that charged its first day, on the invoice it names.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from contracts.invoices import InvoiceIssued, InvoiceLine, Share
from services.billing.proration import amount


class Finding(NamedTuple):
    """Something that is not as it should be: where (an invoice, a subscription, or the account), and what."""

    place: str
    sentence: str


@dataclass(slots=True)
class Charge:
    """A line that charges, the invoice it is on, and the lines of credits that give something of it back, in order."""

    invoice: InvoiceIssued
    line: InvoiceLine
    credits: list[InvoiceLine] = field(default_factory=list)

    @property
    def first(self) -> date:
        """The first day charged."""
        return self.line.period.from_

    @property
    def until(self) -> date:
        """The end of the days that were not given back."""
        return min((each.period.from_ for each in self.credits if each.days.billed), default=self.line.period.to)

    @property
    def left(self) -> int:
        """What is left of it in minor units."""
        return sum(each.amount.amount_minor for each in (self.line, *self.credits))

    def covers(self, day: date) -> bool:
        """Tell whether a day is charged, and was not given back."""
        return self.first <= day < self.until

    def wrong_credits(self) -> Iterator[str]:
        """Say which days were given back at another amount than they were charged, or twice."""
        days, until = (self.line.period.to - self.first).days, self.line.period.to
        for each in self.credits:
            if not each.days.billed:
                continue
            capped = (each.share.numerator, each.share.denominator) == (1, 1)
            charged = (self.line.amount.amount_minor, days)
            if each.period.to != until or (
                not capped and (-each.unit_price.amount_minor, each.days.in_cycle) != charged
            ):
                yield f"has {each.amount} given back for {each.period.from_} to {each.period.to}, which was not charged"
            until = each.period.from_

    def keeps_from(self, day: date) -> bool:
        """Tell whether something is charged for days from `day` on that could have been given back."""
        first = max(self.first, day)
        unused = Share(numerator=max((self.until - first).days, 0), denominator=(self.line.period.to - self.first).days)
        return bool(amount(self.line.amount, 1, unused).amount_minor) and self.left > 0


def charges_of(invoices: Sequence[InvoiceIssued]) -> tuple[dict[str, list[Charge]], list[Finding]]:
    """Return the charges of each subscription, in order, and what credits gave back that was not charged."""
    charged: defaultdict[str, list[Charge]] = defaultdict(list)
    found: list[Finding] = []
    for invoice in invoices:
        for line in invoice.lines:
            if line.credits is None:
                charged[line.subscription_id].append(Charge(invoice, line))
                continue
            charge = _credited(charged[line.subscription_id], invoice, line)
            if charge is None:
                sentence = f"gives back from {line.credits}, which charged no such"
                found.append(Finding(invoice.invoice_number, sentence))
                continue
            charge.credits.append(line)
            if charge.left < 0:
                found.append(Finding(line.credits, f"gave back more than it charged for {line.subscription_id}"))
    return charged, found


def _credited(charges: Iterable[Charge], invoice: InvoiceIssued, line: InvoiceLine) -> Charge | None:
    """Return the charge that a line gives back from."""
    return next(
        (
            each
            for each in charges
            if each.invoice.invoice_number == line.credits
            and each.invoice.currency == invoice.currency
            and each.first <= line.period.from_ < each.line.period.to
        ),
        None,
    )
