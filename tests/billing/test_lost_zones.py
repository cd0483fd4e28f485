"""A stored zone that this machine's zone data does not have any more: what was agreed in it is billed on, by UTC."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.events import AddOnPurchased
from contracts.invoices import InvoiceIssued, InvoiceKind
from contracts.results import Reason
from services.billing.account import BillingAccount
from services.billing.domain import BillingDecider
from services.runtime.decision import Rejected
from tests.billing.previewing import Looking, account, member
from tests.scenario import Scenario

STORED, LOST = "America/New_York", "Mars/Base"


@pytest.mark.parametrize("stored", ["America/New_York", "Asia/Tokyo"])
def test_a_subscription_in_a_lost_zone_is_renewed_at_midnight_of_utc(stored: str) -> None:
    """The document loads, the next renewal has its zone as it was agreed, and the one after is due by UTC."""
    looking = Looking(account(timezone=stored), member())
    looking.buy()
    (sold,) = (each for each in looking.entitlements.events if isinstance(each, AddOnPurchased))
    billing: Scenario[BillingAccount] = Scenario(BillingDecider(), sold.account_id, sold.purchased_at)
    billing.when(sold)
    billing.rewrite(stored, LOST)
    billing.advance(timedelta(days=40))
    renewal = billing.events[-1]
    assert isinstance(renewal, InvoiceIssued)
    assert (renewal.kind, renewal.lines[0].timezone) == (InvoiceKind.RENEWAL, LOST)
    (due,) = billing.document.timers.values()
    assert due == datetime(due.year, due.month, due.day, tzinfo=UTC)


def test_nothing_is_promised_in_a_lost_zone() -> None:
    """A preview, whose first day would be the account's, is refused as the purchase is, and says what to correct."""
    looking = Looking(account(timezone=STORED), member())
    looking.billing.rewrite(STORED, LOST)
    shown = looking.previewed()
    assert isinstance(shown, Rejected)
    assert shown.reason is Reason.CHANGE_NOT_ALLOWED
    assert LOST in shown.message
