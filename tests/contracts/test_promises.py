"""Price promises: what is read is what was signed, by this deployment, for this account and add-on, or nothing."""

import json
from pathlib import Path

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.utils import base64url_encode

from contracts.promises import NO_KEYS, SECRET_BYTES_MIN, TYPE, PromiseKeys, PromiseKeysError
from tests.promising import KEYS, SECRET, promise, token

OTHER = "another secret that is as long as a secret has to be at least"
HERE = ("acme", "analytics_plus")


def test_what_is_read_is_what_was_signed() -> None:
    """A promise comes back whole, to the microsecond of its moment."""
    made = promise(promised_at="2026-09-30T16:00:00.123456Z")
    assert KEYS.read(token(made), *HERE) == made


def test_a_promise_says_what_it_is() -> None:
    """A token is a compact JWS by HS256 whose header has a type of its own, within what a command may carry."""
    assert jwt.get_unverified_header(token()) == {"alg": "HS256", "typ": TYPE}
    assert token().count(".") == 2
    assert len(token()) < 4_096 / 4


@pytest.mark.parametrize("where", [("globex", "analytics_plus"), ("acme", "aircall_ai"), ("", "")])
def test_a_foreign_promise_is_none(where: tuple[str, str]) -> None:
    """A promise to another account, or for another add-on, is none."""
    assert KEYS.read(token(), *where) is None


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "nonsense", "ü.ü.ü", "\x00", "x" * 4_096, token()[:-3]])
def test_what_is_no_token_is_no_promise(text: str) -> None:
    """Whatever text is sent as a promise, it is read as none, and nothing raises."""
    assert KEYS.read(text, *HERE) is None


@given(position=st.integers(0), letter=st.sampled_from("AZaz09-_."))
def test_a_changed_token_is_no_promise(position: int, letter: str) -> None:
    """No character of header or body can be another: the signature is over both."""
    text = token()
    position %= text.rindex(".")
    changed = text[:position] + letter + text[position + 1 :]
    assert KEYS.read(changed, *HERE) is None or changed == text


def test_a_promise_of_another_deployment_is_none() -> None:
    """A token signed with another secret is none, and where there is no secret every token is."""
    assert KEYS.read(token(keys=PromiseKeys.load(OTHER)), *HERE) is None
    assert NO_KEYS.read(token(), *HERE) is None


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "", TYPE.upper()])
def test_a_token_of_another_type_is_no_promise(kind: str) -> None:
    """What was signed with the same secret for something else is none: the type of its header says so."""
    claims = json.loads(promise().model_dump_json())
    assert KEYS.read(jwt.encode(claims, SECRET, "HS256", headers={"typ": kind}), *HERE) is None


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
def test_only_one_algorithm_is_taken(algorithm: str) -> None:
    """A token without signature, or by another algorithm, is none, whatever its header claims."""
    key = "" if algorithm == "none" else SECRET * 2
    made = jwt.encode(json.loads(promise().model_dump_json()), key, algorithm, headers={"typ": TYPE})
    assert PromiseKeys.load(SECRET * 2).read(made, *HERE) is None


def test_a_header_cannot_choose_how_it_is_verified() -> None:
    """A signature by HS256 does not hold under a header that says none."""
    _, body, signature = token().split(".")
    header = base64url_encode(json.dumps({"alg": "none", "typ": TYPE}).encode()).decode()
    assert KEYS.read(f"{header}.{body}.{signature}", *HERE) is None


@pytest.mark.parametrize("claims", [{}, {"account_id": "acme"}, {"account_id": "acme", "add_on": "analytics_plus"}])
def test_a_signed_half_of_a_promise_is_none(claims: dict[str, str]) -> None:
    """What lacks a part of a promise is none, though it is well signed."""
    assert KEYS.read(jwt.encode(claims, SECRET, "HS256", headers={"typ": TYPE}), *HERE) is None


def test_the_first_secret_signs_and_all_verify() -> None:
    """While a secret is replaced, promises of the old one hold; once it is gone they do not."""
    old, both, new = PromiseKeys.load(SECRET), PromiseKeys.load(f"{OTHER}, {SECRET}"), PromiseKeys.load(OTHER)
    assert both.read(token(keys=old), *HERE) == promise()
    assert new.read(token(keys=both), *HERE) == promise()
    assert new.read(token(keys=old), *HERE) is None


def test_without_a_secret_nothing_is_signed() -> None:
    """A deployment without secrets promises nothing."""
    assert PromiseKeys.load(None) == NO_KEYS
    assert NO_KEYS.sign(promise()) is None


def test_secrets_may_stand_in_a_file(tmp_path: Path) -> None:
    """A file holds secrets line by line or with commas; empty lines count for nothing."""
    path = tmp_path / "keys"
    path.write_text(f"{SECRET}\n\n{OTHER},\n")
    assert PromiseKeys.load(str(path)) == PromiseKeys.load(f"{SECRET},{OTHER}")


@pytest.mark.parametrize(
    "setting", ["", ",", "short", f"{SECRET},short", "x" * (SECRET_BYTES_MIN - 1), "/no/such/file"]
)
def test_bad_secrets_are_refused_without_being_told(setting: str) -> None:
    """A setting that cannot be used is refused in one line, which shows no secret."""
    with pytest.raises(PromiseKeysError) as refused:
        PromiseKeys.load(setting)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not setting or setting not in str(refused.value) or setting == ","


def test_secrets_are_not_shown() -> None:
    """What is printed of the keys, by mistake or in a log, holds no secret."""
    assert "secret" not in repr(KEYS).replace("secrets", "")
