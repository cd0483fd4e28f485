"""Who a token speaks for, and every way in which one is not taken."""

import base64
import hmac
import json
from pathlib import Path
from typing import Any

import jwt
import pytest

from services.runtime.authentication import PRODUCT_SCOPE, STAFF_SCOPE, Authentication, Caller, Kind
from services.runtime.clock import SystemClock
from services.runtime.errors import ConfigurationError
from services.runtime.problems import HttpReason, Problem
from services.runtime.settings import Settings
from tests.tokens import Issuer

ISSUER = Issuer()


def authentication(path: Path, *issuers: Issuer) -> Authentication:
    """Return an authentication that knows the keys of these issuers."""
    first, *others = issuers or (ISSUER,)
    return Authentication(Settings(token_jwks=str(first.write(path / "jwks.json", *others))))


async def refusal(auth: Authentication, header: str | None) -> Problem:
    """Return the problem that a header meets."""
    with pytest.raises(Problem) as caught:
        await auth.caller(header)
    return caught.value


def now() -> int:
    """Return the second it is."""
    return int(SystemClock().now().timestamp())


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
async def test_a_token_of_a_known_key_says_who_calls(tmp_path: Path, algorithm: str) -> None:
    """A member's token of any of the three algorithms speaks for its user in its account."""
    issuer = Issuer(algorithm)
    caller = await authentication(tmp_path, issuer).caller(f"Bearer {issuer.token('olga', 'acme')}")
    assert caller[:3] == Caller(Kind.MEMBER, "olga", "acme", 0)[:3]


@pytest.mark.parametrize(("scope", "kind"), [(STAFF_SCOPE, Kind.STAFF), (f"openid {PRODUCT_SCOPE}", Kind.PRODUCT)])
async def test_staff_and_products_are_told_by_their_scope(tmp_path: Path, scope: str, kind: Kind) -> None:
    """A scope makes a token the staff's or a product's, and then it is for no account, whatever account it names."""
    caller = await authentication(tmp_path).caller(f"Bearer {ISSUER.token('sue', 'acme', scope=scope)}")
    assert (caller.kind, caller.subject, caller.account_id) == (kind, "sue", None)


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic b2xnYTpvbGdh", "olga"])
async def test_a_request_without_a_bearer_token_is_told_to_sign_in(tmp_path: Path, header: str | None) -> None:
    """Without a bearer token the answer is 401 `token_missing`, and says which scheme is wanted."""
    problem = await refusal(authentication(tmp_path), header)
    assert (problem.status, problem.reason) == (401, HttpReason.TOKEN_MISSING)
    assert problem.headers == {"WWW-Authenticate": 'Bearer realm="addonflow"'}


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _made_by_hand(algorithm: str, secret: bytes = b"") -> str:
    """Return the claims of a good token under another algorithm: unsigned, or with a MAC by `secret`."""
    claims = jwt.decode(ISSUER.token(), options={"verify_signature": False})
    signed = f"{_part({'alg': algorithm, 'typ': 'JWT', 'kid': 'test'})}.{_part(claims)}"
    mac = hmac.digest(secret, signed.encode(), "sha256") if secret else b""
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


BAD = {
    "forged: another's key under our id": lambda: Issuer().token(),
    "foreign: a key that is not ours": lambda: Issuer(key_id="other").token(),
    "without a key id": lambda: jwt.encode({"sub": "olga"}, ISSUER.private, "EdDSA"),
    "unsigned": lambda: _made_by_hand("none"),
    "a MAC by the public key": lambda: _made_by_hand("HS256", json.dumps(ISSUER.public()).encode()),
    "changed": lambda: _changed(ISSUER.token()),
    "expired": lambda: ISSUER.token(exp=now() - 60),
    "not valid yet": lambda: ISSUER.token(nbf=now() + 600),
    "of another issuer": lambda: ISSUER.token(iss="elsewhere"),
    "for another audience": lambda: ISSUER.token(aud="elsewhere"),
    "without an expiry": lambda: ISSUER.token(exp=None),
    "without an audience": lambda: ISSUER.token(aud=None),
    "without a user": lambda: ISSUER.token(sub=None),
    "without an account": lambda: ISSUER.token(account_id=None),
    "with an account that cannot be": lambda: ISSUER.token(account_id="two words"),
    "no token": lambda: "abc",
    "far too long": lambda: "a" * 10_000,
}


