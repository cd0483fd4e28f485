"""How a process reaches Kafka and Redis: one place for every client, passwords from files, TLS on a real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.addonflow.access import librdkafka_client
from services.runtime.connecting import kafka_client, redis_client
from services.runtime.errors import ConfigurationError
from services.runtime.redis_check import check_redis
from services.runtime.settings import Settings
from services.runtime.store import connect_redis
from services.runtime.subscription import make_broker
from tests.containers import free_port, redis_server
from tests.secured import Certificates

SECRET = "s3cret-of-billing"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """Give a file with a password, as an editor leaves it."""
    (tmp_path / "password").write_text(f"{SECRET}\n")
    return tmp_path / "password"


def secured(password: Path, **changes: Any) -> Settings:
    """Return settings with a user on both servers."""
    said: dict[str, Any] = {
        "kafka_security_protocol": "SASL_PLAINTEXT",
        "kafka_username": "billing",
        "kafka_password_file": password,
        "redis_username": "billing",
        "redis_password_file": password,
    }
    return Settings(**(said | changes))


def test_without_settings_nothing_but_the_address_is_said() -> None:
    """Embedded servers, and any others without users, are reached as before."""
    assert kafka_client(Settings()) == {"bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT"}
    assert redis_client(Settings()) == {"driver_info": None}


def test_the_password_is_what_its_file_holds(password: Path) -> None:
    """User and password go to every client, of both libraries; white space around the password does not."""
    settings = secured(password)
    assert kafka_client(settings) | {"bootstrap_servers": ""} == {
        "bootstrap_servers": "",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "billing",
        "sasl_plain_password": SECRET,
    }
    assert librdkafka_client(settings)["sasl.password"] == SECRET
    assert redis_client(settings) == {"driver_info": None, "username": "billing", "password": SECRET}


async def test_the_subscriber_comes_in_as_every_other_client(password: Path) -> None:
    """FastStream's consumers are given the same user as the clients of our own."""
    builder: Any = await make_broker(secured(password)).connect()
    assert builder.keywords["sasl_plain_username"] == "billing"
    assert builder.keywords["sasl_plain_password"] == SECRET


def test_settings_never_show_a_password(password: Path) -> None:
    """What settings look like, in a log or an error, holds no password and no URL that may hold one."""
    settings = secured(password, redis_url="redis://u:inline-secret@h/0", promise_keys="p" * 32)
    assert SECRET not in repr(settings)
    assert "inline-secret" not in repr(settings)
    assert "p" * 32 not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "ADDONFLOW_KAFKA_USERNAME must be set"),
        ({"KAFKA_USERNAME": "billing"}, "ADDONFLOW_KAFKA_PASSWORD_FILE must be set beside ADDONFLOW_KAFKA_USERNAME"),
        ({"KAFKA_PASSWORD_FILE": "/x"}, "ADDONFLOW_KAFKA_USERNAME must be set beside ADDONFLOW_KAFKA_PASSWORD_FILE"),
        ({"KAFKA_CERTIFICATE_FILE": "/x"}, "ADDONFLOW_KAFKA_KEY_FILE must be set beside"),
        ({"REDIS_USERNAME": "billing"}, "ADDONFLOW_REDIS_PASSWORD_FILE must be set beside"),
        ({"REDIS_KEY_FILE": "/x"}, "ADDONFLOW_REDIS_CERTIFICATE_FILE must be set beside"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "ADDONFLOW_KAFKA_SECURITY_PROTOCOL='TLS'"),
        ({"KAFKA_SASL_MECHANISM": "MD5"}, "ADDONFLOW_KAFKA_SASL_MECHANISM='MD5'"),
        ({"ENVIRONMENT": "staging"}, "ADDONFLOW_ENVIRONMENT='staging'"),
    ],
)
def test_half_of_a_pair_is_named(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], said: str) -> None:
    """What is missing beside a setting, or cannot be, is one line with the variable to set."""
    for name, text in changes.items():
        monkeypatch.setenv(f"ADDONFLOW_{name}", text)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


