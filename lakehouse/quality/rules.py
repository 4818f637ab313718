"""A contract's rules as Spark SQL expressions over parsed fields. Here: text → SQL text. Not here: running it.

A condition that evaluates to null (a missing value, a cast that failed) counts as broken: whatever cannot be checked
does not pass.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from lakehouse.contracts.model import StreamContract
from lakehouse.contracts.parts import FieldSpec, Severity

MALFORMED = "malformed_json"
NO_VALUE = "no_value"
NOT_UTF8 = "not_utf8"
NOT_AVRO = "not_avro"
UNKNOWN_SCHEMA = "unknown_schema"
MALFORMED_AVRO = "malformed_avro"
UNKNOWN_OP = "unknown_op"
NO_ROW_IMAGE = "no_row_image"
TRUNCATED = "truncate_not_applied"
# Every reason for which a record cannot be read at all; it is then the only one.
UNREADABLE = (
    MALFORMED,
    NO_VALUE,
    NOT_UTF8,
    NOT_AVRO,
    UNKNOWN_SCHEMA,
    MALFORMED_AVRO,
    UNKNOWN_OP,
    NO_ROW_IMAGE,
    TRUNCATED,
)
# The reason of a record that passes the contract and that a person keeps out all the same.
DISCARDED = "discarded"
# What an event with a key that the contract does not know breaks under `evolve: {add: stop}`.
UNKNOWN_FIELDS = "unknown_fields"
# Share of broken rows up to which a condition that has no tolerance of its own does not block gold.
DEFAULT_TOLERANCE = 0.05
_LONGEST_NAME = 255
# What Python, DuckDB and most readers can hold; Spark counts on, and where a number of seconds was too large, anew.
_CALENDAR = {
    "date": "DATE'0001-01-01' AND DATE'9999-12-31'",
    "timestamp": "TIMESTAMP'0001-01-01 00:00:00' AND TIMESTAMP'9999-12-31 23:59:59.999999'",
}
# The name that a folder has for null.
_FOLDER_OF_NULL = "__HIVE_DEFAULT_PARTITION__"
# What Spark writes as %XX in the name of a partition's folder, as a class of a regular expression has it.
ESCAPED_IN_FOLDERS = r"""\x01-\x1F"#%'*/:=?\\\x7F{\[\]^"""
_NOT_ESCAPED = f"[^{ESCAPED_IN_FOLDERS}]"


@dataclass(frozen=True)
class Condition:
    """Something every row must meet: `holds` is SQL that is true for a good row, null or false for a broken one."""

    name: str
    holds: str
    severity: Severity
    description: str
    tolerance: float = DEFAULT_TOLERANCE


def rejecting_conditions(contract: StreamContract) -> list[Condition]:
    """Everything that sends a readable row to quarantine: types, missing fields, event time, error rules."""
    return [
        *_type_conditions(contract),
        *_presence_conditions(contract),
        *_time_conditions(contract),
        *_partition_conditions(contract),
        *(
            Condition(rule.name, rule.sql, "error", rule.description, rule.tolerance)
            for rule in contract.rules
            if rule.severity == "error"
        ),
    ]


def key_conditions(contract: StreamContract) -> list[Condition]:
    """What a deleted row must meet: its key is there and of its type, its time is possible. It has nothing else."""
    of_key = {f"{name}_{kind}" for name in contract.key for kind in ("type", "present")}
    implied = [*_type_conditions(contract), *_presence_conditions(contract)]
    return [*(condition for condition in implied if condition.name in of_key), *_time_conditions(contract)]


def truncate_conditions(contract: StreamContract) -> list[Condition]:
    """What a truncate must meet: its time is possible. There is no row in it."""
    return _time_conditions(contract)


def stopping_conditions(contract: StreamContract) -> list[Condition]:
    """Rules of severity fail and what `evolve` stops on: one broken row stops the batch before silver."""
    rules = [Condition(r.name, r.sql, "fail", r.description) for r in contract.rules if r.severity == "fail"]
    return [*rules, *schema_conditions(contract)]


def schema_conditions(contract: StreamContract) -> list[Condition]:
    """What an event must meet because `evolve` says stop: only known keys, only values of their types."""
    found = []
    if contract.evolve.add == "stop":
        found.append(
            Condition(UNKNOWN_FIELDS, "_rescued IS NULL", "fail", "The contract knows every key of the event.")
        )
    if contract.evolve.type == "stop":
        found += [replace(condition, severity="fail") for condition in _type_conditions(contract)]
    return found


def warning_conditions(contract: StreamContract) -> list[Condition]:
    """Rules of severity warn: the row is kept and counted."""
    return [Condition(r.name, r.sql, "warn", r.description) for r in contract.rules if r.severity == "warn"]


