"""Avro in Confluent's wire format (a zero byte, the schema's id in four, the record) as SQL that gives JSON text.

Here: from bytes to text, by the schema that wrote them. Not here: what becomes of the text (`transforms.events`), where
schemas come from (`lake.schema.registered`). One text for both formats means one parser, one set of rules, one
`_rescued`.
"""

import json
from collections.abc import Mapping
from typing import Any

from lakehouse.quality.rules import MALFORMED_AVRO, NOT_AVRO, UNKNOWN_SCHEMA, quote

# A record whose fields are all null, left out or not: what Spark makes of bytes that are no record of the schema.
_NOTHING = r'^\{("\w+":null,?)*\}$'
_TIME_FORMAT = "'timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX\""
# Debezium's name for milliseconds, which Avro has a type of its own for. Its microseconds and days are read as numbers.
_MILLISECONDS = "io.debezium.time.Timestamp"
# Converters write 64 where a source does not say how many digits its decimals have; Spark has no more than these.
_MOST_DIGITS = 38


def is_framed(column: str = "value") -> str:
    """SQL: the bytes begin as Confluent's wire format does. Null of null."""
    return f"(octet_length({column}) >= 5 AND hex(substring({column}, 1, 1)) = '00')"


def schema_id(column: str = "value") -> str:
    """SQL for the id of the schema that framed bytes name."""
    return f"cast(conv(hex(substring({column}, 2, 4)), 16, 10) AS bigint)"


def text_of(writers: Mapping[int, str], column: str = "value", *, keep_nulls: bool = False) -> str:
    """SQL: a record as JSON text, a single value as plain text.

    Args:
        writers: Schemas by id.
        column: What holds the bytes.
        keep_nulls: Whether fields that are null are told. A change record says by them which row images it lacks.

    Returns:
        SQL that is null when the bytes are no Avro, or their schema is not among `writers`.
    """
    if not writers:
        return "cast(NULL AS string)"
    decoded = " ".join(
        f"WHEN {number} THEN {_as_text(json.loads(text), column, keep_nulls=keep_nulls)}"
        for number, text in sorted(writers.items())
    )
    return f"CASE WHEN {is_framed(column)} THEN CASE {schema_id(column)} {decoded} END END"


def problem_of(writers: Mapping[int, str]) -> str:
    """SQL: why `_text` says nothing, or an empty string."""
    known = f"{schema_id()} IN ({', '.join(map(str, sorted(writers)))})" if writers else "false"
    return (
        f"CASE WHEN NOT {is_framed()} THEN '{NOT_AVRO}' WHEN NOT {known} THEN '{UNKNOWN_SCHEMA}' "
        f"WHEN _text IS NULL OR _text RLIKE {quote(_NOTHING)} THEN '{MALFORMED_AVRO}' ELSE '' END"
    )


def _as_text(schema: Any, column: str, *, keep_nulls: bool) -> str:
    value = f"from_avro(substring({column}, 6), {quote(json.dumps(_readable(schema)))}, map('mode', 'PERMISSIVE'))"
    if not (isinstance(schema, dict) and schema["type"] == "record"):
        return f"cast({value} AS string)"
    nulls = ", 'ignoreNullFields', 'false'" if keep_nulls else ""
    return f"to_json({value}, map({_TIME_FORMAT}{nulls}))"


def _readable(schema: Any) -> Any:
    """A schema as Spark can take it: it knows nothing of Debezium's own names, nor of decimals of more digits."""
    if isinstance(schema, list):
        return [_readable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {name: _readable(schema[name]) for name in ("type", "fields", "items", "values") if name in schema}
    own: dict[str, Any] = schema | parts
    if own["type"] == "long" and own.get("connect.name") == _MILLISECONDS:
        own["logicalType"] = "timestamp-millis"
    if own.get("logicalType") == "decimal":
        own["precision"] = min(own["precision"], _MOST_DIGITS)
    return own