def _changed(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{header}.{_part(claims | {'account_id': 'other'})}.{signature}"


@pytest.mark.parametrize("name", BAD)
async def test_a_token_that_does_not_hold_is_not_taken(tmp_path: Path, name: str) -> None:
    """Forged, foreign, expired, unsigned or incomplete: the answer is 401 `token_invalid`, and repeats none of it."""
    token = BAD[name]()
    problem = await refusal(authentication(tmp_path), f"Bearer {token}")
    assert (problem.status, problem.reason) == (401, HttpReason.TOKEN_INVALID)
    assert token not in problem.detail


async def test_a_token_that_was_taken_expires_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was verified once is recognised, but not beyond its expiry."""
    auth, token = authentication(tmp_path), ISSUER.token()
    await auth.caller(f"Bearer {token}")
    instant = SystemClock().now()
    later = instant.replace(year=instant.year + 1)
    monkeypatch.setattr(auth._clock, "now", lambda: later)
    assert (await refusal(auth, f"Bearer {token}")).reason == HttpReason.TOKEN_INVALID


async def test_a_key_that_is_taken_away_takes_its_tokens_with_it(tmp_path: Path) -> None:
    """When the set no longer has a key, tokens it signed are refused, even those taken before."""
    second = Issuer(key_id="second")
    auth, token = authentication(tmp_path, ISSUER, second), ISSUER.token()
    await auth.caller(f"Bearer {token}")
    second.write(tmp_path / "jwks.json")
    assert auth._keys is not None
    auth._keys._looked_at = float("-inf")
    assert (await refusal(auth, f"Bearer {token}")).reason == HttpReason.TOKEN_INVALID
    assert (await auth.caller(f"Bearer {second.token()}")).subject == "olga"


async def test_a_new_key_is_found_without_a_restart(tmp_path: Path) -> None:
    """A token that names a key the set did not have has the set read again, but not for every such token."""
    auth = authentication(tmp_path)
    await auth.caller(f"Bearer {ISSUER.token()}")
    new = Issuer(key_id="new")
    ISSUER.write(tmp_path / "jwks.json", new)
    assert (await refusal(auth, f"Bearer {new.token()}")).status == 401
    assert auth._keys is not None
    auth._keys._looked_at -= 11
    assert (await auth.caller(f"Bearer {new.token()}")).subject == "olga"


async def test_a_key_set_that_goes_away_leaves_the_known_keys(tmp_path: Path) -> None:
    """While the set cannot be read, the keys that were read last are good."""
    auth = authentication(tmp_path)
    await auth.caller(f"Bearer {ISSUER.token()}")
    (tmp_path / "jwks.json").unlink()
    assert auth._keys is not None
    auth._keys._looked_at = float("-inf")
    assert (await auth.caller(f"Bearer {ISSUER.token('sam')}")).subject == "sam"


async def test_without_any_keys_a_caller_is_told_to_come_back() -> None:
    """A key set at a URL that never answered is 503 `keys_unavailable`: the token may be good."""
    auth = Authentication(Settings(token_jwks="http://127.0.0.1:9/jwks.json"))
    auth.check()
    problem = await refusal(auth, f"Bearer {ISSUER.token()}")
    assert (problem.status, problem.reason) == (503, HttpReason.KEYS_UNAVAILABLE)


async def test_a_deployment_without_keys_lets_nobody_in() -> None:
    """Where no key set is configured every token is refused, and the answer says what to set."""
    auth = Authentication(Settings())
    auth.check()
    problem = await refusal(auth, f"Bearer {ISSUER.token()}")
    assert (problem.status, "ADDONFLOW_TOKEN_JWKS" in problem.detail) == (401, True)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"keys": 1}', '{"keys": []}', '{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}']
)
def test_a_key_set_that_cannot_serve_stops_the_start(tmp_path: Path, text: str) -> None:
    """A file without a usable public key is a misconfiguration, said in one line with the setting's name."""
    path = tmp_path / "jwks.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="ADDONFLOW_TOKEN_JWKS") as caught:
        Authentication(Settings(token_jwks=str(path))).check()
    assert "\n" not in str(caught.value)


def test_a_private_key_in_the_set_is_no_key(tmp_path: Path) -> None:
    """A set that gives away a private key does not serve: whoever reads it could sign."""
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [ISSUER.secret()]}))
    with pytest.raises(ConfigurationError, match="public key"):
        Authentication(Settings(token_jwks=str(path))).check()
