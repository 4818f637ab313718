"""From a raw change record to its row image, kind, place in the source's order, and time.

Here: the shapes in which change records come. Not here: the fields of the row (`transforms.events`). A record is an
envelope {before, after, op, source, …}, or a flattened row with added `__…` fields or headers, either of them inside a
schema envelope {schema, payload}, or a tombstone: a key without a value.
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec
from lakehouse.quality.rules import MALFORMED, NO_ROW_IMAGE, NOT_UTF8, TRUNCATED, UNKNOWN_OP, quote
from lakehouse.transforms.encodings import epoch
from lakehouse.transforms.headers import last_header
from lakehouse.transforms.parsing import followed

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_CARRIED = (
    "key",
    "value",
    "_broker_time",
    "arrival_date",
    "_topic_id",
    "_generation",
    "_partition",
    "_offset",
    "_batch",
    "_ingested_at",
    "_retry_count",
    "_unread",
)
_TIMES = (("ts_us", "micros"), ("ts_ms", "millis"))


def unpacked(raw: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Raw records with their row image as JSON in `_text`, the key's JSON in `_key_text`, and what silver adds.

    Args:
        raw: As `transforms.events` reads bronze: `_text` is the whole value, `_unread` why there is none,
            `_record_key` the key as text; `headers` are the record's.
        contract: A stream of mode cdc.

    Returns:
        The provenance, `_text`, `_key_text`, `_op`, `_changed_at`, `_position`, and `_refused`: why the record cannot
        be taken as a change, empty when it can. The row image itself is not looked into.
    """
    schema = quote(_schema(contract))
    outer = raw.selectExpr(
        "*", f"from_json(_text, {schema}) AS _outer", "json_object_keys(_text) AS _outer_keys"
    ).selectExpr("*", "_outer_keys IN (array('schema', 'payload'), array('payload', 'schema')) AS _has_schema")
    change = outer.selectExpr(
        *_CARRIED,
        "headers",
        "_text AS _whole",
        "_outer_keys",
        "CASE WHEN _has_schema THEN _outer.payload ELSE _text END AS _body",
        f"CASE WHEN _has_schema THEN from_json(_outer.payload, {schema}) ELSE _outer END AS _change",
        "CASE WHEN _has_schema THEN json_object_keys(_outer.payload) ELSE _outer_keys END AS _body_keys",
        f"{_key_text(contract)} AS _key_text",
    )
    shaped = change.selectExpr("*", f"{_is_envelope(contract)} AS _is_envelope")
    return shaped.selectExpr(
        *_CARRIED,
        "_key_text",
        "_whole",
        "_outer_keys",
        f"{_op()} AS _op",
        "CASE WHEN NOT _is_envelope THEN _body "
        "WHEN _change.op = 'd' THEN _change.before ELSE _change.after END AS _text",
        f"{_changed_at()} AS _changed_at",
        f"{_position(contract)} AS _position",
    ).selectExpr("*", f"{_refused(contract)} AS _refused")


def _schema(contract: StreamContract) -> str:
    """DDL of everything around the row image; all as text, so that nothing is lost that has another type."""
    added = [name for part in contract.change.order for name in (f"__source_{part}", f"__{part}")]
    added += [name for part, _ in _TIMES for name in (f"__source_{part}", f"__{part}")]
    plain = ("before", "after", "op", "payload", "ts_ms", "ts_us", "__op", "__deleted")
    columns = [f"`{name}` string" for name in dict.fromkeys((*plain, *added))]
    return ", ".join([*columns, "source map<string,string>"])


def _is_envelope(contract: StreamContract) -> str:
    if contract.change.shape != "auto":
        return "true" if contract.change.shape == "envelope" else "false"
    return "coalesce(array_contains(_body_keys, 'op') AND arrays_overlap(_body_keys, array('before', 'after')), false)"


