"""The keys of tokens while their source is slow, odd, huge or gone."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from services.runtime import key_set
from services.runtime.authentication import Authentication
from services.runtime.errors import ConfigurationError
from services.runtime.problems import HttpReason, Problem
from services.runtime.settings import Settings
from tests.tokens import Issuer

ISSUER, STRANGER = Issuer(), Issuer(key_id="stranger")
KEYS = {"keys": [ISSUER.public()]}
NESTED = b"[" * 100_000 + b"]" * 100_000
ODD_KEYS: list[Any] = [
    {**Issuer("RS256", "listed").public(), "alg": ["RS256"]},
    {**ISSUER.public(), "kid": ["test"]},
    {**ISSUER.public(), "kid": 7},
    {**ISSUER.public(), "kid": ""},
    {**ISSUER.public(), "kid": "short", "x": "AA"},
    {**ISSUER.public(), "kid": "number", "x": 7},
    {**ISSUER.public(), "kid": "elsewhere", "crv": {"deep": []}},
    {"kty": {}, "kid": "a"},
    None,
    "key",
]
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


def sending(body: bytes, *headers: str, status: str = "200 OK") -> Answer:
    """Return an answer of these bytes."""

    async def send(writer: asyncio.StreamWriter) -> None:
        lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers)
        writer.write("\r\n".join((*lines, "", "")).encode() + body)
        await writer.drain()

    return send


async def drip(writer: asyncio.StreamWriter) -> None:
    """Answer with a key set that takes very long: a byte now and then, for as long as somebody waits."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


