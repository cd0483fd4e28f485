"""How the pages look and who can use them: barriers, phones, no JavaScript, other locales, hostile text, pictures."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from contracts.accounts import MemberUpdated
from tests.browser.site import DESK, PHONE, Site

COMMITTED = Path(__file__).parents[2] / "services/dashboard/screenshots"
SCREENSHOTS = COMMITTED if os.environ.get("ADDONFLOW_SCREENSHOTS") == "1" else Path(tempfile.mkdtemp())
"""Where pictures go: a run leaves the committed ones alone, unless it is asked for new ones."""
HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
NOTE = "</blockquote><script>document.title='taken'</script> & \"quoted\""
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
_SERIOUS = {"serious", "critical"}
MEMBER_PAGES = (
    "/plan",
    "/subscribe",
    "/subscribe/aircall_ai",
    "/subscribe/aircall_ai/confirm",
    "/try/aircall_ai",
    "/requests",
    "/requests/decline?add_on=analytics_plus",
    "/requests/snooze?add_on=analytics_plus",
    "/requests/digest",
    "/invoices",
)


@pytest.fixture(scope="module")
def lived_in() -> dict[str, str]:
    """Keep the account that all tests of this module look at."""
    return {}


@pytest.fixture
def account(site: Site, lived_in: dict[str, str]) -> str:
    """Give an account with an add-on, a trial and requests, whose people and notes hold HTML."""
    if "account" not in lived_in:
        account_id = site.account(people={"olivia": "owner", "adam": "admin"}, name="Cedar Support")
        sina = MemberUpdated(
            account_id=account_id, revision=1, user_id="sina", role="supervisor", status="active", name=HOSTILE
        )
        sam = sina.model_copy(update={"user_id": "sam", "name": "Sam Okafor"})
        site.state(sina, sam)
        for user, note in (("sina", NOTE), ("sam", "Call times per team, please. We plan shifts by guesswork.")):
            page = site.enter(account_id, user, "/request/analytics_plus")
            page.get_by_label("Why do you need it?").fill(note)
            page.get_by_role("button", name="Send the request").click()
            expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible()
        page = site.enter(account_id, "adam", "/try/analytics_plus")
        page.get_by_role("button", name="Start the free trial").click()
        expect(page.get_by_role("heading", name="has begun")).to_be_visible()
        lived_in["account"] = account_id
    return lived_in["account"]


def shot(page: Page, name: str, taken: set[str]) -> None:
    """Keep a picture of what is seen, and its name among those that were taken."""
    SCREENSHOTS.mkdir(exist_ok=True)
    taken.add(f"{name}.png")
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def serious(page: Page) -> list[str]:
    """Return what axe finds serious on a page."""
    found = Axe().run(page, options=_RULES).response["violations"]
    return [
        f"{page.url} {each['id']}: {node['html'][:160]}"
        for each in found
        if each["impact"] in _SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_a_serious_barrier(site: Site, account: str, scheme: str) -> None:
    """Axe finds nothing serious on any page of an Owner, in light and dark, on a desk and on a phone."""
    found = []
    for viewport in (DESK, PHONE):
        page = site.enter(account, "olivia", color_scheme=scheme, viewport=viewport)
        for path in MEMBER_PAGES:
            page.goto(site.url + path)
            page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
            found += serious(page)
        page.goto(f"{site.url}/sign-in")
        found += serious(page)
    assert found == []


@pytest.fixture
def done(site: Site, lived_in: dict[str, str]) -> tuple[str, str]:
    """Give an account with a purchase, and the address of its answer."""
    if "done" not in lived_in:
        lived_in["done"] = site.account()
        page = site.enter(lived_in["done"], "olivia", "/subscribe/analytics_plus/confirm")
        page.get_by_role("checkbox").check()
        page.get_by_role("button", name=re.compile("^Buy")).click()
        expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()
        lived_in["answer"] = page.url.removeprefix(site.url)
    return lived_in["done"], lived_in["answer"]


@pytest.mark.parametrize(("scheme", "viewport"), [("light", DESK), ("dark", PHONE)], ids=["light", "dark phone"])
def test_no_page_of_what_is_done_or_of_staff_has_a_barrier(
    site: Site, done: tuple[str, str], scheme: str, viewport: dict[str, int]
) -> None:
    """Answers, refusals, invoices and every page of staff: axe finds nothing serious, none is wider than the window."""
    account, answer = done
    owner = site.enter(account, "olivia", color_scheme=scheme, viewport=viewport)
    staff = site.staff(color_scheme=scheme, viewport=viewport)
    order = f"/back-office/order?id={account}&subscription_id=s&invoice_number={account}-000001&currency=USD&order="
    visits = [(owner, path) for path in (answer, f"/invoices/{account}-000001", "/quote/analytics_plus", "/nowhere")]
    visits += [(owner, f"/answers/dashboard-{'0' * 32}")]
    visits += [(staff, path) for path in ("/back-office", f"/back-office/account?id={account}")]
    visits += [(staff, order + name) for name in ("modify", "cancel", "credit")]
    found = []
    for page, path in visits:
        page.goto(site.url + path)
        found += serious(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], (path, width)
    assert found == []


@pytest.mark.parametrize("user", ["olivia", "adam", "sam"])
def test_a_phone_shows_every_page_whole(site: Site, account: str, user: str) -> None:
    """No page is wider than a phone of 360 pixels."""
    page = site.enter(account, user, viewport=PHONE, has_touch=True, is_mobile=True)
    for path in (*MEMBER_PAGES, "/sign-in"):
        page.goto(site.url + path)
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"], (path, width)


def test_html_in_names_and_notes_is_text(site: Site, account: str) -> None:
    """What members and teams write is shown as they wrote it, and never run, to Owners and to staff."""
    page = site.enter(account, "olivia", "/requests")
    expect(page.get_by_role("heading", name="Team requests")).to_be_visible()
    staff = site.staff(f"/back-office/account?id={account}")
    for each in (page, staff):
        each.goto(each.url)
        assert each.title() != "taken"
        assert each.locator("img[onerror], main script").count() == 0
    expect(page.get_by_role("region", name="Analytics+").get_by_text(HOSTILE)).to_be_visible()
    expect(page.get_by_role("blockquote").get_by_text(NOTE)).to_be_visible()
    expect(staff.get_by_text(NOTE).first).to_be_visible()


def test_pages_work_without_javascript(site: Site) -> None:
    """A purchase goes through with JavaScript off; it only improves the pages."""
    account = site.account()
    page = site.enter(account, "olivia", java_script_enabled=False)
    page.locator("main").get_by_role("link", name="Subscribe now Analytics+").click()
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("^Buy")).click()
    expect(page.get_by_role("heading", name="Analytics+ is yours")).to_be_visible()


@pytest.mark.parametrize(
    ("locale", "price"), [("de-DE", "17,95\u00a0$"), ("en-US", "$17.95"), ("fr-FR", "17,95\u00a0$US")]
)
def test_amounts_are_written_as_the_reader_writes_them(site: Site, account: str, locale: str, price: str) -> None:
    """A reader's own locale writes the prices."""
    page = site.enter(account, "olivia", locale=locale)
    expect(page.locator("#card-analytics_plus .price")).to_contain_text(price)


