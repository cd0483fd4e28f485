"""Keys and tokens of a test: what a deployment's identity provider would issue."""

import json
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from services.runtime.clock import SystemClock

ISSUER = AUDIENCE = "addonflow"
_WRITERS: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}


def _private(algorithm: str) -> Any:
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


class Issuer:
    """An identity provider: signs tokens with one key, whose public half it publishes."""

    def __init__(self, algorithm: str = "EdDSA", key_id: str = "test") -> None:
        self.algorithm = algorithm
        self.key_id = key_id
        self.private = _private(algorithm)

    def public(self) -> dict[str, Any]:
        """Return the public key as a key set has it."""
        return {**_WRITERS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True), "kid": self.key_id}

    def secret(self) -> dict[str, Any]:
        """Return the private key as a careless key set would have it."""
        return {**_WRITERS[self.algorithm].to_jwk(self.private, as_dict=True), "kid": self.key_id}

    def write(self, path: Path, *others: "Issuer") -> Path:
        """Publish the keys of these issuers in a file."""
        path.write_text(json.dumps({"keys": [each.public() for each in (self, *others)]}))
        return path

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Return a token with exactly these claims."""
        return jwt.encode(claims, self.private, self.algorithm, headers={"kid": self.key_id, **header})

    def token(self, user_id: str = "olga", account_id: str | None = "acme", **claims: Any) -> str:
        """Return a token of a member for an hour; `scope` makes it staff's or a product's, None leaves a claim out."""
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "account_id": account_id,
            "exp": int(SystemClock().now().timestamp()) + 3_600,
        }
        return self.sign({name: value for name, value in (said | claims).items() if value is not None})


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
