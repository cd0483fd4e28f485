"""The same order twice, two people at once, and a broker that is away: one effect, and a clear word to everybody."""

import re

from playwright.sync_api import Page, expect

from contracts.commands import PurchaseAddOn, RequestFeature
from contracts.events import AddOnPurchased, FeatureRequested
from tests.browser.site import Site

_CONFIRM = "/subscribe/analytics_plus/confirm"


def ready_to_buy(site: Site, account: str, user: str) -> Page:
    """Open a browser at the last step, with the box ticked."""
    page = site.enter(account, user, _CONFIRM)
    page.get_by_role("checkbox").check()
    return page


def test_of_two_browsers_at_once_one_buys_and_the_other_is_told(site: Site) -> None:
    """Two Owners confirm the same add-on at once: it is sold once, and the other is told so in plain words."""
    account = site.account()
    pages = [ready_to_buy(site, account, user) for user in ("olivia", "oscar")]
    for page in pages:  # both are on their way before either has an answer
        page.evaluate("document.querySelector('main form').requestSubmit()")
    for page in pages:
        page.wait_for_url("**/answers/**")
    titles = sorted(page.get_by_role("heading", level=1).inner_text() for page in pages)
    assert titles == ["Analytics+ is yours", "This was not done"]
    told = next(page for page in pages if page.get_by_text("This was not done").count())
    expect(told.get_by_text("Your account already has Analytics+")).to_be_visible()
    expect(told.get_by_text("Nothing was changed and nothing is charged.")).to_be_visible()
    assert len(site.log(account, AddOnPurchased)) == 1


def test_a_double_click_is_one_order(site: Site) -> None:
    """A double click on the last button has one effect, and leads to its answer."""
    account = site.account()
    page = ready_to_buy(site, account, "olivia")
    page.get_by_role("button", name=re.compile("^Buy")).dblclick()
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
    assert len(site.log(account, AddOnPurchased)) == 1
    assert len({command.model_dump_json() for command in site.log(account, PurchaseAddOn)}) == 1


def test_the_back_button_leads_to_the_same_order(site: Site) -> None:
    """Back from the answer is the form of the same command: it says that it was sent, and sends nothing new."""
    account = site.account()
    page = site.enter(account, "sam", "/request/analytics_plus")
    page.get_by_label("Why do you need it?").fill("Call times")
    page.get_by_role("button", name="Send the request").click()
    expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible()
    answer = page.url

    page.go_back()
    page.wait_for_load_state()
    page.reload()
    if page.get_by_role("button", name="Send the request").count():
        page.get_by_role("button", name="Send the request").click()
    expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible()
    assert page.url.partition("?")[0] == answer.partition("?")[0]
    assert len(site.log(account, RequestFeature)) == len(site.log(account, FeatureRequested)) == 1


def test_an_address_that_is_passed_on_is_another_form(site: Site) -> None:
    """Two supervisors send the form of one address: each has asked, and each sees an answer of their own."""
    account = site.account()
    first = site.enter(account, "sam", "/request/analytics_plus")
    second = site.enter(account, "sina")
    second.goto(first.url)
    for page in (first, second):
        page.get_by_role("button", name="Send the request").click()
        expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible()
    asked = [said for said in site.log(account, FeatureRequested) if isinstance(said, FeatureRequested)]
    assert sorted(said.requested_by.user_id for said in asked) == ["sam", "sina"]


def test_an_answer_that_comes_is_told_and_is_where_the_reader_goes_on(site: Site) -> None:
    """A page that waits shows the answer by itself: its live region stays, and the focus is on the heading."""
    account = site.account()
    page = site.enter(account, "sam", "/request/analytics_plus")
    waiting = page.context.new_page()
    form_id = page.locator("input[name=command_id]").get_attribute("value")
    waiting.goto(f"{site.url}/answers/{form_id}?add_on=analytics_plus")
    waiting.locator("#answer").evaluate("region => { region.stays = true }")
    waiting.get_by_role("link", name="Look again").focus()
    page.get_by_role("button", name="Send the request").click()
    expect(waiting.get_by_role("heading", name="Your Owners are told")).to_be_focused()
    assert waiting.locator("#answer").evaluate("region => region.stays")


