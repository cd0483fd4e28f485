"""`addonflow explain <invoice>`: how an invoice came to its amounts, each line in words and worked out again.

A line holds all that its amount follows from, so neither today's prices nor today's seats are looked at.
"""

from typing import Final

from rich.console import Console
from rich.text import Text

from contracts.invoices import InvoiceIssued
from contracts.topics import BILLING
from deploy.addonflow.history import logs
from deploy.addonflow.messages import BadInput
from deploy.addonflow.rest import reach_redis
from services.billing.account import InvoiceRow, invoice_row
from services.billing.proration import derivation, recompute
from services.runtime.errors import AddonflowError
from services.runtime.keys import shard_of
from services.runtime.settings import Settings
from services.runtime.store import Store, Wanted
from services.runtime.stored import read

_SERVICE: Final = BILLING.writer
_DIGITS_MAX: Final = 18


class NoSuchInvoice(AddonflowError):  # noqa: N818 - named for what is missing
    """Nothing is known of an invoice of this number; the message says where it was looked for."""


async def explain(settings: Settings, number: str, console: Console, *, from_log: bool = False) -> int:
    """Show an invoice and how it came about; return 1 when it contradicts itself, else 0.

    NoSuchInvoice when billing's state, or with `from_log` the topic, has none of that number. Cost: one row, or reading
    one partition.
    """
    account_id, count = _parts(number)
    shard = shard_of(account_id, settings.partitions)
    find = _in_log if from_log else _in_state
    invoice = await find(settings, shard, account_id, count)
    if invoice is None:
        where = f"the topic {settings.namespace}{BILLING.name}" if from_log else "billing's state (try --from-log)"
        raise NoSuchInvoice(f"there is no invoice {number} in {where}")
    for line in lines_of(invoice):
        console.print(line)
    return int(bool(contradictions(invoice)))


def _parts(number: str) -> tuple[str, int]:
    account_id, dash, count = number.rpartition("-")
    if not (account_id and dash and count.isascii() and count.isdecimal() and len(count) <= _DIGITS_MAX):
        raise BadInput(f"{number!r} is no invoice number: an account id, a dash and a number, as in acme-000012")
    return account_id, int(count)


async def _in_state(settings: Settings, shard: int, account_id: str, count: int) -> InvoiceIssued | None:
    async with reach_redis(settings) as redis:
        store = Store(redis, settings.namespace, _SERVICE, settings.partitions, 1)
        [loaded] = await store.load(shard, [Wanted(account_id, (), (invoice_row(count),))])
    [row] = loaded.rows
    return read(InvoiceRow, row).invoice if row else None


async def _in_log(settings: Settings, shard: int, account_id: str, count: int) -> InvoiceIssued | None:
    async with logs(settings) as log:
        async for said in log.said_on(BILLING, shard, account_id):
            if isinstance(said.payload, InvoiceIssued) and _parts(said.payload.invoice_number) == (account_id, count):
                return said.payload
    return None


def contradictions(invoice: InvoiceIssued) -> list[str]:
    """Say which amounts do not follow from what the invoice itself holds."""
    said = [
        f"{line.description}: it says {line.amount}, and comes to {recompute(line)}"
        for line in invoice.lines
        if recompute(line) != line.amount
    ]
    sum_minor = sum(line.amount.amount_minor for line in invoice.lines)
    if sum_minor != invoice.total.amount_minor:
        total = invoice.total.model_copy(update={"amount_minor": sum_minor})
        said.append(f"the total says {invoice.total}, and the lines add up to {total}")
    return said


def lines_of(invoice: InvoiceIssued) -> list[Text]:
    """Return the invoice as people read it: its head, each line with its derivation, the total, what contradicts it."""
    said = [
        Text(f"{invoice.invoice_number}, {invoice.kind}", "bold"),
        Text(f"issued {invoice.issued_at:%Y-%m-%d %H:%M:%S} UTC, due {invoice.due_date}"),
    ]
    if invoice.by is not None:
        said.append(Text(f"by {invoice.by.staff_id}: {invoice.by.reason}"))
    for line in invoice.lines:
        said += [Text(f"\n  {line.description}"), Text(f"    {derivation(line, invoice.kind)}", "yellow")]
        said.append(Text(f"    price {line.price_version}, rule {line.rule}", "dim"))
    said.append(Text(f"\n  total {invoice.total}", "bold"))
    wrong = contradictions(invoice)
    said += [Text(f"  wrong: {text}", "bold red") for text in wrong]
    return said if wrong else [*said, Text("  every amount follows from its line", "green")]
