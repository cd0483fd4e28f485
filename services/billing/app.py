"""The billing process: charges purchases at once, prorated through the end of the cycle."""

from contracts.invoices import ProrationRule
from services.billing.credits import answer
from services.billing.domain import BillingDecider
from services.billing.handlers import register
from services.runtime import bootstrap
from services.runtime.settings import Settings


def build(settings: Settings) -> bootstrap.Process:
    """Make the process; nothing is connected yet."""
    decider = BillingDecider(ProrationRule(settings.proration_rule), settings.payment_terms_days)
    return bootstrap.Process("billing", decider, register, settings, answer=answer)


def main() -> int:
    """Run the service; return its exit code."""
    return bootstrap.main(build)
