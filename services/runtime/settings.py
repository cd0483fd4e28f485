"""Every setting of a service: environment variables with the prefix `ADDONFLOW_`, with unit and default.

A value that cannot be used stops the start with one line (`ConfigurationError`).
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.catalog import DEFAULT_CATALOG
from services.runtime.errors import ConfigurationError

_TOGETHER = (
    ("kafka_username", "kafka_password_file"),
    ("kafka_password_file", "kafka_username"),
    ("kafka_certificate_file", "kafka_key_file"),
    ("kafka_key_file", "kafka_certificate_file"),
    ("redis_username", "redis_password_file"),
    ("redis_certificate_file", "redis_key_file"),
    ("redis_key_file", "redis_certificate_file"),
)
Milliseconds = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """The settings of one process. Names in the environment: ADDONFLOW_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="ADDONFLOW_", extra="ignore", frozen=True)

    environment: Annotated[
        Literal["development", "production"],
        Field(description="In production nothing starts that is open, unencrypted, a sample or made for development."),
    ] = "development"
    namespace: Annotated[
        str,
        Field(pattern=r"^[a-z0-9.-]{0,32}$", description="Prefix of every topic, group and key; for shared clusters."),
    ] = ""
    kafka_bootstrap: Annotated[str, Field(description="host:port of Kafka brokers, comma separated.")] = (
        "127.0.0.1:9092"
    )
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Field(description="How brokers are spoken to: with a user and password (SASL), over TLS (SSL), both or none."),
    ] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[
        Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"], Field(description="How the password is proven.")
    ] = "SCRAM-SHA-512"
    kafka_username: Annotated[str | None, Field(description="The user of this process on Kafka, for SASL.")] = None
    kafka_password_file: Annotated[Path | None, Field(description="File of its password, and of nothing else.")] = None
    kafka_ca_file: Annotated[
        Path | None, Field(description="Authorities (PEM) that sign the brokers' certificates; else the machine's own.")
    ] = None
    kafka_certificate_file: Annotated[
        Path | None, Field(description="This process's own certificate (PEM), where brokers ask for one.")
    ] = None
    kafka_key_file: Annotated[Path | None, Field(description="The key of that certificate (PEM).")] = None
    kafka_idempotence: Annotated[
        bool, Field(description="Idempotent producer; off only for a broker that has none (the embedded one).")
    ] = True
    kafka_request_timeout_ms: Annotated[Milliseconds, Field(description="How long one Kafka request may take.")] = (
        40_000
    )
    kafka_session_timeout_ms: Annotated[
        Milliseconds, Field(description="A consumer silent for longer loses its partitions.")
    ] = 10_000
    instance_id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9._-]{1,128}$",
            description="This process's name in its group, of its own and the same after a restart: back within the "
            "session timeout it goes on with its partitions, and no other process notices. Without, all partitions are "
            "shared out again at each start and stop.",
        ),
    ] = None
    partitions: Annotated[
        int, Field(ge=1, le=4_096, description="Partitions of every topic = shards; fixed for a deployment's life.")
    ] = 12
    redis_cluster: Annotated[
        bool, Field(description="The server of the URL is a node of a cluster; the client finds the others through it.")
    ] = False
    redis_url: Annotated[str, Field(repr=False, description="Redis 7+ or Valkey; rediss:// is over TLS.")] = (
        "redis://127.0.0.1:6379/0"
    )
    redis_username: Annotated[str | None, Field(description="The user of this process on Redis.")] = None
    redis_password_file: Annotated[Path | None, Field(description="File of its password, and of nothing else.")] = None
    redis_ca_file: Annotated[
        Path | None, Field(description="Authorities (PEM) that sign Redis's certificate; else the machine's own.")
    ] = None
    redis_certificate_file: Annotated[
        Path | None, Field(description="This process's own certificate (PEM), where Redis asks for one.")
    ] = None
    redis_key_file: Annotated[Path | None, Field(description="The key of that certificate (PEM).")] = None
    redis_timeout_seconds: Annotated[int, Field(ge=1, description="How long one Redis call may take.")] = 10
    redis_unsafe_allowed: Annotated[
        bool, Field(description="Start although Redis may lose acknowledged writes (no AOF, no fsync, evicting).")
    ] = False
    http_host: Annotated[str, Field(description="Where health and metrics are served.")] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535, description="0 picks a free port.")] = 8080
    token_jwks: Annotated[
        str | None,
        Field(description="Public keys of callers' tokens (JWKS): a file, or an https URL. Without, nobody may call."),
    ] = None
    token_issuer: Annotated[str, Field(min_length=1, description="The `iss` of tokens that are taken.")] = "addonflow"
    token_audience: Annotated[str, Field(min_length=1, description="The `aud` of tokens that are taken.")] = "addonflow"
    token_account_claim: Annotated[
        str, Field(min_length=1, description="The claim that holds a member's account id.")
    ] = "account_id"
    request_bytes_max: Annotated[int, Field(ge=1_024, description="Larger request bodies are refused.")] = 65_536
    request_body_seconds: Annotated[int, Field(ge=1, description="A request body must be there so soon.")] = 10
    requests_per_minute: Annotated[
        int, Field(ge=1, description="What one caller may ask of one process in a minute; a tenth of it at once.")
    ] = 1_200
    commands_per_minute: Annotated[
        int,
        Field(
            ge=1,
            description="How many of these may be a member's commands: each, refused or not, takes 1.4 kB of Redis "
            "for as long as answers are kept.",
        ),
    ] = 60
    promise_keys: Annotated[
        str | None,
        Field(
            repr=False,
            description="Secrets of >= 32 bytes that sign price promises, comma separated, or a file (path) of them; "
            "the first signs, all verify. Billing and entitlements share them. Without, nothing is promised.",
        ),
    ] = None
    promise_seconds: Annotated[int, Field(ge=1, le=86_400, description="How long a price promise holds.")] = 900
    product_requests_per_minute: Annotated[
        int, Field(ge=1, description="The same for a product, which asks for all its users.")
    ] = 600_000
    streams_max: Annotated[int, Field(ge=1, description="Streams of changes open at once in one process.")] = 1_000
    streams_per_member_max: Annotated[int, Field(ge=1, description="Of those, one member's.")] = 10
    streams_per_caller_max: Annotated[int, Field(ge=1, description="Of those, one product's, or one of staff's.")] = 500
    stream_seconds_max: Annotated[
        int, Field(ge=1, description="A stream ends after so long, and its caller comes again.")
    ] = 600
    stream_poll_ms: Annotated[
        Milliseconds, Field(description="How often changes of watched accounts are looked for.")
    ] = 500
    catalog: Annotated[Path, Field(description="The price list.")] = DEFAULT_CATALOG
    batch_records_max: Annotated[int, Field(ge=1, le=10_000, description="Records handled at once.")] = 1_000
    batch_wait_ms: Annotated[Milliseconds, Field(description="Longest wait for new records before looking again.")] = 10
    fetch_wait_ms: Annotated[
        Milliseconds, Field(description="Longest a fetch waits at the broker; a partition just read waits that long.")
    ] = 20
    value_bytes_max: Annotated[int, Field(ge=1_024, description="Larger values are dead letters.")] = 262_144
    conflicts_max: Annotated[int, Field(ge=1, description="Tries of one batch against concurrent changes.")] = 20
    backoff_ms_max: Annotated[
        Milliseconds, Field(description="Longest wait between tries when Kafka or Redis is away.")
    ] = 5_000
    inbox_retention_hours: Annotated[int, Field(ge=1, description="How long the answer to a command is kept.")] = 168
    outbox_retention_hours: Annotated[int, Field(ge=1, description="How long published records are kept.")] = 168
    relay_poll_ms: Annotated[Milliseconds, Field(description="How often the outbox is read without being told to.")] = (
        100
    )
    relay_records_max: Annotated[int, Field(ge=1, le=10_000, description="Records published at once per shard.")] = (
        1_000
    )
    relay_save_ms: Annotated[Milliseconds, Field(description="How often the relay's place in the outbox is saved.")] = (
        100
    )
    log_check_ms: Annotated[Milliseconds, Field(description="How often the ends of Kafka's logs are checked.")] = 5_000
    timer_poll_ms: Annotated[Milliseconds, Field(description="How often due timers are looked for.")] = 250
    timer_batch_max: Annotated[int, Field(ge=1, le=10_000, description="Timers claimed at once per shard.")] = 500
    virtual_clock: Annotated[
        bool, Field(description="The time of all services stands still in Redis until `addonflow clock` moves it.")
    ] = False
    clock_skew_seconds_max: Annotated[
        int,
        Field(ge=0, description="How far this machine's clock may be from that of Redis: no start beyond. 0: any."),
    ] = 60
    stall_seconds: Annotated[int, Field(ge=1, description="Records waiting this long without progress: not ready.")] = (
        30
    )
    digest_delay_seconds: Annotated[
        int | None, Field(ge=1, description="For demos: a digest so long after the oldest news, whatever the time.")
    ] = None
    proration_rule: Annotated[
        Literal["day", "second", "fixed_30"], Field(description="How a part of a cycle counts.")
    ] = "day"
    payment_terms_days: Annotated[int, Field(ge=0, le=365, description="Days from invoice to due date.")] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="Least severe level shown.")
    ] = "info"
    log_format: Annotated[
        Literal["text", "json"], Field(description="How the log is written: for a terminal, or a JSON object a line.")
    ] = "text"
    log_outcomes: Annotated[
        bool, Field(description="A line at INFO for each message handled: what became of it. About 15 µs of CPU each.")
    ] = False
    traces: Annotated[
        bool,
        Field(description="Send OpenTelemetry spans; where and how many is said by the OTEL_… variables of its SDK."),
    ] = False

    @property
    def inbox_retention_ms(self) -> int:
        """How long the answer to a command is kept, in milliseconds."""
        return self.inbox_retention_hours * 3_600_000

    @field_validator("redis_url")
    @classmethod
    def _redis_scheme(cls, url: str) -> str:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("must start with redis://, rediss:// or unix://")
        return url

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Refuse what names one half of a pair."""
        for one, other in _TOGETHER:
            if getattr(self, one) and not getattr(self, other):
                raise ValueError(f"ADDONFLOW_{other.upper()} must be set beside ADDONFLOW_{one.upper()}")
        if self.kafka_sasl and not self.kafka_username:
            raise ValueError(
                f"ADDONFLOW_KAFKA_USERNAME must be set for ADDONFLOW_KAFKA_SECURITY_PROTOCOL="
                f"{self.kafka_security_protocol}"
            )
        return self

    @property
    def kafka_sasl(self) -> bool:
        """Whether brokers are told a user and a password."""
        return self.kafka_security_protocol.startswith("SASL")

    @property
    def kafka_tls(self) -> bool:
        """Whether brokers are spoken to over TLS."""
        return self.kafka_security_protocol.endswith("SSL")

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
            shown = re.sub(r"//[^@]*@", "//***@", repr(first["input"]))  # a URL may hold a password
            raise ConfigurationError(f"ADDONFLOW_{name}={shown}: {first['msg']}") from error
