"""Sends what the customers do, and writes down what became of each sending; nothing is sent twice under a new id.

A record is `ok` when the broker acknowledged it, and indeterminate when it did not: it may stand in the log. A command
over HTTP is `ok` when it was answered; one that was not is asked again with the same key, at another door.
"""

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from contracts.topics import ACCOUNTS
from tests.chaos.campaign.history import History, Status
from tests.chaos.campaign.script import Customer, Step, customer
from tests.e2e.records import Record
from tests.tokens import Issuer, bearer

BUSY: Final = 40  # customers that take their steps beside each other
_TICK_SECONDS: Final = 0.25
_SEND_SECONDS: Final = 10
_OWED_SECONDS_MAX: Final = 10
_ASK_SECONDS: Final = 4
_ASKED_MAX: Final = 5


class Waiting:
    """The commands that were accepted into a log, or are being asked over HTTP, and have no answer yet."""

    def __init__(self) -> None:
        self._sent: set[tuple[str, str]] = set()
        self._answered: set[tuple[str, str]] = set()

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def answered(self) -> int:
        """How many commands were answered."""
        return len(self._answered)

    def sent(self, account: str, command_id: str) -> None:
        """Have a command wait, unless its answer was quicker."""
        if (account, command_id) not in self._answered:
            self._sent.add((account, command_id))

    def heard(self, account: str, command_id: str) -> None:
        """Have a command wait no more."""
        self._answered.add((account, command_id))
        self._sent.discard((account, command_id))

    def gave_up(self, account: str, command_id: str) -> None:
        """Have a command wait no more that perhaps nobody took."""
        self._sent.discard((account, command_id))


