"""The door of a service: from a request over HTTP to an account's state, and to a decision.

    caller ─▶ allowance ─▶ look: load ─▶ a query
                       └─▶ ask: load ─▶ decide ─▶ evolve ─▶ commit ─▶ the stored answer

Promises, each proven by `tests/entitlements/test_api.py` and `tests/e2e/test_doors.py`:
- A command that is asked here takes the path of one from Kafka: the same decider, commit, inbox and outbox. The same
  command id has one effect and one answer, whichever way it comes and however many ask at once.
- A command id that comes again with another request is refused (422), and has no effect.
- Any process of a service can serve any account: who relays the account's shard publishes what was committed.
- Nothing is waited out: trouble is answered with 503, and the same request may be sent again.
- Nothing is done, or told, before the process has passed its checks; no command is taken before what the log said of
  accounts as the process started is heard (`opening.py`).
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Generic, NamedTuple, TypeVar

from fastapi import Request
from pydantic import TypeAdapter

from contracts.payload import Payload
from contracts.results import CommandResult
from contracts.topics import Topic
from services.runtime import codec
from services.runtime.allowance import Allowance
from services.runtime.authentication import Authentication, Caller, Kind
from services.runtime.clock import Clock
from services.runtime.decision import D, Decider, State
from services.runtime.delivery import Delivery
from services.runtime.handling import Handling
from services.runtime.keys import shard_of
from services.runtime.opening import Opening
from services.runtime.problems import HttpReason, Problem
from services.runtime.settings import Settings
from services.runtime.store import Loaded, Store, Wanted
from services.runtime.tracing import context_of
from services.runtime.unit_of_work import read_document, read_row

_KEPT_DOCUMENTS_MAX = 4_096

A = TypeVar("A", bound=CommandResult)


class Seen(NamedTuple, Generic[D]):
    """An account as it was at one moment; `version` counts its commits, 0 while nobody has said anything about it."""

    version: int
    state: State[D]


class Documents(Generic[D]):
    """Documents as they were read last, so that what did not change is not parsed again; the least used are dropped."""

    def __init__(self, kept_max: int = _KEPT_DOCUMENTS_MAX) -> None:
        self._kept_max = kept_max
        self._kept: OrderedDict[str, tuple[bytes | None, D]] = OrderedDict()

    def read(self, decider: Decider[D], account_id: str, loaded: Loaded) -> D:
        """Return the document of what was loaded."""
        text, document = self._kept.get(account_id, (None, None))
        if document is not None and text == loaded.document:
            self._kept.move_to_end(account_id)
            return document
        document = read_document(decider, loaded)
        self._kept[account_id] = (loaded.document, document)
        if len(self._kept) > self._kept_max:
            self._kept.popitem(last=False)
        return document


@dataclass(frozen=True, slots=True)
class Door(Generic[D]):
    """What the HTTP operations of a service work with. `ending`: the process ends, and with it every stream."""

    decider: Decider[D]
    store: Store
    handling: "Handling[D]"
    clock: Clock
    settings: Settings
    authentication: Authentication
    allowance: Allowance
    opening: Opening
    documents: "Documents[D]" = field(default_factory=Documents)
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def caller(self, request: Request) -> Caller:
        """Tell who calls, and count the request; Problem 401, 429 or 503. A dependency of operations."""
        self.opening.pass_read()
        caller = await self.authentication.caller(request.headers.get("authorization"))
        self.count(caller)
        return caller

    def count(self, caller: Caller, cost: int = 1) -> None:
        """Count what a caller asks for as so many requests; Problem 429. Cost: O(1)."""
        per_minute = self.settings.product_requests_per_minute if caller.kind is Kind.PRODUCT else None
        self.allowance.take(_name_of(caller), per_minute, cost)

    async def look(self, account_id: str, rows: tuple[str, ...] = ()) -> Seen[D]:
        """Load an account and the rows named. Cost: one call to Redis, O(rows named)."""
        shard = shard_of(account_id, self.settings.partitions)
        loaded = await self.store.look(shard, account_id, rows)
        found = {name: read_row(self.decider, name, text) for name, text in zip(rows, loaded.rows, strict=True)}
        return Seen(loaded.version, State(account_id, self.documents.read(self.decider, account_id, loaded), found))

    async def now(self) -> datetime:
        """Return the deployment's time."""
        await self.clock.refresh()
        return self.clock.now()

    async def ask(
        self,
        who: Caller,
        topic: Topic,
        command: Payload,
        command_id: str,
        answers: TypeAdapter[A],
        request: Request,
    ) -> A:
        """Have a command of `topic` decided now, and return its one answer, read as `answers`. Problem 422, 429 or 503.

        `request` is what it came in: its `traceparent` is passed on. Cost: three calls to Redis, and what the command
        leaves there: about 1.4 kB, for as long as answers are kept.
        """
        self.opening.pass_command()
        if who.kind is Kind.MEMBER:
            self.allowance.take(f"{_name_of(who)} commands", self.settings.commands_per_minute)
        digest = codec.digest_of(command)
        shard = shard_of(command.account_id, self.settings.partitions)
        context = request.headers.get("traceparent", "")
        delivery = Delivery.of_request(command, topic, command_id, digest, context if context_of(context) else "")
        await self.handling.handle_request(shard, delivery)
        (loaded,) = await self.store.load(shard, [Wanted(command.account_id, (delivery.cause.key,), ())])
        (stored,) = loaded.answers
        if stored is None:
            detail = "The command could not be decided, and had no effect: the service's log says more."
            raise Problem(HTTPStatus.INTERNAL_SERVER_ERROR, HttpReason.INTERNAL, detail)
        decided, answer = codec.remembered(stored)
        if decided != digest:
            detail = "This idempotency key was used for another request: choose a new one for a new request."
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, HttpReason.IDEMPOTENCY_KEY_REUSED, detail)
        return answers.validate_python(answer)


def _name_of(caller: Caller) -> str:
    return f"{caller.kind} {caller.account_id or ''} {caller.subject}"


def own_account(account_id: str, caller: Caller) -> None:
    """Refuse (403) a member of another account, whether that account exists or not."""
    if caller.kind is not Kind.MEMBER or caller.account_id != account_id:
        detail = "This token is not for that account: sign in to it first."
        raise Problem(HTTPStatus.FORBIDDEN, HttpReason.NOT_PERMITTED, detail)


def staff_only(caller: Caller) -> None:
    """Refuse (403) whoever is not the vendor's staff."""
    if caller.kind is not Kind.STAFF:
        raise Problem(HTTPStatus.FORBIDDEN, HttpReason.NOT_PERMITTED, "Only the vendor's staff may do this.")
