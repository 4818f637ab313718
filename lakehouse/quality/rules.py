"""A contract's rules as Spark SQL expressions over parsed fields. Here: text → SQL text. Not here: running it.

A condition that evaluates to null (a missing value, a cast that failed) counts as broken: whatever cannot be checked
does not pass.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from lakehouse.contracts.model import FieldSpec, Severity, StreamContract

MALFORMED = "malformed_json"
NO_VALUE = "no_value"
NOT_UTF8 = "not_utf8"
UNKNOWN_OP = "unknown_op"
NO_ROW_IMAGE = "no_row_image"
TRUNCATED = "truncate_not_applied"
# Every reason for which a record cannot be read at all; it is then the only one.
UNREADABLE = (MALFORMED, NO_VALUE, NOT_UTF8, UNKNOWN_OP, NO_ROW_IMAGE, TRUNCATED)
# The reason of a record that passes the contract and that a person keeps out all the same.
DISCARDED = "discarded"
# Share of broken rows up to which a condition that has no tolerance of its own does not block gold.
DEFAULT_TOLERANCE = 0.05


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


def stopping_conditions(contract: StreamContract) -> list[Condition]:
    """Rules of severity fail: one broken row stops the batch before silver."""
    return [Condition(r.name, r.sql, "fail", r.description) for r in contract.rules if r.severity == "fail"]


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
    """The value is there but is no value of its type. `_corrupt` is set by the parser when any field failed."""
    conditions = []
    for field in contract.fields:
        if field.derive is not None or field.type == "string":
            continue
        name = f"`{field.name}`"
        holds = f"{name} IS NOT NULL OR _raw IS NULL OR {_raw_text(field)} IS NULL"
        if field.type == "double":
            holds = f"({holds}) AND ({name} IS NULL OR NOT (isnan({name}) OR abs({name}) = double('Infinity')))"
        conditions.append(Condition(f"{field.name}_type", f"({holds})", "error", f"{field.name} is a {field.type}."))
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
    return f"{there} OR (_raw IS NOT NULL AND {_raw_text(field)} IS NOT NULL)"


def _raw_text(field: FieldSpec) -> str:
    """SQL: the text that the event has for this field, under whichever of its keys."""
    texts = [f"_raw[{quote(key)}]" for key in field.keys]
    return texts[0] if len(texts) == 1 else f"coalesce({', '.join(texts)})"


def _time_conditions(contract: StreamContract) -> list[Condition]:
    time = f"`{contract.event_time}`"
    conditions = [
        Condition(
            "event_time_not_in_future",
            f"({time} <= _broker_time + {interval(contract.lateness.future)})",
            "error",
            "The event time is not ahead of the broker's clock by more than the contract allows.",
        )
    ]
    if contract.lateness.past is not None:
        conditions.append(
            Condition(
                "event_time_not_too_old",
                f"({time} >= _broker_time - {interval(contract.lateness.past)})",
                "error",
                "The event time is not further back than the contract allows.",
            )
        )
    return conditions


def interval(duration: timedelta) -> str:
    """A Spark SQL interval literal."""
    return f"INTERVAL '{int(duration.total_seconds())}' SECOND"


def quote(text: str) -> str:
    """A Spark SQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def date_list(days: Iterable[date | str]) -> str:
    """Spark SQL date literals, comma-separated, for `IN (…)`."""
    return ", ".join(f"DATE'{day}'" for day in days)
