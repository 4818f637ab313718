"""What a stream registers, and what a registered schema promises: rendering forth, reading back, comparing.

Here: pure functions. Not here: talking to a registry (`contracts.registry`), the renderings themselves
(`contracts.schemas`).
"""

import json
from typing import Any

from lakehouse.contracts.evolution import Schema, SchemaField, is_backward_compatible
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.schemas import avro_schema, json_schema

AVRO, JSON = "AVRO", "JSON"
# The newest that registries can compare.
_DRAFT = "http://json-schema.org/draft-07/schema#"
_LOGICAL = {"timestamp-micros": "timestamp", "timestamp-millis": "timestamp", "date": "date"}
_AVRO_NAMES = {"int": "integer"}


def registered_form(contract: StreamContract, previous: str = "") -> tuple[str, str]:
    """Kind and text of the schema that the stream's topic registers.

    Args:
        contract: The stream.
        previous: The subject's newest JSON Schema. A closed JSON Schema may only get more properties; those that the
            contract no longer has stay, as deprecated.
    """
    if contract.topic.format == "avro":
        return AVRO, json.dumps(avro_schema(contract))
    # Closed, so that a new property is a wider promise; an open one already allows any value under the new name.
    schema = json_schema(contract) | {"$schema": _DRAFT, "additionalProperties": False}
    before = json.loads(previous).get("properties", {}) if previous else {}
    gone = {name: {**kind, "deprecated": True} for name, kind in before.items() if name not in schema["properties"]}
    schema["properties"] = {**schema["properties"], **gone}
    return JSON, json.dumps(schema)


def registration_problems(old: str, new: str, kind: str) -> str:
    """Which fields of a new schema break which rule of compatibility with an older one; empty when none does."""
    return "; ".join(map(str, is_backward_compatible(_read(old, kind), _read(new, kind)).problems))


def _read(text: str, kind: str) -> Schema:
    document = json.loads(text)
    fields = _avro_fields(document) if kind == AVRO else _json_fields(document)
    return Schema(fields=tuple(fields), key=(), event_time="")


def _avro_fields(record: Any) -> list[SchemaField]:
    found = []
    for field in record.get("fields", []) if isinstance(record, dict) else []:
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        own = [kind for kind in kinds if kind != "null"]
        found.append(
            SchemaField(
                name=field["name"],
                type=_contract_type(own[0]) if len(own) == 1 else json.dumps(own),
                nullable=len(own) < len(kinds) or "default" in field,
                keys=(field["name"], *field.get("aliases", [])),
            )
        )
    return found


def _contract_type(kind: Any) -> str:
    """An Avro type as a contract names it; as it is when a contract has none for it."""
    if isinstance(kind, str):
        return _AVRO_NAMES.get(kind, kind)
    logical = kind.get("logicalType")
    if logical == "decimal":
        return f"decimal({kind['precision']},{kind.get('scale', 0)})"
    return _LOGICAL.get(logical) or json.dumps(kind)


def _json_fields(document: Any) -> list[SchemaField]:
    needed = document.get("required", [])
    return [
        SchemaField(
            name=name, type=kind.get("x-type", str(kind.get("type"))), nullable=name not in needed, keys=(name,)
        )
        for name, kind in document.get("properties", {}).items()
    ]
