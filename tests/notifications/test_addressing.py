"""Quotes go to the account manager, receipts to the Owners, and neither is lost while nobody can read it."""

import pytest

from contracts.accounts import AccountManager
from contracts.backoffice import Staff
from contracts.invoices import InvoiceKind
from contracts.notices import NotificationRequested, Recipient
from contracts.payload import Payload
from services.notifications.account import HELD_INVOICES_MAX
from tests.notifications.messages import (
    AI,
    ANALYTICS,
    START,
    account,
    activates_quote,
    asks_for_quote,
    buys,
    declines_quote,
    invoice,
    member,
    notices,
    owner,
    quote_expires,
    said,
    story,
)
from tests.scenario import made

MIA = AccountManager(name="Mia", email="mia@sales.test")
QUOTE, RECEIPT, INVOICE = "quote_requested", "purchase_receipt", "invoice"


def test_a_quote_request_reaches_the_account_manager() -> None:
    """The account manager, and nobody else, is told who wants a quote, for which seats, why, and until when."""
    scene = story().given(account(manager=MIA), owner()).when(asks_for_quote(), cause_id="quote-event")

    (notice,) = scene.emitted_of(NotificationRequested)
    assert notice.recipients == (Recipient(email="mia@sales.test", name="Mia"),)
    assert notice.notification_id == made("quote_requested:quote-1", "quote-event", START)
    assert notice.requested_at == START
    assert notice.data == {
        "add_on": ANALYTICS,
        "add_on_name": "Analytics+",
        "quote_id": "quote-1",
        "requested_by": {"user_id": "olga", "role": "owner", "name": "Olga"},
        "requested_at": "2026-09-30T09:00:00Z",
        "licenses": {"standard": 1, "additional": 0},
        "note": "for the whole floor",
        "expires_at": "2026-10-30T09:00:00Z",
        "account_name": "Acme Inc",
        "account_manager": "Mia",
        "addressed_to": "account_manager",
    }
    assert scene.document.held == {}


@pytest.mark.parametrize("manager", [None, AccountManager(name="Mia")], ids=["none", "without an address"])
def test_without_a_reachable_account_manager_the_owners_are_told(manager: AccountManager | None) -> None:
    """Where no account manager can be reached, the Owners hear that their quote request needs somebody to answer it."""
    scene = story().given(account(manager=manager), owner()).when(asks_for_quote())

    assert notices(scene) == [(QUOTE, ["olga"])]
    assert said(scene)["addressed_to"] == "owners"
    assert said(scene)["account_manager"] == (manager.name if manager else None)


def test_a_quote_request_that_overtakes_the_account_waits_for_its_manager() -> None:
    """While the account is unknown nobody is told in the account manager's place; its first fact sends the notice."""
    scene = story().given(owner()).when(asks_for_quote()).then_nothing()

    assert notices(scene.when(account(manager=MIA))) == [(QUOTE, ["mia@sales.test"])]
    scene.when(account(2, manager=MIA)).then_nothing()


def test_a_quote_request_without_any_reader_waits() -> None:
    """With neither account manager nor Owner, the notice waits for the first of them."""
    waiting = story().given(account(), asks_for_quote("quote-1"), asks_for_quote("quote-2", add_on=AI))

    assert notices(waiting.when(owner())) == [(QUOTE, ["olga"]), (QUOTE, ["olga"])]
    assert len({event.notification_id for event in waiting.emitted_of(NotificationRequested)}) == 2
    assert waiting.document.held == {}

    waiting = story().given(account(), asks_for_quote())
    assert notices(waiting.when(account(2, manager=MIA))) == [(QUOTE, ["mia@sales.test"])]


def test_of_one_add_on_only_the_newest_quote_waits() -> None:
    """An add-on has one open quote at a time, so a newer one replaces the one that was waiting for a reader."""
    scene = story().given(account(), asks_for_quote("quote-1"), asks_for_quote("quote-2")).when(owner())

    assert said(scene)["quote_id"] == "quote-2"


@pytest.mark.parametrize("closes", [declines_quote(), quote_expires(), activates_quote(), buys()])
def test_a_quote_that_is_closed_asks_nobody_for_an_answer(closes: Payload) -> None:
    """A quote that waited for a reader in vain is not announced once it was answered, expired or is not needed."""
    scene = story().given(account(), asks_for_quote(), asks_for_quote("quote-2", add_on=AI), closes).when(owner())

    assert [event.data["quote_id"] for event in scene.emitted_of(NotificationRequested) if event.template == QUOTE] == [
        "quote-2"
    ]


