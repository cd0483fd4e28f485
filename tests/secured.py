"""A Kafka with users, rights and TLS, as deploy/kafka.properties sets it up: one broker, one user for each party.

    with SecuredKafka(folder) as kafka:            # `addonflow keys` and `addonflow access create` were run
        kafka.settings("billing")                  # of a process that comes in as billing
        kafka.settings("billing", kafka.tls)       # the same over TLS

Its certificates are made here: a good one, and one that has expired, each on a listener of its own.
"""

import asyncio
import datetime as dt
from pathlib import Path
from typing import Any, Final, Self

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from testcontainers.core.container import DockerContainer

from contracts.access import user_of
from deploy.addonflow import topics
from deploy.addonflow.access import grant_on_kafka, librdkafka_client
from deploy.addonflow.passwords import BROKER, KAFKA, Passwords
from services.runtime.settings import Settings
from tests.containers import KAFKA_IMAGE, free_port, until

_HOST: Final = "127.0.0.1"
_PROPERTIES: Final = Path(__file__).parents[1] / "deploy" / "kafka.properties"
_SCRAM: Final = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_EXPIRED_AT: Final = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


class Certificates:
    """An authority with a certificate that is good and one that has expired; and an authority that signed neither."""

    def __init__(self, folder: Path) -> None:
        """Write the authorities into a folder."""
        authority = trustme.CA()
        self.good = authority.issue_cert(_HOST)
        self.expired = authority.issue_cert(_HOST, not_before=_EXPIRED_AT - dt.timedelta(days=1), not_after=_EXPIRED_AT)
        self.authority, self.stranger = folder / "authority.pem", folder / "stranger.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        trustme.CA().cert_pem.write_to_path(str(self.stranger))


def _pem(certificate: trustme.LeafCert) -> bytes:
    """Return key and chain in one file, the key as Java reads it."""
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + b"".join(
        part.bytes() for part in certificate.cert_chain_pems
    )


class SecuredKafka(DockerContainer):
    """The broker: `bootstrap` is its listener with passwords, `tls` and `expired` those over TLS, by certificate."""

    def __init__(self, folder: Path, namespace: str) -> None:
        """Prepare the broker, and make passwords and certificates in a folder."""
        super().__init__(KAFKA_IMAGE)
        self.namespace = namespace
        self.certificates = Certificates(folder)
        self.passwords = Passwords(folder)
        self.passwords.make(Settings(namespace=namespace))
        names = ("HOST", "BROKER", "TLS", "EXPIRED")
        ports = {name: free_port() for name in names}
        addresses = {name: f"{_HOST}:{port}" for name, port in ports.items()}
        self.bootstrap, self.tls, self.expired = addresses["HOST"], addresses["TLS"], addresses["EXPIRED"]
        self._broker = addresses["BROKER"]
        self.ports = {str(port): (_HOST, port) for port in ports.values()}  # type: ignore[misc]
        self.with_envs(
            CLUSTER_ID="4L6g3nShT-eMCtK--X86sw",
            # The broker's own listener is seen from outside here, because `addonflow access create` runs outside.
            KAFKA_LISTENERS=",".join(
                [*(f"{name}://:{port}" for name, port in ports.items()), "CONTROLLER://localhost:9093"]
            ),
            KAFKA_ADVERTISED_LISTENERS=",".join(f"{name}://{address}" for name, address in addresses.items()),
            KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="HOST:SASL_PLAINTEXT,BROKER:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT,"
            "TLS:SASL_SSL,EXPIRED:SASL_SSL",
            KAFKA_SUPER_USERS=f"User:{BROKER};User:{user_of(namespace, 'admin')}",
            KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS="1",
            KAFKA_HEAP_OPTS="-Xms256m -Xmx512m",
        )
        for name in ("TLS", "EXPIRED"):
            self.with_env(f"KAFKA_LISTENER_NAME_{name}_SSL_KEYSTORE_TYPE", "PEM")
            self.with_env(f"KAFKA_LISTENER_NAME_{name}_SSL_KEYSTORE_LOCATION", f"/run/addonflow/{name}.pem")
            self.with_env(f"KAFKA_LISTENER_NAME_{name}_SCRAM___SHA___512_SASL_JAAS_CONFIG", _SCRAM)
        files = {
            "/mnt/shared/config/server.properties": _PROPERTIES.read_bytes(),
            "/run/addonflow/kafka": self.passwords.read(BROKER, KAFKA).encode(),
            "/run/addonflow/TLS.pem": _pem(self.certificates.good),
            "/run/addonflow/EXPIRED.pem": _pem(self.certificates.expired),
        }
        for path, content in files.items():
            self.with_copy_into_container(content, path, mode=0o644)

    def start(self) -> Self:
        """Start the broker, and give every party its user and rights."""
        super().start()
        until(self.ready, "Kafka")
        asyncio.run(grant_on_kafka(self.as_broker(), self.passwords))
        asyncio.run(topics.create(self.settings("admin"), replication_factor=1))
        return self

    def ready(self) -> bool:
        """Say whether the broker takes requests: its port opens when it does."""
        port = self.bootstrap.rpartition(":")[2]
        return bool(self.get_wrapped_container().exec_run(["nc", "-z", "localhost", port]).exit_code == 0)

    def as_broker(self) -> Settings:
        """Return the settings of who sets the broker up."""
        return Settings(
            namespace=self.namespace,
            kafka_bootstrap=self._broker,
            kafka_security_protocol="SASL_PLAINTEXT",
            kafka_sasl_mechanism="PLAIN",
            kafka_username=BROKER,
            kafka_password_file=self.passwords.path(BROKER, KAFKA),
        )

    def allow(self, party: str, topic: str, operation: AclOperation) -> None:
        """Give a party a right on a topic."""
        binding = self._binding(party, topic, operation)
        admin = AdminClient(librdkafka_client(self.settings("admin")))
        for future in admin.create_acls([binding]).values():
            future.result()

    def deny(self, party: str, topic: str, operation: AclOperation) -> None:
        """Take a right on a topic from a party."""
        each = self._binding(party, topic, operation)
        one = AclBindingFilter(
            each.restype,
            each.name,
            each.resource_pattern_type,
            each.principal,
            each.host,
            each.operation,
            each.permission_type,
        )
        admin = AdminClient(librdkafka_client(self.settings("admin")))
        for future in admin.delete_acls([one]).values():
            assert len(future.result()) == 1

    def _binding(self, party: str, topic: str, operation: AclOperation) -> AclBinding:
        return AclBinding(
            ResourceType.TOPIC,
            self.namespace + topic,
            ResourcePatternType.LITERAL,
            f"User:{user_of(self.namespace, party)}",
            "*",
            operation,
            AclPermissionType.ALLOW,
        )

    def settings(self, party: str, bootstrap: str = "", **changes: Any) -> Settings:
        """Return the settings of a process that comes in as a party."""
        address = bootstrap or self.bootstrap
        said: dict[str, Any] = {
            "namespace": self.namespace,
            "partitions": 1,
            "kafka_bootstrap": address,
            "kafka_security_protocol": "SASL_PLAINTEXT" if address == self.bootstrap else "SASL_SSL",
            "kafka_username": user_of(self.namespace, party),
            "kafka_password_file": self.passwords.path(party, KAFKA),
            "kafka_ca_file": self.certificates.authority,
        }
        return Settings(**(said | changes))


def environment(settings: Settings) -> dict[str, str]:
    """Return settings as the variables of a process."""
    said = settings.model_dump(exclude_defaults=True)
    return {f"ADDONFLOW_{name.upper()}": str(value) for name, value in said.items() if value is not None}
