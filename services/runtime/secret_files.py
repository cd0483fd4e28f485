"""Passwords and other secrets in files of their own: read when they are needed, never shown."""

from pathlib import Path

from services.runtime.errors import ConfigurationError

PRODUCTION_CHARACTERS_MIN = 16
_DISTINCT_MIN = 6
_SAMPLES = ("change", "example", "password", "sample", "secret", "test")


def read_secret(path: Path, variable: str) -> str:
    """Return what a file holds, without white space around it; ConfigurationError when that is nothing.

    `variable` is the environment variable that named the file.
    """
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"{variable}={path} cannot be read: {why}") from error
    if not text:
        raise ConfigurationError(f"{variable}={path} is empty: `addonflow keys` makes what it names")
    return text


def is_sample(secret: str) -> bool:
    """Whether a secret is short, repeats itself or reads like an example: nothing that production may rest on."""
    plain = secret.casefold()
    return (
        len(secret) < PRODUCTION_CHARACTERS_MIN
        or len(set(secret)) < _DISTINCT_MIN
        or any(plain.startswith(sample) for sample in _SAMPLES)
    )