class Clients:
    """The parties outside: the account system, dashboards, the back office. `sent` keeps what is in the logs."""

    def __init__(
        self, bootstrap: str, namespace: str, history: History, doors: Callable[[], list[int]], issuer: Issuer
    ) -> None:
        self._bootstrap = bootstrap
        self._namespace = namespace
        self._history = history
        self._doors = doors
        self._issuer = issuer
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._turns = itertools.count()
        self._http = httpx.AsyncClient(timeout=_ASK_SECONDS)
        self.sent: deque[Record] = deque(maxlen=2_000)
        self.waiting = Waiting()

    async def send(self, kind: str, records: Sequence[Record]) -> None:
        """Write records in order and wait for the broker; what it did not acknowledge may be there all the same."""
        numbers = [self._invoke(kind, each) for each in records]
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                producer = await self._connected()
                written = [await self._write(producer, each) for each in records]
                outcomes = await asyncio.gather(*written, return_exceptions=True)
        except (KafkaError, TimeoutError, OSError) as error:
            outcomes = [error] * len(records)
        for number, each, outcome in zip(numbers, records, outcomes, strict=True):
            self._complete(number, outcome)
            if kind in ("fact", "command") and not isinstance(outcome, BaseException):
                self.sent.append(each)
                if kind == "command":
                    self.waiting.sent(each.attributes["ce_subject"], each.id)
        if any(isinstance(each, BaseException) for each in outcomes):
            await self._discard()

    def _invoke(self, kind: str, sent: Record) -> int:
        known = sent.attributes
        account, ce_id = known.get("ce_subject", ""), known.get("ce_id", "")
        return self._history.invoke(kind, topic=sent.topic, account=account, id=ce_id, case=known.get("case", ""))

    def _complete(self, number: int, outcome: Any) -> None:
        if isinstance(outcome, BaseException):
            self._history.complete(number, "indeterminate", why=type(outcome).__name__)
        else:
            self._history.complete(number, "ok", partition=outcome.partition, offset=outcome.offset)

    async def _write(self, producer: AIOKafkaProducer, each: Record) -> Any:
        topic = self._namespace + each.topic
        return await producer.send(topic, each.value, each.key, each.partition, headers=list(each.headers))

    async def _connected(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=4_194_304,
                    request_timeout_ms=5_000,
                    linger_ms=2,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _discard(self) -> None:
        async with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(2):
                    await producer.stop()
                    return
            await producer._sender.close()  # it would try for ever
            await producer.client.close()

    async def ask(self, step: Step) -> None:
        """Send a command over HTTP; ask again, with the same key, while nobody answers."""
        sent = step.record
        account = sent.attributes["ce_subject"]
        number = self._history.invoke("http", topic=sent.topic, account=account, id=sent.id)
        self.waiting.sent(account, sent.id)
        status: Status = "indeterminate"
        heard: dict[str, Any] = {}
        for _ in range(_ASKED_MAX):
            status, heard = await self._ask_once(step, account)
            if status != "indeterminate":
                break
            await asyncio.sleep(_TICK_SECONDS)
        self._history.complete(number, status, **heard)
        if status != "ok":
            self.waiting.gave_up(account, sent.id)

    async def _ask_once(self, step: Step, account: str) -> tuple[Status, dict[str, Any]]:
        doors = self._doors()
        if not doors:
            return "indeterminate", {"why": "no door"}
        port = doors[next(self._turns) % len(doors)]
        headers = bearer(self._issuer.token(step.user, account)) | {"Idempotency-Key": step.record.id}
        try:
            reply = await self._http.post(
                f"http://127.0.0.1:{port}/v1/accounts/{account}/commands", json=step.body, headers=headers
            )
        except httpx.HTTPError as error:
            return "indeterminate", {"why": type(error).__name__}
        body = reply.json() if "json" in reply.headers.get("content-type", "") else {}
        if "command_id" in body:
            return "ok", {"http": reply.status_code, "accepted": reply.status_code == httpx.codes.OK}
        return "indeterminate", {"http": reply.status_code}

    async def close(self) -> None:
        """Let go of the connections."""
        await self._discard()
        await self._http.aclose()


class Load:
    """The steps of all customers: a few at each tick, more when the nemesis wants work in flight."""

    def __init__(self, clients: Clients, seed: int, per_second: float) -> None:
        self._clients = clients
        self._numbers = itertools.count()
        self._seed = seed
        self._per_second = per_second
        self._known: deque[Customer] = deque()
        self._busy: deque[tuple[Customer, deque[Step]]] = deque()
        self._asking: set[asyncio.Task[None]] = set()
        self._sending = asyncio.Lock()
        self.ended = asyncio.Event()
        self.accounts: list[str] = []

    async def know(self, customers: int) -> None:
        """Have the account system tell of so many customers more."""
        new = [customer(self._seed, next(self._numbers)) for _ in range(customers)]
        facts = [fact for each in new for fact in each.facts]
        for first in range(0, len(facts), 500):
            await self._clients.send("fact", facts[first : first + 500])
        self._known += new

    async def run(self) -> None:
        """Send until told to end; what could not be sent while Kafka was away follows, up to a bound."""
        owed, loop = 0.0, asyncio.get_running_loop()
        before = loop.time()
        while not self.ended.is_set():
            now = loop.time()
            owed, before = min(owed + (now - before) * self._per_second, _OWED_SECONDS_MAX * self._per_second), now
            await self.send(int(owed))
            owed -= int(owed)
            await asyncio.sleep(_TICK_SECONDS)

    async def send(self, steps: int) -> None:
        """Take so many steps, of customers in turns."""
        async with self._sending:
            taken = [step for _ in range(steps) if (step := self._next()) is not None]
            for step in (each for each in taken if each.over_http):
                task = asyncio.create_task(self._clients.ask(step))
                self._asking.add(task)
                task.add_done_callback(self._asking.discard)
            records = [each.record for each in taken if not each.over_http]
            facts = [each for each in records if each.topic == ACCOUNTS.name]
            commands = [each for each in records if each.topic != ACCOUNTS.name]
            for kind, part in (("fact", facts), ("command", commands)):
                if part:
                    await self._clients.send(kind, part)

    def _next(self) -> Step | None:
        while len(self._busy) < BUSY and self._known:
            new = self._known.popleft()
            self.accounts.append(new.account_id)
            self._busy.append((new, deque(new.steps)))
        if not self._busy:
            return None
        who, steps = self._busy.popleft()
        step = steps.popleft()
        if steps:
            self._busy.append((who, steps))
        return step

    async def end(self) -> None:
        """Send no more, and wait for what is under way."""
        self.ended.set()
        async with self._sending:
            await asyncio.gather(*self._asking)

    @property
    def waiting(self) -> int:
        """How many customers have not begun."""
        return len(self._known)
