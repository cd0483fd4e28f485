"""Every setting of the dashboard alone: environment variables with the prefix `ADDONFLOW_DASHBOARD_`.

What all processes share (Kafka, partitions, the key set of tokens, the HTTP port) is `services.runtime.settings`. A
value that cannot be used stops the start with one line (`ConfigurationError`).
"""

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.runtime.errors import ConfigurationError
from services.runtime.secret_files import is_sample
from services.runtime.settings import Settings

SECRET_BYTES_MIN = 32
Url = Annotated[str, Field(pattern=r"^https?://[^/?#]+(/[^?#]*)?$")]


class DashboardSettings(BaseSettings):
    """The settings of the dashboard. Names in the environment: ADDONFLOW_DASHBOARD_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="ADDONFLOW_DASHBOARD_", extra="ignore", frozen=True)

    secret_file: Annotated[
        Path, Field(description="File of at least 32 bytes that sessions are signed with; `addonflow keys` makes one.")
    ]
    public_url: Annotated[
        Url, Field(description="What people type; over https, cookies go over nothing else. Other hosts are refused.")
    ] = "http://127.0.0.1:8080"
    entitlements_url: Annotated[Url, Field(description="Where entitlements answers.")] = "http://127.0.0.1:8081"
    billing_url: Annotated[Url, Field(description="Where billing answers.")] = "http://127.0.0.1:8082"
    notifications_url: Annotated[Url, Field(description="Where notifications answers.")] = "http://127.0.0.1:8083"
    demo_keys: Annotated[
        Path | None,
        Field(description="Folder of a development key: anybody may be anyone. Never where people really buy."),
    ] = None
    backoffice_kafka_username: Annotated[
        str | None, Field(description="The Kafka user of the staff's pages; without, that of the members' pages.")
    ] = None
    backoffice_kafka_password_file: Annotated[Path | None, Field(description="File of its password.")] = None
    request_seconds: Annotated[int, Field(ge=1, le=60, description="How long a service may take to answer a page.")] = 5
    send_seconds: Annotated[int, Field(ge=1, le=60, description="How long Kafka may take to take a command.")] = 5
    answer_seconds: Annotated[
        int, Field(ge=1, le=60, description="How long a click waits for its answer; then the page looks for it itself.")
    ] = 8
    session_hours: Annotated[int, Field(ge=1, le=168, description="Longest life of a session.")] = 12
    answers_max: Annotated[int, Field(ge=100, description="Answers kept in memory, of all accounts.")] = 20_000
    waiting_max: Annotated[int, Field(ge=1, description="Clicks that wait for an answer at the same time.")] = 2_000
    streams_max: Annotated[int, Field(ge=1, description="Pages that are kept up to date at the same time.")] = 2_000
    streams_each_max: Annotated[int, Field(ge=1, description="The same, of one member.")] = 20

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.backoffice_kafka_username is None) != (self.backoffice_kafka_password_file is None):
            raise ValueError(
                "ADDONFLOW_DASHBOARD_BACKOFFICE_KAFKA_USERNAME and ADDONFLOW_DASHBOARD_BACKOFFICE_KAFKA_PASSWORD_FILE "
                "must be set together"
            )
        return self

    @field_validator("demo_keys", mode="before")
    @classmethod
    def _nothing_is_none(cls, text: object) -> object:
        return text or None

    @field_validator("entitlements_url", "billing_url", "notifications_url", "public_url")
    @classmethod
    def _no_trailing_slash(cls, url: str) -> str:
        return url.rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether people come over https."""
        return self.public_url.startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that requests may name: the public one, and this machine where the public one is this machine."""
        host = urlsplit(self.public_url).hostname or ""
        here = frozenset({"127.0.0.1", "localhost", "::1"})
        return here if host in here else frozenset({host})

    def secret(self) -> bytes:
        """Read what sessions are signed with; ConfigurationError when it cannot be used."""
        try:
            secret = self.secret_file.read_bytes().strip()
        except OSError as error:
            message = f"ADDONFLOW_DASHBOARD_SECRET_FILE={self.secret_file} cannot be read: {error.strerror}"
            raise ConfigurationError(message) from error
        if len(secret) < SECRET_BYTES_MIN:
            raise ConfigurationError(
                f"ADDONFLOW_DASHBOARD_SECRET_FILE={self.secret_file} has {len(secret)} bytes: "
                f"at least {SECRET_BYTES_MIN} are needed, `addonflow keys` makes them"
            )
        return secret

    def of_staff(self, settings: Settings) -> Settings:
        """Return the settings by which the staff's pages reach Kafka: their topic has another writer."""
        if self.backoffice_kafka_username is None:
            return settings
        said = {
            "kafka_username": self.backoffice_kafka_username,
            "kafka_password_file": self.backoffice_kafka_password_file,
        }
        return settings.model_copy(update=said)

    def refuse_in_production(self, settings: Settings) -> None:
        """Raise ConfigurationError for the first setting that production must not have; nothing in development."""
        if settings.environment != "production":
            return
        problem = None
        if self.demo_keys is not None:
            problem = f"ADDONFLOW_DASHBOARD_DEMO_KEYS={self.demo_keys} lets anybody be anyone: unset it"
        elif not self.secure:
            problem = (
                f"ADDONFLOW_DASHBOARD_PUBLIC_URL={self.public_url} sends sessions in the clear: set it to https://…"
            )
        elif is_sample(self.secret().decode(errors="replace")):
            problem = f"ADDONFLOW_DASHBOARD_SECRET_FILE={self.secret_file} holds a sample: `addonflow keys` makes one"
        if problem:
            raise ConfigurationError(f"ADDONFLOW_ENVIRONMENT=production, but {problem}")

    @classmethod
    def load(cls) -> Self:
        """Read the environment; ConfigurationError names the first variable that cannot be used."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = "_".join(str(part) for part in first["loc"]).upper()
            if not name:  # about two of them
                raise ConfigurationError(str(first["ctx"]["error"])) from error
            if first["type"] == "missing":
                raise ConfigurationError(
                    f"ADDONFLOW_DASHBOARD_{name} is not set: `addonflow keys` makes what it names"
                ) from error
            raise ConfigurationError(f"ADDONFLOW_DASHBOARD_{name}={first['input']!r}: {first['msg']}") from error
