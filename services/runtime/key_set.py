"""The public keys that tokens may be signed with: a JWKS document (RFC 7517) in a file, or at a URL.

What stays true (`tests/runtime/test_key_set.py`):
- A key that is known serves while the set is looked at again, whatever comes of that. Only for a key that nobody here
  knows, or when nobody looked for long, is the set waited for, and no longer than `_READ_SECONDS` in all.
- The set is looked at again when it is old, or when a token names a key that is not there, at most every
  `_RETRY_SECONDS`, whatever it holds. What is too large for one is not read to its end.
- Only public keys for signatures, by an algorithm of ours, are taken. One that is odd leaves the others usable.
"""

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx
import jwt
from pydantic_core import from_json

from services.runtime.errors import ConfigurationError

log = logging.getLogger("addonflow.authentication")
_ALGORITHMS: Final = frozenset({"EdDSA", "ES256", "RS256"})
_FRESH_SECONDS: Final = 300
_OLD_SECONDS: Final = 600
_RETRY_SECONDS: Final = 10
_READ_SECONDS: Final = 5.0
_BYTES_MAX: Final = 262_144
_TOO_LARGE: Final = "larger than a key set is"
_URLS: Final = ("https://", "http://127.0.0.1:", "http://localhost:")  # else keys in plain HTTP could be anybody's


class KeySet:
    """The keys that tokens may be signed with, by id."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: dict[str, jwt.PyJWK] = {}
        self._stamp: object = None
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Raise ConfigurationError when the source cannot serve; what is at a URL may come up later."""
        try:
            if not self._source.startswith(_URLS):
                _read_usable(_read_file(self._source))
            elif not httpx.URL(self._source).host:
                raise httpx.InvalidURL("it names no host")  # noqa: TRY301 - one way out for all that is wrong
        except (OSError, ValueError, httpx.InvalidURL) as error:
            raise ConfigurationError(f"ADDONFLOW_TOKEN_JWKS={self._source} cannot be used: {error}") from error

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return a key; None when the set has none of that id. Cost: a look-up, but for a set that must be read."""
        age_seconds, known = asyncio.get_running_loop().time() - self._looked_at, key_id in self._keys
        if age_seconds > (_FRESH_SECONDS if known else _RETRY_SECONDS):
            if self._looking is None:
                self._looking = asyncio.create_task(self._look())
            if not known or age_seconds > _OLD_SECONDS:
                await asyncio.wait({self._looking})
        return self._keys.get(key_id)

    @property
    def empty(self) -> bool:
        """Whether no set could be read so far."""
        return not self._keys

    @property
    def stamp(self) -> object:
        """Something that differs whenever the keys do."""
        return self._stamp

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(_READ_SECONDS):
                text = await self._read()
            self._keys, self._stamp = _read_usable(text), text
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys that are known stay good
            log.warning("the key set %s cannot be read: %s: %s", self._source, type(error).__name__, error)
        finally:
            self._looked_at = asyncio.get_running_loop().time()
            self._looking = None

    async def _read(self) -> bytes:
        if not self._source.startswith(_URLS):
            return await asyncio.to_thread(_read_file, self._source)
        text = bytearray()
        headers = {"Accept-Encoding": "identity"}  # what is small must not unpack to what is large
        async with (
            httpx.AsyncClient(timeout=_READ_SECONDS, follow_redirects=False, headers=headers) as client,
            client.stream("GET", self._source) as response,
        ):
            encoding = response.headers.get("content-encoding", "identity")
            if (response.status_code, encoding) != (HTTPStatus.OK, "identity"):
                raise ValueError(f"the answer is {response.status_code}, encoding {encoding}")
            async for part in response.aiter_raw():
                text += part
                if len(text) > _BYTES_MAX:
                    raise ValueError(_TOO_LARGE)
        return bytes(text)


def _read_file(path: str) -> bytes:
    with Path(path).open("rb") as file:
        text = file.read(_BYTES_MAX + 1)
    if len(text) > _BYTES_MAX:
        raise ValueError(_TOO_LARGE)
    return text


def _read_usable(text: bytes) -> dict[str, jwt.PyJWK]:
    keys = read_key_set(text)
    if not keys:
        raise ValueError(f"it has no public key of {', '.join(sorted(_ALGORITHMS))} with an id (kid)")
    return keys


def read_key_set(text: bytes) -> dict[str, jwt.PyJWK]:
    """Return the usable keys of a JWKS document by id; ValueError when it is none.

    Secrets (`oct`) and private keys are never usable: whoever reads the set could sign.
    """
    document = from_json(text)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a key set: {'keys': [...]} is wanted")  # noqa: TRY004 - one error for what is read
    keys: dict[str, jwt.PyJWK] = {}
    for each in document["keys"]:
        with suppress(Exception):  # whatever is odd about a key, and however it comes out, the others are usable
            if _may_verify(each):
                key = jwt.PyJWK.from_dict(each)
                if key.algorithm_name in _ALGORITHMS:
                    keys[each["kid"]] = key
    return keys


def _may_verify(key: dict[str, Any]) -> bool:
    secret = key.get("kty") == "oct" or "d" in key
    purpose = key.get("use", "sig") == "sig" and "verify" in key.get("key_ops", ["verify"])
    named = isinstance(key["kid"], str) and key["kid"] != ""  # a token without a key id names no key
    return not secret and purpose and named
