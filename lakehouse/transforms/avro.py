"""Avro in Confluent's wire format (a zero byte, the schema's id in four, the record) as SQL that gives JSON text.

Here: from bytes to text, by the schema that wrote them. Not here: what becomes of the text (`transforms.events`), where
schemas come from (`lake.schema.registered`). One text for both formats means one parser, one set of rules, one
`_rescued`.
"""

from collections.abc import Mapping

from lakehouse.quality.rules import MALFORMED_AVRO, NOT_AVRO, UNKNOWN_SCHEMA, quote

SCHEMA_ID = "cast(conv(hex(substring(value, 2, 4)), 16, 10) AS bigint)"
IS_FRAMED = "(octet_length(value) >= 5 AND hex(substring(value, 1, 1)) = '00')"
# A record whose fields are all null: what Spark makes of bytes that are no record of the schema.
_NOTHING = "{}"
_OPTIONS = "map('timestampFormat', \"yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX\")"


def text_of(writers: Mapping[int, str]) -> str:
    """SQL: the record as JSON text; null when it is no Avro, or its schema is not among `writers` (id → schema)."""
    if not writers:
        return "cast(NULL AS string)"
    decoded = " ".join(
        f"WHEN {number} THEN to_json(from_avro(substring(value, 6), {quote(schema)}, map('mode', 'PERMISSIVE')), "
        f"{_OPTIONS})"
        for number, schema in sorted(writers.items())
    )
    return f"CASE WHEN {IS_FRAMED} THEN CASE {SCHEMA_ID} {decoded} END END"


def problem_of(writers: Mapping[int, str]) -> str:
    """SQL: why `_text` says nothing, or an empty string."""
    known = f"{SCHEMA_ID} IN ({', '.join(map(str, sorted(writers)))})" if writers else "false"
    return (
        f"CASE WHEN NOT {IS_FRAMED} THEN '{NOT_AVRO}' WHEN NOT {known} THEN '{UNKNOWN_SCHEMA}' "
        f"WHEN _text IS NULL OR _text = '{_NOTHING}' THEN '{MALFORMED_AVRO}' ELSE '' END"
    )
