"""A contract in other words: JSON Schema, Avro and Spark DDL of the event, Spark DDL of the silver table.

Here: pure renderings. Not here: reading contracts (`contracts.load`), writing tables (`lake`).
"""

import re
from typing import Any

from lakehouse.contracts.change import CHANGE_COLUMNS
from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec

AVRO_NAMESPACE = "lakehouse"
_AVRO_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_DECIMAL = re.compile(r"^decimal\((\d+),(\d+)\)$")

_JSON_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "double": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
}
_AVRO_TYPES: dict[str, Any] = {
    "string": "string",
    "integer": "int",
    "long": "long",
    "double": "double",
    "boolean": "boolean",
    "date": {"type": "int", "logicalType": "date"},
    "timestamp": {"type": "long", "logicalType": "timestamp-micros"},
}
_SPARK_TYPES = {"integer": "INT", "long": "BIGINT"}

# What silver adds to the contract's fields: where a row came from, and what the contract does not know.
SILVER_COLUMNS = {
    "event_date": "DATE",
    "_rescued": "STRING",
    "_topic_id": "STRING",
    "_generation": "INT",
    "_partition": "INT",
    "_offset": "BIGINT",
    "_batch": "BIGINT",
    "_ingested_at": "TIMESTAMP",
}


def json_schema(contract: StreamContract) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the event. Fields with a `parse` expression may have any scalar value."""
    fields = event_fields(contract)
    # One of the keys has to be there, whichever.
    choices = [{"anyOf": [{"required": [key]} for key in f.keys]} for f in fields if f.aliases and not f.nullable]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": contract.name,
        "description": contract.description,
        "type": "object",
        "properties": {key: _json_field(field) for field in fields for key in field.keys},
        "required": [field.key for field in fields if not field.nullable and not field.aliases],
        **({"allOf": choices} if choices else {}),
        # Unknown keys are kept in `_rescued` unless the contract stops on them.
        "additionalProperties": contract.evolve.add == "auto",
    }


def avro_schema(contract: StreamContract) -> dict[str, Any]:
    """Avro record of the event. A key that is no Avro name goes by the column's name."""
    return {
        "type": "record",
        "name": contract.name,
        "namespace": AVRO_NAMESPACE,
        "doc": contract.description,
        "fields": [_avro_field(field) for field in event_fields(contract)],
    }


def event_ddl(contract: StreamContract) -> str:
    """Spark DDL of the event as JSON carries it, for `from_json`; fields with a `parse` expression are raw text."""
    return ", ".join(
        f"{_quoted(key)} {'STRING' if field.parse else spark_type(field.type)}"
        for field in event_fields(contract)
        for key in field.keys
    )


def silver_ddl(contract: StreamContract) -> str:
    """Spark DDL of the silver table, with comments: the contract's fields, then what silver adds."""
    columns = [
        f"{_quoted(field.name)} {spark_type(field.type)}{'' if _may_be_null(field, contract) else ' NOT NULL'} "
        f"COMMENT '{_escaped(field.description)}'"
        for field in contract.fields
    ]
    change = {name: kind.upper() for name, kind in CHANGE_COLUMNS.items()} if contract.is_cdc else {}
    columns += [f"{_quoted(name)} {kind}" for name, kind in (SILVER_COLUMNS | change).items()]
    return ", ".join(columns)


def _may_be_null(field: FieldSpec, contract: StreamContract) -> bool:
    """Of a deleted row silver keeps the key alone."""
    return field.nullable or (contract.is_cdc and field.name not in contract.key)


def event_fields(contract: StreamContract) -> list[FieldSpec]:
    """The fields that events carry, without derived ones; the first field of each key."""
    found: dict[str, FieldSpec] = {}
    for field in contract.fields:
        if field.derive is None:
            found.setdefault(field.key, field)
    return list(found.values())


def spark_type(kind: str) -> str:
    """Spark's name of a contract type."""
    return _SPARK_TYPES.get(kind, kind.upper())


def _json_field(field: FieldSpec) -> dict[str, Any]:
    if field.parse:
        schema: dict[str, Any] = {"type": ["string", "number", "boolean"]}
    elif _DECIMAL.match(field.type):
        # As a number, or as text where the sender does not want floating point in between.
        schema = {"type": ["number", "string"]}
    else:
        schema = dict(_JSON_TYPES[field.type])
    if field.nullable:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        schema["type"] = [*kinds, "null"]
    schema["description"] = field.description
    # What JSON's own types do not tell apart.
    schema["x-type"] = field.type
    if field.pii:
        schema["x-pii"] = True
    return schema


def _avro_field(field: FieldSpec) -> dict[str, Any]:
    decimal = _DECIMAL.match(field.type)
    if field.parse:
        kind: Any = "string"
    elif decimal:
        kind = {
            "type": "bytes",
            "logicalType": "decimal",
            "precision": int(decimal[1]),
            "scale": int(decimal[2]),
        }
    else:
        kind = _AVRO_TYPES[field.type]
    name = avro_name(field)
    rendered: dict[str, Any] = {"name": name, "type": kind, "doc": field.description}
    if field.nullable:
        rendered |= {"type": ["null", kind], "default": None}
    if field.aliases:
        # Avro takes only names of its own kind.
        rendered["aliases"] = [alias for alias in field.keys if alias != name and _AVRO_NAME.match(alias)]
    if field.pii:
        rendered["pii"] = True
    return rendered


def avro_name(field: FieldSpec) -> str:
    """The field's name in Avro: the key, or the column's name when the key is no Avro name."""
    return field.key if _AVRO_NAME.match(field.key) else field.name


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
