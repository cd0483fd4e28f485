"""Keys and tokens of development: what the services take, and who may read what."""

import json
import stat
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner, Result

from deploy.addonflow.main import app
from deploy.addonflow.tokens import KeyFolder
from services.runtime.authentication import Authentication, Caller, Kind
from services.runtime.settings import Settings


def invoke(folder: Path, *words: str) -> Result:
    """Run a command on a folder of keys."""
    return CliRunner().invoke(app, [*words, "--keys", str(folder)])


async def caller(folder: Path, *words: str) -> Caller:
    """Sign a token and have a service say whose it is."""
    signed = invoke(folder, "token", *words)
    assert signed.exit_code == 0, signed.output
    authentication = Authentication(Settings(token_jwks=str(KeyFolder(folder).jwks)))
    authentication.check()
    return await authentication.caller(f"Bearer {signed.stdout.strip()}")


async def test_tokens_are_taken_by_the_services(tmp_path: Path) -> None:
    """A token of a member, of staff and of a product is taken as exactly that."""
    assert invoke(tmp_path, "keys").exit_code == 0

    member = await caller(tmp_path, "--account", "acme", "--user", "olga")
    assert member[:3] == (Kind.MEMBER, "olga", "acme")
    assert (await caller(tmp_path, "--staff"))[:3] == (Kind.STAFF, "staff", None)
    assert (await caller(tmp_path, "--staff", "--user", "mara"))[:3] == (Kind.STAFF, "mara", None)
    assert (await caller(tmp_path, "--product", "recorder"))[:3] == (Kind.PRODUCT, "recorder", None)


def test_a_token_lasts_as_long_as_it_says(tmp_path: Path) -> None:
    """--hours is how long a token is taken."""
    invoke(tmp_path, "keys")
    signed = invoke(tmp_path, "token", "--staff", "--hours", "2").stdout.strip()
    claims = jwt.decode(signed, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 2 * 3_600


def test_private_keys_are_for_their_owner(tmp_path: Path) -> None:
    """The private files are for their owner only, and the key set holds nothing that signs."""
    invoke(tmp_path, "keys")
    folder = KeyFolder(tmp_path)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.secrets}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3
    assert stat.S_IMODE(folder.private.stat().st_mode) == 0o700
    [public] = json.loads(folder.jwks.read_text())["keys"]
    assert {"kid", "x", "crv", "alg"} <= set(public)
    assert "d" not in public


def test_keys_that_are_there_are_kept(tmp_path: Path) -> None:
    """A second `keys` changes nothing, so that tokens outlive it; a lost key set is written again."""
    invoke(tmp_path, "keys")
    folder = KeyFolder(tmp_path)
    key, public = folder.signing_key.read_text(), folder.jwks.read_text()
    folder.jwks.unlink()

    assert invoke(tmp_path, "keys").exit_code == 0

    assert (folder.signing_key.read_text(), folder.jwks.read_text()) == (key, public)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--account", "acme"),
        ("--user", "olga"),
        ("--staff", "--product", "recorder"),
        ("--account", "acme", "--user", "olga", "--staff"),
        ("--account", "with space", "--user", "olga"),
    ],
)
def test_a_token_is_of_exactly_one_kind(tmp_path: Path, words: tuple[str, ...]) -> None:
    """What names nobody, or two, ends with status 2 and one line."""
    invoke(tmp_path, "keys")
    result = invoke(tmp_path, "token", *words)
    assert result.exit_code == 2
    assert result.stderr.startswith("addonflow: ")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"kty": "OKP"}'])
def test_without_a_key_the_way_to_one_is_named(tmp_path: Path, content: str | None) -> None:
    """Where there is no usable key, one line says how to make one, with status 78."""
    if content is not None:
        KeyFolder(tmp_path).private.mkdir(parents=True)
        KeyFolder(tmp_path).signing_key.write_text(content)
    result = invoke(tmp_path, "token", "--staff")
    assert result.exit_code == 78
    assert "addonflow keys" in result.stderr
    assert len(result.stderr.splitlines()) == 1
