"""What billing counts for its operators: invoices, and how much they charged and gave back.

Counted when an invoice is committed, by the process that did. For a look at the business, not for the books: a counter
begins at 0 with its process, `addonflow audit` looks at every cent.
"""

from prometheus_client import Counter

from contracts.invoices import InvoiceIssued
from contracts.payload import Payload
from services.runtime.metrics import REGISTRY

INVOICES = Counter(
    "addonflow_invoices_total",
    "Invoices issued, by kind (immediate, renewal, adjustment, credit) and currency.",
    ["kind", "currency"],
    registry=REGISTRY,
)
INVOICED = Counter(
    "addonflow_invoiced_minor_units_total",
    "What invoices charged, in the minor units of their currency (cents of USD).",
    ["kind", "currency"],
    registry=REGISTRY,
)
CREDITED = Counter(
    "addonflow_credited_minor_units_total",
    "What invoices with a total below 0 gave back, in the minor units of their currency.",
    ["kind", "currency"],
    registry=REGISTRY,
)


def count(said: Payload) -> None:
    """Count an invoice; anything else said is none."""
    if isinstance(said, InvoiceIssued):
        minor = said.total.amount_minor
        INVOICES.labels(said.kind, said.currency).inc()
        (INVOICED if minor >= 0 else CREDITED).labels(said.kind, said.currency).inc(abs(minor))
