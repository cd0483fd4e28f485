"""What a process refuses to start with in production (ADDONFLOW_ENVIRONMENT=production): one line says what to set.

Refused are: servers without a password, or outside without encryption; passwords, promise keys and signing keys that
are samples or development's own; whatever is for rehearsals alone. A server is outside unless it is this machine, or
its name has no dot: then it is in the same private network, as a container beside this one.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from contracts.promises import PromiseKeys, PromiseKeysError
from services.runtime.errors import ConfigurationError
from services.runtime.secret_files import is_sample, read_secret
from services.runtime.settings import Settings

DEVELOPMENT_KEY = "development-"
"""How the ids of the keys begin that `addonflow keys` makes."""


def load_settings(*, redis: bool = True) -> Settings:
    """Read the environment; ConfigurationError names the first variable that cannot be used, or not in production.

    `redis`: whether this process has one.
    """
    settings = Settings.load()
    refuse_in_production(settings, redis=redis)
    return settings


def refuse_in_production(settings: Settings, *, redis: bool = True) -> None:
    """Raise ConfigurationError for the first setting that production must not have; nothing in development."""
    if settings.environment != "production":
        return
    of_redis = _redis(settings) if redis else ()
    for problem in (*_rehearsal(settings), *_kafka(settings), *of_redis, *_secrets(settings)):
        raise ConfigurationError(f"ADDONFLOW_ENVIRONMENT=production, but {problem}")


def _rehearsal(settings: Settings) -> Iterator[str]:
    if settings.virtual_clock:
        yield "ADDONFLOW_VIRTUAL_CLOCK=true is for rehearsals: unset it"
    if settings.digest_delay_seconds is not None:
        yield "ADDONFLOW_DIGEST_DELAY_SECONDS is for demonstrations: unset it"
    if settings.redis_unsafe_allowed:
        yield "ADDONFLOW_REDIS_UNSAFE_ALLOWED=true may lose what was sold: unset it, and have Redis keep every write"


def _kafka(settings: Settings) -> Iterator[str]:
    protocol = settings.kafka_security_protocol
    if not settings.kafka_sasl and not (settings.kafka_tls and settings.kafka_certificate_file):
        yield (
            f"ADDONFLOW_KAFKA_SECURITY_PROTOCOL={protocol} tells brokers of no user: set it to SASL_SSL, with "
            "ADDONFLOW_KAFKA_USERNAME and ADDONFLOW_KAFKA_PASSWORD_FILE"
        )
    outside = [each for each in settings.kafka_bootstrap.split(",") if _is_outside(each.rpartition(":")[0])]
    if outside and not settings.kafka_tls:
        yield (
            f"what is said to {outside[0]} could be read on the way: set ADDONFLOW_KAFKA_SECURITY_PROTOCOL=SASL_SSL, "
            "and ADDONFLOW_KAFKA_CA_FILE for an authority of your own"
        )


def _redis(settings: Settings) -> Iterator[str]:
    url = urlsplit(settings.redis_url)
    if not url.password and settings.redis_password_file is None:
        yield "Redis is told no password: set ADDONFLOW_REDIS_USERNAME and ADDONFLOW_REDIS_PASSWORD_FILE"
    if url.scheme == "redis" and _is_outside(url.hostname or ""):
        yield f"what is said to {url.hostname} could be read on the way: have ADDONFLOW_REDIS_URL begin with rediss://"
    if url.password and is_sample(url.password):
        yield "ADDONFLOW_REDIS_URL holds a sample or short password: set one of 16 or more random characters"


def _secrets(settings: Settings) -> Iterator[str]:
    files = (
        (settings.kafka_password_file, "ADDONFLOW_KAFKA_PASSWORD_FILE"),
        (settings.redis_password_file, "ADDONFLOW_REDIS_PASSWORD_FILE"),
    )
    for path, variable in files:
        if path is not None and is_sample(read_secret(path, variable)):
            yield f"{variable}={path} holds a sample or short password: put 16 or more random characters there"
    with suppress(PromiseKeysError):  # who uses them says so
        if any(is_sample(each.decode(errors="replace")) for each in PromiseKeys.load(settings.promise_keys).secrets):
            yield "ADDONFLOW_PROMISE_KEYS holds a sample: set secrets of 32 random bytes (`openssl rand -hex 32`)"
    if settings.token_jwks and _of_development(settings.token_jwks):
        yield f"ADDONFLOW_TOKEN_JWKS={settings.token_jwks} is of development: set it to your identity provider's keys"


def _of_development(source: str) -> bool:
    """Whether a file of public keys holds one that `addonflow keys` made."""
    try:
        keys = json.loads(Path(source).read_text("utf-8"))["keys"]
        return any(str(key.get("kid", "")).startswith(DEVELOPMENT_KEY) for key in keys)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # a URL, or what authentication refuses
        return False


def _is_outside(host: str) -> bool:
    host = host.strip("[]")
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return "." in host.rstrip(".")
