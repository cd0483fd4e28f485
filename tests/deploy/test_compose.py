"""The compose file: every container is confined, and sees its own passwords alone."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.access import PARTIES, SERVICES

COMPOSE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text("utf-8"))
CONTAINERS: dict[str, Any] = COMPOSE["services"]
OPERATORS = {"keys", "access", "topics", "cli"}
"""Those that are handed every password: they make users, or are the operators' own."""


def mounts(name: str) -> dict[str, str]:
    """Return the volumes of a container by name, each with where and how it is mounted."""
    return dict(each.split(":", 1) for each in CONTAINERS[name].get("volumes", ()))


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_confined(name: str) -> None:
    """Its files are read-only, it has no capability, gains none, and is not on the host's network."""
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "devices", "pid", "ipc"} & container.keys()
    assert container.get("network_mode", "service:kafka") == "service:kafka"
    assert container.get("user") != "root"


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_sees_its_own_passwords_alone(name: str) -> None:
    """A service mounts its own folder of passwords, read-only; the staff's pages a second one; no other has any."""
    held = {volume: how for volume, how in mounts(name).items() if volume.split("-")[0] == "secrets"}
    if name in OPERATORS:
        return
    own = {"dashboard": {"secrets-dashboard", "secrets-backoffice"}, "kafka": {"secrets-broker"}}
    own |= {"valkey": {"secrets-redis"}} | {service: {f"secrets-{service}"} for service in SERVICES}
    assert held.keys() == own.get(name, set())
    assert all(how.endswith(":ro") for how in held.values())


@pytest.mark.parametrize("service", [*SERVICES, "dashboard"])
def test_a_service_comes_in_as_itself(service: str) -> None:
    """Each process has the user of its own name, and a password from a file; none stands in the environment."""
    environment = CONTAINERS[service]["environment"]
    assert environment["ADDONFLOW_KAFKA_SECURITY_PROTOCOL"] == "SASL_PLAINTEXT"
    assert environment["ADDONFLOW_KAFKA_USERNAME"] == service
    assert environment.get("ADDONFLOW_REDIS_USERNAME", service) == service
    assert service in PARTIES
    assert all(str(text).startswith("/run/") for name, text in environment.items() if "PASSWORD" in name and text)


def test_the_signing_key_is_for_those_who_sign() -> None:
    """The private development key is mounted where tokens are made, and where the role switcher signs: nowhere else."""
    assert {name for name in CONTAINERS if "keys-private" in mounts(name)} == {"keys", "token", "dashboard"}
    assert {name for name in CONTAINERS if "keys-promises" in mounts(name)} == {"keys", "billing", "entitlements"}
