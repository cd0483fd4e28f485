"""The billing process: charges purchases at once, prorated through the end of the cycle."""

from datetime import timedelta

from contracts.catalog import Catalog
from contracts.invoices import ProrationRule
from contracts.promises import PromiseKeys
from services.billing import figures
from services.billing.api import Prices, doors
from services.billing.credits import answer
from services.billing.domain import BillingDecider
from services.billing.handlers import register
from services.runtime import bootstrap
from services.runtime.settings import Settings


def build(settings: Settings) -> bootstrap.Process:
    """Make the process; nothing is connected yet."""
    decider = BillingDecider(ProrationRule(settings.proration_rule), settings.payment_terms_days)
    prices = Prices(
        Catalog.load(settings.catalog),
        PromiseKeys.load(settings.promise_keys),
        timedelta(seconds=settings.promise_seconds),
    )
    return bootstrap.Process(
        "billing", decider, register, settings, answer=answer, doors=doors(prices), heard=figures.count
    )


def main() -> int:
    """Run the service; return its exit code."""
    return bootstrap.main(build)
