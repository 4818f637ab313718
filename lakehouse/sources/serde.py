"""Serializers in Python. Keys stay text, sent as UTF-8; values are JSON, or Avro in Confluent's wire format.

Here: from an event to bytes. Not here: events (`sources.sales`, …), the registry (`contracts.registry`). librdkafka
knows none of the Java client's `key.serializer` and `value.serializer`; these classes take their place.
"""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.contracts.registration import registered_form, registration_problems
from lakehouse.contracts.registry import Registry, subject_of
from lakehouse.contracts.schemas import avro_name, event_fields

_DECIMAL = re.compile(r"^decimal\(\d+,(\d+)\)$")


class Serde(Protocol):
    """Turns a JSON event into the bytes of a record's value."""

    def value(self, event: bytes) -> bytes:
        """The record's value."""


class JsonSerde:
    """JSON goes as it is."""

    def value(self, event: bytes) -> bytes:
        """The same bytes."""
        return event


class AvroSerde:
    """Avro by the contract's schema, which is registered first.

    Raises:
        SchemaIncompatibleError: the registry refuses the schema.
        RegistryUnreachableError: it does not answer.
    """

    def __init__(self, contract: StreamContract, registry: Registry) -> None:
        from confluent_kafka.schema_registry.avro import AvroSerializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        self._fields = event_fields(contract)
        self.schema_id, text = register(contract, registry)
        settings = {"auto.register.schemas": False, "use.schema.id": self.schema_id}
        self._serializer = AvroSerializer(registry.client, text, conf=settings)
        self._context = SerializationContext(contract.topic.name, MessageField.VALUE)

    def value(self, event: bytes) -> bytes:
        """The event in Avro; an event that the schema cannot hold, broken on purpose, goes as it is."""
        try:
            document = json.loads(event, parse_float=Decimal)
            record = {avro_name(field): _avro_value(field, field.value_in(document)) for field in self._fields}
            return bytes(self._serializer(record, self._context))
        except (ValueError, TypeError, AttributeError, InvalidOperation, OverflowError):
            return event


def serde_of(contract: StreamContract, registry: Registry | None) -> Serde:
    """The serializer of a stream's values: Avro with a registry, JSON without."""
    return JsonSerde() if registry is None else AvroSerde(contract, registry)


def register(contract: StreamContract, registry: Registry) -> tuple[int, str]:
    """Register the contract's schema as the newest of its subject; the same one again changes nothing.

    Returns:
        Its id and text.

    Raises:
        SchemaIncompatibleError: the registry refuses it; names field and rule.
    """
    subject = subject_of(contract.topic.name)
    newest = registry.latest(subject)
    kind, text = registered_form(contract, newest.text if newest and newest.kind == "JSON" else "")
    same_kind = newest is not None and newest.kind == kind
    problems = registration_problems(newest.text, text, kind) if newest and same_kind else ""
    return registry.register(subject, kind, text, problems=problems), text


def _avro_value(field: FieldSpec, value: Any) -> Any:
    """A JSON value as the Avro writer wants it."""
    if value is None:
        return None
    scale = _DECIMAL.match(field.type)
    if field.parse:
        return value if isinstance(value, str) else json.dumps(value, default=str)
    if scale:
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-int(scale[1])))
    if field.type == "timestamp":
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    if field.type == "date":
        return date.fromisoformat(value)
    return float(value) if field.type == "double" else value
