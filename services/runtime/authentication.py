"""Who calls: a bearer token (JWT) signed with a key of the deployment's key set, and nothing else a request says.

What stays true (`tests/runtime/test_authentication.py`):
- Only asymmetric signatures are taken (EdDSA, ES256, RS256), each by the algorithm of its key, whatever a token's
  header claims. A token names its key, its issuer and audience are this deployment's, and it expires.
- A token says who calls, never what they may do in an account: a member's role is the directory's.
- A member's token is for one account. Staff and products are told by their scope; theirs name none.

Keys come from a file, read again when it changes, or from a URL, fetched again when it is old or when a token names a
key that is not there. A token is verified once; until it expires it is recognised by its text (bounded).
"""

import asyncio
import json
import logging
from collections import OrderedDict
from contextlib import suppress
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
from pydantic import TypeAdapter, ValidationError

from contracts.payload import AccountId, UserId
from services.runtime.clock import SystemClock
from services.runtime.errors import ConfigurationError
from services.runtime.problems import HttpReason, Problem
from services.runtime.settings import Settings

log = logging.getLogger("addonflow.authentication")
STAFF_SCOPE = "addonflow:staff"
PRODUCT_SCOPE = "addonflow:product"
_ALGORITHMS = frozenset({"EdDSA", "ES256", "RS256"})
_LEEWAY_SECONDS = 30
_KEPT_TOKENS_MAX = 10_000
_TOKEN_CHARACTERS_MAX = 8_192
_KEYS_FRESH_SECONDS = 300
_KEYS_RETRY_SECONDS = 10
_KEYS_BYTES_MAX = 262_144
_URLS = ("https://", "http://127.0.0.1:", "http://localhost:")  # elsewhere, keys over plain HTTP could be anybody's
_ACCOUNT = TypeAdapter(AccountId)
_SUBJECT = TypeAdapter(UserId)


class Kind(StrEnum):
    """Who may call: a member of an account, the vendor's staff, or a product that asks before it opens a feature."""

    MEMBER = "member"
    STAFF = "staff"
    PRODUCT = "product"


class Caller(NamedTuple):
    """Who a request comes from. `account_id` is a member's; staff and products have none."""

    kind: Kind
    subject: str
    account_id: str | None
    expires_at: int

    @property
    def accepted_until(self) -> int:
        """When the token is refused from: its end, and what clocks may differ by (seconds of the epoch)."""
        return self.expires_at + _LEEWAY_SECONDS


class KeySet:
    """The keys that tokens may be signed with, by id."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._keys: dict[str, jwt.PyJWK] = {}
        self._stamp: object = None
        self._looked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return a key; None when the set has none of that id. Problem 503 while there is no set at all."""
        asked_at = asyncio.get_running_loop().time()
        fresh_seconds = _KEYS_FRESH_SECONDS if key_id in self._keys else _KEYS_RETRY_SECONDS
        if asked_at - self._looked_at > fresh_seconds:
            await self._refresh(asked_at)
        if not self._keys:
            detail = "The keys that tokens are checked with cannot be had now: try again."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, HttpReason.KEYS_UNAVAILABLE, detail)
        return self._keys.get(key_id)

    @property
    def stamp(self) -> object:
        """Something that differs whenever the keys do."""
        return self._stamp

    async def _refresh(self, asked_at: float) -> None:
        async with self._lock:
            if self._looked_at > asked_at:  # another request has done so meanwhile
                return
            try:
                self._take(await self._read())
            except (OSError, ValueError, httpx.HTTPError, jwt.PyJWTError) as error:
                log.warning("the key set %s cannot be read: %s: %s", self._source, type(error).__name__, error)
            self._looked_at = asyncio.get_running_loop().time()

    async def _read(self) -> bytes:
        if not self._source.startswith(_URLS):
            return await asyncio.to_thread(Path(self._source).read_bytes)
        async with httpx.AsyncClient(timeout=5, follow_redirects=False) as client:
            response = await client.get(self._source)
            response.raise_for_status()
            if len(response.content) > _KEYS_BYTES_MAX:
                raise ValueError("larger than a key set is")
            return response.content

    def _take(self, text: bytes) -> None:
        keys = read_key_set(text)
        if not keys:
            raise ValueError(f"no key of {', '.join(sorted(_ALGORITHMS))} with an id (kid) in it")
        self._keys, self._stamp = keys, text


