"""How this process reaches Kafka and Redis: as whom, and over what. Every client is made with what is said here.

Passwords are read from their files when a client is made, and stand nowhere else. A server that refuses a password or
shows a certificate that cannot be trusted will do so again: at the start that ends the process in one line.
"""

import ssl
from pathlib import Path
from typing import Any, Final

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from services.runtime.errors import ConfigurationError
from services.runtime.secret_files import read_secret
from services.runtime.settings import Settings

_KAFKA: Final = "ADDONFLOW_KAFKA"
_REDIS: Final = "ADDONFLOW_REDIS"


def kafka_client(settings: Settings) -> dict[str, Any]:
    """Return what every client of aiokafka takes: where the brokers are, who asks, and over what.

    ConfigurationError when a file that a setting names cannot be used.
    """
    given: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security_protocol,
    }
    if settings.kafka_tls:
        given["ssl_context"] = _tls(
            _KAFKA, settings.kafka_ca_file, settings.kafka_certificate_file, settings.kafka_key_file
        )
    if settings.kafka_sasl and settings.kafka_password_file is not None:
        given |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": read_secret(settings.kafka_password_file, f"{_KAFKA}_PASSWORD_FILE"),
        }
    return given


def redis_client(settings: Settings) -> dict[str, Any]:
    """Return what every client of Redis takes beside its URL; ConfigurationError as above."""
    given: dict[str, Any] = {"driver_info": None}  # it asks for no right to say which library it is
    if settings.redis_password_file is not None:
        password = read_secret(settings.redis_password_file, f"{_REDIS}_PASSWORD_FILE")
        given |= {"username": settings.redis_username, "password": password}
    if settings.redis_url.startswith("rediss://"):
        files = (settings.redis_ca_file, settings.redis_certificate_file, settings.redis_key_file)
        _tls(_REDIS, *files)  # for its errors, in words
        names = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
        given |= {name: str(path) for name, path in zip(names, files, strict=True) if path is not None}
        given |= {"ssl_check_hostname": True}
    return given


def redis_address(settings: Settings) -> str:
    """Return where Redis is, without what may be secret in its URL."""
    return settings.redis_url.partition("://")[2].rpartition("@")[2]


def _tls(prefix: str, ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context that trusts `ca`, else the machine's authorities, and checks names."""
    for path, name in ((ca, "CA"), (certificate, "CERTIFICATE"), (key, "KEY")):
        if path is not None:
            read_secret(path, f"{prefix}_{name}_FILE")
    variable = f"{prefix}_CA_FILE={ca}"
    try:
        context = ssl.create_default_context(cafile=ca)
        if certificate is not None:
            variable = f"{prefix}_CERTIFICATE_FILE={certificate} with {prefix}_KEY_FILE={key}"
            context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"{variable} cannot be used: {getattr(error, 'reason', None) or error}") from error
    return context


async def refuse_if_kafka_refuses(settings: Settings) -> None:
    """Raise ConfigurationError when a broker will not let this process in as it is set up; nothing when one is away.

    aiokafka's clients only say that no broker could be reached. Cost: one connection, where anything can be refused.
    """
    if not settings.kafka_sasl and not settings.kafka_tls:
        return
    client = kafka_client(settings)
    for host, port, _ in collect_hosts(client.pop("bootstrap_servers")):
        try:
            connection = await create_conn(host, port, request_timeout_ms=settings.kafka_request_timeout_ms, **client)
        except (KafkaError, OSError, TimeoutError) as error:
            refusal = _kafka_refusal(error, settings, f"Kafka at {host}:{port}")
            if refusal is not None:
                raise refusal from error
        else:
            connection.close()
            return


def _kafka_refusal(error: BaseException, settings: Settings, where: str) -> ConfigurationError | None:
    if isinstance(error, SaslAuthenticationFailed):
        return ConfigurationError(
            f"{where} refuses user {settings.kafka_username}: set {_KAFKA}_USERNAME and {_KAFKA}_PASSWORD_FILE to "
            "those of a user it knows, or have it know this one by `addonflow access create`"
        )
    if isinstance(error, UnsupportedSaslMechanismError | IllegalSaslStateError):
        return ConfigurationError(
            f"{where} does not take {_KAFKA}_SECURITY_PROTOCOL={settings.kafka_security_protocol} with "
            f"{_KAFKA}_SASL_MECHANISM={settings.kafka_sasl_mechanism}: set them to what this listener takes"
        )
    return _tls_refusal(error, where, _KAFKA)


def redis_refusal(error: RedisError, settings: Settings) -> ConfigurationError | None:
    """Return what to set when Redis refuses this process as it is set up, None for any other trouble."""
    where = f"Redis at {redis_address(settings)}"
    if isinstance(error, AuthenticationError):
        return ConfigurationError(
            f"{where} refuses user {settings.redis_username or 'default'}: set {_REDIS}_USERNAME and "
            f"{_REDIS}_PASSWORD_FILE to a user it knows ({error})"
        )
    if isinstance(error, NoPermissionError):
        return ConfigurationError(
            f"{where} permits user {settings.redis_username or 'default'} too little: run `addonflow access create`, "
            f"or give what `addonflow access show` says ({error})"
        )
    cause: BaseException | None = error
    while cause is not None:
        refusal = _tls_refusal(cause, where, _REDIS)
        if refusal is not None:
            return refusal
        cause = cause.__cause__ or cause.__context__
    return None


def _tls_refusal(error: BaseException, where: str, prefix: str) -> ConfigurationError | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        advice = f"set {prefix}_CA_FILE to the authority that signed it"
        if "expired" in error.verify_message:
            advice = "have it renewed there"
        elif "match" in error.verify_message or "mismatch" in error.verify_message:
            advice = "use a name that is in it, or have it made for this one"
        return ConfigurationError(f"{where} shows a certificate that is not trusted: {error.verify_message}: {advice}")
    return None