OVER_TLS = {"kafka_security_protocol": "SASL_SSL"}
TlsServer = tuple[Certificates, int, int]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kafka_password_file": "gone"}, "ADDONFLOW_KAFKA_PASSWORD_FILE=gone cannot be read: No such file"),
        ({"kafka_password_file": "empty"}, "ADDONFLOW_KAFKA_PASSWORD_FILE=empty is empty"),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_ca_file": "gone"},
            "ADDONFLOW_KAFKA_CA_FILE=gone cannot be read",
        ),
        (
            {"kafka_security_protocol": "SASL_SSL", "kafka_ca_file": "text"},
            "ADDONFLOW_KAFKA_CA_FILE=text cannot be used",
        ),
        (
            OVER_TLS | {"kafka_certificate_file": "text", "kafka_key_file": "text"},
            "ADDONFLOW_KAFKA_CERTIFICATE_FILE=text with ADDONFLOW_KAFKA_KEY_FILE=text cannot be used",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, password: Path, changes: dict[str, str], said: str
) -> None:
    """A file that is missing, empty or of another kind is one line with its variable."""
    monkeypatch.chdir(password.parent)
    Path("empty").touch()
    Path("text").write_text("no certificate")
    with pytest.raises(ConfigurationError) as caught:
        kafka_client(secured(password, **changes))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory: pytest.TempPathFactory, redis_server_url: str) -> Iterator[TlsServer]:
    """Give a Redis that speaks TLS alone to clients: certificates, the port of the good and of the expired one."""
    folder = tmp_path_factory.mktemp("tls")
    certificates = Certificates(folder)
    ports = []
    servers: list[Any] = []
    for name, leaf in (("good", certificates.good), ("expired", certificates.expired)):
        leaf.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        leaf.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
        ports.append(free_port())
        options = {
            "tls-port": str(ports[-1]),
            "tls-cert-file": str(folder / f"{name}.pem"),
            "tls-key-file": str(folder / f"{name}.key"),
            "tls-auth-clients": "no",
        }
        servers.append(redis_server(**options))
        servers[-1].__enter__()
    yield certificates, ports[0], ports[1]
    for server in servers:
        server.__exit__(None, None, None)


async def refused(settings: Settings) -> str:
    """Return why the start on a Redis is refused."""
    redis = connect_redis(settings)
    try:
        with pytest.raises(ConfigurationError) as caught:
            await check_redis(redis, settings)
    finally:
        await redis.aclose()
    return str(caught.value)


async def test_redis_is_reached_over_tls(tls_server: TlsServer) -> None:
    """With the authority that signed its certificate, a real Redis is reached over TLS."""
    certificates, good, _ = tls_server
    settings = Settings(redis_url=f"rediss://127.0.0.1:{good}/0", redis_ca_file=certificates.authority)
    redis: Redis = connect_redis(settings)
    await check_redis(redis, settings)
    await redis.aclose()


async def test_a_certificate_of_redis_that_is_not_trusted_is_named(tls_server: TlsServer) -> None:
    """An unknown authority and an expired certificate are one line each: what to set, or what to renew."""
    certificates, good, expired = tls_server
    stranger = Settings(redis_url=f"rediss://127.0.0.1:{good}/0", redis_ca_file=certificates.stranger)
    said = await refused(stranger)
    assert said.startswith(f"Redis at 127.0.0.1:{good}/0 shows a certificate that is not trusted: ")
    assert said.endswith("set ADDONFLOW_REDIS_CA_FILE to the authority that signed it")

    old = Settings(redis_url=f"rediss://127.0.0.1:{expired}/0", redis_ca_file=certificates.authority)
    assert (await refused(old)).endswith("certificate has expired: have it renewed there")


async def test_a_redis_that_wants_a_password_is_named(redis_server_url: str, password: Path) -> None:
    """A user that Redis does not know: one line with both settings, and without the password."""
    said = await refused(Settings(redis_url=redis_server_url, redis_username="nobody", redis_password_file=password))
    assert "refuses user nobody: set ADDONFLOW_REDIS_USERNAME and ADDONFLOW_REDIS_PASSWORD_FILE" in said
    assert SECRET not in said
