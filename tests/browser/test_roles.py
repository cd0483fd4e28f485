"""What each role can do in a browser, from the first click to the answer."""

import re

from playwright.sync_api import Page, expect

from contracts.accounts import AccountUpdated, Licenses
from contracts.commands import PurchaseAddOn, RequestFeature, RequestQuote, StartTrial
from contracts.events import AddOnPurchased, TrialStarted
from tests.browser.site import Site


def card(page: Page, name: str = "Analytics+") -> object:
    """Return the card of an add-on."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=name, level=3))


def buy(page: Page, name: str = "Analytics+") -> None:
    """Go from the Plan tab through every step to the answer."""
    page.locator("main").get_by_role("link", name=f"Subscribe now {name}").click()
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("^Buy")).click()


def test_an_owner_buys_step_by_step(site: Site) -> None:
    """An Owner sees the price figure by figure, confirms that purchases are final, and has the add-on at once."""
    account = site.account()
    page = site.enter(account, "olivia")

    page.locator("main").get_by_role("link", name="Subscribe now Analytics+").click()
    expect(page.locator(".steps [aria-current=step]")).to_contain_text("Price")
    expect(page.locator(".sum")).to_contain_text("$17.95")
    expect(page.locator(".sum")).to_contain_text("5 standard + 2 additional")
    expect(page.get_by_text("Purchases are final.")).to_be_visible()
    amount = page.locator(".sum tfoot td").inner_text()
    page.get_by_role("link", name="Continue").click()
    expect(page.locator(".steps [aria-current=step]")).to_contain_text("Confirm")
    expect(page.get_by_text("This price is promised to you until")).to_be_visible()
    expect(page.get_by_role("button", name=f"Buy for {amount}")).to_be_visible()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("^Buy")).click()

    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
    page.get_by_role("link", name="Back to the plan").click()
    expect(page.locator("#card-analytics_plus .state")).to_have_text("Active")
    [bought] = site.log(account, AddOnPurchased)
    assert isinstance(bought, AddOnPurchased)
    assert (bought.purchased_by.user_id, bought.origin) == ("olivia", "self_service")
    page.goto(f"{site.url}/invoices")
    expect(page.get_by_role("list", name="Invoices, newest first")).to_contain_text(amount)


def test_a_purchase_must_be_confirmed(site: Site) -> None:
    """Nothing is sent before the box is ticked."""
    account = site.account()
    page = site.enter(account, "olivia", "/subscribe/analytics_plus/confirm")
    page.get_by_role("button", name=re.compile("^Buy")).click()
    expect(page).to_have_url(re.compile("/confirm"))
    assert site.log(account, PurchaseAddOn) == []


def test_the_sidebar_leads_into_the_flow(site: Site) -> None:
    """Whoever enters by the sidebar gets through the same steps, and the command says where it began."""
    account = site.account()
    page = site.enter(account, "olivia")
    page.get_by_role("complementary").get_by_role("link", name=re.compile("^Analytics")).click()
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("^Buy")).click()
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
    [command] = site.log(account, PurchaseAddOn)
    assert isinstance(command, PurchaseAddOn)
    assert command.entry_point == "sidebar"


def test_an_owner_of_a_managed_account_requests_a_quote(site: Site) -> None:
    """Where a quote is needed an Owner asks for it with a note, sees that it is open, and cannot ask twice."""
    account = site.account(sales_managed=True)
    page = site.enter(account, "olivia")
    expect(page.get_by_role("link", name="Subscribe now Analytics+")).to_have_count(0)
    page.locator("main").get_by_role("link", name="Request a quote Analytics+").click()
    page.get_by_label("What should your account manager know?").fill("For 140 seats,\nfrom January")
    page.get_by_role("button", name="Request the quote").click()
    expect(page.get_by_role("heading", name="Your request for a quote is on its way")).to_be_visible()
    page.get_by_role("link", name="Back to the plan").click()
    expect(page.locator("#card-analytics_plus .state")).to_have_text("Quote requested")
    expect(page.locator("main").get_by_role("link", name="Request a quote Analytics+")).to_have_count(0)
    [command] = site.log(account, RequestQuote)
    assert isinstance(command, RequestQuote)
    assert command.note == "For 140 seats,\nfrom January"


def test_an_admin_tries_for_free(site: Site) -> None:
    """An admin starts the trial; the banner tells everybody how many days are left, and an Owner can keep it."""
    account = site.account()
    page = site.enter(account, "adam")
    expect(page.get_by_role("link", name="Subscribe now Analytics+")).to_have_count(0)
    page.locator("main").get_by_role("link", name="Try it for free Analytics+").click()
    page.get_by_role("button", name="Start the free trial").click()
    expect(page.get_by_role("heading", name="Your free trial of Analytics+ has begun")).to_be_visible()
    page.goto(f"{site.url}/plan")
    expect(page.get_by_role("region", name="Free trial of Analytics+")).to_contain_text("14")
    assert len(site.log(account, StartTrial)) == len(site.log(account, TrialStarted)) == 1

    owner = site.enter(account, "olivia")
    owner.get_by_role("link", name="Keep it Analytics+").click()
    expect(owner).to_have_url(re.compile("/subscribe/analytics_plus.from=trial"))


def test_a_supervisor_requests_a_feature(site: Site) -> None:
    """A supervisor asks with a note, is told so, and sees on the card why everything else is closed."""
    account = site.account()
    page = site.enter(account, "sam")
    expect(page.locator("#card-analytics_plus")).to_contain_text("Only an Owner can subscribe")
    page.locator("main").get_by_role("link", name="Request feature Analytics+").click()
    page.get_by_label("Why do you need it?").fill("Call times per team")
    page.get_by_role("button", name="Send the request").click()
    expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible()
    page.goto(f"{site.url}/plan")
    expect(page.locator("#card-analytics_plus .state")).to_have_text("Requested by you")
    [command] = site.log(account, RequestFeature)
    assert isinstance(command, RequestFeature)
    assert command.note == "Call times per team"


def test_an_agent_sees_no_add_on_and_no_price(site: Site) -> None:
    """An agent is told whom to ask and learns no price, on no page, whatever address is typed."""
    account = site.account()
    page = site.enter(account, "gil")
    for path in ("/plan", "/subscribe", "/subscribe/analytics_plus", "/try/analytics_plus", "/requests", "/invoices"):
        page.goto(site.url + path)
        said = page.inner_text("body")
        assert not re.search(r"17\.95|\$|Subscribe now|Analytics", said), path
    page.goto(f"{site.url}/plan")
    expect(page.get_by_role("heading", name="Add-ons are not open to your role")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["Plan"])


def test_what_is_typed_in_the_address_is_still_refused(site: Site) -> None:
    """A supervisor who opens the purchase by its address is told why not and whom to ask; nothing is sent."""
    account = site.account()
    page = site.enter(account, "sam", "/subscribe/analytics_plus")
    expect(page.get_by_text("Only an Owner can subscribe to Analytics+")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Buy"))).to_have_count(0)
    assert site.log(account, PurchaseAddOn) == []


def test_an_owner_sees_what_the_team_asks_for(site: Site) -> None:
    """Requests reach the Owner's open page by themselves; from there they can be bought, snoozed or declined."""
    account = site.account()
    owner = site.enter(account, "olivia", "/requests")
    asker = site.enter(account, "sam", "/request/analytics_plus")
    asker.get_by_label("Why do you need it?").fill("Call times per team")
    asker.get_by_role("button", name="Send the request").click()
    expect(asker.get_by_role("heading", name="Your Owners are told")).to_be_visible()

    wish = owner.get_by_role("region", name="Analytics+")
    expect(wish).to_contain_text("1 supervisor")
    expect(wish.get_by_role("blockquote")).to_have_text("Call times per team")
    expect(wish).to_contain_text("Sam")
    expect(wish.get_by_role("link", name="Buy Analytics+")).to_be_visible()
    wish.get_by_role("link", name="Snooze").click()
    owner.get_by_label("Until").fill("2027-01-31")
    owner.get_by_role("button", name="Snooze").click()
    expect(owner.get_by_role("heading", name="The requests for Analytics+ are snoozed")).to_be_visible()
    owner.goto(f"{site.url}/requests/decline?add_on=analytics_plus")
    owner.get_by_label("Your note to them").fill("Next year")
    owner.get_by_role("button", name="Decline").click()
    expect(owner.get_by_role("heading", name="The requests for Analytics+ are declined")).to_be_visible()


