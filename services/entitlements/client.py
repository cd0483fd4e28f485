"""Asks entitlements from a product written in Python, and has an answer whatever happens to the service.

    async with EntitlementsClient("https://entitlements.example", token, fail_open=frozenset({"aircall_ai"})) as client:
        if (await client.check("acme", "analytics_plus")).entitled: ...

Promises (`tests/entitlements/test_client.py`):
- An answer that is fresh costs no call; an older one is asked for again by its ETag, once however many wait for it.
- While the service does not answer, or refuses to of an account, the last that was known good is given, marked stale,
  with its age; when that is older than `stale_seconds_max`, or nothing was ever known, the add-on's policy decides.
- A service that is away is left alone for a while, so that a check then costs nothing but memory. What it refuses of
  one account changes no other's checks; an id that no account can have is not asked about.
- Nothing grows without bound: accounts kept, connections, the time of a check.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from http import HTTPStatus
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from contracts.payload import AccountId

log = logging.getLogger("addonflow.client")
_CONNECTIONS: Final = httpx.Limits(max_connections=20, max_keepalive_connections=10)
_BYTES_MAX: Final = 1_048_576
_PAUSE_SECONDS_MAX: Final = 60.0
_ACCOUNT: Final = TypeAdapter(AccountId)
_REFUSED: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})
_PROBLEM: Final = "urn:addonflow:problem:"


class Answer(NamedTuple):
    """Whether an account may use an add-on, and how old that is; `age_seconds` is None where policy decided."""

    entitled: bool
    age_seconds: float | None
    stale: bool


class _Shown(BaseModel):
    add_on: str
    entitled: bool


class _Document(BaseModel):
    entitlements: tuple[_Shown, ...]


@dataclass(slots=True)
class _Known:
    """What was answered about an account: known good `at`, asked last `asked_at` (the event loop's seconds).

    `entitled` is None while the service itself refuses to say: it knows no such account, or the token may not ask.
    """

    entitled: Mapping[str, bool] | None
    tag: str
    at: float
    asked_at: float


class _NoAnswer(Exception):  # noqa: N818 - named for what happened
    """The service did not say what the account may use."""


class EntitlementsClient:
    """A client of one event loop, to be kept and shared; `async with`, or `aclose`."""

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str],
        *,
        fail_open: AbstractSet[str] = frozenset(),
        fresh_seconds: float = 5,
        stale_seconds_max: float = 3_600,
        timeout_seconds: float = 0.5,
        pause_seconds: float = 1,
        accounts_max: int = 10_000,
    ) -> None:
        """Take the address of entitlements and a product's token (or what gives one, for those that are renewed).

        `fail_open` are the add-ons that may be used while nothing is known of an account; all others may not.
        `pause_seconds`: how long a service that did not answer is left alone.
        """
        self._token = token
        self._fail_open = fail_open
        self._fresh_seconds = fresh_seconds
        self._stale_seconds_max = stale_seconds_max
        self._timeout_seconds = timeout_seconds
        self._pause_seconds = pause_seconds
        self._accounts_max = accounts_max
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._paused_until = float("-inf")
        self._http = httpx.AsyncClient(base_url=base_url, timeout=timeout_seconds, limits=_CONNECTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.aclose()

    async def check(self, account_id: str, add_on: str) -> Answer:
        """Say whether the account may use the add-on. Never raises for what the service or the network does.

        Cost: a look-up while what is known is fresh, else one request, at most `timeout_seconds`.
        """
        now = asyncio.get_running_loop().time()
        known = self._known.get(account_id)
        old = known is None or now - known.asked_at > self._fresh_seconds
        if old and now >= self._paused_until and _may_be(account_id):
            await self._ask_once(account_id)
            now, known = asyncio.get_running_loop().time(), self._known.get(account_id)
        if known is None or known.entitled is None or now - known.at > self._stale_seconds_max:
            return Answer(add_on in self._fail_open, None, stale=True)
        self._known.move_to_end(account_id)
        age = now - known.at
        return Answer(known.entitled.get(add_on, False), age, stale=age > self._fresh_seconds)

    async def _ask_once(self, account_id: str) -> None:
        """Ask, or wait for who asks already. A caller that is cancelled leaves the others their answer."""
        task = self._asking.get(account_id)
        if task is None:
            task = self._asking[account_id] = asyncio.create_task(self._ask(account_id))
            task.add_done_callback(lambda _: self._asking.pop(account_id, None))
        await asyncio.wait({task})

    async def _ask(self, account_id: str) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                known = await self._answer(account_id)
        except Exception as error:  # noqa: BLE001 - also what gives the token may fail, and a check never does
            now = asyncio.get_running_loop().time()
            self._paused_until = max(self._paused_until, now + self._pause_seconds)
            log.warning("no answer of entitlements about %s: %s: %s", account_id, type(error).__name__, error)
            return
        self._known[account_id] = known
        self._known.move_to_end(account_id)
        if len(self._known) > self._accounts_max:
            self._known.popitem(last=False)

    async def _answer(self, account_id: str) -> _Known:
        known = self._known.get(account_id)
        token = self._token if isinstance(self._token, str) else self._token()
        headers = {"Authorization": f"Bearer {token}"}
        if known is not None and known.tag:
            headers["If-None-Match"] = known.tag
        at = asyncio.get_running_loop().time()  # what is told is as old as the question, at most
        response = await self._http.get(f"/v1/accounts/{quote(account_id, safe='')}/entitlements", headers=headers)
        match response.status_code:
            case HTTPStatus.NOT_MODIFIED if known is not None:
                return _Known(known.entitled, known.tag, at, at)
            case HTTPStatus.OK:
                return _Known(_entitled(response.content), response.headers.get("etag", ""), at, at)
            case status if status in _REFUSED and _is_own(response):  # unknown: its store may be lost, we know better
                return replace(known, asked_at=at) if known is not None else _Known(None, "", at, at)
        self._pause_for(response)
        raise _NoAnswer(f"{response.status_code} {response.text[:200]}")

    def _pause_for(self, response: httpx.Response) -> None:
        wanted = response.headers.get("retry-after", "")
        if wanted.isdecimal():
            now = asyncio.get_running_loop().time()
            self._paused_until = max(self._paused_until, now + min(float(wanted), _PAUSE_SECONDS_MAX))


def _entitled(body: bytes) -> Mapping[str, bool]:
    if len(body) > _BYTES_MAX:
        raise _NoAnswer("larger than such an answer is")
    try:
        document = _Document.model_validate_json(body)
    except ValidationError as error:
        raise _NoAnswer(f"not such an answer: {error.errors(include_input=False)[0]['msg']}") from error
    return {each.add_on: each.entitled for each in document.entitlements}


def _is_own(response: httpx.Response) -> bool:
    """Whether a problem is entitlements' own; what a proxy answers says nothing of an account."""
    try:
        return str(response.json()["type"]).startswith(_PROBLEM)
    except (ValueError, KeyError, TypeError):
        return False


def _may_be(account_id: str) -> bool:
    try:
        _ACCOUNT.validate_python(account_id)
    except ValidationError:
        return False
    return True
