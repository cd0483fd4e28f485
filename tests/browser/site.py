"""A running deployment with its dashboard, as a browser test sees it: accounts of its own, people, and its log.

The stack runs in a thread with an event loop of its own, because Playwright's calls block.
"""

import asyncio
import os
import re
import secrets
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from playwright.sync_api import Browser, BrowserContext, Page, expect

from contracts.accounts import AccountManager, AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.payload import Payload
from deploy.addonflow import connections, stack
from deploy.addonflow.messages import of_payload
from deploy.addonflow.send import publish
from services.dashboard.log import Log
from services.runtime.settings import Settings

T = TypeVar("T")
PARTITIONS = 3
SEND_SECONDS = 2
PEOPLE = {
    "olivia": "owner",
    "oscar": "owner",
    "adam": "admin",
    "sam": "supervisor",
    "sina": "supervisor",
    "gil": "agent",
}
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1180, "height": 840}


@dataclass
class Site:
    """The dashboard of a running deployment."""

    running: stack.Stack
    loop: asyncio.AbstractEventLoop
    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the dashboard is."""
        return f"http://127.0.0.1:{self.running.ports.dashboard}"

    @property
    def settings(self) -> Settings:
        """What reaches the deployment."""
        return self.running.settings

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something in the deployment's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def account(self, *, sales_managed: bool = False, people: dict[str, str] | None = None, **said: Any) -> str:
        """State an account that no other test has, with people; return its id once the dashboard knows them."""
        account_id = f"acct-{secrets.token_hex(4)}"
        manager = AccountManager(name="Mara Lund", email="mara@example.com") if sales_managed else None
        defaults: dict[str, Any] = {
            "name": f"Cedar {account_id[-4:]}",
            "currency": "USD",
            "timezone": "UTC",
            "licenses": Licenses(standard=5, additional=2),
            "billing": Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor="2026-01-15"),
            "payment_method_on_file": True,
        }
        account = AccountUpdated(
            account_id=account_id,
            revision=1,
            status="active",
            sales_managed=sales_managed,
            account_manager=manager,
            **(defaults | said),
        )
        members = [self._member(account_id, user, role) for user, role in (people or PEOPLE).items()]
        self.state(account, *members)
        return account_id

    def _member(self, account_id: str, user_id: str, role: str) -> MemberUpdated:
        return MemberUpdated(
            account_id=account_id,
            revision=1,
            user_id=user_id.lower(),
            role=role,
            status="active",
            name=user_id.capitalize(),
            email=f"{user_id}@example.com",
        )

    def state(self, *facts: Payload) -> None:
        """Publish facts and wait until the dashboard shows the last person of them."""

        async def say() -> None:
            async with connections.producer(self.settings, 10) as producer:
                for fact in facts:
                    await publish(producer, self.settings, of_payload(fact, f"fact-{secrets.token_hex(6)}"))

        self.do(say())
        last = facts[-1]
        if isinstance(last, MemberUpdated):
            page = self.page()
            option = page.locator(f"#who option[value='{last.account_id} {last.user_id}']")
            for _ in range(60):
                page.goto(f"{self.url}/sign-in")
                if option.count():
                    break
                page.wait_for_load_state()
            expect(option).to_have_count(1)
            page.context.close()

    def page(self, **options: Any) -> Page:
        """Open a browser of its own; `options` are those of a Playwright context."""
        settings: dict[str, Any] = {"viewport": DESK, "locale": "en-US", "reduced_motion": "reduce"}
        context = self.browser.new_context(**(settings | options))
        context.set_default_timeout(15_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page

    complaints: list[str] = field(default_factory=list)

    def enter(self, account_id: str, user_id: str, path: str = "/plan", **options: Any) -> Page:
        """Open a browser and be a member in it, on a page."""
        page = self.page(**options)
        self.become(page, f"{account_id} {user_id}")
        self.until_known(page)
        if path != "/plan":
            page.goto(self.url + path)
        return page

    def until_known(self, page: Page) -> None:
        """Wait until entitlements has read who the member is."""
        for _ in range(60):
            known = page.get_by_text(re.compile("not known|You are not a member")).count() == 0
            if known and page.get_by_role("heading", name="Plan", level=1).is_visible():
                return
            page.reload()
        raise AssertionError(page.inner_text("main"))

    def become(self, page: Page, who: str) -> None:
        """Choose who to be."""
        page.goto(f"{self.url}/sign-in")
        page.select_option("#who", who)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url("**/back-office" if who == "staff" else "**/plan")

    def staff(self, path: str = "/back-office", **options: Any) -> Page:
        """Open a browser and be of the vendor's staff."""
        page = self.page(**options)
        self.become(page, "staff")
        page.goto(self.url + path)
        return page

    def log(self, account_id: str, kind: type[Payload]) -> list[Payload]:
        """Return the messages of one type in an account's log."""
        entries = self.do(Log(self.settings).of(account_id))
        return [entry.envelope.data for entry in entries if isinstance(entry.envelope.data, kind)]

    @contextmanager
    def broker_away(self) -> Iterator[None]:
        """Have the broker answer nobody, as when its machine hangs; what reached it before it takes afterwards."""
        broker = next(child for child in self.running.servers if child.name == "kafka")
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(broker.pid, signal.SIGCONT)

    @contextmanager
    def service_away(self, name: str) -> Iterator[None]:
        """Have a service answer nobody for a while."""
        service = next(child for child in self.running.services if child.name == name)
        os.kill(service.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(service.pid, signal.SIGCONT)


@contextmanager
def deployment(folder: Path, extra: dict[str, str]) -> Iterator[tuple[stack.Stack, asyncio.AbstractEventLoop]]:
    """Run a deployment with a dashboard until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    settings = Settings(partitions=PARTITIONS, namespace="")
    running = stack.running(folder, stack.Ports.free(dashboard=True), settings, extra)
    try:
        started = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(120)
        try:
            yield started, loop
        finally:
            asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(60)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