def test_an_owner_sees_and_changes_how_often_summaries_come(site: Site) -> None:
    """The form has the choice that is in force, at first every day, and after a change the one that was made."""
    account = site.account()
    page = site.enter(account, "olivia", "/requests/digest")
    expect(page.get_by_label("Every day")).to_be_checked()
    page.get_by_label("Once a week").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Your choice is saved")).to_be_visible()
    for _ in range(20):  # notifications hears of it a moment later
        page.goto(f"{site.url}/requests/digest")
        if page.get_by_label("Once a week").is_checked():
            break
    expect(page.get_by_label("Once a week")).to_be_checked()


def test_an_owner_reads_invoices(site: Site) -> None:
    """The list leads to an invoice with the figures of each line, and to its document."""
    account = site.account()
    page = site.enter(account, "olivia")
    buy(page)
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
    page.goto(f"{site.url}/invoices")
    expect(page.get_by_role("region", name="Next bill").get_by_role("listitem")).to_have_text(
        re.compile(r"^Analytics\+\$")
    )
    page.get_by_role("list", name="Invoices, newest first").get_by_role("link").first.click()
    expect(page.get_by_role("heading", name="Analytics+", exact=True)).to_be_visible()
    expect(page.locator(".equation")).to_contain_text("$17.95 × 7")
    expect(page.get_by_role("link", name="PDF")).to_be_visible()
    document = page.request.get(site.url + (page.get_by_role("link", name="PDF").get_attribute("href") or ""))
    assert document.headers["content-type"] == "application/pdf"
    assert document.body().startswith(b"%PDF-")


