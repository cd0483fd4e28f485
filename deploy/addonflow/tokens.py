"""A development key and the tokens it signs: what an identity provider does where there is none.

    <folder>/private/signing-key.json   the Ed25519 key (JWK), for its owner only; who has it can be anybody
    <folder>/private/dashboard-secret   what the dashboard signs its sessions with
    <folder>/public/jwks.json           the public half, for ADDONFLOW_TOKEN_JWKS of the services
    <folder>/promises/secret            what billing signs price promises with, for ADDONFLOW_PROMISE_KEYS

What is there is kept: tokens outlive a second `addonflow keys`.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from pydantic import TypeAdapter, ValidationError

from contracts.payload import AccountId, UserId
from services.runtime.authentication import PRODUCT_SCOPE, STAFF_SCOPE
from services.runtime.clock import SystemClock
from services.runtime.errors import ConfigurationError
from services.runtime.production import DEVELOPMENT_KEY
from services.runtime.settings import Settings

DEFAULT_FOLDER: Final = Path(".addonflow/keys")
_ALGORITHM: Final = "EdDSA"
_SECRET_BYTES: Final = 32
_ACCOUNT: Final[TypeAdapter[str]] = TypeAdapter(AccountId)
_SUBJECT: Final[TypeAdapter[str]] = TypeAdapter(UserId)
_KEY: Final = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """Where the keys of a deployment are."""

    folder: Path

    @property
    def private(self) -> Path:
        """The folder that nobody but its owner reads."""
        return self.folder / "private"

    @property
    def signing_key(self) -> Path:
        """The key that tokens are signed with."""
        return self.private / "signing-key.json"

    @property
    def dashboard_secret(self) -> Path:
        """The secret of the dashboard's sessions."""
        return self.private / "dashboard-secret"

    @property
    def promise_secret(self) -> Path:
        """The secret of price promises, which billing and entitlements share."""
        return self.folder / "promises" / "secret"

    @property
    def secrets(self) -> tuple[Path, ...]:
        """Every file that must stay its owner's."""
        return (self.signing_key, self.dashboard_secret, self.promise_secret)

    @property
    def jwks(self) -> Path:
        """The key set that services check tokens with."""
        return self.folder / "public" / "jwks.json"

    def make(self, *, signing: bool = True) -> tuple[Path, ...]:
        """Make what is missing; return which files are new. ConfigurationError where they cannot be written.

        `signing`: also the key that tokens are signed with, and its key set.
        """
        new = []
        try:
            self.private.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.promise_secret.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.jwks.parent.mkdir(parents=True, exist_ok=True)
            if signing and not self.signing_key.exists():
                write_file(self.signing_key, json.dumps(_new_key()), 0o600)
                new.append(self.signing_key)
            for path in (self.dashboard_secret, self.promise_secret):
                if not path.exists():
                    write_file(path, secrets.token_urlsafe(_SECRET_BYTES), 0o600)
                    new.append(path)
            if signing:
                new += self._make_key_set()
        except OSError as error:
            raise ConfigurationError(f"keys cannot be written below {self.folder}: {error}") from error
        return tuple(new)

    def _make_key_set(self) -> list[Path]:
        public = json.dumps({"keys": [_public(self._key())]}, indent=1)
        if self.jwks.exists() and self.jwks.read_text("utf-8") == public:
            return []
        write_file(self.jwks, public, 0o644)
        return [self.jwks]

    def _key(self) -> dict[str, str]:
        try:
            key = _KEY.validate_json(self.signing_key.read_bytes())
            jwt.PyJWK.from_dict({**key, "kid": key["kid"]})
        except (OSError, ValueError, LookupError, jwt.PyJWTError) as error:
            message = f"{self.signing_key} holds no key that can be used: make one with `addonflow keys`"
            raise ConfigurationError(message) from error
        return key

    def sign(self, claims: Mapping[str, Any], settings: Settings, hours: float) -> str:
        """Return a token with these claims, for so many hours, as this deployment's services take it."""
        key = self._key()
        now = SystemClock().now()
        said = {
            "iss": settings.token_issuer,
            "aud": settings.token_audience,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(hours=hours)).timestamp()),
            **claims,
        }
        return jwt.encode(said, jwt.PyJWK.from_dict(key).key, _ALGORITHM, headers={"kid": key["kid"]})


def claims_of(
    account: str | None, user: str | None, product: str | None, settings: Settings, *, staff: bool
) -> dict[str, str]:
    """Return what a token says of a member, of staff or of a product; ValueError when it is not exactly one."""
    kinds = [account is not None, staff, product is not None]
    if sum(kinds) != 1 or (account is not None and user is None):
        raise ValueError("say whose token: --account and --user, --staff, or --product")
    try:
        if account is not None:
            account_id = _ACCOUNT.validate_python(account)
            return {"sub": _SUBJECT.validate_python(user), settings.token_account_claim: account_id}
        if staff:
            return {"sub": _SUBJECT.validate_python(user or "staff"), "scope": STAFF_SCOPE}
        return {"sub": _SUBJECT.validate_python(product), "scope": PRODUCT_SCOPE}
    except ValidationError as error:
        message = "an id is 1 to 128 printable ASCII characters without spaces, an account's without slashes too"
        raise ValueError(message) from error


def _new_key() -> dict[str, Any]:
    private = Ed25519PrivateKey.generate()
    key_id = f"{DEVELOPMENT_KEY}{secrets.token_hex(4)}"
    return {**OKPAlgorithm.to_jwk(private, as_dict=True), "kid": key_id, "alg": _ALGORITHM, "use": "sig"}


def _public(key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: text for name, text in key.items() if name not in {"d", "key_ops"}}


def write_file(path: Path, text: str, mode: int) -> None:
    """Write a file whole, never readable by more than `mode` allows."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(mode)
    fresh.replace(path)
