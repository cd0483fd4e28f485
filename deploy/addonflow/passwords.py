"""A random password for every user of Kafka and Redis: what `addonflow keys` makes at first start, a file each.

    <folder>/passwords/<party>/kafka    of its user on Kafka, for ADDONFLOW_KAFKA_PASSWORD_FILE
    <folder>/passwords/<service>/redis  of a service's user on Redis, for ADDONFLOW_REDIS_PASSWORD_FILE
    <folder>/passwords/broker/kafka     with which the broker speaks to itself, and is set up
    <folder>/passwords/redis/users.acl  Redis's own list of users, with digests of their passwords

A folder for each party, so that each can be given its own and no other. What is there is kept; a file that was removed
is made anew, and so a password is replaced. Only the list of users is written each time.
"""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from contracts.access import ADMIN, PARTIES, SERVICES, user_of
from deploy.addonflow.tokens import write_file
from services.runtime.errors import ConfigurationError
from services.runtime.redis_rights import ADMIN_RULES, HEALTH_RULES, rules_of
from services.runtime.secret_files import read_secret
from services.runtime.settings import Settings

BROKER: Final = "broker"
HEALTH: Final = "health"
KAFKA, REDIS = "kafka", "redis"
_BYTES: Final = 32
_OWNER, _GROUP = 0o600, 0o640  # a server in a container of its own reads by the group


@dataclass(frozen=True, slots=True)
class Passwords:
    """The passwords below a folder of keys."""

    folder: Path

    def path(self, party: str, server: str) -> Path:
        """Return where a party's password for a server (`kafka`, `redis`) is."""
        return self.folder / "passwords" / party / server

    @property
    def users(self) -> Path:
        """Redis's own list of users."""
        return self.path(REDIS, "users.acl")

    def read(self, party: str, server: str) -> str:
        """Return a password; ConfigurationError where there is none."""
        return read_secret(self.path(party, server), "the password file")

    def make(self, settings: Settings) -> tuple[Path, ...]:
        """Make what is missing; return which files are new. ConfigurationError where they cannot be written."""
        new = []
        try:
            for party, server in _kept():
                path = self.path(party, server)
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                if not path.exists():
                    write_file(path, secrets.token_urlsafe(_BYTES), _GROUP if party == BROKER else _OWNER)
                    new.append(path)
            self.users.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_file(self.users, self._users_file(settings), _GROUP)
        except OSError as error:
            raise ConfigurationError(f"passwords cannot be written below {self.folder}: {error}") from error
        return tuple(new)

    def of_services(self, settings: Settings) -> dict[str, tuple[str, ...]]:
        """Return the rules of every service's user on Redis, with the digest of its password."""
        return {
            user_of(settings.namespace, service): (
                *rules_of(
                    settings.namespace,
                    service,
                    virtual_clock=settings.virtual_clock,
                    cluster=settings.redis_cluster,
                ),
                self._digest(service),
            )
            for service in SERVICES
        }

    def _digest(self, party: str) -> str:
        return f"#{hashlib.sha256(self.read(party, REDIS).encode()).hexdigest()}"

    def _users_file(self, settings: Settings) -> str:
        admin = {user_of(settings.namespace, ADMIN): (*ADMIN_RULES, self._digest(ADMIN))}
        users = self.of_services(settings) | admin | {HEALTH: HEALTH_RULES, "default": ("off",)}
        return "".join(f"user {name} {' '.join(rules)}\n" for name, rules in users.items())


def _kept() -> Iterator[tuple[str, str]]:
    for party in (*PARTIES, ADMIN, BROKER):
        yield party, KAFKA
    for party in (*SERVICES, ADMIN):
        yield party, REDIS