def test_the_keyboard_reaches_everything(site: Site, account: str) -> None:
    """The first tab stop skips to the content, and the next ones follow the page from top to bottom."""
    page = site.enter(account, "olivia")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("main a").first).to_be_focused()


def _purchase(page: Page, site: Site) -> Iterator[str]:
    page.goto(f"{site.url}/subscribe/aircall_ai")
    yield "price"
    page.get_by_role("link", name="Continue").click()
    yield "confirm"
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name=re.compile("^Buy")).click()
    expect(page.get_by_role("heading", name="Aircall AI is yours")).to_be_visible()
    yield "done"


def test_pictures_of_the_main_pages(site: Site) -> None:
    """Every main page can be pictured, and the pictures that the README shows are among these."""
    taken: set[str] = set()
    account = site.account(
        people={"olivia": "owner", "sam": "supervisor", "adam": "admin", "sina": "supervisor"}, name="Cedar Support"
    )
    for user, add_on, note in (
        ("sam", "analytics_plus", "Call times per team, please."),
        ("sina", "analytics_plus", "We plan shifts by guesswork today."),
        ("sina", "aircall_ai", "So that nobody takes notes."),
    ):
        page = site.enter(account, user, f"/request/{add_on}", viewport=PHONE if user == "sam" else DESK)
        page.get_by_label("Why do you need it?").fill(note)
        if user == "sam":
            shot(page, "request-phone", taken)
        page.get_by_role("button", name="Send the request").click()
        expect(page.get_by_role("heading", name="Your Owners are told")).to_be_visible()
    page = site.enter(account, "adam", "/try/analytics_plus")
    page.get_by_role("button", name="Start the free trial").click()
    expect(page.get_by_role("heading", name="has begun")).to_be_visible()

    page = site.enter(account, "olivia")
    shot(page, "plan", taken)
    shot(site.enter(account, "olivia", color_scheme="dark"), "plan-dark", taken)
    shot(site.enter(account, "olivia", viewport=PHONE), "plan-phone", taken)
    shot(site.enter(account, "sam"), "plan-supervisor", taken)
    for name in _purchase(page, site):
        shot(page, name, taken)
    page.goto(f"{site.url}/requests")
    expect(page.get_by_role("region", name="Analytics+").get_by_role("blockquote")).to_have_count(2)
    bought = page.get_by_role("region", name="Aircall AI")
    expect(bought).to_contain_text("no request since")
    shot(page, "requests", taken)
    page.goto(f"{site.url}/invoices")
    expect(page.get_by_role("heading", name="Invoices")).to_be_visible()
    shot(page, "invoices", taken)
    page.get_by_role("list", name="Invoices, newest first").get_by_role("link").first.click()
    shot(page, "invoice", taken)
    staff = site.staff(f"/back-office/account?id={account}")
    shot(staff, "back-office", taken)
    readme = (COMMITTED.parent / "README.md").read_text("utf-8")
    shown = set(re.findall(r"screenshots/([a-z-]+\.png)", readme))
    assert shown
    assert shown <= taken
