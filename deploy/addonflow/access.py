"""Gives every party its user on Kafka and Redis and its rights there, and takes the rights that nothing says any more.

Idempotent: run at every start, after each change of a password, of the registry or of a release. Who runs it must be an
administrator on both. Rights are those of `contracts.access` and `services.runtime.redis_rights`.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from contracts.access import ADMIN, PARTIES, SERVICES, Right, rights, user_of
from deploy.addonflow.passwords import KAFKA, Passwords
from deploy.addonflow.rest import reach_redis
from services.runtime import functions
from services.runtime.cluster import everywhere
from services.runtime.connecting import refuse_if_kafka_refuses
from services.runtime.errors import AddonflowError, ConfigurationError
from services.runtime.redis_rights import rules_of
from services.runtime.secret_files import read_secret
from services.runtime.settings import Settings

_SCRAM: Final = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 8_192)
_REQUEST_SECONDS: Final = 30
_ANY_HOST: Final = "*"


@dataclass(frozen=True, slots=True)
class Granted:
    """What was done on Kafka: how many users, and which rights are new and which were taken."""

    users: int
    given: int
    taken: int


async def grant_on_kafka(settings: Settings, passwords: Passwords) -> Granted:
    """Set every party's password and rights. ConfigurationError or AddonflowError say what stands in the way."""
    await refuse_if_kafka_refuses(settings)
    admin = AdminClient(librdkafka_client(settings), logger=logging.getLogger("addonflow.access"))
    try:
        users = [user_of(settings.namespace, party) for party in PARTIES]
        await _set_passwords(admin, settings.namespace, passwords)
        wanted = {_binding(right) for right in rights(settings.namespace)}
        there = set()
        for user in users:
            there |= set(await _done(admin.describe_acls(_all_of(user), request_timeout=_REQUEST_SECONDS)))
        new, old = wanted - there, there - wanted
        if new:
            await _all_done(admin.create_acls(list(new), request_timeout=_REQUEST_SECONDS))
        if old:
            await _all_done(admin.delete_acls([_filter_of(each) for each in old], request_timeout=_REQUEST_SECONDS))
    except KafkaException as error:
        raise _refused(error, settings) from error
    return Granted(len(users) + 1, len(new), len(old))


async def _set_passwords(admin: AdminClient, namespace: str, passwords: Passwords) -> None:
    upserts: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user_of(namespace, party), _SCRAM, passwords.read(party, KAFKA).encode())
        for party in (*PARTIES, ADMIN)
    ]
    await _all_done(admin.alter_user_scram_credentials(upserts, request_timeout=_REQUEST_SECONDS))


def librdkafka_client(settings: Settings) -> dict[str, Any]:
    """Return what a client of librdkafka takes to reach the brokers: `kafka_client` in its words."""
    given: dict[str, Any] = {
        "bootstrap.servers": settings.kafka_bootstrap,
        "security.protocol": settings.kafka_security_protocol,
        "socket.timeout.ms": min(settings.kafka_request_timeout_ms, _REQUEST_SECONDS * 1_000),
    }
    if settings.kafka_sasl and settings.kafka_password_file is not None:
        given |= {
            "sasl.mechanism": settings.kafka_sasl_mechanism,
            "sasl.username": settings.kafka_username,
            "sasl.password": read_secret(settings.kafka_password_file, "ADDONFLOW_KAFKA_PASSWORD_FILE"),
        }
    files = {
        "ssl.ca.location": settings.kafka_ca_file,
        "ssl.certificate.location": settings.kafka_certificate_file,
        "ssl.key.location": settings.kafka_key_file,
    }
    return given | {name: str(path) for name, path in files.items() if path is not None}


def _binding(right: Right) -> AclBinding:
    return AclBinding(
        ResourceType[right.resource.name],
        right.name,
        ResourcePatternType[right.pattern.name],
        f"User:{right.user}",
        _ANY_HOST,
        AclOperation[right.operation.name],
        AclPermissionType.ALLOW,
    )


def _all_of(user: str) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]  # any name
        ResourcePatternType.ANY,
        f"User:{user}",
        None,  # type: ignore[arg-type]  # any host
        AclOperation.ANY,
        AclPermissionType.ANY,
    )


def _filter_of(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


async def _done(future: "Future[Any]") -> Any:
    return await asyncio.wrap_future(future)


async def _all_done(futures: "Mapping[Any, Future[Any]]") -> None:
    for future in futures.values():
        await _done(future)


def _refused(error: KafkaException, settings: Settings) -> AddonflowError:
    reason: KafkaError = error.args[0]
    if reason.code() == KafkaError.SECURITY_DISABLED:
        return ConfigurationError(
            f"Kafka at {settings.kafka_bootstrap} has no authorizer: set authorizer.class.name there, as "
            "deploy/kafka.properties does"
        )
    return AddonflowError(f"Kafka at {settings.kafka_bootstrap} did not give the rights: {reason.str()}")


async def grant_on_redis(settings: Settings, passwords: Passwords) -> int:
    """Set every service's password and rights, and load this release's functions; return how many users there are.

    Connections that are open keep what they may do until they end.
    """
    users = passwords.of_services(settings)
    async with reach_redis(settings) as redis:
        for name, rules in users.items():
            await everywhere(redis, "ACL SETUSER", name, "reset", *rules)
        await functions.ensure_loaded(redis)
    return len(users)


def kafka_lines(namespace: str, bootstrap: str) -> Iterator[str]:
    """Return the same rights as lines for Kafka's own tool."""
    for right in rights(namespace):
        yield (
            f"kafka-acls.sh --bootstrap-server {bootstrap} --command-config admin.properties --add "
            f"--allow-principal User:{right.user} --operation {right.operation.name.capitalize()} "
            f"--{right.resource} {right.name} --resource-pattern-type {right.pattern}"
        )


def redis_lines(settings: Settings) -> Iterator[str]:
    """Return the same rights as lines for Redis's own tool; PASSWORD stands for each password."""
    for service in SERVICES:
        clock, cluster = settings.virtual_clock, settings.redis_cluster
        rules = rules_of(settings.namespace, service, virtual_clock=clock, cluster=cluster)
        quoted = " ".join(f'"{rule}"' if " " in rule else rule for rule in rules)
        yield f"ACL SETUSER {user_of(settings.namespace, service)} reset {quoted} >PASSWORD"
