"""A whole deployment on a Kafka and a Valkey that let in nobody without a user; what an operator sees when one errs."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation
from redis import Redis
from typer.testing import CliRunner, Result

from contracts.access import user_of
from contracts.topics import BILLING, EVENTS
from deploy.addonflow.access import grant_on_redis
from deploy.addonflow.main import app
from deploy.addonflow.passwords import REDIS
from services.runtime.settings import Settings
from tests.e2e.services import SERVICES, ServiceProcess
from tests.e2e.test_refusals import refusal
from tests.secured import SecuredKafka, environment

BUY = ("add_on=analytics_plus", "--wait", "--timeout", "30")
TO_ITS_END = ("--from-start", "--until-idle", "2")


@pytest.fixture(scope="module")
def redis_users(secured_kafka: SecuredKafka, valkey_url: str) -> str:
    """Give the URL of a Valkey that knows the users of the secured deployment."""
    asyncio.run(
        grant_on_redis(Settings(namespace=secured_kafka.namespace, redis_url=valkey_url), secured_kafka.passwords)
    )
    return valkey_url


def as_party(kafka: SecuredKafka, redis_url: str, party: str, address: str = "", **changes: Any) -> dict[str, str]:
    """Return the environment of a process that comes in on both servers as a party."""
    said: dict[str, Any] = {
        "redis_url": redis_url,
        "redis_username": user_of(kafka.namespace, party),
        "redis_password_file": kafka.passwords.path(party, REDIS),
        "kafka_session_timeout_ms": 6_000,
        "backoff_ms_max": 500,
        "digest_delay_seconds": 3,
    }
    return environment(kafka.settings(party, address, **(said | changes)))


@pytest.fixture(scope="module")
def services(secured_kafka: SecuredKafka, redis_users: str) -> Iterator[dict[str, ServiceProcess]]:
    """Give the three services, each as its own user, entitlements over TLS."""
    addresses = {"entitlements": secured_kafka.tls}
    with ExitStack() as running:
        started = {}
        for service in SERVICES:
            settings = as_party(
                secured_kafka, redis_users, service, addresses.get(service, ""), kafka_request_timeout_ms=5_000
            )
            started[service] = running.enter_context(ServiceProcess(service, settings))
        for process in started.values():
            process.until_ready()
        yield started


def command(kafka: SecuredKafka, *words: str) -> Result:
    """Run the `addonflow` command as the administrator."""
    return CliRunner().invoke(app, list(words), env=environment(kafka.settings("admin")))


def test_the_story_is_true_where_each_has_its_own_rights(
    secured_kafka: SecuredKafka, services: dict[str, ServiceProcess], redis_users: str
) -> None:
    """With no more rights than the registry gives, each service does all its work, and asks for nothing it may not."""
    with Redis.from_url(redis_users) as redis:
        redis.acl_log_reset()
        played = command(secured_kafka, "story", "--digest-wait", "30")
        assert played.exit_code == 0, played.output
        assert redis.acl_log() == []
    for service in services.values():
        assert "not authorized" not in service.log


def test_a_right_that_is_taken_stops_a_service_and_loses_nothing(
    secured_kafka: SecuredKafka, services: dict[str, ServiceProcess]
) -> None:
    """Billing may not write its topic for a while: its log says which, it is not ready; what waited is published."""
    billing = services["billing"]
    secured_kafka.deny("billing", BILLING.name, AclOperation.WRITE)
    try:
        assert command(secured_kafka, "people").exit_code == 0
        bought = command(secured_kafka, *"send PurchaseAddOn account_id=cedar user_id=olivia".split(), *BUY)
        assert bought.exit_code == 0, bought.output
        billing.until_logged(f"{BILLING.name} is not authorized")
        assert billing.until_unready()
    finally:
        secured_kafka.allow("billing", BILLING.name, AclOperation.WRITE)
    billing.until_ready()
    issued = command(secured_kafka, *f"watch --account cedar --topic {BILLING.name}".split(), *TO_ITS_END)
    assert issued.output.count("InvoiceIssued") == 1, issued.output


def test_a_wrong_password_of_kafka_ends_the_start_in_one_line(
    secured_kafka: SecuredKafka, redis_users: str, tmp_path: Path
) -> None:
    """The line says where, as whom, and what to set; it does not repeat the password."""
    (tmp_path / "password").write_text("a-password-that-is-not-it")
    line = refusal(
        "billing", as_party(secured_kafka, redis_users, "billing", kafka_password_file=tmp_path / "password")
    )
    user = user_of(secured_kafka.namespace, "billing")
    assert line.startswith(
        f"addonflow billing: Kafka at {secured_kafka.bootstrap} refuses user {user}: set ADDONFLOW_KAFKA_"
    )
    assert "not-it" not in line


def test_a_wrong_password_of_redis_ends_the_start_in_one_line(
    secured_kafka: SecuredKafka, redis_users: str, tmp_path: Path
) -> None:
    """The same for Redis."""
    (tmp_path / "password").write_text("a-password-that-is-not-it")
    line = refusal(
        "billing", as_party(secured_kafka, redis_users, "billing", redis_password_file=tmp_path / "password")
    )
    assert re.search(
        r"Redis at \S+ refuses user \S+billing: set ADDONFLOW_REDIS_USERNAME and ADDONFLOW_REDIS_PASSWORD_FILE", line
    )
    assert "not-it" not in line


def test_a_missing_right_ends_the_start_in_one_line(secured_kafka: SecuredKafka, redis_users: str) -> None:
    """A topic that a service may not use is hidden from it: the line names topic, user and both commands to run."""
    secured_kafka.deny("notifications", EVENTS.name, AclOperation.READ)
    try:
        line = refusal("notifications", as_party(secured_kafka, redis_users, "notifications"))
    finally:
        secured_kafka.allow("notifications", EVENTS.name, AclOperation.READ)
    user = user_of(secured_kafka.namespace, "notifications")
    assert f"topic {secured_kafka.namespace}{EVENTS.name} is missing, or user {user} may not use it" in line
    assert "`addonflow access create`" in line
    assert "`addonflow topics create`" in line


@pytest.mark.parametrize(
    ("listener", "authority", "said"),
    [
        ("expired", "authority", "certificate has expired: have it renewed there"),
        ("tls", "stranger", "set ADDONFLOW_KAFKA_CA_FILE to the authority that signed it"),
    ],
)
def test_a_certificate_that_is_not_trusted_ends_the_start_in_one_line(
    secured_kafka: SecuredKafka, redis_users: str, listener: str, authority: str, said: str
) -> None:
    """A certificate that expired, or is of an unknown authority: the line says whose, what is wrong, and what to do."""
    address = getattr(secured_kafka, listener)
    settings = secured_kafka.settings(
        "billing", address, kafka_ca_file=getattr(secured_kafka.certificates, authority), redis_url=redis_users
    )
    line = refusal("billing", environment(settings))
    assert line.startswith(f"addonflow billing: Kafka at {address} shows a certificate that is not trusted: ")
    assert line.endswith(said)