def test_a_page_follows_what_others_do(site: Site) -> None:
    """An open Plan tab shows what another Owner bought, without a reload, and leaves open what its reader opened."""
    account = site.account()
    watching = site.enter(account, "oscar")
    expect(watching.locator("#card-analytics_plus .state")).to_have_text("Not in your plan")
    expect(watching.get_by_role("complementary").get_by_role("link", name=re.compile("^Analytics"))).to_be_visible()
    why_not = watching.locator("#card-aircall_ai details")
    why_not.locator("summary").click()
    buying = site.enter(account, "olivia")
    buy(buying)
    expect(buying.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
    expect(watching.locator("#card-analytics_plus .state")).to_have_text("Active")
    expect(watching.get_by_role("complementary").get_by_role("link", name=re.compile("^Analytics"))).to_have_count(0)
    assert why_not.evaluate("details => details.open")


def test_a_page_follows_the_account(site: Site) -> None:
    """An open Plan tab shows the price for the seats that the account system says, without a reload."""
    account = site.account()
    page = site.enter(account, "olivia")
    expect(page.locator("#card-analytics_plus .price")).to_contain_text("for your 7 seats")
    [fact] = site.log(account, AccountUpdated)
    site.state(fact.model_copy(update={"revision": 2, "licenses": Licenses(standard=9)}))
    expect(page.locator("#card-analytics_plus .price")).to_contain_text("for your 9 seats")


def test_an_open_page_never_mixes_two_people(site: Site) -> None:
    """A page whose browser has become somebody else, or nobody, turns into theirs with the next change."""
    here, there = site.account(), site.account(sales_managed=True)
    page = site.enter(here, "olivia")
    other = page.context.new_page()
    other.goto(f"{site.url}/plan")
    other.get_by_text("Switch role").click()
    other.get_by_label("Be somebody else").select_option(f"{there} sam")
    other.get_by_role("button", name="Switch", exact=True).click()
    changing = site.enter(here, "adam", "/try/aircall_ai")
    changing.get_by_role("button", name="Start the free trial").click()
    expect(page.locator(".who-text")).to_contain_text("Sam")
    expect(page.locator("#card-analytics_plus")).to_contain_text("Only an Owner can")

    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    asking = site.enter(there, "sina", "/request/analytics_plus")
    asking.get_by_role("button", name="Send the request").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_session_that_ends_is_said_on_the_open_page(site: Site) -> None:
    """A page whose token expires asks for its stream no more: it becomes the sign-in, which says why."""
    account = site.account()
    page = site.page()
    streams: list[str] = []
    page.on("request", lambda request: streams.append(request.url) if "/live?" in request.url else None)
    seconds_left = 4 - 30  # what clocks may differ by counts for the token
    claims = {"sub": "olivia", "account_id": account}
    page.goto(f"{site.url}/sign-in?next=/plan")
    page.get_by_text("Use a token instead").click()
    page.get_by_label("Token").fill(site.running.keys.sign(claims, site.settings, seconds_left / 3_600))
    page.get_by_role("button", name="Sign in with this token").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    expect(page.get_by_text("Your session has ended: sign in again.")).to_be_visible()
    assert 1 <= len(streams) <= 2