def broken_names(conditions: list[Condition]) -> str:
    """SQL for the names of the broken conditions, comma-separated; an empty string when all hold."""
    if not conditions:
        return "''"
    parts = (f"CASE WHEN coalesce({c.holds}, false) THEN NULL ELSE '{c.name}' END" for c in conditions)
    return f"concat_ws(',', {', '.join(parts)})"


def is_required(contract: StreamContract, field: FieldSpec) -> bool:
    """Whether a row without this field is rejected. Keys and the event time always are: a null never wins a merge."""
    return not field.nullable or field.name in contract.key or field.name == contract.event_time


def _type_conditions(contract: StreamContract) -> list[Condition]:
    """The value is there but is no value of its type: `_mistyped` names the fields of which parsing found that."""
    conditions = []
    for field in contract.fields:
        name = f"`{field.name}`"
        parts = []
        if field.derive is None and field.type != "string":
            parts.append(f"NOT {_is_mistyped(field)}")
        if field.type == "double" and field.derive is None:
            parts.append(f"({name} IS NULL OR NOT (isnan({name}) OR abs({name}) = double('Infinity')))")
        if field.type in _CALENDAR:
            parts.append(f"({name} IS NULL OR {name} BETWEEN {_CALENDAR[field.type]})")
        if parts:
            holds = " AND ".join(parts)
            conditions.append(
                Condition(f"{field.name}_type", f"({holds})", "error", f"{field.name} is a {field.type}.")
            )
    return conditions


def _presence_conditions(contract: StreamContract) -> list[Condition]:
    return [
        Condition(f"{field.name}_present", f"({_is_there(field)})", "error", f"{field.name} is there.")
        for field in contract.fields
        if is_required(contract, field)
    ]


def _is_there(field: FieldSpec) -> str:
    """SQL: there is a value, or a text that is no value of the type (then the type condition is the one that broke)."""
    there = f"`{field.name}` IS NOT NULL"
    if field.derive is not None or field.type == "string":
        return there
    return f"{there} OR {_is_mistyped(field)}"


def _is_mistyped(field: FieldSpec) -> str:
    return f"(_mistyped IS NOT NULL AND find_in_set('{field.name}', _mistyped) > 0)"


def _time_conditions(contract: StreamContract) -> list[Condition]:
    time = f"`{contract.event_time}`"
    conditions = [
        Condition(
            "event_time_not_in_future",
            f"({_apart(time, '_broker_time')} <= {_micros(contract.lateness.future)})",
            "error",
            "The event time is not ahead of the broker's clock by more than the contract allows.",
        )
    ]
    if contract.lateness.past is not None:
        conditions.append(
            Condition(
                "event_time_not_too_old",
                f"({_apart('_broker_time', time)} <= {_micros(contract.lateness.past)})",
                "error",
                "The event time is not further back than the contract allows.",
            )
        )
    return conditions


def _partition_conditions(contract: StreamContract) -> list[Condition]:
    """A value that names a folder must be able to: else one record would stop every batch that holds it.

    Delta writes an empty text as null and has one name for null, and file systems take names of 255 bytes, in which
    some characters are written as three (`%2F`), and no NUL.
    """
    conditions = []
    for column in contract.partition_by:
        if contract.field(column).type != "string":
            continue
        name, room = f"`{column}`", _LONGEST_NAME - len(column) - 1
        bytes_of = f"octet_length({name})"
        escaped = f"{bytes_of} + 2 * length(regexp_replace({name}, {quote(_NOT_ESCAPED)}, ''))"
        fits = f"({bytes_of} <= {room // 3} OR {escaped} <= {room})"
        holds = f"({name} NOT IN ('', {quote(_FOLDER_OF_NULL)}) AND locate(char(0), {name}) = 0 AND {fits})"
        conditions.append(
            Condition(f"{column}_partition", holds, "error", f"{column} can name a folder: not empty, not too long.")
        )
    return conditions


def _apart(later: str, earlier: str) -> str:
    """SQL: microseconds between two times. To add an interval Spark would make dates and zones of both."""
    return f"unix_micros({later}) - unix_micros({earlier})"


def _micros(duration: timedelta) -> int:
    return duration // timedelta(microseconds=1)


def quote(text: str) -> str:
    """A Spark SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def date_list(days: Iterable[date | str]) -> str:
    """Spark SQL date literals, comma-separated, for `IN (…)`."""
    return ", ".join(f"DATE'{day}'" for day in days)


def on_days(column: str, days: Iterable[date] | None) -> str:
    """SQL of Spark and of DuckDB for "this column is one of these days"; everything for None, nothing for no day."""
    if days is None:
        return "true"
    listed = date_list(sorted(days))
    return f"{column} IN ({listed})" if listed else "false"
