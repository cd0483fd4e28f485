"""What a dashboard process is made of, as its pages find it."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from contracts.catalog import Catalog
from contracts.envelope import Envelope
from contracts.payload import Payload
from contracts.results import CommandResult
from contracts.topics import ACCOUNTS, BACKOFFICE, COMMANDS, Topic
from services.dashboard.answers import Answers
from services.dashboard.changes import Changes
from services.dashboard.client import Client
from services.dashboard.demo import Demo
from services.dashboard.log import Log, LogAway
from services.dashboard.reading import HEARD, Reading
from services.dashboard.sending import Sender
from services.dashboard.sessions import Sessions
from services.dashboard.settings import DashboardSettings
from services.runtime.allowance import Allowance
from services.runtime.authentication import Authentication
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.kafka import check_topics
from services.runtime.patience import Patience
from services.runtime.settings import Settings

_LOOK_AFTER_SECONDS = 1.5


class Dashboard:
    """The parts of one process. Nothing is connected before `start`."""

    def __init__(self, settings: Settings, own: DashboardSettings) -> None:
        """Make the parts; ConfigurationError when a secret or key cannot be used."""
        self.settings = settings
        self.own = own
        self.clock = SystemClock()
        self.health = Health(settings.stall_seconds)
        self.sessions = Sessions(own.secret(), own.session_hours, secure=own.secure)
        self.authentication = Authentication(settings)
        self.authentication.check()
        self.allowance = Allowance(settings.requests_per_minute)
        self.demo = Demo(own.demo_keys, settings) if own.demo_keys is not None else None
        self.catalog = Catalog.load(settings.catalog)
        self.client = Client(own)
        self.answers = Answers(own.answers_max, own.waiting_max)
        self.changes = Changes(own.streams_max, own.streams_each_max)
        self._of_staff = own.of_staff(settings)
        self.sender = Sender(settings, self._of_staff, own.send_seconds)
        self.log = Log(settings)
        self.staff_log = Log(self._of_staff)
        self._patience = Patience(self.health, settings.backoff_ms_max)
        self._reading = Reading(settings, self._heard, all_facts=self.demo is not None)
        self._tasks: set[asyncio.Task[None]] = set()

    def _heard(self, topic: Topic, envelope: Envelope) -> None:
        if topic is ACCOUNTS and self.demo is not None:
            self.demo.learn(envelope.data)
        if isinstance(envelope.data, CommandResult):
            self.answers.take(envelope.data)
        self.changes.tell(envelope.account_id)

    async def start(self) -> None:
        """Wait for Kafka, check its topics, and hear what is said; later trouble leaves the pages as they are."""
        wanted = [topic.name for topic in (*HEARD, COMMANDS)]
        await self._patience.until_done("reach Kafka", lambda: check_topics(self.settings, wanted))
        await self._patience.until_done("reach Kafka", lambda: check_topics(self._of_staff, [BACKOFFICE.name]))
        self._spawn(self._reading.run())
        await self._reading.begun.wait()
        self.health.started()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """End what runs, and close every connection."""
        self._patience.stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.sender.stop()
        await self.client.close()

    async def ask(self, command: Payload, command_id: str) -> CommandResult | None:
        """Have a command decided: send it and wait for its one answer; None when that takes longer. NotSent in trouble.

        A command that was answered before is not answered again on the topic: what is not in memory is looked up.
        """
        known = self.answers.get(command.account_id, command_id)
        if known is not None:
            return known
        await self.sender.send(command, command_id)
        soon = await self.answers.wait(command.account_id, command_id, _LOOK_AFTER_SECONDS)
        if soon is not None:
            return soon
        late = asyncio.create_task(self.answers.wait(command.account_id, command_id, self.own.answer_seconds))
        found = await self.find_answer(command.account_id, command_id)
        if found is not None:
            late.cancel()
            return found
        return await late

    async def find_answer(self, account_id: str, command_id: str) -> CommandResult | None:
        """Return the answer to a command that was sent before, from memory or from the log, else None."""
        known = self.answers.get(account_id, command_id)
        if known is not None:
            return known
        try:
            found = await self.log.answer(account_id, command_id)
        except LogAway:
            return None
        if found is not None:
            self.answers.take(found)
        return found
