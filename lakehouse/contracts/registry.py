"""The schema registry: subjects, versions, ids, over Confluent's protocol; every failure as a typed error.

Here: asking and registering. Not here: rendering schemas (`contracts.schemas`), what the lake remembers of them
(`lake.schema.registered`), running a registry (`engine.embedded.registry`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from lakehouse.errors import AccessDeniedError, LakehouseError, RegistryUnreachableError, SchemaIncompatibleError
from lakehouse.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

_TIMEOUT_SECONDS = 10
_NOT_FOUND = 404
_CONFLICT = 409
_DENIED = (401, 403)


@dataclass(frozen=True)
class Registered:
    """One version of a subject. `kind`: AVRO or JSON; `text`: the schema itself."""

    id: int
    kind: str
    text: str
    subject: str = ""
    version: int = 0


def subject_of(topic: str, part: Literal["value", "key"] = "value") -> str:
    """The subject of a topic's values, or of its keys, as Confluent's serializers name it."""
    return f"{topic}-{part}"


class Registry:
    """One registry."""

    def __init__(self, settings: Settings, url: str) -> None:
        from confluent_kafka.schema_registry import SchemaRegistryClient

        config: dict[str, Any] = {"url": url, "timeout": _TIMEOUT_SECONDS, "max.retries": 1}
        if settings.schema_registry_username:
            password = settings.schema_registry_password
            secret = password.get_secret_value() if password else ""
            config["basic.auth.user.info"] = f"{settings.schema_registry_username}:{secret}"
        self.url = url
        self._client = SchemaRegistryClient(config)

    @classmethod
    def of(cls, settings: Settings) -> "Registry | None":
        """The configured registry; None when there is none."""
        return None if settings.schema_registry_url is None else cls(settings, settings.schema_registry_url)

    @classmethod
    def required(cls, settings: Settings) -> "Registry":
        """The configured registry.

        Raises:
            RegistryUnreachableError: none is configured.
        """
        found = cls.of(settings)
        if found is None:
            raise RegistryUnreachableError(
                "No schema registry is configured.",
                why="SCHEMA_REGISTRY_URL is not set, and none was started here.",
                fix="lakehouse up --with registry, or set SCHEMA_REGISTRY_URL to yours.",
            )
        return found

    @property
    def client(self) -> "SchemaRegistryClient":
        """The client underneath, for Confluent's serializers."""
        return self._client

    def subjects(self) -> list[str]:
        """Names of all subjects."""
        with self._errors():
            return sorted(self._client.get_subjects())

    def compatibility(self) -> str:
        """The rule by which it accepts new versions."""
        with self._errors():
            return str(self._client.get_compatibility())

    def versions(self, subject: str) -> list[Registered]:
        """Every version of a subject, oldest first; none when it has no such subject."""
        with self._errors():
            numbers = self._or_none(lambda: self._client.get_versions(subject)) or []
            return [self._registered(self._client.get_version(subject, number)) for number in numbers]

    def latest(self, subject: str) -> Registered | None:
        """The newest version of a subject, if there is one."""
        with self._errors():
            found = self._or_none(lambda: self._client.get_latest_version(subject))
        return None if found is None else self._registered(found)

    def by_id(self, schema_id: int) -> Registered | None:
        """The schema of that id; None when the registry knows none."""
        with self._errors():
            found = self._or_none(lambda: self._client.get_schema(schema_id))
        return None if found is None else Registered(schema_id, found.schema_type, found.schema_str)

    def accepts(self, subject: str, kind: str, text: str) -> bool:
        """Whether it would take this schema as the subject's next version. Registers nothing."""
        from confluent_kafka.schema_registry import Schema

        with self._errors():
            answer = self._or_none(lambda: self._client.test_compatibility(subject, Schema(text, kind)))
        return answer is None or bool(answer)

    def register(self, subject: str, kind: str, text: str, *, problems: str = "") -> int:
        """Register a schema; the same one again gives the same id.

        Args:
            subject: See `subject_of`.
            kind: AVRO or JSON.
            text: The schema.
            problems: What we know to be incompatible with the version before, for the message.

        Raises:
            SchemaIncompatibleError: the registry refuses it.
            RegistryUnreachableError: it does not answer.
        """
        from confluent_kafka.schema_registry import Schema, SchemaRegistryError

        with self._errors():
            try:
                return int(self._client.register_schema(subject, Schema(text, kind)))
            except SchemaRegistryError as error:
                if error.http_status_code != _CONFLICT:
                    raise
                raise SchemaIncompatibleError(
                    f"The registry refuses the new schema of {subject}: {problems or error.error_message}.",
                    why=f"{error.error_message} (HTTP 409 from {self.url})",
                    fix="Undo the change of the contract, or see docs/runbooks/SCHEMA_INCOMPATIBLE.md.",
                ) from error

    def _or_none(self, ask: Any) -> Any:
        from confluent_kafka.schema_registry import SchemaRegistryError

        try:
            return ask()
        except SchemaRegistryError as error:
            if error.http_status_code == _NOT_FOUND:
                return None
            raise

    @staticmethod
    def _registered(found: Any) -> Registered:
        schema = found.schema
        return Registered(found.schema_id, schema.schema_type, schema.schema_str, found.subject, found.version)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what the client raises into errors that say what to do."""
        import httpx2
        from confluent_kafka.schema_registry import SchemaRegistryError

        try:
            yield
        except httpx2.TransportError as error:
            raise RegistryUnreachableError(
                f"No schema registry answers at {self.url}.",
                why=str(error) or type(error).__name__,
                fix="lakehouse up --with registry, or check SCHEMA_REGISTRY_URL.",
            ) from error
        except SchemaRegistryError as error:
            if error.http_status_code in _DENIED:
                raise AccessDeniedError(
                    f"The schema registry at {self.url} denies access.",
                    why=error.error_message,
                    fix="Check SCHEMA_REGISTRY_USERNAME and SCHEMA_REGISTRY_PASSWORD.",
                ) from error
            if error.http_status_code >= 500:
                raise RegistryUnreachableError(
                    f"The schema registry at {self.url} fails.", why=error.error_message, fix="Look at its own log."
                ) from error
            raise LakehouseError(
                f"The schema registry at {self.url} refuses the request.", why=error.error_message
            ) from error
