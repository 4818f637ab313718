"""Rejected records as the quarantine table and the dead-letter topic tell of them.

Here: a pure DataFrame → DataFrame step, and the same of staged rows as DuckDB's SQL. Not here: judging
(`transforms.events`), writing (`lake.quarantine`).
"""

from typing import TYPE_CHECKING

from lakehouse.contracts.model import StreamContract
from lakehouse.quality.rules import (
    DISCARDED,
    MALFORMED,
    MALFORMED_AVRO,
    NO_VALUE,
    NOT_AVRO,
    NOT_UTF8,
    UNKNOWN_SCHEMA,
    UNREADABLE,
    quote,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# The record breaks the contract, or it cannot even be read. What may pass by itself (broker or Spark away) is never a
# reject: the step is tried again as a whole.
_ERROR_TYPES = ("ValidationError", "DeserializationError")
# What a staged reject carries of the quarantine table; the rest is in its provenance and its verdict.
_STAGED = ("timestamp", "key", "value", "arrival_date", "record")
# Bytes of key and original record in a dead letter: the rest fits below Kafka's default of 1 MiB for a message.
_LARGEST_ORIGINAL = 900_000


def as_quarantine(rejects: "DataFrame", contract: StreamContract) -> "DataFrame":
    """Judged rows in the shape of the quarantine table."""
    return rejects.selectExpr(*quarantine_row(contract))


def quarantine_row(contract: StreamContract) -> list[str]:
    """SQL for the columns of the quarantine table, of a judged row; `record` is the dead letter with its six keys."""
    return [f"{value} AS {name}" for name, value in _columns(contract).items()]


def staged_struct(contract: StreamContract) -> str:
    """SQL for what a staged reject has of the quarantine table besides its provenance; null where the row is no reject.

    What the rest can be told from (`quarantine_row_of_staged`) is in few columns: each is written for every valid row,
    too. Its parts may be null: Arrow refuses a null of a struct whose parts may not.
    """
    columns = _columns(contract)
    parts = (f"CASE WHEN _broken != '' THEN {columns[name]} END AS {name}" for name in _STAGED)
    return f"CASE WHEN _broken != '' THEN struct({', '.join(parts)}) END"


def quarantine_row_of_staged(contract: StreamContract, broken: str) -> list[str]:
    """DuckDB's SQL for the columns of the quarantine table, of a staged reject.

    Args:
        contract: The stream.
        broken: SQL for the names of the broken conditions.
    """
    told = {name: f"_reject.{name}" for name in _STAGED}
    return [f"{told.get(name, value)} AS {name}" for name, value in _columns(contract, broken).items()]


def _columns(contract: StreamContract, broken: str = "_broken") -> dict[str, str]:
    """SQL by column; of all but `record` it is Spark's and DuckDB's alike."""
    return {
        "topic_id": "_topic_id",
        "partition": "_partition",
        "offset": "_offset",
        "timestamp": "timestamp",
        "key": "key",
        "value": "value",
        "reasons": f"split({broken}, ',')",
        "error_type": _error_type(broken),
        "error_message": _message(broken),
        "record": _record(contract),
        "batch": "_batch",
        "_ingested_at": "_ingested_at",
        "arrival_date": "arrival_date",
    }


def _error_type(broken: str = "_broken") -> str:
    validation, deserialization = _ERROR_TYPES
    unreadable = ", ".join(quote(reason) for reason in UNREADABLE)
    return f"CASE WHEN {broken} IN ({unreadable}) THEN '{deserialization}' ELSE '{validation}' END"


def _message(broken: str = "_broken") -> str:
    return (
        f"CASE {broken} WHEN {quote(MALFORMED)} THEN 'The value is no JSON object.' "
        f"WHEN {quote(NOT_UTF8)} THEN 'The value is no UTF-8 text.' "
        f"WHEN {quote(NO_VALUE)} THEN 'The record has no value.' "
        f"WHEN {quote(NOT_AVRO)} THEN 'The value does not begin with a zero byte and the id of a schema.' "
        f"WHEN {quote(UNKNOWN_SCHEMA)} THEN 'Neither the lake nor the registry knows the schema that the value names.' "
        f"WHEN {quote(MALFORMED_AVRO)} THEN 'The value is no record of the schema that it names.' "
        f"WHEN {quote(DISCARDED)} THEN 'Kept out by decision.' "
        f"ELSE concat('Broken: ', replace({broken}, ',', ', '), '.') END"
    )


def _record(contract: StreamContract) -> str:
    """SQL for the six keys: original_record, error_type, error_message, timestamp, context, retry_count.

    An original that would make the dead letter larger than a broker takes is left out; the quarantine table has it.
    """
    text = "CASE WHEN is_valid_utf8(cast(value AS string)) THEN cast(value AS string) ELSE base64(value) END"
    # Quotes and control characters grow when they are written as JSON; only the JSON tells how much.
    too_large = (
        f"(octet_length(value) > {_LARGEST_ORIGINAL // 10} AND "
        f"octet_length(to_json(named_struct('v', {text}))) + coalesce(octet_length(key), 0) > {_LARGEST_ORIGINAL})"
    )
    original = f"CASE WHEN value IS NOT NULL AND NOT {too_large} THEN {text} END"
    encoding = (
        f"CASE WHEN {too_large} THEN 'left out' "
        "WHEN value IS NULL OR is_valid_utf8(cast(value AS string)) THEN 'utf-8' ELSE 'base64' END"
    )
    context = (
        f"named_struct('topic', {quote(contract.topic.name)}, 'topic_id', _topic_id, 'partition', _partition, "
        f"'offset', _offset, 'stream', {quote(contract.name)}, 'batch', _batch, 'reasons', split(_broken, ','), "
        f"'encoding', {encoding})"
    )
    return (
        f"to_json(named_struct('original_record', {original}, 'error_type', {_error_type()}, "
        f"'error_message', {_message()}, 'timestamp', date_format(timestamp, \"yyyy-MM-dd'T'HH:mm:ss.SSSX\"), "
        f"'context', {context}, 'retry_count', _retry_count), map('ignoreNullFields', 'false'))"
    )
