"""How values are written that JSON has no type for, as the SQL that reads them: times as numbers, decimals as bytes.

Here: one SQL text per field, over `value`. Not here: parsing events (`transforms.events`).
"""

import re

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec

_NUMBER = "value rlike '^-?[0-9]+$'"
_EPOCHS = {
    "millis": "timestamp_millis({v})",
    "micros": "timestamp_micros({v})",
    "nanos": "timestamp_micros({v} div 1000)",
}
# The years 1 to 9999; what lies outside would not be null but an error, and bad data must not end a batch.
_RANGES = {
    "millis": (-62_135_596_800_000, 253_402_300_799_999),
    "micros": (-62_135_596_800_000_000, 253_402_300_799_999_999),
    "nanos": (-(2**63), 2**63 - 1),
}
_DECIMAL = re.compile(r"^decimal\((\d+),(\d+)\)$")


def readable_field(field: FieldSpec, contract: StreamContract) -> FieldSpec:
    """The field with the `parse` that its encoding means; of a change record, also without a named one.

    Connectors write times of day zone as ISO text, others as microseconds, dates as days since 1970: both forms are
    understood when the contract names none.
    """
    if field.parse is not None or field.derive is not None:
        return field
    sql = _sql(field, contract)
    return field if sql is None else field.model_copy(update={"parse": sql, "encoding": None})


def epoch(number: str, unit: str) -> str:
    """SQL for the time that a number (SQL, a bigint) since 1970 means; null outside the years 1 to 9999."""
    first, last = _RANGES[unit]
    return f"CASE WHEN {number} BETWEEN {first} AND {last} THEN {_EPOCHS[unit].format(v=number)} END"


def has_date(text: str) -> str:
    """SQL: a text that would be read as a time says of which day; Spark takes what is missing from the clock."""
    return f"locate('-', substring_index({text}, ':', 1), 2) > 0"


def _sql(field: FieldSpec, contract: StreamContract) -> str | None:
    if field.encoding == "base64":
        return _base64_decimal(field.type)
    if contract.is_cdc and _DECIMAL.match(field.type):
        # A connector writes them as text, or as numbers.
        return f"try_cast(value AS {field.type})"
    if field.type == "timestamp" and (field.encoding is not None or contract.is_cdc):
        moment = epoch("cast(value AS bigint)", field.encoding or "micros")
        return f"CASE WHEN {_NUMBER} THEN {moment} WHEN {has_date('value')} THEN cast(value AS timestamp) END"
    if field.type == "date" and contract.is_cdc:
        return f"CASE WHEN {_NUMBER} THEN date_from_unix_date(try_cast(value AS int)) ELSE cast(value AS date) END"
    return None


def _base64_decimal(kind: str) -> str:
    """Big-endian two's complement, as Kafka Connect writes decimals and large unsigned numbers."""
    match = _DECIMAL.match(kind)
    scale = int(match[2]) if match else 0
    digits = (
        "aggregate(sequence(0, length(b) - 1), "
        # A leading byte of 128 or more makes the number negative: as if -1 stood before it.
        "cast(CASE WHEN conv(hex(substring(b, 1, 1)), 16, 10) >= 128 THEN -1 ELSE 0 END AS decimal(38,0)), "
        "(sum, i) -> cast(sum * 256 + cast(conv(hex(substring(b, i + 1, 1)), 16, 10) AS int) AS decimal(38,0)))"
    )
    number = f"element_at(transform(array(try_to_binary(value, 'base64')), b -> {digits}), 1)"
    return f"cast(concat(cast({number} AS string), 'E-{scale}') AS {kind})"
