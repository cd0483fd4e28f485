"""Who calls: a bearer token (JWT) signed with a key of the deployment's key set, and nothing else a request says.

What stays true (`tests/runtime/test_authentication.py`):
- Only asymmetric signatures are taken (EdDSA, ES256, RS256), each by the algorithm of its key, whatever a token's
  header claims. A token names its key, its issuer and audience are this deployment's, and it expires.
- A token says who calls, never what they may do in an account: a member's role is the directory's.
- A member's token is for one account. Staff and products are told by their scope; theirs name none.

Keys come from `key_set.py`. A token is verified once; until it expires it is recognised by its text (bounded).
"""

from collections import OrderedDict
from enum import StrEnum
from http import HTTPStatus
from typing import Any, NamedTuple

import jwt
from pydantic import TypeAdapter, ValidationError

from contracts.payload import AccountId, UserId
from services.runtime.clock import SystemClock
from services.runtime.key_set import KeySet
from services.runtime.problems import HttpReason, Problem
from services.runtime.settings import Settings

STAFF_SCOPE = "addonflow:staff"
PRODUCT_SCOPE = "addonflow:product"
_LEEWAY_SECONDS = 30
_KEPT_TOKENS_MAX = 10_000
_TOKEN_CHARACTERS_MAX = 8_192
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
        """Raise ConfigurationError when the key set cannot serve; what is at a URL may come up later."""
        if self._keys is not None:
            self._keys.check()

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
        if self._keys.empty:
            detail = "The keys that tokens are checked with cannot be had now: try again."
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, HttpReason.KEYS_UNAVAILABLE, detail)
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