def test_a_new_account_manager_gets_later_quotes() -> None:
    """A newer fact about the account changes whom quotes go to."""
    noa = AccountManager(name="Noa", email="noa@sales.test")
    scene = story().given(account(1, MIA), account(2, noa)).when(asks_for_quote())

    assert notices(scene) == [(QUOTE, ["noa@sales.test"])]


@pytest.mark.parametrize("revision", [1, 2])
def test_a_stale_fact_about_the_account_is_ignored(revision: int) -> None:
    """A fact whose revision is not higher than the known one does not take the account manager away."""
    scene = story().given(account(2, MIA)).when(account(revision)).then_ignored("stale")

    assert notices(scene.when(asks_for_quote())) == [(QUOTE, ["mia@sales.test"])]


def test_a_purchase_gives_every_owner_a_receipt() -> None:
    """The immediate invoice of a purchase is sent to the Owners with number, lines and total."""
    scene = story().given(owner(), owner("otto"), member("adam", "admin")).when(invoice(), cause_id="invoice-event")

    assert notices(scene) == [(RECEIPT, ["olga", "otto"])]
    assert scene.emitted_of(NotificationRequested)[0].notification_id == made(
        "purchase_receipt:acme-000001", "invoice-event", START
    )
    receipt = said(scene)
    assert receipt["invoice_number"] == "acme-000001"
    assert receipt["total"] == {"amount_minor": 1197, "currency": "USD"}
    (line,) = receipt["lines"]
    assert (line["add_on"], line["add_on_name"]) == (ANALYTICS, "Analytics+")
    assert line["amount"] == {"amount_minor": 1197, "currency": "USD"}
    assert line["period"] == {"from": "2026-09-30", "to": "2026-10-20"}
    assert scene.document.held == {}


@pytest.mark.parametrize("kind", [kind for kind in InvoiceKind if kind is not InvoiceKind.IMMEDIATE])
def test_other_invoices_reach_every_owner_too(kind: InvoiceKind) -> None:
    """Renewals, adjustments and credits are sent to the Owners as what they are, without the staff's own words."""
    credit = invoice(kind=kind).model_copy(update={"by": Staff(staff_id="mia", reason="a difficult customer")})
    scene = story().given(owner(), owner("otto"), member("adam", "admin")).when(credit)

    assert notices(scene) == [(INVOICE, ["olga", "otto"])]
    assert (said(scene)["kind"], said(scene)["invoice_number"]) == (kind.value, "acme-000001")
    assert "by" not in said(scene)
    assert scene.document.held == {}


def test_of_invoices_without_a_reader_the_newest_are_kept() -> None:
    """Without an Owner the last HELD_INVOICES_MAX invoices and receipts wait; other notices are not lost."""
    scene = story().given(account(), asks_for_quote())
    for number in range(1, HELD_INVOICES_MAX + 11):
        kind = InvoiceKind.RENEWAL if number % 2 else InvoiceKind.IMMEDIATE
        scene.given(invoice(number, kind))
    scene.when(owner())

    numbers = [event.data.get("invoice_number") for event in scene.emitted_of(NotificationRequested)]
    assert numbers == [None, *(f"acme-{number:06d}" for number in range(11, HELD_INVOICES_MAX + 11))]
    assert scene.document.held == {}


def test_receipts_wait_for_an_owner() -> None:
    """Receipts that overtake the fact about the Owner, or follow the last one's leaving, go to whoever joins, once."""
    scene = story().given(invoice(1), member("adam", "admin")).when(invoice(2, add_on="aircall_ai")).then_nothing()

    scene.when(owner())
    assert notices(scene) == [(RECEIPT, ["olga"]), (RECEIPT, ["olga"])]
    assert [event.data["invoice_number"] for event in scene.emitted_of(NotificationRequested)] == [
        "acme-000001",
        "acme-000002",
    ]
    scene.when(owner("otto")).then_nothing()


def test_an_owner_who_joins_later_gets_later_receipts_only() -> None:
    """A receipt that was sent is not sent again to Owners who join afterwards; the next one includes them."""
    scene = story().given(owner(), invoice(1)).when(owner("otto")).then_nothing()

    assert notices(scene.when(invoice(2))) == [(RECEIPT, ["olga", "otto"])]
