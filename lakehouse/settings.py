"""Every setting, once, typed, with its unit. `.env.example` is generated from this module.

Here: names, types, defaults, units. Not here: anything that uses them.
Precedence: command line, environment, `.env`, what `lakehouse up` recorded (`endpoints.json`), default.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from lakehouse.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parents[1]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class EndpointsSource(PydanticBaseSettingsSource):
    """Addresses that the running embedded stack wrote down; they rank below the environment."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - signature of the base
        """Unused by pydantic-settings when `__call__` is overridden."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Read `<LAKEHOUSE_HOME>/endpoints.json`; an absent file means no embedded stack was started."""
        home = Path(self.current_state.get("LAKEHOUSE_HOME") or PROJECT_ROOT / ".lakehouse")
        path = home / "endpoints.json"
        if not path.is_file():
            return {}
        known: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return known


class Settings(BaseSettings):
    """The project's configuration. Field aliases are the environment variables' names."""

    model_config = SettingsConfigDict(
        # An empty variable (JAVA_HOME=) means "not set", as everywhere else.
        env_file=PROJECT_ROOT / ".env",
        env_file_encoding="utf-8",
        extra="ignore",
        env_ignore_empty=True,
    )

    home: Path = Field(
        PROJECT_ROOT / ".lakehouse",
        alias="LAKEHOUSE_HOME",
        description="State folder: embedded services, logs, jars, Dagster's instance and, by default, the lake.",
    )
    root: str | None = Field(
        None,
        alias="LAKEHOUSE_ROOT",
        description="Where the lake's tables live: a folder. Default: <home>/lake.",
    )
    kafka_bootstrap_servers: str = Field(
        "localhost:9092",
        alias="KAFKA_BOOTSTRAP_SERVERS",
        description="Brokers, comma-separated host:port. Default: the embedded broker when it is up.",
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        alias="KAFKA_SECURITY_PROTOCOL",
        description="How brokers are spoken to: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.",
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512",
        alias="KAFKA_SASL_MECHANISM",
        description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; counts with a SASL protocol.",
    )
    kafka_sasl_username: str | None = Field(None, alias="KAFKA_SASL_USERNAME", description="User of a SASL protocol.")
    kafka_sasl_password: SecretStr | None = Field(
        None, alias="KAFKA_SASL_PASSWORD", description="Password of a SASL protocol; never shown."
    )
    kafka_ssl_ca: Path | None = Field(
        None, alias="KAFKA_SSL_CA", description="PEM file of the authority that signed the brokers' certificates."
    )
    kafka_ssl_certificate: Path | None = Field(
        None, alias="KAFKA_SSL_CERTIFICATE", description="PEM file of our own certificate, for mutual TLS."
    )
    kafka_ssl_key: Path | None = Field(
        None, alias="KAFKA_SSL_KEY", description="PEM file (PKCS 8) of our own private key, for mutual TLS."
    )
    kafka_ssl_key_password: SecretStr | None = Field(
        None, alias="KAFKA_SSL_KEY_PASSWORD", description="Password of the private key; never shown."
    )
    require_tls: bool = Field(
        False,
        alias="LAKEHOUSE_REQUIRE_TLS",
        description="true: connections that leave this machine must be encrypted, or they are refused.",
    )
    spark_remote: str = Field(
        "sc://127.0.0.1:15002",
        alias="SPARK_REMOTE",
        description="Spark Connect address (sc://host:port). Default: the embedded server when it is up.",
        pattern=r"^sc://",
    )
    schema_registry_url: str | None = Field(
        None,
        alias="SCHEMA_REGISTRY_URL",
        description="Schema registry (Confluent's protocol), http(s)://…. Default: the embedded one when it is up.",
        pattern=r"^https?://",
    )
    schema_registry_username: str | None = Field(
        None, alias="SCHEMA_REGISTRY_USERNAME", description="User of the schema registry, where it asks for one."
    )
    schema_registry_password: SecretStr | None = Field(
        None, alias="SCHEMA_REGISTRY_PASSWORD", description="Password of that user; never shown."
    )
    dagster_url: str | None = Field(
        None,
        alias="DAGSTER_URL",
        description="Address of Dagster's UI. Default: the embedded one when it is up.",
        pattern=r"^https?://",
    )
    postgres_url: SecretStr | None = Field(
        None,
        alias="LAKEHOUSE_POSTGRES_URL",
        description="Database that `lakehouse sink postgres` fills, postgresql://…; never shown. "
        "Default: the embedded one when it is up.",
    )
    source_url: SecretStr | None = Field(
        None,
        alias="LAKEHOUSE_SOURCE_URL",
        description="Database that `lakehouse produce db` reads, postgresql://…; never shown. "
        "Default: the embedded one when it is up.",
    )
    covid_url: str | None = Field(
        None,
        alias="LAKEHOUSE_COVID_URL",
        description="Service that the pipeline covid_etl fetches daily reports from, http(s)://…; see docs/sources.md. "
        "Default: the landing folder.",
        pattern=r"^https?://",
    )
    connect_url: str | None = Field(
        None,
        alias="KAFKA_CONNECT_URL",
        description="REST address of Kafka Connect. Default: the embedded one when it is up.",
        pattern=r"^https?://",
    )
    kafka_topic: str = Field(
        "sales_events", alias="KAFKA_TOPIC", description="Topic the sales producer writes to.", min_length=1
    )
    producer_interval: float = Field(
        1.0, alias="PRODUCER_INTERVAL", description="Seconds between produced events (0 or more).", ge=0
    )
    log_level: LogLevel = Field("INFO", alias="LOG_LEVEL", description="DEBUG, INFO, WARNING or ERROR.")
    java_home: Path | None = Field(
        None,
        alias="JAVA_HOME",
        description="A Java 17 or 21 to use instead of the JRE that comes as a wheel.",
    )
    kafka_port: int = Field(
        9092,
        alias="LAKEHOUSE_KAFKA_PORT",
        description="Preferred port of the embedded broker.",
        ge=1,
        le=65535,
    )
    spark_port: int = Field(
        15002,
        alias="LAKEHOUSE_SPARK_PORT",
        description="Preferred port of the embedded Spark.",
        ge=1,
        le=65535,
    )
    dagster_port: int = Field(
        3000, alias="LAKEHOUSE_DAGSTER_PORT", description="Preferred port of the Dagster UI.", ge=1, le=65535
    )
    postgres_port: int = Field(
        5432,
        alias="PGPORT",
        description="Preferred port of the embedded PostgreSQL.",
        ge=1,
        le=65535,
    )
    cache_dir: Path = Field(
        Path("~/.cache/lakehouse"),
        alias="LAKEHOUSE_CACHE",
        description="Cache that all projects of this user share: jars and Java's class archives.",
    )
    java_options: str = Field(
        "",
        alias="LAKEHOUSE_JAVA_OPTIONS",
        description="More options for the embedded Java processes, separated by spaces.",
    )
    spark_memory: str = Field(
        "1536m",
        alias="LAKEHOUSE_SPARK_MEMORY",
        description="Heap of the embedded Spark server.",
        pattern=r"^\d+[mg]$",
    )
    spark_profile: Literal["local", "cluster"] = Field(
        "local",
        alias="LAKEHOUSE_SPARK_PROFILE",
        description="local: Spark on one machine. cluster: sessions and the embedded server with the settings of "
        "infra/spark/spark-defaults.conf.",
    )
    spark_event_log: bool = Field(
        False,
        alias="LAKEHOUSE_SPARK_EVENT_LOG",
        description="true: the embedded Spark server writes what its jobs did to <LAKEHOUSE_HOME>/spark/events.",
    )
    spark_ui_port: int = Field(
        0,
        alias="LAKEHOUSE_SPARK_UI",
        description="Port of the embedded Spark server's web UI, on 127.0.0.1. 0: it has none.",
        ge=0,
        le=65535,
    )
    spark_ui_url: str | None = Field(
        None,
        alias="SPARK_UI_URL",
        description="Spark's web UI, which `lakehouse metrics` asks for executors, tasks and memory. Default: the "
        "embedded server's, when LAKEHOUSE_SPARK_UI gives it one.",
        pattern=r"^https?://",
    )
    kafka_memory: str = Field(
        "384m",
        alias="LAKEHOUSE_KAFKA_MEMORY",
        description="Heap of the embedded broker.",
        pattern=r"^\d+[mg]$",
    )
    max_batch_rows: int = Field(
        500_000, alias="LAKEHOUSE_MAX_BATCH_ROWS", description="Rows in one micro-batch, at most.", ge=1
    )
    max_rate_per_partition: int = Field(
        1000,
        alias="LAKEHOUSE_MAX_RATE_PER_PARTITION",
        description="Rows of one partition in one micro-batch, at most, for each second that its oldest record waits; "
        "a minute's worth in any case. 0: only LAKEHOUSE_MAX_BATCH_ROWS counts.",
        ge=0,
    )
    view_store: str = Field(
        "duckdb",
        alias="LAKEHOUSE_VIEW_STORE",
        description="Where real-time views are kept: duckdb (a file below the state folder) or redis://host:port/db.",
        pattern=r"^(duckdb|rediss?://\S+)$",
    )
    durability: Literal["fsync", "none"] = Field(
        "fsync",
        alias="LAKEHOUSE_DURABILITY",
        description="fsync: a commit counts when it would survive a loss of power. none: the operating system decides.",
    )
    drain_budget_seconds: float = Field(
        600, alias="LAKEHOUSE_DRAIN_BUDGET_SECONDS", description="Seconds after which a drain run ends.", gt=0
    )
    drain_idle_seconds: float = Field(
        5,
        alias="LAKEHOUSE_DRAIN_IDLE_SECONDS",
        description="Seconds without new events after which a drain run ends.",
        ge=0,
    )
    vacuum_hours: int = Field(
        168,
        alias="LAKEHOUSE_VACUUM_HOURS",
        description="Hours for which replaced data files stay on disk; 168 (7 days) at least, 2160 at most.",
        # Less would delete the files of a reader, of a writer that has not committed yet, or of what gold was built on.
        ge=168,
        le=2160,
    )
    incident_handlers: str = Field(
        "",
        alias="LAKEHOUSE_INCIDENT_HANDLERS",
        description="Functions that are told about failed runs and late windows: module:function, comma-separated.",
    )
    alert_email_to: str = Field(
        "alerts@company.com", alias="ALERT_EMAIL_TO", description="Who gets alerts by e-mail, comma-separated."
    )
    alert_email_from: str = Field(
        "lakehouse@localhost", alias="ALERT_EMAIL_FROM", description="Sender of alerts by e-mail."
    )
    smtp_host: str | None = Field(
        None, alias="SMTP_HOST", description="Mail server for alerts; without it none are mailed."
    )
    smtp_port: int = Field(25, alias="SMTP_PORT", description="Port of the mail server.", ge=1, le=65535)
    smtp_starttls: bool = Field(False, alias="SMTP_STARTTLS", description="Encrypt the connection to the mail server.")
    smtp_username: str | None = Field(None, alias="SMTP_USERNAME", description="User at the mail server.")
    smtp_password: SecretStr | None = Field(
        None, alias="SMTP_PASSWORD", description="Password at the mail server; never shown."
    )
    slack_webhook_url: SecretStr | None = Field(
        None, alias="SLACK_WEBHOOK_URL", description="Incoming webhook of Slack for alerts; never shown."
    )
    pagerduty_routing_key: SecretStr | None = Field(
        None, alias="PAGERDUTY_ROUTING_KEY", description="Integration key of PagerDuty for alerts; never shown."
    )
    pagerduty_url: str = Field(
        "https://events.pagerduty.com/v2/enqueue",
        alias="PAGERDUTY_URL",
        description="Address of PagerDuty's Events API v2.",
        pattern=r"^https?://",
    )
    crash_at: str | None = Field(
        None,
        alias="LAKEHOUSE_CRASH_AT",
        description="Tests only: <point>[:nth], where the process kills itself with SIGKILL.",
    )

    @property
    def lake_root(self) -> str:
        """Root of the lake's tables, without a trailing slash."""
        return (self.root or str(self.home / "lake")).rstrip("/")

    @property
    def spark_ui(self) -> str | None:
        """Address of Spark's web UI; None when nobody said that there is one."""
        embedded = f"http://127.0.0.1:{self.spark_ui_port}" if self.spark_ui_port else None
        return self.spark_ui_url or embedded

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of the base
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Rank the sources; see the module's first lines."""
        return init_settings, env_settings, dotenv_settings, EndpointsSource(settings_cls)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings as they are now.

    Not cached: the embedded stack may have moved to other ports since the last call.

    Raises:
        SettingsError: naming the variable, its value and what is allowed.
    """
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(describe_problems(error), fix="Correct it in the environment or in .env.") from error
    settings.home = settings.home.expanduser().resolve()
    settings.cache_dir = settings.cache_dir.expanduser().resolve()
    return settings


def describe_problems(error: ValidationError) -> str:
    """Each wrong setting by its name, its value and what is allowed."""
    problems = []
    for detail in error.errors():
        name = str(detail["loc"][0]) if detail["loc"] else "?"
        problems.append(f"{name}={detail['input']!r} is not allowed: {detail['msg']}.")
    return " ".join(problems)
