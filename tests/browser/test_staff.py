"""What the vendor's staff do in a browser, and that nobody else can."""

import re

from playwright.sync_api import expect

from contracts.events import AddOnPurchased, QuoteDeclined, SubscriptionCanceled, SubscriptionModified
from tests.browser.site import Site


def quoted(site: Site) -> str:
    """State an account whose Owner has requested a quote."""
    account = site.account(sales_managed=True)
    ask_for_a_quote(site, account)
    return account


def ask_for_a_quote(site: Site, account: str) -> None:
    """Request a quote as the account's Owner."""
    page = site.enter(account, "olivia", "/quote/analytics_plus")
    page.get_by_label("What should your account manager know?").fill("For January")
    page.get_by_role("button", name="Request the quote").click()
    expect(page.get_by_role("heading", name="Your request for a quote is on its way")).to_be_visible()


def test_staff_activate_modify_and_cancel(site: Site) -> None:
    """Staff activate a quote at the agreed price, change the seats, cancel, see it all, and activate the next quote."""
    account = quoted(site)
    page = site.staff()
    page.get_by_label("Account id").fill(account)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_text("For January").first).to_be_visible()

    page.get_by_role("link", name="Activate the quote").click()
    page.get_by_label("Price of a seat and cycle").fill("14.50")
    page.get_by_label("Why").fill("as agreed on the phone")
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    [bought] = site.log(account, AddOnPurchased)
    assert isinstance(bought, AddOnPurchased)
    assert (bought.terms.unit_price.amount_minor, bought.origin) == (1450, "quote")
    assert bought.by is not None
    assert (bought.by.staff_id, bought.by.reason) == ("mara.staff", "as agreed on the phone")

    page.get_by_role("link", name="Back to the account").click()
    expect(page.get_by_role("region", name="Analytics+")).to_contain_text("may be used: active")
    page.get_by_role("link", name="Modify").click()
    page.get_by_label("Standard licenses").fill("9")
    page.get_by_label("Why").fill("two more teams")
    page.get_by_role("button", name="Modify").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    [modified] = site.log(account, SubscriptionModified)
    assert isinstance(modified, SubscriptionModified)
    assert modified.licenses.standard == 9

    page.get_by_role("link", name="Back to the account").click()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_label("When").select_option("now")
    page.get_by_label("Why").fill("moves away")
    page.get_by_role("button", name="Cancel the subscription").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    assert len(site.log(account, SubscriptionCanceled)) == 1
    page.get_by_role("link", name="Back to the account").click()
    history = page.locator(".history")
    for what in ("Quote requested", "Purchased", "Subscription changed", "Subscription canceled", "Invoice issued"):
        expect(history.get_by_text(what).first).to_be_visible()

    ask_for_a_quote(site, account)
    page.reload()
    page.get_by_role("link", name="Activate the quote").click()
    page.get_by_label("Price of a seat and cycle").fill("12.50")
    page.get_by_label("Why").fill("came back")
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("heading", name="Done")).to_be_visible()
    assert len(site.log(account, AddOnPurchased)) == 2


def test_staff_decline_a_quote_once(site: Site) -> None:
    """A quote is declined with a reason; an order sent again under the same address changes nothing."""
    account = quoted(site)
    page = site.staff(f"/back-office/order?id={account}&order=decline&add_on=analytics_plus")
    form = page.url
    for _ in range(2):
        page.goto(form)
        page.get_by_label("Why").fill("not before spring")
        page.get_by_role("button", name="Decline").click()
        expect(page.get_by_role("heading", name="Done")).to_be_visible()
    assert len(site.log(account, QuoteDeclined)) == 1


def test_staff_credit_an_invoice(site: Site) -> None:
    """A part of an invoice is given back; more than was paid is refused in plain words."""
    account = site.account()
    owner = site.enter(account, "olivia", "/subscribe/analytics_plus/confirm")
    owner.get_by_role("checkbox").check()
    owner.get_by_role("button", name=re.compile("^Buy")).click()
    expect(owner.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()

    for amount, says in (("1.00", "Done"), ("99999.00", "This was not done")):
        address = f"/back-office/order?id={account}&order=credit&invoice_number={account}-000001&currency=USD"
        page = site.staff(address)
        page.get_by_label("Amount").fill(amount)
        page.get_by_label("Why").fill("an outage of ours")
        page.get_by_role("button", name="Issue the credit").click()
        expect(page.get_by_role("heading", name=says)).to_be_visible()


def test_a_member_is_not_let_in(site: Site) -> None:
    """A member who types the back office's address is refused; a stranger is asked to sign in."""
    account = site.account()
    page = site.enter(account, "olivia")
    for path in ("/back-office", f"/back-office/account?id={account}", f"/back-office/order?id={account}&order=grant"):
        page.goto(site.url + path)
        expect(page.get_by_text("This page is for the vendor’s staff.")).to_be_visible()
    stranger = site.page()
    stranger.goto(f"{site.url}/back-office")
    expect(stranger).to_have_url(re.compile("/sign-in"))


def test_what_cannot_be_is_said_in_the_form(site: Site) -> None:
    """An amount that is none is refused before anything is sent."""
    account = quoted(site)
    page = site.staff(f"/back-office/order?id={account}&order=activate&add_on=analytics_plus&currency=USD")
    page.get_by_label("Price of a seat and cycle").fill("a lot")
    page.get_by_label("Why").fill("test")
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_text("is no amount")).to_be_visible()
    assert site.log(account, AddOnPurchased) == []