def test_a_reload_of_the_answer_changes_nothing(site: Site) -> None:
    """The answer stands at an address of its own: reloading it shows it again, and sends nothing."""
    account = site.account()
    page = ready_to_buy(site, account, "olivia")
    page.get_by_role("button", name=re.compile("^Buy")).click()
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
    assert len(site.log(account, PurchaseAddOn)) == 1


def test_a_broker_outage_in_the_middle_loses_nothing(site: Site) -> None:
    """With the broker away the page says so and keeps the order; trying again, even too early, has one effect."""
    account = site.account()
    page = ready_to_buy(site, account, "olivia")
    command_id = page.locator("input[name=command_id]").get_attribute("value") or "none"
    with site.broker_away():
        page.get_by_role("button", name=re.compile("^Buy")).click()
        expect(page.get_by_role("heading", name="We cannot tell yet whether this was taken")).to_be_visible()
        expect(page.get_by_text("Nothing is lost, and it may still be carried out.")).to_be_visible()
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", name="We cannot tell yet whether this was taken")).to_be_visible()
        plan = site.page()
        plan.goto(f"{site.url}/sign-in")
        expect(plan.get_by_role("heading", name="Sign in")).to_be_visible()
    retry = page.get_by_role("button", name="Try again")
    for _ in range(20):  # the broker takes a moment to answer again
        retry.click()
        page.wait_for_load_state()
        if retry.count() == 0:
            break
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible(timeout=20_000)
    assert command_id in page.url
    assert len(site.log(account, AddOnPurchased)) == 1


def test_an_order_that_is_left_in_an_outage_may_still_be_carried_out(site: Site) -> None:
    """The outage page never says that nothing was sent; who leaves it is led to what became of the order."""
    account = site.account()
    page = ready_to_buy(site, account, "olivia")
    with site.broker_away():
        page.get_by_role("button", name=re.compile("^Buy")).click()
        expect(page.get_by_role("heading", name="We cannot tell yet whether this was taken")).to_be_visible()
        assert not re.search(r"not (be )?sent|nothing (was|is) sent|leave it", page.inner_text("main"), re.IGNORECASE)
    page.get_by_role("link", name="See what became of it").click()
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible(timeout=30_000)
    assert len(site.log(account, AddOnPurchased)) == 1


def test_a_note_survives_an_outage(site: Site) -> None:
    """What was written into a form is on the page of the outage, and goes out with the retry."""
    account = site.account()
    page = site.enter(account, "sam", "/request/analytics_plus")
    page.get_by_label("Why do you need it?").fill("Für die <Nacht>schicht & mehr")
    with site.broker_away():
        page.get_by_role("button", name="Send the request").click()
        expect(page.get_by_text("Your note: Für die <Nacht>schicht & mehr")).to_be_visible()
    retry = page.get_by_role("button", name="Try again")
    for _ in range(20):
        retry.click()
        page.wait_for_load_state()
        if retry.count() == 0:
            break
    expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible(timeout=20_000)
    [asked] = site.log(account, FeatureRequested)
    assert isinstance(asked, FeatureRequested)
    assert asked.note == "Für die <Nacht>schicht & mehr"


def test_a_service_that_is_away_is_said_plainly(site: Site) -> None:
    """With entitlements away the Plan tab says so and stays a page; it is back with the next look."""
    account = site.account()
    page = site.enter(account, "olivia")
    with site.service_away("entitlements"):
        page.goto(f"{site.url}/plan")
        expect(page.get_by_text("Your add-ons cannot be shown right now")).to_be_visible()
        expect(page.get_by_role("navigation")).to_be_visible()
    page.goto(f"{site.url}/plan")
    expect(page.locator("#card-analytics_plus")).to_be_visible()


def test_without_billing_a_purchase_is_bounded(site: Site) -> None:
    """With billing away the price step names the most that can be charged, and the purchase expects that price."""
    account = site.account()
    page = site.enter(account, "olivia")
    with site.service_away("billing"):
        page.goto(f"{site.url}/subscribe/analytics_plus")
        expect(page.get_by_text("so $125.65 at most")).to_be_visible()
        page.get_by_role("link", name="Continue").click()
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name="Buy at this price").click()
        expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
        page.goto(f"{site.url}/invoices")
        expect(page.get_by_text("Invoices cannot be shown right now")).to_be_visible()
    [command] = site.log(account, PurchaseAddOn)
    assert isinstance(command, PurchaseAddOn)
    assert (command.price_promise, str(command.expected)) == (None, "125.65 USD")