def _op() -> str:
    """A tombstone deletes; a flattened row says what it is, or is simply the row as it is now."""
    is_deleted = f"lower({_first('_change.`__deleted`', _header('__deleted'))}) = 'true'"
    return (
        "CASE WHEN value IS NULL OR (_body IS NULL AND _outer_keys IS NOT NULL) THEN 'd' "
        "WHEN _is_envelope THEN _change.op "
        f"WHEN {is_deleted} THEN 'd' "
        f"ELSE coalesce({_first('_change.`__op`', _header('__op'))}, 'u') END"
    )


def _position(contract: StreamContract) -> str:
    """The place in the source's order. What a record does not say counts as -1: before everything that is said."""
    parts = (
        f"coalesce(try_cast(regexp_extract({_said(name)}, '([0-9]+)$', 1) AS bigint), -1)"
        for name in contract.change.order
    )
    return f"cast(array({', '.join(parts)}) AS array<bigint>)"


def _changed_at() -> str:
    """When the source committed the change; else when the connector saw it; else when the broker got it."""
    cases = [
        f"WHEN {text} IS NOT NULL THEN {epoch(f'try_cast({text} AS bigint)', unit)}"
        for text, unit in (
            *((_said(name), unit) for name, unit in _TIMES),
            *((f"CASE WHEN _is_envelope THEN _change.{name} END", unit) for name, unit in _TIMES),
        )
    ]
    return f"CASE {' '.join(cases)} ELSE _broker_time END"


def _said(name: str) -> str:
    """SQL for what a record says of its source: in the envelope, in an added field, or in a header."""
    return _first(
        f"CASE WHEN _is_envelope THEN _change.source[{quote(name)}] END",
        f"_change.`__source_{name}`",
        f"_change.`__{name}`",
        _header(f"__source_{name}"),
        _header(f"__{name}"),
    )


def _first(*texts: str) -> str:
    return f"coalesce({', '.join(texts)})"


def _header(name: str) -> str:
    """SQL for the last header of that name, without the quotes that some converters write."""
    return f"trim(BOTH '\"' FROM {last_header(name)})"


def _refused(contract: StreamContract) -> str:
    # To be applied it has to say its place: what lacks a part of it (-1) would come before rows that it emptied.
    applies = {"reject": "false", "ignore": "true", "apply": "coalesce(array_min(_position) >= 0, true)"}
    is_followed = "" if contract.topic.format == "avro" else f" OR {followed('_whole')}"
    truncated = f"WHEN _op = 't' AND NOT {applies[contract.change.truncate]} THEN '{TRUNCATED}' "
    return (
        "CASE WHEN value IS NULL THEN '' WHEN _unread != '' THEN _unread "
        f"WHEN NOT is_valid_utf8(_whole) THEN '{NOT_UTF8}' "
        f"WHEN _outer_keys IS NULL{is_followed} THEN '{MALFORMED}' "
        f"{truncated}WHEN _op IS NULL OR _op NOT IN ('c', 'u', 'r', 'd', 't') THEN '{UNKNOWN_OP}' "
        f"WHEN _op IN ('c', 'u', 'r') AND json_object_keys(_text) IS NULL THEN '{NO_ROW_IMAGE}' ELSE '' END"
    )


def _key_text(contract: StreamContract) -> str:
    """The record's key as a JSON object of the key fields: as it is, out of a schema envelope, or a bare value."""
    text = "_record_key"
    payload = f"CASE WHEN get_json_object({text}, '$.schema') IS NOT NULL THEN get_json_object({text}, '$.payload') END"
    whole = f"coalesce({payload}, {text})"
    if len(contract.key) > 1:
        return whole
    field = contract.field(contract.key[0])
    return f"CASE WHEN startswith({whole}, '{{') THEN {whole} ELSE {_bare(field, whole)} END"


def _bare(field: FieldSpec, text: str) -> str:
    if field.type == "string" or field.parse is not None:
        return f"to_json(map({quote(field.key)}, trim(BOTH '\"' FROM {text})))"
    return f"concat('{{\"{field.key}\":', {text}, '}}')"
