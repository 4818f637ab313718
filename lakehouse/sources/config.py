"""Where a producer's settings come from: command line, environment, `--config` file, default, in this order.

Here: the file's form, the precedence. Not here: the defaults themselves (`settings`, `kafka.client`), other clients'
names of properties (`sources.client_names`), sending (`sources.producer`).
"""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from lakehouse.errors import SettingsError, UsageError
from lakehouse.kafka.client import ProducerProfile, producer_config
from lakehouse.kafka.security import require_allowed
from lakehouse.settings import EndpointsSource, Settings, describe_problems
from lakehouse.sources.client_names import translate_properties
from lakehouse.sources.properties import read_properties

# The security part of a section holds for every client of the run: the topic is looked up before anything is sent.
_SECURITY = {
    "security.protocol": "KAFKA_SECURITY_PROTOCOL",
    "sasl.mechanism": "KAFKA_SASL_MECHANISM",
    "sasl.mechanisms": "KAFKA_SASL_MECHANISM",
    "sasl.username": "KAFKA_SASL_USERNAME",
    "sasl.password": "KAFKA_SASL_PASSWORD",
    "ssl.ca.location": "KAFKA_SSL_CA",
    "ssl.certificate.location": "KAFKA_SSL_CERTIFICATE",
    "ssl.key.location": "KAFKA_SSL_KEY",
    "ssl.key.password": "KAFKA_SSL_KEY_PASSWORD",
}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Section(BaseModel):
    """One environment in the file."""

    model_config = ConfigDict(extra="forbid")

    bootstrap_servers: str | list[str] | None = Field(None, alias="bootstrap.servers")
    topics: dict[str, str] = {}
    interval: float | None = None
    producer_profile: ProducerProfile = "default"
    producer: dict[str, Any] = {}


@dataclass(frozen=True)
class ProducerOptions:
    """What a producer runs with.

    Attributes:
        settings: With the file's values in their place.
        topic: Where to send.
        interval: Seconds between events.
        client: librdkafka properties.
        dropped: Properties of the Java client that were left out.
    """

    settings: Settings
    topic: str
    interval: float
    client: dict[str, object]
    dropped: list[str] = field(default_factory=list)


def resolve(
    *,
    brokers: str | None = None,
    topic: str | None = None,
    interval: float | None = None,
    config: Path | None = None,
    section: str = "local",
    producer_profile: ProducerProfile | None = None,
    source: str = "sales",
) -> ProducerOptions:
    """Join the four places; None means "not given on the command line".

    Args:
        brokers: Comma-separated host:port.
        topic: Name of the topic.
        interval: Seconds between events, 0 or more.
        config: JSON or YAML file with one section per environment, or a Java client's .properties file.
        section: Which section of it.
        producer_profile: `default` or `compat`.
        source: Whose topic to take from the file's `topics`.

    Raises:
        UsageError: for a wrong argument or file, naming it and what is allowed.
        SettingsError: for a wrong environment variable.
    """
    if interval is not None and interval < 0:
        raise UsageError(f"--interval {interval:g} is not possible.", fix="Give 0 or more seconds.")
    found = _read_section(config, section) if config else _Section.model_validate({})
    given = {"KAFKA_BOOTSTRAP_SERVERS": brokers, "KAFKA_TOPIC": topic, "PRODUCER_INTERVAL": interval}
    from_file: dict[str, Any] = {
        "KAFKA_BOOTSTRAP_SERVERS": _joined(found.bootstrap_servers),
        "KAFKA_TOPIC": found.topics.get(source),
        "PRODUCER_INTERVAL": found.interval,
    }
    extra, dropped = translate_properties(found.producer)
    require_allowed(extra, f"--config {config}")
    from_file |= {_SECURITY[name]: extra.pop(name) for name in list(extra) if name in _SECURITY}
    settings = _settings(_present(given), _present(from_file))
    client = producer_config(settings, producer_profile or found.producer_profile)
    return ProducerOptions(settings, settings.kafka_topic, settings.producer_interval, client | extra, dropped=dropped)


def _settings(given: dict[str, Any], from_file: dict[str, Any]) -> Settings:
    class FileSource(PydanticBaseSettingsSource):
        def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
            return None, field_name, False

        def __call__(self) -> dict[str, Any]:
            return from_file

    class WithFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature of the base
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """The file ranks below the environment and above what a running stack wrote down."""
            file = FileSource(settings_cls)
            return init_settings, env_settings, dotenv_settings, file, EndpointsSource(settings_cls)

    try:
        settings = WithFile(**given)
    except ValidationError as error:
        raise SettingsError(
            describe_problems(error), fix="Correct it on the command line, in the environment or in the --config file."
        ) from error
    settings.home = settings.home.expanduser().resolve()
    return settings


def _read_section(path: Path, section: str) -> _Section:
    try:
        if path.suffix == ".properties":
            return _properties(path, section)
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise UsageError(
            f"--config {path} cannot be read: {error.strerror}.", fix="Name a JSON, YAML or .properties file."
        ) from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"--config {path}:{error.lineno}: no valid JSON: {error.msg}.", fix="Correct the line."
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = f"--config {where}: no valid YAML: {getattr(error, 'problem', error)}."
        raise UsageError(problem, fix="Correct the line.") from error
    sections = [name for name in document if not name.startswith("_")] if isinstance(document, dict) else []
    if section not in sections:
        raise UsageError(
            f"--config {path} has no section {section!r}.",
            fix=f"Choose one with --profile: {', '.join(sections) or '(the file has none)'}.",
        )
    try:
        return _Section.model_validate(_expand(document[section], path))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}" for detail in error.errors()
        )
        allowed = ", ".join(spec.alias or name for name, spec in _Section.model_fields.items())
        raise UsageError(f"--config {path}, section {section}: {problems}.", fix=f"Allowed: {allowed}.") from error


def _properties(path: Path, section: str) -> _Section:
    """A Java client's file: one environment, nothing but client properties."""
    if section != "local":
        raise UsageError(
            f"--config {path} has no section {section!r}.", fix="A .properties file has none; leave --profile out."
        )
    client = _expand(read_properties(path), path)
    servers = client.pop("bootstrap.servers", None)
    return _Section.model_validate({"bootstrap.servers": servers, "producer": client})


def _expand(value: Any, path: Path) -> Any:
    """Replace ${NAME} by the environment variable, so that no secret has to be in the file."""
    if isinstance(value, dict):
        return {key: _expand(item, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, path) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UsageError(
                f"--config {path} needs the environment variable {match[1]}, which is not set.",
                fix=f"Set it: export {match[1]}=…",
            )
        return os.environ[match[1]]

    return _VARIABLE.sub(variable, value)


def _joined(servers: str | list[str] | None) -> str | None:
    return ",".join(servers) if isinstance(servers, list) else servers


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