class Provider:
    """An identity provider's server: `answer` is what it answers, `asked` and `sent` count requests and bytes."""

    def __init__(self) -> None:
        self.answer = sending(json.dumps(KEYS).encode())
        self.asked = 0
        self.sent = 0
        self.serving: set[Any] = set()

    async def endless(self, writer: asyncio.StreamWriter) -> None:
        """Answer with a key set that has no end."""
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()
            self.sent += 65_536

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.serving.add(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            await self.answer(writer)
        writer.close()


@asynccontextmanager
async def provided() -> AsyncIterator[tuple[Provider, Authentication]]:
    """Give a provider and what has heard its keys."""
    provider = Provider()
    async with await asyncio.start_server(provider.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks.json"
        auth = Authentication(Settings(token_jwks=url))
        auth.check()
        await auth.caller(f"Bearer {ISSUER.token()}")
        yield provider, auth
        if auth._keys is not None and auth._keys._looking is not None:
            auth._keys._looking.cancel()
            await looked(auth)
        await asyncio.gather(*provider.serving)


def age(auth: Authentication, seconds: float) -> None:
    """Let so much time pass since the keys were looked at."""
    assert auth._keys is not None
    auth._keys._looked_at -= seconds


async def looked(auth: Authentication) -> None:
    """Wait until the look that is under way is over."""
    assert auth._keys is not None
    if auth._keys._looking is not None:
        await asyncio.wait({auth._keys._looking})


async def refusal(auth: Authentication, token: str) -> HttpReason | str:
    """Return why a token is not taken."""
    with pytest.raises(Problem) as caught:
        await auth.caller(f"Bearer {token}")
    return caught.value.reason


async def test_a_slow_key_set_stops_no_token_of_a_known_key() -> None:
    """While a new set drips in, tokens that were taken before and new ones of known keys are taken at once."""
    async with provided() as (provider, auth), asyncio.timeout(3):
        provider.answer = drip
        age(auth, 301)
        for user in ("olga", "olga", "sam"):
            assert (await auth.caller(f"Bearer {ISSUER.token(user)}")).subject == user


async def test_a_slow_key_set_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token of a key nobody knows, or a set nobody looked at for long, waits for a new set, but not for ever."""
    async with provided() as (provider, auth), asyncio.timeout(3):
        monkeypatch.setattr(key_set, "_READ_SECONDS", 0.2)
        provider.answer = drip
        age(auth, 11)
        assert await refusal(auth, STRANGER.token()) == HttpReason.TOKEN_INVALID
        age(auth, 3_600)
        assert (await auth.caller(f"Bearer {ISSUER.token()}")).subject == "olga"
        assert provider.asked == 3


async def test_what_is_looked_for_meanwhile_holds_from_then_on() -> None:
    """A key that the new set does not have is good until the set is there, and not a request longer."""
    async with provided() as (provider, auth):
        provider.answer = sending(json.dumps({"keys": [STRANGER.public()]}).encode())
        age(auth, 301)
        assert (await auth.caller(f"Bearer {ISSUER.token()}")).subject == "olga"
        await looked(auth)
        assert await refusal(auth, ISSUER.token()) == HttpReason.TOKEN_INVALID
        assert (await auth.caller(f"Bearer {STRANGER.token()}")).subject == "olga"


async def test_a_set_that_was_left_alone_for_long_is_looked_at_first() -> None:
    """After a quiet time the first token waits for the set: its key may have been taken away long ago."""
    async with provided() as (provider, auth):
        provider.answer = sending(json.dumps({"keys": [STRANGER.public()]}).encode())
        age(auth, 3_600)
        assert await refusal(auth, ISSUER.token()) == HttpReason.TOKEN_INVALID


@pytest.mark.parametrize(
    "answer",
    [
        sending(NESTED),
        sending(b'{"keys": ' + NESTED + b"}"),
        sending(b"<html>"),
        sending(b"\xff\xfe"),
        sending(json.dumps({"keys": ODD_KEYS}).encode()),
        sending(b"", status="500 Internal Server Error"),
        sending(b"", "Location: http://127.0.0.1:9/", status="302 Found"),
        sending(json.dumps(KEYS).encode(), "Content-Encoding: gzip"),
        sending(b""),
        None,
    ],
    ids=["nested", "nested keys", "html", "not utf-8", "odd keys", "500", "302", "compressed", "empty", "cut off"],
)
async def test_what_is_no_key_set_is_asked_for_once(
    answer: Answer | None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the source answers, known keys stay good, the log says so, and it is left alone for a while."""
    monkeypatch.setattr(key_set.log, "disabled", False)  # the import linter's tests configure logging

    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    async with provided() as (provider, auth):
        provider.answer = answer or cut
        age(auth, 11)
        for _ in range(5):
            assert await refusal(auth, STRANGER.token()) == HttpReason.TOKEN_INVALID
        assert provider.asked == 2
        assert (await auth.caller(f"Bearer {ISSUER.token('sam')}")).subject == "sam"
    warnings = [each.getMessage() for each in caplog.records if each.name == "addonflow.authentication"]
    assert [("/jwks.json" in each, "\n" in each) for each in warnings] == [(True, False)]


async def test_a_key_set_without_an_end_is_read_to_its_bound() -> None:
    """Of an answer that is larger than a key set, little more is taken than a key set may have."""
    async with provided() as (provider, auth), asyncio.timeout(3):
        provider.answer = provider.endless
        age(auth, 11)
        assert await refusal(auth, STRANGER.token()) == HttpReason.TOKEN_INVALID
    assert provider.sent < 8_000_000  # what the sockets between hold


async def test_an_odd_key_leaves_the_others_usable() -> None:
    """Beside keys that make no sense, those that do are taken."""
    async with provided() as (provider, auth):
        provider.answer = sending(json.dumps({"keys": [*ODD_KEYS, STRANGER.public()]}).encode())
        age(auth, 11)
        assert (await auth.caller(f"Bearer {STRANGER.token()}")).subject == "olga"


@pytest.mark.parametrize(
    ("purpose", "taken"),
    [
        ({"use": "enc"}, False),
        ({"key_ops": ["deriveBits"]}, False),
        ({"key_ops": 7}, False),
        ({"use": "sig"}, True),
        ({"key_ops": ["verify"]}, True),
    ],
)
def test_a_key_for_something_else_signs_nothing(purpose: dict[str, Any], taken: bool) -> None:
    """A key that is published for encryption is not taken for signatures."""
    document = json.dumps({"keys": [{**ISSUER.public(), **purpose}]})
    assert bool(key_set.read_key_set(document.encode())) is taken


@pytest.mark.parametrize(
    "text", [NESTED, b'{"keys": ' + NESTED + b"}", json.dumps({"keys": ODD_KEYS}).encode(), b" " * 262_145]
)
def test_a_file_that_is_no_key_set_stops_the_start(tmp_path: Path, text: bytes) -> None:
    """Whatever is in the file, the start ends with one line that names the setting."""
    path = tmp_path / "jwks.json"
    path.write_bytes(text)
    with pytest.raises(ConfigurationError, match="ADDONFLOW_TOKEN_JWKS") as caught:
        Authentication(Settings(token_jwks=str(path))).check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://", "https:///jwks.json", "http://localhost:no/", "https://[::1/"])
def test_an_address_that_cannot_be_stops_the_start(url: str) -> None:
    """A URL that is none is a misconfiguration, not something that may come up later."""
    with pytest.raises(ConfigurationError, match="ADDONFLOW_TOKEN_JWKS"):
        Authentication(Settings(token_jwks=url)).check()