def read_key_set(text: bytes) -> dict[str, jwt.PyJWK]:
    """Return the usable keys of a JWKS document by id; ValueError when it is none.

    Secrets (`oct`) and private keys are never usable: whoever reads the set could sign.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("not a key set: {'keys': [...]} is wanted")  # noqa: TRY004 - one error for what is read
    keys: dict[str, jwt.PyJWK] = {}
    for each in document["keys"]:
        if not isinstance(each, dict) or each.get("kty") == "oct" or "d" in each or not each.get("kid"):
            continue
        with suppress(jwt.PyJWTError):  # a key of a kind nobody here knows leaves the others usable
            key = jwt.PyJWK.from_dict(each)
            if key.algorithm_name in _ALGORITHMS:
                keys[str(each["kid"])] = key
    return keys


class Authentication:
    """Tells who a bearer token speaks for."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.token_issuer
        self._audience = settings.token_audience
        self._account_claim = settings.token_account_claim
        self._keys = KeySet(settings.token_jwks) if settings.token_jwks else None
        self._seen: OrderedDict[str, tuple[Caller, str]] = OrderedDict()  # with the id of the key
        self._seen_with: object = None
        self._clock = SystemClock()  # a token's life is real time, whatever a rehearsal's clock shows

    def check(self) -> None:
        """Raise ConfigurationError when the key set is a file that cannot serve; a URL may come up later."""
        source = self._keys and self._keys._source  # noqa: SLF001 - its own part
        if not source or source.startswith(_URLS):
            return
        try:
            usable = read_key_set(Path(source).read_bytes())
        except (OSError, ValueError, jwt.PyJWTError) as error:
            raise ConfigurationError(f"ADDONFLOW_TOKEN_JWKS={source} cannot be used: {error}") from error
        if not usable:
            raise ConfigurationError(
                f"ADDONFLOW_TOKEN_JWKS={source} has no public key with an id (kid) that can be used"
            )

    async def caller(self, authorization: str | None) -> Caller:
        """Return who an `Authorization` header speaks for. Problem 401 when it does not, 503 while keys are away."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _refused(HttpReason.TOKEN_MISSING, "A bearer token is needed: sign in first.")
        if self._keys is None:
            raise _refused(
                HttpReason.TOKEN_INVALID, "This deployment knows no keys for tokens: set ADDONFLOW_TOKEN_JWKS."
            )
        if len(token) > _TOKEN_CHARACTERS_MAX:
            raise _invalid("it is too long")
        seen = self._seen.get(token)
        key_id = seen[1] if seen else _key_id_of(token)
        key = await self._keys.key(key_id)
        if self._seen_with is not self._keys.stamp:  # a key that was taken away takes its tokens with it
            self._seen.clear()
            self._seen_with = self._keys.stamp
            seen = None
        if key is None:
            raise _invalid("its key is not one of this deployment's")
        caller = seen[0] if seen else self._verified(token, key)
        if seen is None:
            self._seen[token] = (caller, key_id)
            if len(self._seen) > _KEPT_TOKENS_MAX:
                self._seen.popitem(last=False)
        if caller.accepted_until <= self._clock.now().timestamp():
            raise _invalid("it has expired")
        return caller

    def _verified(self, token: str, key: jwt.PyJWK) -> Caller:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"], "strict_aud": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise _invalid("it has expired") from error
        except jwt.PyJWTError as error:
            raise _invalid("its signature or its claims do not hold") from error
        return self._caller_of(claims)

    def _caller_of(self, claims: dict[str, Any]) -> Caller:
        scopes = set(str(claims.get("scope", "")).split())
        try:
            subject = _SUBJECT.validate_python(claims["sub"])
            if STAFF_SCOPE in scopes:
                return Caller(Kind.STAFF, subject, None, int(claims["exp"]))
            if PRODUCT_SCOPE in scopes:
                return Caller(Kind.PRODUCT, subject, None, int(claims["exp"]))
            account_id = _ACCOUNT.validate_python(claims.get(self._account_claim))
        except ValidationError as error:
            raise _invalid("it names no account and user that can be") from error
        return Caller(Kind.MEMBER, subject, account_id, int(claims["exp"]))


def _key_id_of(token: str) -> str:
    try:
        return str(jwt.get_unverified_header(token).get("kid", ""))
    except jwt.PyJWTError as error:
        raise _invalid("it is no token") from error


def _invalid(why: str) -> Problem:
    return _refused(HttpReason.TOKEN_INVALID, f"This token is not taken: {why}. Sign in again.")


def _refused(reason: HttpReason, detail: str) -> Problem:
    error = ' error="invalid_token"' if reason is HttpReason.TOKEN_INVALID else ""
    headers = {"WWW-Authenticate": f'Bearer realm="addonflow"{error}'}
    return Problem(HTTPStatus.UNAUTHORIZED, reason, detail, headers=headers)
